//! When it is time to say what a machine waits for.

use deploy_core::VmKey;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A wait that is shorter is not worth a line, and no machine fills the output.
const PAUSE: Duration = Duration::from_secs(3);

/// What was said last of each machine.
#[derive(Default)]
pub(super) struct Waits(HashMap<VmKey, (Instant, String)>);

impl Waits {
    /// Something was said of a machine, which tells this as well.
    pub(super) fn said(&mut self, key: VmKey, text: String, now: Instant) {
        self.0.insert(key, (now, text));
    }

    /// Whether to say this now: something else was said last, and that a while ago.
    pub(super) fn say(&mut self, key: VmKey, text: &str, now: Instant) -> bool {
        let (at, said) = self.0.entry(key).or_insert_with(|| (now, String::new()));
        let due = said != text && now.duration_since(*at) >= PAUSE;
        if due {
            (*at, *said) = (now, text.to_owned());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::{PAUSE, Waits};
    use deploy_core::{Entropy, VmKey};
    use deploy_worker::SystemEntropy;
    use std::time::{Duration, Instant};

    fn key() -> VmKey {
        let entropy: &dyn Entropy = &SystemEntropy;
        VmKey(entropy.uuid())
    }

    #[test]
    fn a_wait_is_told_once_it_lasts_and_again_when_it_is_another() {
        let (mut waits, machine, start) = (Waits::default(), key(), Instant::now());
        let mut at = |seconds, text| waits.say(machine, text, start + Duration::from_secs(seconds));
        assert!(!at(0, "the task"), "it has only begun");
        assert!(at(3, "the task"));
        assert!(!at(60, "the task"), "nothing new");
        assert!(at(61, "the lock"));
        assert!(!at(62, "the agent"), "too soon after the last");
        assert!(at(64, "the agent"));
    }

    #[test]
    fn what_was_told_otherwise_is_not_told_again_and_machines_are_apart() {
        let (mut waits, one, another, start) = (Waits::default(), key(), key(), Instant::now());
        waits.said(one, "try 2: lost".to_owned(), start);
        assert!(!waits.say(another, "the task", start));
        assert!(!waits.say(one, "try 2: lost", start + 2 * PAUSE));
        assert!(waits.say(one, "try 3: lost", start + 2 * PAUSE));
        assert!(waits.say(another, "the task", start + 2 * PAUSE));
    }
}
