//! Machines that vanish behind our back, or are replaced by somebody else's.

use crate::{
    bench::Bench,
    orders::{NUMBER, TEMPLATE, from_pools, nic, order, p, plain, vmid},
};
use deploy_core::*;
use deploy_testkit::world::{LookFault, ModelMachine};
use jiff::SignedDuration;

fn bench(when_vanished: WhenVanished) -> Bench {
    let spec = VmSpec { when_vanished, nics: vec![nic(from_pools(1, 0))], ..plain() };
    Bench::new(order(spec), |cluster| cluster.add(vmid(TEMPLATE), ModelMachine::template(p("n1"))))
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// Works until the machine is cloned and its identity noted.
fn cloned(bench: &Bench) {
    while bench.record().smbios.is_none() {
        bench.work_for(SignedDuration::from_millis(1), |_| {});
    }
}

fn ready(bench: &Bench) {
    bench.work_for(minutes(30), |_| {});
    assert_eq!((bench.record().step, bench.record().due), (Step::Ready, Due::OnCommand));
}

fn take_away(bench: &Bench) -> ModelMachine {
    bench.world.with(|cluster| {
        let machine = cluster.machines.remove(&vmid(NUMBER)).unwrap();
        cluster.volumes.retain(|_, volume| volume.vmid != vmid(NUMBER));
        machine
    })
}

fn stranger() -> ModelMachine {
    let mut stranger = ModelMachine::template(p("n1"));
    stranger.template = false;
    stranger.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(2)));
    stranger
}

fn check(bench: &Bench) {
    crate::bench::now_or(bench.ledger.check(bench.record().key), 9).unwrap().unwrap();
    bench.work_for(minutes(30), |_| {});
}

fn notices(bench: &Bench) -> Vec<Notice> {
    bench.ledger.with(|state| {
        assert_eq!(state.violations, Vec::<String>::new());
        state.notices.clone()
    })
}

fn gone(redeployed: bool) -> Notice {
    let again = if redeployed { "" } else { "; restore it, or terminate it and order it anew" };
    Notice::Vanished { message: format!("machine {NUMBER} has vanished from the cluster{again}"), redeployed }
}

#[test]
fn a_machine_that_is_left_is_told_once_and_goes_on_when_it_reappears() {
    for at_rest in [false, true] {
        let bench = bench(WhenVanished::Leave);
        let start = if at_rest { ready } else { cloned };
        start(&bench);
        let step = bench.record().step;
        let told_before = notices(&bench).len();
        let machine = take_away(&bench);
        check(&bench);
        bench.work_for(minutes(120), |_| {});
        let record = bench.record();
        assert_eq!(record.step, step);
        assert!(record.attention.unwrap().message.contains("has vanished"));
        assert_eq!(notices(&bench)[told_before..], [gone(false)], "once, whoever looks how often");
        assert_eq!(bench.world.with(|cluster| cluster.counters.clones[&vmid(NUMBER)]), 1, "not made again");

        // Somebody restores it.
        bench.world.with(|cluster| cluster.machines.insert(vmid(NUMBER), machine));
        ready(&bench);
        assert_eq!(bench.record().attention, None);
        let readies = notices(&bench).into_iter().filter(|notice| *notice == Notice::Ready).count();
        assert_eq!(readies, 1);
    }
}

#[test]
fn a_machine_is_deployed_anew_with_its_addresses_and_macs() {
    for at_rest in [false, true] {
        let bench = bench(WhenVanished::Redeploy);
        let start = if at_rest { ready } else { cloned };
        start(&bench);
        let before = bench.record();
        let told_before = notices(&bench).len();
        take_away(&bench);
        check(&bench);
        ready(&bench);
        let record = bench.record();
        assert_eq!((record.numbered, record.macs), (before.numbered, before.macs));
        assert_eq!(record.addresses, before.addresses);
        assert_ne!(record.smbios, before.smbios);
        assert_eq!(record.attention, None);
        assert_eq!(notices(&bench)[told_before..], [gone(true), Notice::Ready]);
        assert_eq!(bench.world.with(|cluster| cluster.counters.clones[&vmid(NUMBER)]), 2);
        let machine = bench.world.with(|cluster| cluster.machines[&vmid(NUMBER)].clone());
        assert_eq!(machine.power, Power::Running);
        assert_eq!(machine.config.cores, Some(record.spec.cores));
    }
}

/// What was sent to the machine that is gone must not meet the new one.
#[test]
fn it_is_not_deployed_anew_before_late_requests_have_had_their_time() {
    let bench = bench(WhenVanished::Redeploy);
    cloned(&bench);
    take_away(&bench);
    let vanished_at = bench.clock.now();
    let mut cloned_after = None;
    bench.work_for(minutes(5), |bench| {
        let is_there = bench.world.with(|cluster| cluster.machines.contains_key(&vmid(NUMBER)));
        if is_there && cloned_after.is_none() {
            cloned_after = Some(bench.clock.now().duration_since(vanished_at));
        }
    });
    assert!(cloned_after.unwrap() >= RetryPolicy::default().late_arrival, "{cloned_after:?}");
}

#[test]
fn a_machine_that_was_replaced_is_deployed_anew_under_another_number() {
    let bench = bench(WhenVanished::Redeploy);
    ready(&bench);
    take_away(&bench);
    bench.world.with(|cluster| cluster.machines.insert(vmid(NUMBER), stranger()));
    check(&bench);
    ready(&bench);
    assert_ne!(bench.record().numbered.vmid, vmid(NUMBER));
    let (theirs, marked) = bench
        .world
        .with(|cluster| (cluster.machines[&vmid(NUMBER)].clone(), cluster.marked(bench.record().mark())));
    assert_eq!(theirs, stranger());
    assert_eq!(marked, [bench.record().numbered.vmid]);
    assert_eq!(bench.world.with(|cluster| cluster.counters.misdirected), 0);
}

#[test]
fn a_replaced_machine_that_is_left_leaves_the_other_one_alone() {
    let bench = bench(WhenVanished::Leave);
    ready(&bench);
    take_away(&bench);
    bench.world.with(|cluster| cluster.machines.insert(vmid(NUMBER), stranger()));
    check(&bench);
    assert!(bench.record().attention.unwrap().message.contains("that we did not make"));
    assert_eq!(bench.world.with(|cluster| cluster.machines[&vmid(NUMBER)].clone()), stranger());
}

/// A look at a machine that rests says nothing where there is nothing to say, and believes nothing that is not proven.
#[test]
fn a_machine_that_is_there_or_cannot_be_seen_goes_on_resting() {
    for fault in [None, Some(LookFault::Unreachable), Some(LookFault::Forbidden)] {
        let bench = bench(WhenVanished::Redeploy);
        ready(&bench);
        let (log, told) = (bench.ledger.with(|state| state.log.len()), notices(&bench));
        bench.world.with(|cluster| {
            cluster.faults.looks.push_back(fault);
            cluster.machines.get_mut(&vmid(NUMBER)).unwrap().node = p("n7");
        });
        check(&bench);
        let record = bench.record();
        assert_eq!((record.step, record.due, record.attention), (Step::Ready, Due::OnCommand, None));
        assert_eq!((bench.ledger.with(|state| state.log.len()), notices(&bench)), (log, told));
        let seen_on: NodeName = if fault.is_none() { p("n7") } else { p("n1") };
        assert_eq!(record.node, seen_on);
    }
}

#[test]
fn a_machine_that_vanished_can_be_terminated() {
    let bench = bench(WhenVanished::Leave);
    ready(&bench);
    take_away(&bench);
    check(&bench);
    bench.ledger.command(Command::Terminate).unwrap();
    bench.work_for(minutes(30), |_| {});
    assert_eq!((bench.record().step, bench.record().attention), (Step::Terminated, None));
    assert_eq!(bench.pool.held.lock().unwrap().len(), 0);
}

/// It may be restored, or its identity may have been changed: until it is cloned anew, what shows our mark is not ours to
/// configure.
#[test]
fn what_reappears_with_our_mark_is_not_taken_for_the_new_clone() {
    let disk =
        AdditionalDisk { storage: p("local"), size: crate::orders::gib(5), limits: DiskLimits::default() };
    for restored in [true, false] {
        let when_vanished = WhenVanished::Redeploy;
        let spec = VmSpec { when_vanished, additional_disks: vec![disk.clone()], ..plain() };
        let bench = Bench::new(order(spec), |cluster| {
            cluster.add(vmid(TEMPLATE), ModelMachine::template(p("n1")));
        });
        ready(&bench);
        let machine = take_away(&bench);
        let put_back = |bench: &Bench, machine: ModelMachine| {
            bench.world.with(|cluster| cluster.machines.insert(vmid(NUMBER), machine));
        };
        let disks = machine.config.disks.len();
        if restored {
            crate::bench::now_or(bench.ledger.check(bench.record().key), 9).unwrap().unwrap();
            bench.work_for(SignedDuration::from_secs(5), |_| {});
            put_back(&bench, machine);
        } else {
            let mut changed = machine;
            changed.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(77)));
            put_back(&bench, changed);
        }
        check(&bench);
        bench.work_for(minutes(60), |_| {});
        let attention = bench.record().attention.expect("it is told").message;
        assert!(attention.contains("not known to be ours"), "{attention}");
        let seen = bench.world.with(|cluster| cluster.machines[&vmid(NUMBER)].config.disks.len());
        assert_eq!(seen, disks, "it got no second set of disks");
    }
}

#[test]
fn half_a_machine_is_no_sign_that_the_missed_one_is_back() {
    let bench = bench(WhenVanished::Leave);
    ready(&bench);
    take_away(&bench);
    check(&bench);
    let missed = bench.record().attention.unwrap();
    let mut half = stranger();
    half.config.smbios = None;
    half.lock = Some("clone".to_owned());
    bench.world.with(|cluster| cluster.machines.insert(vmid(NUMBER), half));
    bench.work_for(minutes(30), |_| {});
    assert_eq!(bench.record().attention, Some(missed));
    bench.world.with(|cluster| cluster.machines.insert(vmid(NUMBER), stranger()));
    bench.work_for(minutes(60), |_| {});
    assert!(bench.record().attention.unwrap().message.contains("did not make"));
}

#[test]
fn that_it_vanished_is_told_also_where_something_else_was_told_before() {
    let bench = bench(WhenVanished::Leave);
    cloned(&bench);
    let lose_disks = |cluster: &mut deploy_testkit::world::Cluster| {
        cluster.machines.get_mut(&vmid(NUMBER)).unwrap().config.disks.clear();
    };
    bench.world.with(lose_disks);
    bench.work_for(minutes(10), |_| {});
    assert!(matches!(notices(&bench)[..], [Notice::NeedsAttention(_)]));
    take_away(&bench);
    bench.work_for(minutes(120), |_| {});
    assert_eq!(notices(&bench)[1..], [gone(false)]);
}
