//! Commands about commands.

use crate::tale::{Tale, nothing};
use deploy_core::CommandOutcome;

pub(super) fn queue(tale: &mut Tale<'_>) {
    tale.ended("retry", &CommandOutcome::Done);
    let grown = tale.done("change_package: 16 GiB", |machine| machine.disk = "16G");
    assert!(grown.took.as_secs() < 30, "it did not wait for its delay: {:?}", grown.took);
    tale.ended("withdraw", &CommandOutcome::Done);
    tale.ended("reinstall", &CommandOutcome::Withdrawn);
    tale.done("restart", nothing);
    tale.done("hold", |machine| machine.held = true);
    tale.denied("stop", "release it first");
    tale.done("release", |machine| machine.held = false);
}
