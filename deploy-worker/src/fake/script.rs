use super::FakeStore;
use crate::driver::Driver;
use async_trait::async_trait;
use deploy_core::*;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Turns by a script, and what was seen of them.
pub(crate) struct Script<F> {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) turns: F,
    pub(crate) busy: Arc<Mutex<Busy>>,
}

/// Which machines have a turn just now, over all workers of a test.
#[derive(Clone, Default)]
pub(crate) struct Busy {
    pub(crate) now: HashMap<VmKey, usize>,
    pub(crate) most: usize,
    /// A machine had two turns at once.
    pub(crate) twice: bool,
    /// Turns begun.
    pub(crate) turns: usize,
    /// Turns that were neither broken off nor panicked.
    pub(crate) finished: usize,
}

struct Turning(Arc<Mutex<Busy>>, VmKey);

impl Turning {
    fn begin(busy: &Arc<Mutex<Busy>>, key: VmKey) -> Self {
        let mut seen = busy.lock().unwrap();
        let at_once = seen.now.entry(key).or_default();
        *at_once += 1;
        let twice = *at_once > 1;
        seen.twice |= twice;
        seen.turns += 1;
        let running = seen.now.values().sum();
        seen.most = seen.most.max(running);
        drop(seen);
        Self(Arc::clone(busy), key)
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        *self.0.lock().unwrap().now.get_mut(&self.1).unwrap() -= 1;
    }
}

/// What a script wants of a turn.
pub(crate) enum Act {
    /// Say this, without writing anything.
    Say(Result<Turned, CommitError>),
    /// Never end.
    Hang,
    /// Write this, then say that.
    Write(Box<Commit>, Turned),
}

#[async_trait]
impl<F> Driver for Script<F>
where
    F: Fn(&Leased, &Known) -> Act + Send + Sync,
{
    async fn turn(&self, leased: &mut Leased, known: Known) -> Result<Turned, CommitError> {
        let _turning = Turning::begin(&self.busy, leased.lease.key);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let result = match (self.turns)(leased, &known) {
            Act::Say(result) => result,
            Act::Hang => std::future::pending().await,
            Act::Write(commit, turned) => {
                self.store.commit(&leased.lease, (*commit).clone()).await?;
                commit.apply(&mut leased.record);
                Ok(turned)
            }
        };
        self.busy.lock().unwrap().finished += 1;
        result
    }
}

/// The next step of its operation, or the rest.
pub(crate) fn advance(leased: &Leased) -> Act {
    let record = &leased.record;
    let step = record.operation.after(record.step).unwrap_or(record.step);
    if step == record.step {
        return Act::Say(Ok(Turned::Rest));
    }
    let due = if step.is_rest() { Due::OnCommand } else { record.due };
    let notice = step.is_rest().then_some(Notice::Ready);
    let commit = Commit {
        step: Some(step),
        progress: Some(Progress::Untried),
        due: Some(due),
        notice,
        ..Commit::default()
    };
    Act::Write(Box::new(commit), if step.is_rest() { Turned::Rest } else { Turned::Again(None) })
}
