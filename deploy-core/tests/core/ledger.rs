//! A store of one record and a pool of addresses, in memory, that watch what is done with them.

use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::world::World;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

/// The time, moved by the test.
#[derive(Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn to(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millisecond(), Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        self.to(self.now() + by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteFault {
    NotWritten,
    WrittenUnanswered,
    LostUnanswered,
}

pub(crate) struct Ledger {
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) record: VmRecord,
    pub(crate) epoch: i64,
    pub(crate) commits: Vec<Commit>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) faults: VecDeque<Option<WriteFault>>,
    /// The commands that were admitted, and how.
    pub(crate) commands: Vec<(QueuedCommand, Admission)>,
    /// What must never happen, in words.
    pub(crate) violations: Vec<String>,
    renumbered: Option<(Vmid, Vmid)>,
}

impl Ledger {
    pub(crate) fn new(record: VmRecord) -> Self {
        Self {
            state: Mutex::new(State {
                record,
                epoch: 0,
                commits: Vec::new(),
                log: Vec::new(),
                notices: Vec::new(),
                faults: VecDeque::new(),
                commands: Vec::new(),
                violations: Vec::new(),
                renumbered: None,
            }),
        }
    }

    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state.lock().unwrap())
    }

    /// Leases the record to a new owner; whoever had it is fenced.
    pub(crate) fn lease(&self) -> Leased {
        self.with(|state| {
            state.epoch += 1;
            let lease = Lease {
                key: state.record.key,
                worker: WorkerId(uuid::Uuid::from_u128(7)),
                epoch: state.epoch,
            };
            Leased::new(lease, state.record.clone())
        })
    }

    pub(crate) fn command(&self, command: Command) -> Result<Admission, Denied> {
        self.with(|state| {
            let id = CommandId(uuid::Uuid::from_u128(state.commands.len() as u128 + 1000));
            let admission = admit(&state.record, &command, id)?;
            let queued = QueuedCommand { id, command };
            if admission == Admission::Queued(id) {
                state.record.pending.push(queued.clone());
            }
            state.commands.push((queued, admission));
            Ok(admission)
        })
    }
}

impl State {
    fn write(&mut self, commit: &Commit) {
        self.watch(commit);
        commit.apply(&mut self.record);
        self.commits.push(commit.clone());
        self.log.extend(commit.log.clone());
        self.notices.extend(commit.notice.clone());
    }

    /// Steps move along the table, each with its line, and nothing but success moves them.
    fn watch(&mut self, commit: &Commit) {
        let record = &self.record;
        let event = commit.log.as_ref().map(|line| &line.event);
        if let Some(operation) = commit.operation {
            let first = match (operation, commit.step) {
                (Operation::SingleStep | Operation::Create, Some(step)) => operation.steps().contains(&step),
                // What was not adopted is let go of.
                (Operation::Terminate, Some(Step::ReleasingIp)) => record.life.adopts.is_some(),
                (operation, step) => step == Some(operation.first()),
            };
            let begins = first && matches!(event, Some(LogEvent::Began));
            let anew = matches!(commit.notice, Some(Notice::Vanished { redeployed: true, .. }));
            if !begins && !anew {
                self.violations.push(format!("an operation begins at {:?} with {event:?}", commit.step));
            }
        } else if let Some(Notice::Vanished { redeployed: true, .. }) = &commit.notice {
            if commit.step != Some(Step::Clone) || commit.smbios != Some(None) {
                self.violations.push(format!("deployed anew from {:?} on", commit.step));
            }
        } else if let Some(step) = commit.step {
            let next = record.operation.after(record.step);
            let rests = step.is_rest() && next.is_some_and(Step::is_rest);
            let refused =
                step.is_rest() && matches!(event, Some(LogEvent::Refused { .. } | LogEvent::GaveUp { .. }));
            let done = (next == Some(step) || rests) && matches!(event, Some(LogEvent::Done { .. }));
            if !done && !refused {
                self.violations.push(format!("{} goes on to {step} with {event:?}", record.step));
            }
            if commit.log.as_ref().is_none_or(|line| line.step != record.step) {
                self.violations.push(format!("{} is done under another's name", record.step));
            }
        } else if matches!(event, Some(LogEvent::Done { .. })) {
            self.violations.push(format!("{} is said to be done and stays", record.step));
        }
        if record.smbios.is_some() && commit.numbered.is_some() {
            self.violations.push("a machine that exists is renumbered".to_owned());
        }
    }
}

#[async_trait]
impl LeaseStore for Ledger {
    async fn heartbeat(&self, _: &WorkerInfo, _: SignedDuration) -> Result<(), CommitError> {
        Ok(())
    }

    async fn retire(&self, _: WorkerId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn claim(&self, _: WorkerId, _: usize) -> Result<Vec<Leased>, StoreError> {
        Ok(vec![self.lease()])
    }

    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        self.with(|state| {
            if lease.epoch == state.epoch { Ok(state.record.clone()) } else { Err(CommitError::Fenced) }
        })
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        self.with(|state| {
            if lease.epoch != state.epoch {
                return Err(CommitError::Fenced);
            }
            let unanswered =
                StoreError { message: "connection closed".to_owned(), outcome: StoreOutcome::Unknown };
            match state.faults.pop_front().flatten() {
                None => {
                    state.write(&commit);
                    Ok(())
                }
                Some(WriteFault::NotWritten) => Err(StoreError::not_written("disk full").into()),
                Some(WriteFault::LostUnanswered) => Err(unanswered.into()),
                Some(WriteFault::WrittenUnanswered) => {
                    state.write(&commit);
                    Err(unanswered.into())
                }
            }
        })
    }

    async fn release(&self, _: &Lease) -> Result<(), CommitError> {
        Ok(())
    }

    async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError> {
        self.with(|state| {
            if lease.epoch != state.epoch {
                return Err(RenumberError::Fenced);
            }
            let next = match state.renumbered {
                Some((of, next)) if of == taken => next,
                _ => taken.next().unwrap(),
            };
            state.renumbered = Some((taken, next));
            Ok(next)
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn resting(&self, _: Option<VmKey>, _: usize) -> Result<Vec<Resting>, StoreError> {
        Ok(Vec::new())
    }

    async fn check(&self, _: VmKey) -> Result<(), StoreError> {
        self.with(|state| {
            if state.record.step == Step::Ready && state.record.due == Due::OnCommand {
                state.record.due = Due::At(Timestamp::UNIX_EPOCH);
            }
        });
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn notices(&self, _: WorkerId, _: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        Ok(Vec::new())
    }

    async fn delivered(&self, _: NoticeId) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A pool that gives each NIC consecutive addresses, and sees to it that none comes back while its machine may live.
pub(crate) struct Addresses {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) world: Arc<World>,
    pub(crate) held: Mutex<Vec<Assignment>>,
    /// How many calls are refused before one is met.
    pub(crate) refusals: Mutex<u32>,
}

#[async_trait]
impl IpPool for Addresses {
    async fn assign(
        &self,
        lease: &Lease,
        requests: &[AddressRequest],
    ) -> Result<Vec<Assignment>, AssignError> {
        self.fence(lease)?;
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(AssignError::Refused {
                class: ErrorClass::Exhausted,
                message: "pool customers has no IPv4 address left".to_owned(),
            });
        }
        let mut held = self.held.lock().unwrap();
        let mut answer = Vec::new();
        for request in requests {
            let counts = |held: &Assignment| {
                held.nic == request.nic
                    && Family::of(held.address) == request.family
                    && !request.besides.contains(&held.address)
            };
            for wanted in &request.exactly {
                let all = (0..200).map(|n| address(request.nic, request.family, n));
                let new: Vec<_> = all.filter(|new| new.address == *wanted && !held.contains(new)).collect();
                held.extend(new);
            }
            let has = held.iter().filter(|held| counts(held)).count();
            let all = (0..u8::MAX).map(|n| address(request.nic, request.family, n));
            let free = all.filter(|new| !held.iter().any(|held| held.address == new.address));
            let new: Vec<Assignment> = free.take(usize::from(request.count).saturating_sub(has)).collect();
            held.extend(new);
            answer.extend(held.iter().filter(|held| counts(held)).cloned());
        }
        Ok(answer)
    }

    async fn release(&self, lease: &Lease) -> Result<Vec<IpAddr>, AssignError> {
        self.fence(lease)?;
        let record = self.ledger.with(|state| state.record.clone());
        let (machines, clone_comes) = self
            .world
            .with(|cluster| (cluster.marked(record.mark()), cluster.clone_on_its_way(record.numbered.vmid)));
        // One that was not adopted is let go of, whatever is in its notes.
        let is_let_go = record.life.adopts.is_some();
        if !is_let_go && (!machines.is_empty() || clone_comes) {
            let why =
                format!("addresses given back with {machines:?} there, a clone on its way: {clone_comes}");
            self.ledger.with(|state| state.violations.push(why));
        }
        Ok(self.held.lock().unwrap().drain(..).map(|held| held.address).collect())
    }

    async fn release_only(&self, lease: &Lease, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, AssignError> {
        self.fence(lease)?;
        let mark = self.ledger.with(|state| state.record.mark());
        let lets_out = |address: &IpAddr| {
            self.world.with(|cluster| {
                let ours = cluster
                    .machines
                    .values()
                    .filter(|machine| OwnerMark::find(&machine.config.description) == Some(mark));
                let mut members = ours.flat_map(|machine| machine.firewall.filters.values().flatten());
                members.any(|net| net.addr() == *address)
            })
        };
        for address in addresses.iter().filter(|address| lets_out(address)) {
            let why = format!("{address} given back while the machine's filter lets it out");
            self.ledger.with(|state| state.violations.push(why));
        }
        let mut held = self.held.lock().unwrap();
        let (gone, kept): (Vec<_>, Vec<_>) =
            held.drain(..).partition(|held| addresses.contains(&held.address));
        *held = kept;
        Ok(gone.into_iter().map(|held| held.address).collect())
    }
}

impl Addresses {
    fn fence(&self, lease: &Lease) -> Result<(), AssignError> {
        if self.ledger.with(|state| state.epoch) == lease.epoch { Ok(()) } else { Err(AssignError::Fenced) }
    }
}

/// The `n`th address of a family that a NIC gets.
pub(crate) fn address(nic: NicSlot, family: Family, n: u8) -> Assignment {
    let (address, prefix_len, gateway): (IpAddr, u8, IpAddr) = match family {
        Family::V4 => (
            Ipv4Addr::new(198, 51, 100 + nic.get(), 10 + n).into(),
            24,
            Ipv4Addr::new(198, 51, 100 + nic.get(), 1).into(),
        ),
        Family::V6 => (
            Ipv6Addr::new(0x2001, 0xdb8, nic.get().into(), 0, 0, 0, 0, 0x10 + u16::from(n)).into(),
            64,
            Ipv6Addr::new(0x2001, 0xdb8, nic.get().into(), 0, 0, 0, 0, 1).into(),
        ),
    };
    Assignment {
        nic,
        address,
        prefix_len,
        gateway: Some(gateway),
        resolvers: vec![Ipv4Addr::new(192, 0, 2, 53).into()],
        pool: "customers".parse().unwrap(),
    }
}
