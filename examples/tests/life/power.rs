//! Power, and suspension.

use crate::tale::{Tale, nothing};
use deploy_core::Step;
use std::time::Duration;

pub(super) fn power(tale: &mut Tale<'_>) {
    tale.done("stop", |machine| machine.power = Some("stopped"));
    tale.done("start", |machine| machine.power = Some("running"));
    let asked = tale.done("stop", |machine| machine.power = Some("stopped"));
    assert!(asked.took >= Duration::from_secs(2), "the guest has its time: {:?}", asked.took);
    tale.done("start", |machine| machine.power = Some("running"));
    let hard = tale.done("stop", |machine| machine.power = Some("stopped"));
    assert!(hard.took < asked.took, "the guest is not asked: {:?}", hard.took);
    tale.done("start", |machine| machine.power = Some("running"));
    tale.done("restart", nothing);
    tale.done("reset", nothing);
}

pub(super) fn suspension(tale: &mut Tale<'_>) {
    tale.done("suspend", |machine| {
        (machine.power, machine.onboot, machine.step) = (Some("stopped"), "0", Step::Suspended);
    });
    tale.denied("start", "unsuspend it first");
    tale.done("unsuspend", |machine| {
        (machine.power, machine.onboot, machine.step) = (Some("running"), "1", Step::Ready);
    });
    tale.done("stop", |machine| machine.power = Some("stopped"));
    tale.done("suspend", |machine| (machine.onboot, machine.step) = ("0", Step::Suspended));
    // As it was before.
    tale.done("unsuspend", |machine| (machine.onboot, machine.step) = ("1", Step::Ready));
    tale.done("start", |machine| machine.power = Some("running"));
}
