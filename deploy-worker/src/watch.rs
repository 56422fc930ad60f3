//! Which tasks are waited for, and when they are asked about: one question per cluster for all of them.

use deploy_core::{ClusterName, TaskId, TaskState, VmKey};
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// A task that nobody can tell about is asked about less and less, down to once in this time: its node may be down for
/// hours, and each question costs the time of a connection that is not answered.
const LONGEST_UNKNOWN: Duration = Duration::from_secs(30);

/// So many times as long as an answer took, a cluster is left in peace.
const PEACE: u32 = 4;

/// How often a task is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// After it began, for the first time.
    pub(crate) first: Duration,
    /// Never longer than this.
    pub(crate) longest: Duration,
}

/// The tasks that machines wait for. It does not ask itself, so that it needs neither a runtime nor a hypervisor.
pub(crate) struct TaskWatch {
    pace: Pace,
    clusters: HashMap<ClusterName, Watched>,
}

struct Watched {
    tasks: HashMap<TaskId, Waited>,
    /// A question is under way.
    asking: bool,
    /// The earliest `at` of the tasks, or earlier where a task was forgotten.
    next: Instant,
    /// Not before the last answer was digested.
    peace_until: Instant,
}

struct Waited {
    key: VmKey,
    since: Instant,
    at: Instant,
    /// Answers in a row that told nothing.
    unknown: u32,
}

/// A question to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) cluster: ClusterName,
    pub(crate) tasks: Vec<TaskId>,
}

impl TaskWatch {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, clusters: HashMap::new() }
    }

    /// A machine waits for a task from now on.
    pub(crate) fn watch(&mut self, cluster: &ClusterName, task: TaskId, key: VmKey, now: Instant) {
        let at = now + self.pace.first;
        let watched = self.clusters.entry(cluster.clone()).or_insert_with(|| Watched {
            tasks: HashMap::new(),
            asking: false,
            next: at,
            peace_until: now,
        });
        watched.next = watched.next.min(at);
        watched.tasks.insert(task, Waited { key, since: now, at, unknown: 0 });
    }

    /// Nobody waits for this task any more.
    pub(crate) fn forget(&mut self, cluster: &ClusterName, task: &TaskId) {
        if let Some(watched) = self.clusters.get_mut(cluster) {
            watched.tasks.remove(task);
            self.drop_if_idle(cluster);
        }
    }

    /// When there is something to ask.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.clusters
            .values()
            .filter(|watched| !watched.asking && !watched.tasks.is_empty())
            .map(|watched| watched.next.max(watched.peace_until))
            .min()
    }

    /// The questions that are due. Each must be answered, by [`answer`](Self::answer), before its cluster is asked again.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Question> {
        let mut questions = Vec::new();
        for (cluster, watched) in &mut self.clusters {
            if watched.asking || watched.next.max(watched.peace_until) > now {
                continue;
            }
            if !watched.tasks.values().any(|waited| waited.at <= now) {
                watched.next = watched.earliest(now + self.pace.longest);
                continue;
            }
            // The others ride along, the answer costs the same; only not those whose node seems to be away.
            let tasks: Vec<TaskId> = watched
                .tasks
                .iter()
                .filter(|(_, waited)| waited.at <= now || waited.unknown == 0)
                .map(|(task, _)| task.clone())
                .collect();
            watched.asking = true;
            questions.push(Question { cluster: cluster.clone(), tasks });
        }
        questions
    }

    /// Takes in an answer that took so long, and says whose task ended. Tasks that the answer leaves out, all of them
    /// where there was none, count as unknown.
    pub(crate) fn answer(
        &mut self,
        question: Question,
        states: Vec<TaskState>,
        took: Duration,
        now: Instant,
    ) -> Vec<(VmKey, TaskState)> {
        let Question { cluster, tasks } = question;
        let Some(watched) = self.clusters.get_mut(&cluster) else { return Vec::new() };
        watched.asking = false;
        watched.peace_until = now + self.pace.first.max(took * PEACE).min(LONGEST_UNKNOWN);
        let mut ended = Vec::new();
        let mut states = states.into_iter();
        for task in tasks {
            let state = states.next();
            let Some(waited) = watched.tasks.get_mut(&task) else { continue };
            match state {
                Some(state @ TaskState::Ended(_)) => {
                    ended.push((waited.key, state));
                    watched.tasks.remove(&task);
                }
                Some(TaskState::Running) => {
                    waited.unknown = 0;
                    // As long again as it has worked: quick tasks are noticed quickly, long ones cost few questions.
                    waited.at = now + (now - waited.since).clamp(self.pace.first, self.pace.longest);
                }
                Some(TaskState::Unknown(_)) | None => {
                    let doubled = self.pace.longest * (1_u32 << waited.unknown.min(10));
                    waited.unknown += 1;
                    waited.at = now + doubled.min(LONGEST_UNKNOWN.max(self.pace.longest));
                }
            }
        }
        watched.next = watched.earliest(now + self.pace.longest);
        self.drop_if_idle(&cluster);
        ended
    }

    fn drop_if_idle(&mut self, cluster: &ClusterName) {
        // The peace of a cluster is forgotten with it: the next task's first question comes after a pause anyway.
        if self.clusters.get(cluster).is_some_and(|watched| watched.tasks.is_empty() && !watched.asking) {
            self.clusters.remove(cluster);
        }
    }
}

impl Watched {
    fn earliest(&self, otherwise: Instant) -> Instant {
        self.tasks.values().map(|waited| waited.at).min().unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests;
