use async_trait::async_trait;
use deploy_core::*;
use std::{collections::HashMap, sync::Mutex};
use tokio::time::Instant;

/// Answers about tasks; asked for anything else, it knows nothing.
#[derive(Default)]
pub(crate) struct FakeTasks {
    /// When tasks end, by tokio's time; tasks that are not here are unknown.
    pub(crate) ends: Mutex<HashMap<TaskId, Instant>>,
    /// Whether questions are answered at all.
    pub(crate) mood: Mutex<Mood>,
    /// The size of each question.
    pub(crate) questions: Mutex<Vec<usize>>,
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Mood {
    #[default]
    Answers,
    Hangs,
    Panics,
}

#[async_trait]
impl Hypervisor for FakeTasks {
    async fn machine(&self, _id: &MachineId, _look: Look) -> Sighting {
        Sighting::ProvenAbsent
    }

    async fn tasks(&self, _cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        self.questions.lock().unwrap().push(tasks.len());
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Answers => {}
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => panic!("a node without a name"),
        }
        let ends = self.ends.lock().unwrap();
        let state = |task| match ends.get(task) {
            Some(end) if *end <= Instant::now() => TaskState::Ended(Ended::Ok),
            Some(_) => TaskState::Running,
            None => TaskState::Unknown("never heard of it".to_owned()),
        };
        tasks.iter().map(state).collect()
    }

    async fn holder(&self, _machine: &MachineId, _lock: &str) -> Holder {
        Holder::Unknown("nobody was asked".to_owned())
    }

    async fn leftovers(&self, _machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        Ok(Vec::new())
    }

    async fn backups(&self, _machine: &MachineId) -> Result<Backups, LookError> {
        Ok(Backups::default())
    }

    async fn archived(&self, _machine: &MachineId, _backup: &Backup) -> Result<Shown, LookError> {
        Err(LookError { class: ErrorClass::Refused, message: "there are no backups".to_owned() })
    }

    async fn inventory(&self, _cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        Ok(Vec::new())
    }

    async fn submit(&self, _target: &Target, _change: &Change) -> Result<Submitted, SubmitError> {
        Ok(Submitted::Applied)
    }
}
