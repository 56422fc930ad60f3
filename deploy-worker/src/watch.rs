//! Which tasks are waited for, and when they are asked about: one question per node for all of them.

mod usual;
mod work;

pub(crate) use work::{Place, Work};

use deploy_core::{ClusterName, Ended, TaskId, TaskState, VmKey};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;
use usual::Usual;

/// So many times as long as an answer took, a node is left in peace.
const PEACE: u32 = 2;

/// Between two questions about a task whose end may be near. Half of it is what the end is noticed late by, on average; each
/// costs a request.
const TICK: Duration = Duration::from_millis(280);

/// The same for a task that works for long already: a part of the time that it has worked for.
const PART: f64 = 0.08;

/// But never longer than this.
const LONGEST_PEACE: Duration = Duration::from_secs(30);

/// How often a task is asked about. In between it is for what tasks of its kind usually take, see [`Usual`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Not before it has worked for so long.
    pub(crate) first: Duration,
    /// Between two questions never longer than this.
    pub(crate) longest: Duration,
}

/// The tasks that machines wait for. It does not ask itself, so that it needs neither a runtime nor a hypervisor.
pub(crate) struct TaskWatch {
    pace: Pace,
    /// So long a machine is left waiting for a task that nobody can tell about. Then it is told so, for it to write down,
    /// and the watch over the task ends: when it begins again is for the machine's backoff to say, since a node may be
    /// down for hours, and each question costs the time of a connection that is not answered.
    patience: Duration,
    places: BTreeMap<Place, Watched>,
    usual: Usual,
}

struct Watched {
    tasks: BTreeMap<TaskId, Waited>,
    /// A question is under way.
    asking: bool,
    /// The earliest `at` of the tasks, or earlier where a task was forgotten.
    next: Instant,
    /// Not before the last answer was digested.
    peace_until: Instant,
}

struct Waited {
    key: VmKey,
    /// What it does; `None` where nobody knows when it began.
    work: Option<Work>,
    since: Instant,
    at: Instant,
    /// Since when the answers tell nothing, if they do.
    blind_since: Option<Instant>,
}

/// A question about the tasks of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) place: Place,
    pub(crate) tasks: Vec<TaskId>,
}

impl Question {
    /// The cluster that is asked.
    pub(crate) fn cluster(&self) -> &ClusterName {
        &self.place.cluster
    }

    /// What is known where it was not answered, and why.
    pub(crate) fn unanswered(&self, why: &str) -> Vec<TaskState> {
        vec![TaskState::Unknown(why.to_owned()); self.tasks.len()]
    }
}

impl TaskWatch {
    pub(crate) fn new(pace: Pace, patience: Duration) -> Self {
        Self { pace, patience, places: BTreeMap::new(), usual: Usual::default() }
    }

    /// A machine waits for a task from now on, which begins now or is `resumed`.
    pub(crate) fn watch(&mut self, work: Work, resumed: bool, task: TaskId, key: VmKey, now: Instant) {
        let first = if resumed { self.pace.first } else { self.usual.soonest(&work).max(self.pace.first) };
        let at = now + first;
        let watched = self.places.entry(work.place.clone()).or_insert_with(|| Watched {
            tasks: BTreeMap::new(),
            asking: false,
            next: at,
            peace_until: now,
        });
        watched.next = watched.next.min(at);
        let work = Some(work).filter(|_| !resumed);
        watched.tasks.insert(task, Waited { key, work, since: now, at, blind_since: None });
    }

    /// Nobody waits for this task any more.
    pub(crate) fn forget(&mut self, place: &Place, task: &TaskId) {
        if let Some(watched) = self.places.get_mut(place) {
            watched.tasks.remove(task);
            self.drop_if_idle(place);
        }
    }

    /// When there is something to ask.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.places
            .values()
            .filter(|watched| !watched.asking && !watched.tasks.is_empty())
            .map(|watched| watched.next.max(watched.peace_until))
            .min()
    }

    /// The questions that are due. Each must be answered, by [`answer`](Self::answer), before its node is asked again.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Question> {
        let mut questions = Vec::new();
        for (place, watched) in &mut self.places {
            if watched.asking || watched.next.max(watched.peace_until) > now {
                continue;
            }
            if !watched.tasks.values().any(|waited| waited.at <= now) {
                watched.next = watched.earliest(now + self.pace.longest);
                continue;
            }
            // The others ride along, the answer costs the same; those whose node seems to be away only with their like.
            let is_blind_due = watched.tasks.values().any(|waited| waited.at <= now && waited.is_blind());
            let tasks: Vec<TaskId> = watched
                .tasks
                .iter()
                .filter(|(_, waited)| waited.at <= now || is_blind_due || !waited.is_blind())
                .map(|(task, _)| task.clone())
                .collect();
            watched.asking = true;
            questions.push(Question { place: place.clone(), tasks });
        }
        questions
    }

    /// Takes in an answer that took so long, and says whose task ended, or has been unknown for so long that its machine
    /// is to be told; those are not watched any more. Tasks that the answer leaves out count as unknown.
    pub(crate) fn answer(
        &mut self,
        question: Question,
        states: Vec<TaskState>,
        took: Duration,
        now: Instant,
    ) -> Vec<(VmKey, TaskState)> {
        let Question { place, tasks } = question;
        let Some(watched) = self.places.get_mut(&place) else { return Vec::new() };
        watched.asking = false;
        // Several that end one after the other are told together.
        let together = if watched.tasks.len() > 1 { TICK / 2 } else { Duration::ZERO };
        watched.peace_until =
            now + self.pace.first.max(together.min(self.pace.longest)).max(took * PEACE).min(LONGEST_PEACE);
        let mut told = Vec::new();
        let mut states = states.into_iter();
        for task in tasks {
            let left_out = || TaskState::Unknown("the cluster's answer left the task out".to_owned());
            let state = states.next().unwrap_or_else(left_out);
            let Some(waited) = watched.tasks.get_mut(&task) else { continue };
            match state {
                TaskState::Ended(ref ended) => {
                    if let (Ended::Ok | Ended::Warnings(_), Some(work)) = (ended, waited.work.take()) {
                        self.usual.took(work, now - waited.since);
                    }
                    told.push((waited.key, state));
                    watched.tasks.remove(&task);
                }
                TaskState::Running => {
                    waited.blind_since = None;
                    // Never sooner than was meant, where another task's question took it along.
                    waited.at = waited.at.max(now + self.pace.pause(now - waited.since));
                }
                TaskState::Unknown(_) => {
                    // Since the question went out: one that hung for a minute has been patience enough.
                    let since = *waited.blind_since.get_or_insert(now.checked_sub(took).unwrap_or(now));
                    if now - since >= self.patience {
                        told.push((waited.key, state));
                        watched.tasks.remove(&task);
                    } else {
                        waited.at = now + self.pace.longest.min(self.patience);
                    }
                }
            }
        }
        watched.next = watched.earliest(now + self.pace.longest);
        self.drop_if_idle(&place);
        told
    }

    fn drop_if_idle(&mut self, place: &Place) {
        // The peace of a node is forgotten with it: the next task's first question comes after a pause anyway.
        if self.places.get(place).is_some_and(|watched| watched.tasks.is_empty() && !watched.asking) {
            self.places.remove(place);
        }
    }
}

impl Pace {
    /// The pause until the next question about a task that has worked for so long: as long again, so that quick tasks are noticed
    /// quickly, then a tick, and of long ones only a part of their time.
    fn pause(self, worked: Duration) -> Duration {
        let pause = worked.min(TICK.max(worked.mul_f64(PART)));
        pause.clamp(self.first, self.longest)
    }
}

impl Waited {
    fn is_blind(&self) -> bool {
        self.blind_since.is_some()
    }
}

impl Watched {
    fn earliest(&self, otherwise: Instant) -> Instant {
        self.tasks.values().map(|waited| waited.at).min().unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests;
