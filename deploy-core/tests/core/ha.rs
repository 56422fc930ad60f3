//! Machines that the HA manager starts and stops: asked for, it acts only rounds later.

use crate::{
    bench::{Bench, Trouble},
    comes_to_rest::told,
    orders::{TEMPLATE, order, p, plain, vmid},
};
use deploy_core::*;
use deploy_testkit::world::ModelMachine;

/// A ready machine in the HA manager's care.
fn cared_for() -> Bench {
    let template = ModelMachine::template(p("n1"));
    let bench = Bench::new(order(plain()), |cluster| cluster.add(vmid(TEMPLATE), template));
    bench.run(Trouble::default());
    let number = bench.record().numbered.vmid;
    bench.world.with(|cluster| cluster.machines.get_mut(&number).unwrap().ha = Some("started".to_owned()));
    bench
}

/// Gives it a command, and says what was sent for it, and whether it runs then.
fn sent(bench: &Bench, command: Command) -> (Vec<String>, Power) {
    let lines = bench.ledger.with(|state| state.log.len());
    bench.ledger.command(command).unwrap();
    bench.run(Trouble::default());
    assert!(bench.record().step.is_rest(), "{}", told(bench));
    let change = |line: &LogLine| match &line.event {
        LogEvent::Sent { change, .. } => Some(change.clone()),
        LogEvent::Failed { message, .. } => Some(message.clone()),
        _ => None,
    };
    let sent = bench.ledger.with(|state| state.log[lines..].iter().filter_map(change).collect());
    let number = bench.record().numbered.vmid;
    (sent, bench.world.with(|cluster| cluster.machines[&number].power.clone()))
}

/// The task of PVE is over before the guest was asked: that it still runs then is no refusal, and its plug is not pulled.
#[test]
fn a_guest_is_given_its_time_to_shut_down() {
    let bench = cared_for();
    let (changes, power) = sent(&bench, Command::Stop(StopHow::Graceful));
    assert_eq!(
        (changes.as_slice(), power),
        (["shut down, stop after 30 s".to_owned()].as_slice(), Power::Stopped)
    );
    let (changes, power) = sent(&bench, Command::Start);
    assert_eq!((changes.as_slice(), power), (["start".to_owned()].as_slice(), Power::Running));
    let (changes, power) = sent(&bench, Command::Suspend);
    let shut_down = changes.iter().filter(|change| change.starts_with("shut down")).count();
    assert_eq!((shut_down, power), (1, Power::Stopped), "{changes:?}");
    assert!(!changes.iter().any(|change| change.starts_with("stop")), "{changes:?}");
}

/// A manager that does nothing is asked again, ever harder, and a human is told in the end.
#[test]
fn a_manager_that_does_nothing_is_a_failure() {
    let bench = cared_for();
    let number = bench.record().numbered.vmid;
    bench.ledger.command(Command::Stop(StopHow::Graceful)).unwrap();
    bench.work_for(jiff::SignedDuration::from_secs(3), |_| {});
    let care = |state: Option<&str>| {
        let state = state.map(str::to_owned);
        bench.world.with(|cluster| cluster.machines.get_mut(&number).unwrap().ha = state);
    };
    care(Some("error"));
    bench.work_for(jiff::SignedDuration::from_mins(5), |_| {});
    let said = told(&bench);
    assert!(
        said.contains("the HA manager was asked: shut down, stop after 30 s, and has not done it for 9"),
        "{said}"
    );
    assert!(said.contains("sent: stop"), "{said}");
    care(None);
    bench.run(Trouble::default());
    assert_eq!(bench.record().step, Step::Ready, "{}", told(&bench));
}
