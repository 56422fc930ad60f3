//! Changes, where they arrive.

use super::{
    Cluster, Effect, ModelMachine, ModelRule,
    cluster::{answered, is_husk_of, is_outdated, is_target},
    import::put_in_force,
    show::revision,
    task::Fate,
};
use deploy_core::{
    Bytes, Change, Configure, DestroyMode, Disk, DiskGoal, DiskSlot, ErrorClass, MachineCloudInit, Power,
    SetFirewall, SubmitError, Submitted, Target, Vmid,
};
use std::collections::BTreeMap;

impl Cluster {
    /// Carries out what arrived, at the present time.
    pub(super) fn carry_out(
        &mut self,
        target: &Target,
        change: &Change,
        effect: Effect,
    ) -> Result<Submitted, SubmitError> {
        let fate = match effect {
            Effect::Busy => return Err(answered(ErrorClass::Busy, "can't lock file: got timeout")),
            Effect::Refused => return Err(answered(ErrorClass::Refused, "permission check failed")),
            Effect::Good => Fate::Good,
            Effect::EndLost => Fate::EndLost,
            Effect::HalfDone if matches!(change, Change::RestoreBackup { .. } | Change::Import { .. }) => {
                Fate::HalfDone
            }
            Effect::Fails | Effect::HalfDone => Fate::Fails,
        };
        let half = effect == Effect::HalfDone;
        match change {
            Change::Clone { .. } => self.begin_clone(target, change, fate),
            Change::SetFirewall(set) => {
                self.accessible(target, false)?;
                self.set_firewall(target.machine.vmid, set, fate, half)
            }
            Change::Configure(configure) => {
                self.accessible(target, true)?;
                self.configure(target, configure, fate, half)
            }
            Change::JoinPool(pool) => {
                let machine = self.accessible(target, false)?;
                if fate == Fate::Fails {
                    return Err(failed());
                }
                machine.pool = Some(pool.clone());
                Ok(Submitted::Applied)
            }
            Change::Import { image, .. } => {
                self.accessible(target, true)?;
                self.judge_import(target, image)?;
                Ok(Submitted::Task(self.begin(target, change, fate)))
            }
            Change::Start if self.is_running(target)? => Ok(Submitted::Applied),
            Change::DeleteBackup(_) => Ok(Submitted::Task(self.begin(target, change, fate))),
            Change::LeaveHa => {
                let machine = self.accessible(target, false)?;
                if fate == Fate::Fails {
                    return Err(failed());
                }
                machine.ha = None;
                Ok(Submitted::Applied)
            }
            Change::RestoreBackup { backup, identity, .. } => {
                self.judge_archive(target, backup, *identity)?;
                self.reach(target, true, true)?;
                let task = self.begin(target, change, fate);
                // One that fails clean does so before it touches anything.
                if fate != Fate::Fails {
                    self.begin_restore(target.machine.vmid, backup);
                }
                Ok(Submitted::Task(task))
            }
            Change::Migrate { .. }
            | Change::Resize { .. }
            | Change::Start
            | Change::Stop(_)
            | Change::Reset
            | Change::CreateSnapshot { .. }
            | Change::DeleteSnapshot(_)
            | Change::RollBack(_)
            | Change::Backup { .. }
            | Change::Destroy(_) => {
                let machine = self.reach(target, true, matches!(change, Change::Destroy(_)))?;
                possible(machine, change)?;
                lock(machine, change);
                Ok(Submitted::Task(self.begin(target, change, fate)))
            }
        }
    }

    /// Of a machine that HA cares for a start is never out of place.
    fn is_running(&mut self, target: &Target) -> Result<bool, SubmitError> {
        let machine = self.accessible(target, true)?;
        Ok(machine.power == Power::Running && !machine.is_managed())
    }

    fn begin_clone(
        &mut self,
        target: &Target,
        change: &Change,
        fate: Fate,
    ) -> Result<Submitted, SubmitError> {
        let vmid = target.machine.vmid;
        let Change::Clone { template, template_node, .. } = change else { return Err(failed()) };
        if self.machines.contains_key(&vmid) {
            return Err(answered(ErrorClass::Busy, "config file already exists"));
        }
        match self.machines.get(template) {
            Some(machine) if machine.node == *template_node && machine.template => {}
            _ => return Err(answered(ErrorClass::Refused, "no such template")),
        }
        // PVE reserves the number by an empty, locked configuration.
        let reserved =
            ModelMachine { lock: Some("clone".to_owned()), ..ModelMachine::bare(template_node.clone()) };
        self.machines.insert(vmid, reserved);
        Ok(Submitted::Task(self.begin(target, change, fate)))
    }

    /// The machine of a request that arrived; another one by now is not there for it.
    fn accessible(&mut self, target: &Target, locks: bool) -> Result<&mut ModelMachine, SubmitError> {
        self.reach(target, locks, false)
    }

    /// The same, or what a restore left of it. While a restore or a copy works it holds the lock of the file.
    fn reach(&mut self, target: &Target, locks: bool, husks: bool) -> Result<&mut ModelMachine, SubmitError> {
        let vmid = target.machine.vmid;
        if locks && self.tasks.hold_file(vmid) {
            return Err(answered(ErrorClass::Busy, "can't lock file: got timeout"));
        }
        match self.machines.get_mut(&vmid) {
            Some(machine) if is_target(target, machine) || (husks && is_husk_of(target, machine)) => {
                match &machine.lock {
                    Some(lock) if locks => Err(answered(ErrorClass::Busy, &format!("VM is locked ({lock})"))),
                    _ => Ok(machine),
                }
            }
            _ => Err(answered(ErrorClass::Failed, "configuration file does not exist")),
        }
    }

    fn configure(
        &mut self,
        target: &Target,
        configure: &Configure,
        fate: Fate,
        half: bool,
    ) -> Result<Submitted, SubmitError> {
        let vmid = target.machine.vmid;
        let machine = self.machines.get(&vmid).ok_or_else(failed)?;
        if is_outdated(target, machine) {
            return Err(answered(
                ErrorClass::Busy,
                "detected modified configuration - file changed by other user?",
            ));
        }
        if machine.config.protected && !configure.remove_disks.is_empty() {
            return Err(answered(ErrorClass::Refused, "can't remove drive - protection mode enabled"));
        }
        // To a running machine one option is written, which is done or not.
        if half && machine.power == Power::Stopped {
            // Settings without disks get written, the disks fail; or the other way round.
            let (disks, settings) = halves(configure);
            let done = if self.number().is_multiple_of(2) { disks } else { settings };
            let _ = self.write(vmid, &done);
            // Shown as if it were set, and applied by whatever is written next, or by a start.
            if let Some(machine) = self.machines.get_mut(&vmid).filter(|_| !done.is_empty()) {
                machine.pending.insert("settings".to_owned());
            }
            return Err(failed());
        }
        if self.configures_by_task {
            let change = Change::Configure(Box::new(configure.clone()));
            return Ok(Submitted::Task(self.begin(target, &change, fate)));
        }
        if fate == Fate::Fails {
            return Err(failed());
        }
        self.write(vmid, configure).map_err(|why| answered(ErrorClass::Failed, why))?;
        // Requests of their own, the last of which is followed.
        let mut submitted = Submitted::Applied;
        for (slot, size) in &configure.sizes {
            let resize = Change::Resize { slot: *slot, size: *size };
            possible(self.machines.get(&vmid).ok_or_else(failed)?, &resize)?;
            submitted = Submitted::Task(self.begin(target, &resize, fate));
        }
        Ok(submitted)
    }

    /// Writes settings.
    pub(super) fn write(&mut self, vmid: Vmid, configure: &Configure) -> Result<(), &'static str> {
        let mut machine = self.machines.get(&vmid).cloned().ok_or("the machine is gone")?;
        for slot in &configure.remove_disks {
            Self::unplug(&mut machine, *slot);
        }
        for slot in &configure.remove_unused {
            if let Some(volume) = machine.config.unused.remove(slot) {
                self.volumes.remove(&volume);
            }
        }
        for (slot, goal) in &configure.disks {
            self.plug(vmid, &mut machine, *slot, goal)?;
        }
        if let Some((slot, storage)) = &configure.cloud_init.drive {
            let taken = machine.config.is_taken(*slot);
            self.counters.overwritten += u32::from(taken);
            let volume = self.new_volume(vmid, storage);
            machine.config.disks.remove(slot);
            machine.config.drives.insert(*slot);
            machine.drive_volumes.insert(*slot, volume);
            machine.config.cloud_init.drive = Some(*slot);
        }
        write_settings(&mut machine, configure);
        machine.revision = self.number();
        put_in_force(&mut machine);
        let boots = |machine: &ModelMachine| machine.config.system_disk().is_some();
        let before = self.machines.get(&vmid).is_some_and(boots);
        self.counters.without_system_disk += u32::from(before && !boots(&machine));
        self.machines.insert(vmid, machine);
        Ok(())
    }

    fn plug(
        &mut self,
        vmid: Vmid,
        machine: &mut ModelMachine,
        slot: DiskSlot,
        goal: &DiskGoal,
    ) -> Result<(), &'static str> {
        let disks: &mut BTreeMap<DiskSlot, Disk> = &mut machine.config.disks;
        match goal {
            DiskGoal::Keep(disk) => {
                let there = disks.get_mut(&slot).filter(|there| there.volume == disk.volume);
                let there = there.ok_or("no such volume")?;
                there.limits = disk.limits;
                there.options.clone_from(&disk.options);
            }
            DiskGoal::Create { storage, size, limits } => {
                self.counters.overwritten += u32::from(disks.contains_key(&slot));
                let disk = Disk {
                    volume: self.new_volume(vmid, storage),
                    storage: storage.clone(),
                    size: Some(Bytes(size.bytes().0)),
                    limits: *limits,
                    options: BTreeMap::new(),
                };
                machine.config.disks.insert(slot, disk);
            }
        }
        Ok(())
    }

    fn set_firewall(
        &mut self,
        vmid: Vmid,
        set: &SetFirewall,
        fate: Fate,
        half: bool,
    ) -> Result<Submitted, SubmitError> {
        let firewall = &mut self.machines.get_mut(&vmid).ok_or_else(failed)?.firewall;
        if fate == Fate::Fails && !half {
            return Err(failed());
        }
        for nic in &set.create_filters {
            firewall.filters.entry(*nic).or_default();
        }
        for (nic, net) in &set.add_members {
            firewall.filters.get_mut(nic).ok_or_else(failed)?.insert(*net);
        }
        for (nic, net) in &set.remove_members {
            firewall.filters.get_mut(nic).ok_or_else(failed)?.remove(net);
        }
        if let Some((position, guard)) = &set.remove_rule {
            let position = usize::try_from(*position).map_err(|_| failed())?;
            if *guard != revision(firewall.revision) || position >= firewall.rules.len() {
                return Err(answered(ErrorClass::Busy, "detected modified configuration"));
            }
            firewall.rules.remove(position);
            firewall.revision += 1;
        }
        let adding = if half { set.add_rules.len() / 2 } else { set.add_rules.len() };
        for rule in set.add_rules.iter().rev().take(adding) {
            firewall.rules.insert(0, ModelRule::Ours(rule.clone()));
            firewall.revision += 1;
        }
        if half {
            return Err(failed());
        }
        if let Some(options) = set.options {
            firewall.options = options;
        }
        Ok(Submitted::Applied)
    }
}

fn failed() -> SubmitError {
    answered(ErrorClass::Failed, "it failed")
}

/// What a change locks the machine with while its task runs.
fn lock(machine: &mut ModelMachine, change: &Change) {
    let lock = match change {
        Change::Migrate { .. } => "migrate",
        Change::CreateSnapshot { name, description } => {
            return Cluster::begin_snapshot(machine, name, description);
        }
        Change::DeleteSnapshot(name) => {
            let found = machine.snapshots.iter_mut().find(|snapshot| snapshot.shown.name == *name);
            if let Some(snapshot) = found {
                snapshot.shown.incomplete = Some("delete".to_owned());
            }
            "snapshot-delete"
        }
        Change::RollBack(_) => "rollback",
        Change::Backup { .. } => "backup",
        _ => return,
    };
    machine.lock = Some(lock.to_owned());
}

/// What can be refused at once.
fn possible(machine: &ModelMachine, change: &Change) -> Result<(), SubmitError> {
    match change {
        Change::Migrate { to, .. } if *to == machine.node => {
            Err(answered(ErrorClass::Refused, "target is local node"))
        }
        Change::Migrate { .. } if machine.power != Power::Stopped => {
            Err(answered(ErrorClass::Refused, "can't migrate running VM without --online"))
        }
        Change::Start if machine.power != Power::Stopped && !machine.is_managed() => {
            Err(answered(ErrorClass::Failed, "VM is already running"))
        }
        Change::Resize { slot, size } => match machine.config.disks.get(slot).and_then(|disk| disk.size) {
            Some(there) if there > size.bytes() => {
                Err(answered(ErrorClass::Refused, "shrinking disks is not supported"))
            }
            Some(_) => Ok(()),
            None => Err(answered(ErrorClass::Refused, "no such disk")),
        },
        Change::Reset if machine.power == Power::Stopped => {
            Err(answered(ErrorClass::Unknown, "VM not running"))
        }
        Change::Destroy(_) if machine.config.protected => {
            Err(answered(ErrorClass::Refused, "can't remove VM - protection mode enabled"))
        }
        Change::Destroy(DestroyMode::KeepBackups) if machine.ha.is_some() => {
            Err(answered(ErrorClass::Refused, "used in HA resources and purge parameter not set"))
        }
        Change::Destroy(_) if machine.power != Power::Stopped => {
            Err(answered(ErrorClass::Failed, "VM is running - destroy failed"))
        }
        _ => Ok(()),
    }
}

fn halves(configure: &Configure) -> (Configure, Configure) {
    let disks = Configure { disks: configure.disks.clone(), ..Configure::default() };
    let settings = Configure { disks: BTreeMap::new(), ..configure.clone() };
    (disks, settings)
}

fn write_settings(machine: &mut ModelMachine, configure: &Configure) {
    fn set<T: Clone>(setting: &mut T, goal: Option<&T>) {
        if let Some(goal) = goal {
            setting.clone_from(goal);
        }
    }
    let config = &mut machine.config;
    set(&mut config.description, configure.description.as_ref());
    set(&mut config.tags, configure.tags.as_ref());
    set(&mut config.autostart, configure.autostart.as_ref());
    set(&mut config.protected, configure.protected.as_ref());
    config.name = configure.name.clone().or(config.name.take());
    config.sockets = configure.sockets.or(config.sockets);
    config.cores = configure.cores.or(config.cores);
    config.memory = configure.memory.or(config.memory);
    config.balloon = configure.balloon.map(deploy_core::MiB::get).or(config.balloon);
    config.nics.retain(|slot, _| !configure.remove_nics.contains(slot));
    config.nics.extend(configure.nics.clone());
    let goal = &configure.cloud_init;
    let told: &mut MachineCloudInit = &mut config.cloud_init;
    told.user = goal.user.clone().or(told.user.take());
    set(&mut told.ssh_keys, goal.ssh_keys.as_ref());
    told.networks.retain(|slot, _| !goal.remove_networks.contains(slot));
    told.networks.extend(goal.networks.clone());
    set(&mut told.resolvers, goal.resolvers.as_ref());
    told.search_domain = goal.search_domain.clone().or(told.search_domain.take());
    told.upgrade = goal.upgrade.or(told.upgrade);
    machine.password = goal.password.clone().or(machine.password.take());
}
