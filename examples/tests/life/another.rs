//! Commands in the middle of a deployment, and a machine that somebody else made.

use crate::tale::Tale;
use deploy_core::{CommandOutcome, Step};
use examples::life::{Outcome, Told};

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

/// Let go of, nothing was done to it; adopted, nothing but its notes is another; terminated, it is gone.
pub(super) fn adopted(told: &[Told]) {
    let [refused, let_go, made, adopted, terminated] = told else { panic!("{} are told", told.len()) };
    let Outcome::Denied(why) = &refused.outcome else { panic!("{:?}", refused.outcome) };
    assert!(refused.command == "terminate" && why.contains("let go of it"), "{why}");
    let done = Outcome::Settled(CommandOutcome::Done);
    assert_eq!((let_go.command.as_str(), &let_go.outcome), ("let_go", &done));
    assert_eq!((let_go.after.record.step, &let_go.after.power), (Step::Terminated, &None));
    let receipt: Vec<String> = let_go.after.record.life.receipt.iter().map(ToString::to_string).collect();
    assert_eq!(receipt, ["machine 400 was not adopted: nothing was done to it"]);

    let mark = adopted.after.record.mark();
    let mut expected = made.after.config.clone();
    let said = expected.insert("description".to_owned(), format!("{mark}\nmade by hand"));
    assert_eq!(said.as_deref(), Some("made by hand"));
    let mut config = adopted.after.config.clone();
    for config in [&mut expected, &mut config] {
        config.remove("digest");
    }
    assert_eq!(config, expected);
    assert_eq!((adopted.after.record.step, adopted.after.power.as_deref()), (Step::Ready, Some("stopped")));
    let held: Vec<String> =
        adopted.after.record.addresses.iter().map(|held| held.address.to_string()).collect();
    assert_eq!(held, ["203.0.113.50", "2001:db8:1::1050"]);
    assert_eq!(adopted.after.names, held);

    assert_eq!((terminated.command.as_str(), &terminated.outcome), ("terminate", &done));
    assert_eq!((terminated.after.record.step, &terminated.after.power), (Step::Terminated, &None));
    assert!(terminated.after.names.is_empty() && terminated.after.record.addresses.is_empty());
}
