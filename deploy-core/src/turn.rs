//! One turn of a machine: the only place where the pure core meets what it acts on.

use crate::{
    Archived, AssignError, Change, Clock, Commit, CommitError, Decision, DnsDesk, DnsSighting, Due,
    ErrorClass, Gate, Hypervisor, IpPool, LeaseStore, Leased, Look, Machine, MachineId, NodeName, Numbered,
    Obscured, Observation, Outcome, Progress, RenumberError, Report, RetryPolicy, Sighting, Slot, Step,
    Submitted, Target, TaskId, TaskState, VmKey, VmRecord, decide, goal,
    left_by::{answers_tell, left_by},
    query,
    retry::later,
    settle, slots,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// What was seen before a change that took longer is not believed after it.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(10);

/// What a turn acts on.
#[derive(Clone)]
pub struct Seams {
    /// The clusters.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// The addresses.
    pub pool: Arc<dyn IpPool>,
    /// The records.
    pub store: Arc<dyn LeaseStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What may run at once.
    pub gate: Arc<dyn Gate>,
    /// The delays.
    pub policy: RetryPolicy,
    /// The DNS records, where there are any.
    pub dns: Option<DnsDesk>,
}

/// What the caller knows already, so that it is not asked again.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// How the submitted task stands.
    pub task: Option<TaskState>,
    /// The machine as it was seen, if nothing was changed since.
    pub machine: Option<Box<Machine>>,
}

/// What a turn came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Turned {
    /// Something was done: take another turn at once, with the machine if what was seen still holds.
    Again(Option<Box<Machine>>),
    /// A task works: come back with its state when it has ended, and with what it leaves as it was seen.
    Task(TaskId, Option<Box<Machine>>),
    /// Nothing to do before then.
    Until(Timestamp),
    /// Something is full: come back when it is not. Nothing was written.
    Slot(Slot),
    /// Nothing is due until a command comes.
    Rest,
}

/// Takes one turn: look, decide, do at most one thing, settle, commit. `leased.record` is what was committed.
///
/// # Errors
/// [`CommitError::Fenced`]: drop the machine. [`CommitError::Store`]: nobody knows whether the last commit was written;
/// [reload](LeaseStore::reload) before the next turn.
///
/// # Cancel safety
/// A dropped turn is like a crash: whatever had been sent has its intent written down, and the next turn looks before it
/// acts. Slots of the gate are given back.
pub async fn turn(seams: &Seams, leased: &mut Leased, known: Known) -> Result<Turned, CommitError> {
    let now = seams.clock.now();
    // Later than any delay means that the clock was set back since.
    let plausible = later(now, seams.policy.longest());
    if let Some(at) = not_before(&leased.record).filter(|at| *at > now && *at <= plausible) {
        return Ok(Turned::Until(at));
    }
    let (observation, kept) = observe(seams, leased, known).await;
    let decision = decide(&leased.record, &observation, &seams.policy);
    let machine = match observation.machine {
        Some(Sighting::Seen(machine)) => Some(machine),
        _ => kept,
    };
    let mut turn = Turn { seams, seen_on: machine.as_ref().map(|machine| machine.node.clone()), leased };
    turn.act(decision, machine).await
}

/// When the record wants its next turn. A caller that comes earlier (its doorbell rang, it read the record anew) must not
/// cut short a retry's delay, nor the time that a clone has to arrive.
fn not_before(record: &VmRecord) -> Option<Timestamp> {
    match (record.due, &record.progress) {
        (_, Progress::Submitted { .. }) | (Due::OnCommand, _) => None,
        (Due::At(at), _) => record.pending.is_empty().then_some(at),
    }
}

/// What is known once everything was looked at, and what was known before of a machine that need not be looked at now.
async fn observe(seams: &Seams, leased: &Leased, known: Known) -> (Observation, Option<Box<Machine>>) {
    let query = query(&leased.record, seams.clock.now(), &seams.policy);
    let task = match (query.task, known.task) {
        (None, _) => None,
        (Some(_), Some(state)) => Some(state),
        (Some(task), None) => {
            seams.hypervisor.tasks(&leased.record.spec.cluster, &[task]).await.into_iter().next()
        }
    };
    let id = leased.record.machine_id();
    let (machine, kept) = match (query.look, known.machine) {
        (None, kept) => (None, kept),
        (Some(look), Some(machine)) if machine.look.covers(look) => (Some(Sighting::Seen(machine)), None),
        (Some(look), Some(seen)) => {
            let id = MachineId { node: seen.node.clone(), ..id.clone() };
            (Some(seams.hypervisor.look_further(&id, seen, look).await), None)
        }
        (Some(look), None) => (Some(seams.hypervisor.machine(&id, look).await), None),
    };
    let lock = match &machine {
        Some(Sighting::Seen(machine)) if query.holder => machine.lock.as_deref().map(|lock| (machine, lock)),
        _ => None,
    };
    let holder = match lock {
        Some((machine, lock)) => {
            let id = MachineId { node: machine.node.clone(), ..leased.record.machine_id() };
            Some(seams.hypervisor.holder(&id, lock).await)
        }
        None => None,
    };
    let is_time = match &machine {
        Some(Sighting::Seen(machine)) => {
            matches!(leased.record.step, Step::Starting | Step::CpStart) && machine.lock.is_none()
        }
        Some(Sighting::ProvenAbsent) => matches!(leased.record.step, Step::Clone | Step::Removing),
        Some(Sighting::Unknown(_)) | None => false,
    };
    let leftovers = if query.leftovers && is_time {
        Some(seams.hypervisor.leftovers(&leased.record.machine_id()).await)
    } else {
        None
    };
    let template = match &query.template {
        Some(template) => Some(seams.hypervisor.machine(template, Look::CONFIG).await),
        None => None,
    };
    let dns = if query.dns { Some(look_at_dns(seams, leased.record.key).await) } else { None };
    let backups = match &machine {
        Some(Sighting::ProvenAbsent) if leased.record.step == Step::DeletingBackups => {
            Some(seams.hypervisor.backups(&id).await)
        }
        _ => None,
    };
    let seen = match (&machine, &backups) {
        (Some(Sighting::Seen(machine)), _) if machine.lock.is_none() => machine.backups.as_ref(),
        (Some(Sighting::ProvenAbsent), Some(Ok(backups))) => Some(backups),
        _ => None,
    };
    let in_question = seen.filter(|_| query.archived);
    let archived = match in_question.and_then(|backups| goal::in_question(&leased.record, backups)) {
        Some(backup) => {
            let shown = seams.hypervisor.archived(&id, backup).await;
            Some(Archived { volume: backup.volume.clone(), shown })
        }
        None => None,
    };
    (Observation { machine, task, holder, leftovers, template, backups, archived, dns }, kept)
}

async fn look_at_dns(seams: &Seams, key: VmKey) -> DnsSighting {
    let Some(dns) = &seams.dns else { return DnsSighting::NoDns };
    match dns.store.dns_status(key).await {
        Ok(Some(status)) => DnsSighting::Seen(status),
        Ok(None) => DnsSighting::NoDns,
        Err(error) => DnsSighting::Unknown(error),
    }
}

struct Turn<'a> {
    seams: &'a Seams,
    leased: &'a mut Leased,
    seen_on: Option<NodeName>,
}

impl Turn<'_> {
    async fn act(
        &mut self,
        decision: Decision,
        machine: Option<Box<Machine>>,
    ) -> Result<Turned, CommitError> {
        match decision {
            Decision::Take(queued) => self.again(Outcome::Taken(queued), None).await,
            Decision::Begin => self.again(Outcome::Begun, None).await,
            Decision::Refuse(why) => self.pause(Outcome::Refused(why)).await,
            Decision::Done(how) => {
                self.seams.gate.leave(self.leased.lease.key);
                self.again(Outcome::Done(how), machine).await
            }
            Decision::Note(note) => {
                self.commit(Outcome::Noted(note)).await?;
                Ok(self.next(machine))
            }
            Decision::Submit(target, change) => self.submit(*target, &change, machine).await,
            Decision::Ineffective(change) => self.pause(Outcome::Ineffective(change)).await,
            Decision::TaskEnded(ended) => {
                self.seams.gate.leave(self.leased.lease.key);
                self.commit(Outcome::TaskEnded(ended)).await?;
                Ok(self.next(machine))
            }
            Decision::TakeAddresses(requests) => {
                match self.seams.pool.assign(&self.leased.lease, &requests).await {
                    Ok(addresses) => self.again(Outcome::Assigned(addresses), None).await,
                    Err(error) => self.pool_error(error).await,
                }
            }
            Decision::ReleaseAddresses => match self.seams.pool.release(&self.leased.lease).await {
                Ok(addresses) => self.again(Outcome::Released(addresses), None).await,
                Err(error) => self.pool_error(error).await,
            },
            Decision::ReleaseOnly(addresses) => {
                match self.seams.pool.release_only(&self.leased.lease, &addresses).await {
                    Ok(released) => self.again(Outcome::Released(released), None).await,
                    Err(error) => self.pool_error(error).await,
                }
            }
            Decision::RefreshDns => self.refresh_dns().await,
            Decision::GiveUp(why) => self.pause(Outcome::GivenUp(why)).await,
            Decision::Renumber => self.renumber().await,
            Decision::Wait(why) => self.wait(Outcome::Waiting(why), machine).await,
            Decision::AwaitHa(why, patience) => self.wait(Outcome::AwaitingHa(why, patience), machine).await,
            Decision::WaitInVain(why) => self.wait(Outcome::WaitingInVain(why), machine).await,
            Decision::Follow(task, change) => {
                // Its slots are taken also where that is one too many: the task runs in any case.
                let needed = slots(&self.leased.record, change.kind(), &self.leased.record.node);
                let _ = self.seams.gate.enter(self.leased.lease.key, &needed);
                self.again(Outcome::Followed(&change, task), None).await
            }
            Decision::Blind(obscured) => self.pause(Outcome::Failed(obscured)).await,
            Decision::Impossible(message) => self.pause(Outcome::Impossible(message)).await,
            Decision::Vanished(message) => self.pause(Outcome::Vanished(message)).await,
            Decision::Checked => self.again(Outcome::Checked, None).await,
            Decision::Rest => Ok(Turned::Rest),
        }
    }

    /// Writes down what happened. The record in hand is changed only once that is done.
    async fn commit(&mut self, outcome: Outcome<'_>) -> Result<(), CommitError> {
        let commit = self.settle(outcome);
        self.write(commit).await
    }

    fn settle(&self, outcome: Outcome<'_>) -> Commit {
        let report = Report { outcome, seen_on: self.seen_on.clone() };
        settle(&self.leased.record, report, self.seams.clock.now(), &self.seams.policy)
    }

    async fn write(&mut self, commit: Commit) -> Result<(), CommitError> {
        self.seams.store.commit(&self.leased.lease, commit.clone()).await?;
        commit.apply(&mut self.leased.record);
        Ok(())
    }

    async fn again(
        &mut self,
        outcome: Outcome<'_>,
        machine: Option<Box<Machine>>,
    ) -> Result<Turned, CommitError> {
        self.commit(outcome).await?;
        Ok(self.next(machine))
    }

    async fn pause(&mut self, outcome: Outcome<'_>) -> Result<Turned, CommitError> {
        // A task that cannot be asked about goes on all the same, with its slots.
        if !matches!(self.leased.record.progress, Progress::Submitted { .. }) {
            self.seams.gate.leave(self.leased.lease.key);
        }
        self.commit(outcome).await?;
        Ok(self.next(None))
    }

    /// What comes after what was committed.
    fn next(&self, machine: Option<Box<Machine>>) -> Turned {
        let record = &self.leased.record;
        match (record.due, &record.progress) {
            (Due::OnCommand, _) if record.pending.is_empty() => Turned::Rest,
            (Due::At(at), Progress::Submitted { .. }) if at > self.seams.clock.now() => Turned::Until(at),
            (_, Progress::Submitted { task, .. }) => Turned::Task(task.clone(), machine),
            (Due::At(at), _) if at > self.seams.clock.now() && record.pending.is_empty() => Turned::Until(at),
            _ => Turned::Again(machine),
        }
    }

    /// Waits without failing. Waiting for the same again is not written down again.
    async fn wait(
        &mut self,
        outcome: Outcome<'_>,
        machine: Option<Box<Machine>>,
    ) -> Result<Turned, CommitError> {
        if let Progress::Submitted { task, .. } = &self.leased.record.progress {
            return Ok(Turned::Task(task.clone(), machine));
        }
        let commit = self.settle(outcome);
        match commit.due {
            Some(Due::At(at)) if commit.is_only_due() => Ok(Turned::Until(at)),
            _ => {
                self.write(commit).await?;
                Ok(self.next(None))
            }
        }
    }

    async fn submit(
        &mut self,
        target: Target,
        change: &Change,
        machine: Option<Box<Machine>>,
    ) -> Result<Turned, CommitError> {
        let key = self.leased.lease.key;
        let needed = slots(&self.leased.record, change.kind(), &target.machine.node);
        if let Err(full) = self.seams.gate.enter(key, &needed) {
            return Ok(Turned::Slot(full));
        }
        let entered = Entered { gate: &*self.seams.gate, key };
        // A process that is frozen from here on may lose its lease, and its successors wait for whatever it sent to arrive.
        // Half of that time is for it to leave, the other half for its way.
        let not_after = later(self.seams.clock.now(), self.seams.policy.late_arrival / 2);
        let target = Target { not_after: Some(not_after), ..target };
        let told = answers_tell(&self.leased.record);
        let began = self.seams.clock.now();
        self.commit(Outcome::Intending(change)).await?;
        let (outcome, left) = match self.seams.hypervisor.submit(&target, change).await {
            Ok(Submitted::Task(task)) => {
                entered.stay();
                (Outcome::Sent(change, Submitted::Task(task)), left_by(change, machine, told))
            }
            Ok(Submitted::Applied) => {
                drop(entered);
                (Outcome::Sent(change, Submitted::Applied), left_by(change, machine, told))
            }
            Err(error) => {
                drop(entered);
                (Outcome::NotSent(change, error), None)
            }
        };
        // Whoever waited for a lock of PVE in the meantime looks anew whose machine it is.
        let took = self.seams.clock.now().duration_since(began);
        self.commit(outcome).await?;
        Ok(self.next(left.filter(|_| took <= KEPT_FOR)))
    }

    async fn renumber(&mut self) -> Result<Turned, CommitError> {
        let record = &self.leased.record;
        let outcome = match self.seams.store.renumber(&self.leased.lease, record.numbered.vmid).await {
            Ok(vmid) => match Numbered::resolve(&record.spec, &record.external_ref, vmid) {
                Ok(numbered) => Outcome::Renumbered(numbered),
                Err(invalid) => Outcome::Impossible(invalid.to_string()),
            },
            Err(RenumberError::Fenced) => return Err(CommitError::Fenced),
            Err(RenumberError::Store(error)) => return Err(CommitError::Store(error)),
            Err(error @ RenumberError::Exhausted { .. }) => {
                Outcome::Failed(Obscured { class: ErrorClass::Exhausted, message: error.to_string() })
            }
        };
        self.commit(outcome).await?;
        Ok(self.next(None))
    }

    async fn refresh_dns(&mut self) -> Result<Turned, CommitError> {
        let key = self.leased.lease.key;
        let Some(dns) = &self.seams.dns else { return Ok(self.next(None)) };
        match dns.store.refresh_dns(key).await {
            Ok(mark) => {
                dns.doorbell.ring(key);
                self.again(Outcome::DnsMarked(mark), None).await
            }
            Err(error) => {
                let (class, message) = (ErrorClass::Unreachable, error.to_string());
                self.pause(Outcome::Failed(Obscured { class, message })).await
            }
        }
    }

    async fn pool_error(&mut self, error: AssignError) -> Result<Turned, CommitError> {
        match error {
            AssignError::Fenced => Err(CommitError::Fenced),
            AssignError::Store(error) => Err(CommitError::Store(error)),
            AssignError::Refused { class, message } => {
                self.pause(Outcome::Failed(Obscured { class, message })).await
            }
        }
    }
}

/// Slots that were entered and are given back, also where the turn is dropped or its commit fails, unless a task goes
/// on with them.
struct Entered<'a> {
    gate: &'a dyn Gate,
    key: VmKey,
}

impl Entered<'_> {
    fn stay(self) {
        std::mem::forget(self);
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.gate.leave(self.key);
    }
}
