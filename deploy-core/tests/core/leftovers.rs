//! Volumes that a worker of PVE left behind which was killed.

use crate::{
    bench::Bench,
    orders::{NUMBER, TEMPLATE, order, p, plain, vmid},
};
use deploy_core::*;
use deploy_testkit::world::{Effect, Fault, LookFault, ModelMachine, Volume};
use jiff::{SignedDuration, Timestamp};

fn bench() -> Bench {
    Bench::new(order(plain()), |cluster| cluster.add(vmid(TEMPLATE), ModelMachine::template(p("n1"))))
}

fn leave(bench: &Bench, name: &str, vmid: Vmid, made_at: Option<Timestamp>) {
    let volume = Volume { vmid, storage: p("local"), made_at, copy_of: None };
    bench.world.with(|cluster| cluster.volumes.insert(name.to_owned(), volume));
}

fn work(bench: &Bench) {
    bench.work_for(SignedDuration::from_mins(30), |_| {});
}

fn told(bench: &Bench) -> Vec<String> {
    bench.ledger.with(|state| {
        let message = |notice: &Notice| match notice {
            Notice::LeftBehind { message } => Some(message.clone()),
            _ => None,
        };
        state.notices.iter().filter_map(message).collect()
    })
}

fn says(bench: &Bench, text: &str) -> usize {
    bench.ledger.with(|state| state.log.iter().filter(|line| line.event.to_string().contains(text)).count())
}

/// The end of its settings' task is not known: its worker may have died after it had made a volume.
fn doubtful() -> Bench {
    let bench = bench();
    bench.world.with(|cluster| {
        cluster.configures_by_task = true;
        let lost = Fault { effect: Effect::EndLost, ..Fault::default() };
        cluster.faults.changes.extend([Fault::default(), lost]);
    });
    bench
}

#[test]
fn what_a_killed_worker_left_is_told_before_the_start_with_the_command() {
    let bench = doubtful();
    let born = bench.record().created_at;
    leave(&bench, "local:vm-1001-disk-7", vmid(NUMBER), Some(born));
    leave(&bench, "local:vm-1001-disk-8", vmid(NUMBER), None);
    // Neither an earlier machine's nor another's.
    leave(&bench, "local:vm-1001-disk-9", vmid(NUMBER), Some(born - SignedDuration::from_secs(1)));
    leave(&bench, "local:vm-1002-disk-0", vmid(NUMBER + 1), Some(born));
    work(&bench);
    assert_eq!(bench.record().step, Step::Ready);
    let [message] = &told(&bench)[..] else { panic!("{:?}", told(&bench)) };
    assert!(message.contains("pvesm free local:vm-1001-disk-7 (as root on n1)"), "{message}");
    assert!(message.contains("vm-1001-disk-8 (as root on n1, of unknown age: see first whose"), "{message}");
    assert!(!message.contains("disk-9") && !message.contains("vm-1002"), "{message}");
    assert_eq!(says(&bench, "are left behind; to free them"), 1);
    assert!(bench.world.with(|cluster| cluster.volumes.contains_key("local:vm-1001-disk-7")), "and left");
    assert!(!bench.record().remembered.contains(&Remembered::VolumesInDoubt));
}

#[test]
fn nobody_asks_where_no_worker_may_have_died() {
    let bench = bench();
    leave(&bench, "local:vm-1001-disk-7", vmid(NUMBER), Some(bench.record().created_at));
    work(&bench);
    assert_eq!((bench.record().step, told(&bench).len()), (Step::Ready, 0));
    // Nothing is left, and nothing is said of it.
    let bench = doubtful();
    work(&bench);
    assert_eq!((bench.record().step, told(&bench).len()), (Step::Ready, 0));
    assert_eq!(says(&bench, "left behind"), 0);
}

#[test]
fn a_termination_tells_what_its_destroy_left_and_does_not_wait_for_it() {
    let bench = bench();
    work(&bench);
    bench.world.with(|cluster| {
        let lost = Fault { effect: Effect::EndLost, ..Fault::default() };
        cluster.faults.changes.extend([Fault::default(), lost]);
    });
    bench.ledger.command(Command::Terminate).unwrap();
    bench.work_for(SignedDuration::from_millis(2_500), |bench| {
        // The model's destroy takes all volumes of its number along; this one is made again after it.
        if bench.world.with(|cluster| !cluster.machines.contains_key(&vmid(NUMBER))) {
            leave(bench, "local:vm-1001-disk-0", vmid(NUMBER), Some(bench.clock.now()));
        }
    });
    work(&bench);
    assert_eq!(bench.record().step, Step::Terminated);
    let [message] = &told(&bench)[..] else { panic!("{:?}", told(&bench)) };
    assert!(message.contains("pvesm free local:vm-1001-disk-0"), "{message}");
}

/// A storage that cannot be read hinders neither a start nor a termination.
#[test]
fn what_cannot_be_looked_for_is_said_and_not_waited_for() {
    let bench = doubtful();
    bench.work_for(SignedDuration::from_mins(30), |bench| {
        let record = bench.record();
        let asks = record.step == Step::Starting && record.remembered.contains(&Remembered::VolumesInDoubt);
        bench.world.with(|cluster| {
            cluster.faults.looks.clear();
            if asks {
                cluster.faults.looks.extend([None, Some(LookFault::Forbidden)]);
            }
        });
    });
    assert_eq!(bench.record().step, Step::Ready);
    assert_eq!(says(&bench, "it is not known whether volumes are left behind: permission check failed"), 1);
    assert_eq!(told(&bench).len(), 0);
}

/// What passes by itself is no reason to leave volumes untold.
#[test]
fn a_look_for_them_that_fails_in_passing_is_repeated() {
    let bench = doubtful();
    leave(&bench, "local:vm-1001-disk-7", vmid(NUMBER), Some(bench.record().created_at));
    let fails = |bench: &Bench, rounds: u32| {
        bench.work_for(SignedDuration::from_mins(30), |bench| {
            let record = bench.record();
            let asks = record.step == Step::Starting && record.failures < rounds;
            bench.world.with(|cluster| {
                cluster.faults.looks.clear();
                if asks {
                    cluster.faults.looks.extend([None, Some(LookFault::Unreachable)]);
                }
            });
        });
    };
    fails(&bench, 3);
    assert_eq!((bench.record().step, told(&bench).len()), (Step::Ready, 1));
    // But not for ever.
    let bench = doubtful();
    fails(&bench, 1000);
    assert_eq!(bench.record().step, Step::Ready);
    assert_eq!(says(&bench, "it is not known whether volumes are left behind"), 1);
}

/// What a killed clone left stands in the way of the next one.
#[test]
fn what_a_killed_clone_left_is_told_before_it_is_made_anew() {
    let bench = bench();
    bench.world.with(|cluster| {
        let lost = Fault { effect: Effect::EndLost, ..Fault::default() };
        cluster.faults.changes.push_back(lost);
    });
    leave(&bench, "local:vm-1001-cloudinit", vmid(NUMBER), Some(bench.record().created_at));
    bench.work_for(SignedDuration::from_mins(30), |bench| {
        // The command was given for the machine, which nobody works on.
        let record = bench.record();
        if record.step == Step::Clone && told(bench).is_empty() && record.failures > 0 {
            bench.world.with(|cluster| cluster.machines.remove(&vmid(NUMBER)));
        }
    });
    assert_eq!(bench.record().step, Step::Ready);
    let [message] = &told(&bench)[..] else { panic!("{:?}", told(&bench)) };
    assert!(message.contains("pvesm free local:vm-1001-cloudinit (as root on n1)"), "{message}");
}
