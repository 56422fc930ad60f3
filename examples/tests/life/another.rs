//! Commands in the middle of a deployment.

use crate::tale::Tale;
use deploy_core::{CommandOutcome, Step};
use examples::life::Outcome;

pub(super) fn suspended_in_the_middle(tale: &mut Tale<'_>) {
    // It was deployed to its end, and never ran.
    let suspended = tale.done("suspend", |machine| {
        (machine.power, machine.onboot, machine.step) = (Some("stopped"), "0", Step::Suspended);
    });
    let suspension = suspended.after.record.life.suspended;
    assert!(suspension.is_some_and(|suspension| suspension.ran), "but for the suspension it would run");
    tale.done("unsuspend", |machine| {
        (machine.power, machine.onboot, machine.step) = (Some("running"), "1", Step::Ready);
    });
}

pub(super) fn terminated_in_the_middle(tale: &mut Tale<'_>) {
    let terminated = tale.done("terminate", |machine| {
        (machine.power, machine.step) = (None, Step::Terminated);
        machine.v4.clear();
        machine.v6.clear();
    });
    // The clone was waited for, and then destroyed like any machine.
    let receipt: Vec<String> = terminated.after.record.life.receipt.iter().map(ToString::to_string).collect();
    assert!(receipt.contains(&"machine 1001: deleted".to_owned()), "{receipt:#?}");
    let reinstall = tale.next("reinstall");
    let superseded = matches!(reinstall.outcome, Outcome::Settled(CommandOutcome::Superseded(_)));
    assert!(superseded, "{:?}", reinstall.outcome);
}
