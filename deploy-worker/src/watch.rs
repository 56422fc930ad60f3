//! Which tasks are waited for, and when they are asked about: one question per cluster for all of them.

use deploy_core::{ClusterName, TaskId, TaskState, VmKey};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// So many times as long as an answer took, a cluster is left in peace.
const PEACE: u32 = 4;

/// But never longer than this.
const LONGEST_PEACE: Duration = Duration::from_secs(30);

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
    /// So long a machine is left waiting for a task that nobody can tell about. Then it is told so, for it to write down,
    /// and the watch over the task ends: when it begins again is for the machine's backoff to say, since a node may be
    /// down for hours, and each question costs the time of a connection that is not answered.
    patience: Duration,
    clusters: BTreeMap<ClusterName, Watched>,
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
    since: Instant,
    at: Instant,
    /// Since when the answers tell nothing, if they do.
    blind_since: Option<Instant>,
}

/// A question to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) cluster: ClusterName,
    pub(crate) tasks: Vec<TaskId>,
}

impl Question {
    /// What is known where it was not answered, and why.
    pub(crate) fn unanswered(&self, why: &str) -> Vec<TaskState> {
        vec![TaskState::Unknown(why.to_owned()); self.tasks.len()]
    }
}

impl TaskWatch {
    pub(crate) fn new(pace: Pace, patience: Duration) -> Self {
        Self { pace, patience, clusters: BTreeMap::new() }
    }

    /// A machine waits for a task from now on.
    pub(crate) fn watch(&mut self, cluster: &ClusterName, task: TaskId, key: VmKey, now: Instant) {
        let at = now + self.pace.first;
        let watched = self.clusters.entry(cluster.clone()).or_insert_with(|| Watched {
            tasks: BTreeMap::new(),
            asking: false,
            next: at,
            peace_until: now,
        });
        watched.next = watched.next.min(at);
        watched.tasks.insert(task, Waited { key, since: now, at, blind_since: None });
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
            // The others ride along, the answer costs the same; those whose node seems to be away only with their like.
            let is_blind_due = watched.tasks.values().any(|waited| waited.at <= now && waited.is_blind());
            let tasks: Vec<TaskId> = watched
                .tasks
                .iter()
                .filter(|(_, waited)| waited.at <= now || is_blind_due || !waited.is_blind())
                .map(|(task, _)| task.clone())
                .collect();
            watched.asking = true;
            questions.push(Question { cluster: cluster.clone(), tasks });
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
        let Question { cluster, tasks } = question;
        let Some(watched) = self.clusters.get_mut(&cluster) else { return Vec::new() };
        watched.asking = false;
        watched.peace_until = now + self.pace.first.max(took * PEACE).min(LONGEST_PEACE);
        let mut told = Vec::new();
        let mut states = states.into_iter();
        for task in tasks {
            let left_out = || TaskState::Unknown("the cluster's answer left the task out".to_owned());
            let state = states.next().unwrap_or_else(left_out);
            let Some(waited) = watched.tasks.get_mut(&task) else { continue };
            match state {
                TaskState::Ended(_) => {
                    told.push((waited.key, state));
                    watched.tasks.remove(&task);
                }
                TaskState::Running => {
                    waited.blind_since = None;
                    // As long again as it has worked: quick tasks are noticed quickly, long ones cost few questions.
                    waited.at = now + (now - waited.since).clamp(self.pace.first, self.pace.longest);
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
        self.drop_if_idle(&cluster);
        told
    }

    fn drop_if_idle(&mut self, cluster: &ClusterName) {
        // The peace of a cluster is forgotten with it: the next task's first question comes after a pause anyway.
        if self.clusters.get(cluster).is_some_and(|watched| watched.tasks.is_empty() && !watched.asking) {
            self.clusters.remove(cluster);
        }
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
