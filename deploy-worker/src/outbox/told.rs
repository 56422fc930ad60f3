use deploy_core::NoticeId;
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Which target has heard which of the notices that wait. Shared by the targets' outboxes: a notice is delivered when all have
/// heard it.
///
/// In memory: what is lost with the process is told once more, with the same number.
pub(crate) struct Told(Mutex<State>);

struct State {
    /// Of each target.
    heard: Vec<BTreeSet<NoticeId>>,
    /// What all have heard, and the store knows.
    noted: BTreeSet<NoticeId>,
}

/// What is left to do about a notice for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// To tell it.
    Tell,
    /// To wait until the others have heard it.
    Wait,
    /// To note that all have heard it.
    Note,
    /// Nothing: it is noted.
    Nothing,
}

impl Told {
    pub(crate) fn new(targets: usize) -> Self {
        Self(Mutex::new(State { heard: vec![BTreeSet::new(); targets], noted: BTreeSet::new() }))
    }

    pub(super) fn left(&self, target: usize, id: NoticeId) -> Left {
        let state = self.lock();
        let has_heard = |heard: &BTreeSet<NoticeId>| heard.contains(&id);
        if state.noted.contains(&id) {
            Left::Nothing
        } else if !state.heard.get(target).is_some_and(has_heard) {
            Left::Tell
        } else if state.heard.iter().all(has_heard) {
            Left::Note
        } else {
            Left::Wait
        }
    }

    /// The target has heard a notice.
    pub(super) fn heard(&self, target: usize, id: NoticeId) {
        if let Some(heard) = self.lock().heard.get_mut(target) {
            heard.insert(id);
        }
    }

    /// The store knows that a notice is delivered. Says whether that is news.
    pub(super) fn noted(&self, id: NoticeId) -> bool {
        self.lock().noted.insert(id)
    }

    /// How many notices a target has heard that may still be listed.
    pub(super) fn count(&self, target: usize) -> usize {
        self.lock().heard.get(target).map_or(0, BTreeSet::len)
    }

    /// Forgets what a target has heard and is over. Each target for itself: it goes by a list of its own, and one that another has
    /// read before that may still name the notice.
    pub(super) fn retain(&self, target: usize, waits: impl Fn(&NoticeId) -> bool) {
        let State { heard, noted } = &mut *self.lock();
        if let Some(heard) = heard.get_mut(target) {
            heard.retain(waits);
        }
        noted.retain(|id| heard.iter().any(|heard| heard.contains(id)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NoticeId = NoticeId(1);

    #[test]
    fn a_target_waits_for_the_others_and_is_told_once() {
        let told = Told::new(2);
        assert_eq!(told.left(0, ONE), Left::Tell);
        told.heard(0, ONE);
        assert_eq!((told.left(0, ONE), told.left(1, ONE)), (Left::Wait, Left::Tell));
        told.heard(1, ONE);
        assert_eq!((told.left(0, ONE), told.left(1, ONE)), (Left::Note, Left::Note));
        assert!(told.noted(ONE) && !told.noted(ONE));
        assert_eq!((told.left(0, ONE), told.left(1, ONE)), (Left::Nothing, Left::Nothing));
    }

    /// The first target may hold a list that still names the notice; it must not take it for a new one.
    #[test]
    fn what_one_target_forgets_the_other_still_knows() {
        let told = Told::new(2);
        told.heard(0, ONE);
        told.heard(1, ONE);
        told.noted(ONE);
        told.retain(1, |_| false);
        assert_eq!((told.left(0, ONE), told.count(0), told.count(1)), (Left::Nothing, 1, 0));
        told.retain(0, |_| false);
        assert_eq!(told.count(0), 0);
        assert!(told.noted(ONE), "nothing is kept for ever");
    }
}
