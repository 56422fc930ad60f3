//! What is commanded of a ready machine.

use crate::scenario::{Meanwhile, Scenario, Start, Trouble};
use deploy_core::*;
use deploy_testkit::sample;

/// What is done before, each until it rests, and then the command during which workers die.
#[derive(Debug, Clone)]
pub(crate) struct Commanded {
    pub(crate) before: Vec<Ask>,
    pub(crate) command: Ask,
}

/// A command, but for what only the machine tells.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    This(Command),
    /// Another order, made of the one that there is.
    Package(fn(&mut VmSpec)),
    /// The first backup that there is.
    Restore,
    DeleteBackup,
}

use Ask::This;

impl Ask {
    pub(crate) fn command(&self, record: &VmRecord, backup: Option<&Backup>) -> Command {
        let volume = || backup.map(|backup| backup.volume.clone()).unwrap();
        match self {
            Self::This(command) => command.clone(),
            Self::Package(change) => {
                let mut spec = record.spec.clone();
                change(&mut spec);
                let macs = (0..).zip(&spec.nics).map(|(n, _)| MacAddr::local([0, 0, 0, 0, 2, n])).collect();
                Command::ChangePackage(Box::new(Package { spec, macs }))
            }
            Self::Restore => Command::RestoreBackup(volume()),
            Self::DeleteBackup => Command::DeleteBackup(volume()),
        }
    }
}

fn grow(spec: &mut VmSpec) {
    spec.cores = sample::count(4);
    spec.system_disk.size = sample::count(40);
    spec.additional_disks.push(data_disk());
    let mut nic = spec.nics[0].clone();
    nic.filtering = Filtering::On;
    spec.nics.push(nic);
}

fn data_disk() -> AdditionalDisk {
    AdditionalDisk { storage: sample::parsed("local"), size: sample::count(7), limits: DiskLimits::default() }
}

fn thin(spec: &mut VmSpec) {
    spec.cores = sample::count(1);
    if let Addressing::Pools(FromPools { v4: Some(draw), .. }) = &mut spec.nics[0].addressing {
        draw.count -= 1;
    }
}

/// Nothing that needs a restart.
fn light(spec: &mut VmSpec) {
    spec.tags = [sample::parsed("gold"), sample::parsed("silver")].into();
    spec.system_disk.size = sample::count(50);
}

fn nic0() -> NicSlot {
    0.try_into().unwrap()
}

fn stop() -> Ask {
    This(Command::Stop(StopHow::Hard))
}

fn snapshot() -> Ask {
    This(Command::CreateSnapshot(NewSnapshot {
        name: sample::parsed("before"),
        description: String::new(),
        expires: None,
    }))
}

fn backup() -> Ask {
    let storage = sample::parsed("backup");
    This(Command::Backup(NewBackup { storage, mode: BackupMode::Snapshot, expires: None }))
}

impl Scenario {
    fn commanded(name: &'static str, before: Vec<Ask>, command: Ask) -> Self {
        let of = if name.contains("full") { Self::full() } else { Self::small() };
        let commanded = Some(Commanded { before, command });
        Self { name, start: Start::Commanded, commanded, ..of }
    }

    pub(crate) fn suspend() -> Self {
        Self::commanded("suspend", vec![], This(Command::Suspend))
    }

    pub(crate) fn change_package() -> Self {
        Self::commanded("change package, full", vec![], Ask::Package(grow))
    }

    pub(crate) fn dedicated_ip() -> Self {
        let command = This(Command::SetDedicatedIp(nic0(), Family::V4));
        Self::commanded("set dedicated IP, full", vec![], command)
    }

    pub(crate) fn reinstall() -> Self {
        Self::commanded("reinstall", vec![], This(Command::Reinstall(Box::default())))
    }

    /// The stop and the destroy are late, so that the answers are lost.
    pub(crate) fn reinstall_late() -> Self {
        let command = This(Command::Reinstall(Box::default()));
        Self {
            trouble: Trouble::SecondLate,
            ..Self::commanded("reinstall, late destroy", vec![stop()], command)
        }
    }

    pub(crate) fn reinstall_replaced() -> Self {
        let scenario =
            Self { name: "reinstall, replaced", meanwhile: Meanwhile::Replaced, ..Self::reinstall() };
        // Its name does not tell its number, and when it is replaced later than that it is made once more.
        Self { spec: Self::replaced().spec, ..scenario }
    }

    fn reinstall_keeping(name: &'static str, before: Vec<Ask>) -> Self {
        let keep = NewInstallation { additional_disks: DataDisks::Keep, ..NewInstallation::default() };
        let scenario = Self::commanded(name, before, This(Command::Reinstall(Box::new(keep))));
        // Its template is on its node, or storages have the same names everywhere.
        let spec = VmSpec { migration_storage: None, ..scenario.spec };
        let spec = VmSpec { additional_disks: vec![data_disk()], ..spec };
        Self { spec, ..scenario }
    }

    pub(crate) fn keeping() -> Self {
        Self::reinstall_keeping("reinstall, keeping", vec![])
    }

    /// The copy is late, so that another one is asked for.
    pub(crate) fn keeping_late() -> Self {
        let scenario = Self::reinstall_keeping("reinstall, keeping, late", vec![stop()]);
        Self { trouble: Trouble::SecondLate, ..scenario }
    }

    pub(crate) fn keeping_replaced() -> Self {
        let replaced = Self::reinstall_replaced();
        let scenario = Self::keeping();
        let spec = VmSpec { additional_disks: scenario.spec.additional_disks, ..replaced.spec };
        Self { name: "reinstall, keeping, replaced", spec, meanwhile: Meanwhile::Replaced, ..Self::keeping() }
    }

    /// Whether the additional disks are to be those that there were.
    pub(crate) fn keeps(&self) -> bool {
        let keeps = |commanded: &Commanded| matches!(&commanded.command, This(Command::Reinstall(new)) if new.additional_disks == DataDisks::Keep);
        self.commanded.as_ref().is_some_and(keeps) && self.meanwhile == Meanwhile::Nothing
    }

    fn all_keeping() -> Vec<Self> {
        let full = || Self::reinstall_keeping("reinstall, keeping, full", vec![]);
        let taken_back = Meanwhile::TakenBack;
        vec![
            Self::keeping(),
            Self::keeping_late(),
            full(),
            Self { name: "reinstall, keeping, half done", trouble: Trouble::HalfDone, ..Self::keeping() },
            Self { name: "reinstall, keeping, full, looks fail", trouble: Trouble::LooksFail, ..full() },
            Self { name: "reinstall, keeping, full, taken back", meanwhile: taken_back, ..full() },
            Self {
                name: "reinstall, keeping, late, taken back",
                meanwhile: taken_back,
                ..Self::keeping_late()
            },
        ]
    }

    /// A start whose answer is lost, and a suspension that comes before it arrives.
    pub(crate) fn start_late_suspended() -> Self {
        let scenario = Self::commanded("start, late, suspended", vec![stop()], This(Command::Start));
        Self { trouble: Trouble::CloneLate, meanwhile: Meanwhile::Suspended, ..scenario }
    }

    fn restore() -> Self {
        Self::commanded("restore backup", vec![backup()], Ask::Restore)
    }

    pub(crate) fn all_commanded() -> Vec<Self> {
        let command = |name, before, command| Self::commanded(name, before, This(command));
        let credentials = Credentials { user: Some(sample::parsed("bob")), ..Credentials::default() };
        let others = vec![
            command("stop", vec![], Command::Stop(StopHow::Graceful)),
            command("start", vec![stop()], Command::Start),
            command("restart", vec![], Command::Restart(StopHow::Hard)),
            command("reset", vec![], Command::Reset),
            Self::suspend(),
            command("unsuspend", vec![This(Command::Suspend)], Command::Unsuspend(Resume::AsBefore)),
            Self::start_late_suspended(),
            Self::change_package(),
            Self {
                name: "change package, full, half done",
                trouble: Trouble::HalfDone,
                ..Self::change_package()
            },
            Self {
                name: "change package, full, looks fail",
                trouble: Trouble::LooksFail,
                ..Self::change_package()
            },
            Self::commanded("change package, full, less", vec![], Ask::Package(thin)),
            Self::commanded("change package, small, online", vec![], Ask::Package(light)),
            command("set credentials, full", vec![], Command::SetCredentials(Box::new(credentials))),
            Self::dedicated_ip(),
            command("add address, full", vec![], Command::AddAddress(nic0(), Family::V6)),
            Self::reinstall(),
            Self::reinstall_late(),
            Self { name: "reinstall, looks fail", trouble: Trouble::LooksFail, ..Self::reinstall() },
            Self { name: "reinstall, taken back", meanwhile: Meanwhile::TakenBack, ..Self::reinstall() },
            Self {
                name: "change package, full, taken back",
                meanwhile: Meanwhile::TakenBack,
                ..Self::change_package()
            },
            Self {
                name: "change package, full, held and taken back",
                meanwhile: Meanwhile::HeldAndTakenBack,
                ..Self::change_package()
            },
            command("remove", vec![stop()], Command::Remove),
            command(
                "run on from the clone",
                vec![stop(), This(Command::Remove)],
                Command::RunOn(Step::Clone),
            ),
            command("set firewall alone, full", vec![], Command::Step(Step::SetFirewall)),
            command("set DNS records", vec![], Command::SetDnsRecords),
            Self::commanded("create snapshot", vec![], snapshot()),
            command("delete snapshot", vec![snapshot()], Command::DeleteSnapshot(sample::parsed("before"))),
            command("roll back", vec![snapshot()], Command::RollBack(sample::parsed("before"))),
            Self::commanded("backup", vec![], backup()),
            Self::commanded("delete backup", vec![backup()], Ask::DeleteBackup),
            Self::restore(),
            Self { name: "restore backup, half done", trouble: Trouble::HalfDone, ..Self::restore() },
            Self { name: "restore backup, taken back", meanwhile: Meanwhile::TakenBack, ..Self::restore() },
        ];
        others.into_iter().chain(Self::all_keeping()).collect()
    }
}
