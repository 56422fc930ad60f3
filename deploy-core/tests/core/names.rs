//! DNS records that are set on command.

use crate::{
    bench::{Bench, Trouble},
    comes_to_rest::told,
    orders::{TEMPLATE, order, p, plain, vmid},
};
use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::world::ModelMachine;
use jiff::{SignedDuration, Timestamp};
use std::{
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

/// A queue of DNS records, of which nothing but the marks is of interest. Every third look somebody has seen to them.
#[derive(Default)]
pub(crate) struct Names {
    marks: AtomicI64,
    done: AtomicI64,
    looks: AtomicI64,
    entries: Mutex<Vec<DnsEntry>>,
    /// Nobody works on it.
    pub(crate) deserted: Mutex<bool>,
}

impl Names {
    /// How many times records were asked for.
    pub(crate) fn marks(&self) -> i64 {
        self.marks.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl DnsStore for Names {
    async fn refresh_dns(&self, _: VmKey) -> Result<Option<i64>, StoreError> {
        Ok(Some(self.marks.fetch_add(1, Ordering::SeqCst) + 1))
    }

    async fn dns_status(&self, _: VmKey) -> Result<Option<DnsStatus>, StoreError> {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        let status = DnsStatus {
            entries: self.entries.lock().unwrap().clone(),
            names: Vec::new(),
            mark: self.marks(),
            done: self.done.load(Ordering::SeqCst),
            due: None,
        };
        if looks % 3 == 2 && !*self.deserted.lock().unwrap() {
            self.done.store(self.marks(), Ordering::SeqCst);
        }
        Ok(Some(status))
    }

    async fn dns_plan(&self, _: u64) -> Result<(), StoreError> {
        unreachable!("a worker's")
    }

    async fn claim_dns(&self, _: usize, _: SignedDuration) -> Result<Vec<DnsClaimed>, StoreError> {
        unreachable!("a worker's")
    }

    async fn next_dns_due(&self) -> Result<Option<Timestamp>, StoreError> {
        unreachable!("a worker's")
    }

    async fn write_dns(&self, _: &DnsClaim, _: &[DnsChange]) -> Result<(), DnsWriteError> {
        unreachable!("a worker's")
    }

    async fn finish_dns(&self, _: &DnsClaim, _: Option<Timestamp>) -> Result<(), CommitError> {
        unreachable!("a worker's")
    }

    async fn dns_holder(&self, _: VmKey, _: &DnsRecord) -> Result<Option<VmKey>, StoreError> {
        unreachable!("a worker's")
    }

    async fn set_ptr(&self, _: VmKey, _: IpAddr, _: Option<DnsName>) -> Result<i64, PtrError> {
        unreachable!("a panel's")
    }
}

/// A machine that was deployed.
fn deployed() -> Bench {
    let template = ModelMachine::template(p("n1"));
    let bench = Bench::new(order(plain()), |cluster| cluster.add(vmid(TEMPLATE), template));
    bench.run(Trouble::default());
    assert_eq!(bench.record().step, Step::Ready, "{}", told(&bench));
    bench
}

fn entry(state: DnsState, failures: u32, last_error: Option<&str>) -> DnsEntry {
    let data = DnsData::A([192, 0, 2, 7].into());
    let record = DnsRecord { provider: p("ns1"), zone: p("example.net"), name: p("web.example.net"), data };
    DnsEntry { state, failures, last_error: last_error.map(str::to_owned), ..DnsEntry::planned(record, 300) }
}

/// Gives the commands, and says what became of each, and the steps that were shown.
fn given(bench: &Bench, commands: impl IntoIterator<Item = Command>) -> (Vec<CommandOutcome>, Vec<Step>) {
    let (known, lines) = (bench.record().life.settled.len(), bench.ledger.with(|state| state.log.len()));
    for command in commands {
        bench.ledger.command(command).unwrap();
    }
    bench.run(Trouble::default());
    let record = bench.record();
    assert!(record.step.is_rest() && record.due == Due::OnCommand, "{}", told(bench));
    let outcomes = record.life.settled[known..].iter().map(|settled| settled.outcome.clone()).collect();
    let mut steps: Vec<Step> =
        bench.ledger.with(|state| state.log[lines..].iter().map(|line| line.step).collect());
    steps.dedup();
    (outcomes, steps)
}

#[test]
fn a_machine_shows_that_its_dns_records_are_set_until_they_are() {
    let bench = deployed();
    *bench.names.entries.lock().unwrap() =
        vec![entry(DnsState::Published, 0, None), entry(DnsState::Withdrawing, 0, None)];
    let (outcomes, steps) = given(&bench, [Command::SetDnsRecords]);
    assert_eq!(outcomes, [CommandOutcome::Done]);
    assert_eq!(steps, [Step::Ready, Step::SetDnsRecords]);
    assert_eq!((bench.names.marks(), bench.record().step), (1, Step::Ready));
    assert!(told(&bench).contains("web.example.net A 192.0.2.7"), "{}", told(&bench));
    // Once more is once more.
    let (outcomes, _) = given(&bench, [Command::SetDnsRecords]);
    assert_eq!((outcomes.as_slice(), bench.names.marks()), ([CommandOutcome::Done].as_slice(), 2));
}

#[test]
fn what_is_wrong_with_a_record_is_told_and_holds_nothing_back() {
    let bench = deployed();
    *bench.names.entries.lock().unwrap() =
        vec![entry(DnsState::Published, 0, None), entry(DnsState::Publishing, 1, Some("nobody is there"))];
    let (outcomes, _) = given(&bench, [Command::SetDnsRecords, Command::Stop(StopHow::Hard)]);
    let told =
        "1 of 2 DNS records are not set; they are tried on: web.example.net A 192.0.2.7: nobody is there";
    assert_eq!(outcomes, [CommandOutcome::Failed(told.to_owned()), CommandOutcome::Done]);
    assert_eq!(bench.record().attention, None);
}

#[test]
fn where_nobody_sees_to_dns_the_machine_does_not_wait_for_ever() {
    let bench = deployed();
    *bench.names.deserted.lock().unwrap() = true;
    let since = bench.clock.now();
    let (outcomes, _) = given(&bench, [Command::SetDnsRecords, Command::Suspend]);
    let [CommandOutcome::Done, CommandOutcome::Failed(why)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(why.contains("is a DNS worker running?"), "{why}");
    let waited = bench.clock.now().duration_since(since);
    let patience = RetryPolicy::default().dns_patience;
    assert!(waited >= patience && waited < patience * 2, "{waited:?}");
    assert_eq!(bench.record().step, Step::Suspended);
}

#[test]
fn a_removed_machine_keeps_its_names_and_stays_removed() {
    let bench = deployed();
    let commands = [Command::Stop(StopHow::Hard), Command::Remove, Command::SetDnsRecords];
    let (outcomes, _) = given(&bench, commands);
    assert_eq!(outcomes, [CommandOutcome::Done, CommandOutcome::Done, CommandOutcome::Done]);
    assert_eq!((bench.record().step, bench.names.marks()), (Step::Removed, 1));
}

#[test]
fn a_worker_without_dns_refuses() {
    let mut bench = deployed();
    bench.seams.dns = None;
    let (outcomes, _) = given(&bench, [Command::SetDnsRecords]);
    let [CommandOutcome::Refused(why)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(why, "set_dns_records: the machine's worker has no DNS to set them by");
}
