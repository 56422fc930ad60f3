//! A worker: what it works on, what it holds, and what will become of it.

use std::collections::VecDeque;

use super::CallId;
use super::doom::Doom;
use super::start::Entering;
use crate::flock::Flock;
use crate::task::TaskKey;
use crate::works::Work;
use crate::world::Time;

/// A worker under way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Box<dyn Work>,
    pub(super) kind: &'static str,
    /// What the task is about.
    pub(super) id: String,
    pub(super) node: String,
    pub(super) task: Option<TaskKey>,
    /// When it became a task.
    pub(super) began: Time,
    pub(super) call: Option<CallId>,
    pub(super) held: Vec<String>,
    pub(super) wanted: VecDeque<Flock>,
    pub(super) waiting: Option<Flock>,
    /// A task that is yet to be made of it.
    pub(super) entering: Option<Entering>,
    pub(super) steps: u32,
    /// How often it has waited for a lock.
    pub(super) waits: u32,
    /// What an injected fault will do to it.
    pub(super) doom: Option<Doom>,
}

impl Job {
    pub(super) fn new(
        work: Box<dyn Work>,
        kind: &'static str,
        id: String,
        node: &str,
        doom: Option<Doom>,
    ) -> Self {
        Self {
            work,
            kind,
            id,
            node: node.to_owned(),
            task: None,
            began: Time::ZERO,
            call: None,
            held: Vec::new(),
            wanted: VecDeque::new(),
            waiting: None,
            entering: None,
            steps: 0,
            waits: 0,
            doom,
        }
    }

    /// Whether it is to leave a clean-up behind. Stopping a machine that does not run is one step.
    pub(super) fn lingers(&self) -> bool {
        self.doom.is_some_and(|doom| doom.lingers()) && self.steps > 1
    }

    /// Whether it works on that machine, and does not only wait for it or keep others out.
    pub(super) fn works_on(&self, vmid: u32) -> bool {
        let lock = format!("/lock-{vmid}");
        // A backup needs the lock of the file only to begin.
        let backup = self.kind == "vzdump" && self.id == vmid.to_string();
        self.kind != "aside" && (backup || self.held.iter().any(|key| key.ends_with(&lock)))
    }

    /// The machines that it has to do with: what its task is about, what it makes, what it has locked.
    pub(super) fn machines(&self) -> impl Iterator<Item = u32> {
        let locked = self.held.iter().filter_map(|key| key.rsplit_once("/lock-")?.1.parse().ok());
        self.id.parse().ok().into_iter().chain(self.makes()).chain(locked)
    }

    /// The machine that it makes or destroys.
    pub(super) fn makes(&self) -> Option<u32> {
        self.work.makes()
    }

    pub(super) fn answering(mut self, call: Option<CallId>) -> Self {
        self.call = call;
        self
    }
}
