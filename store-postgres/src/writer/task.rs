//! The task: takes what waits, writes it, answers.

use super::{
    Counters,
    answers::Answers,
    line::{Ended, Line},
    trouble::Trouble,
    work::{Message, Reply, Single, Work},
};
use crate::{
    Settings,
    failure::{Failure, is_lost, is_passing, words},
    link::{answered, no_answer},
    vm::{self, Item, Written},
};
use deploy_core::{CommitError, StoreError};
use futures_util::future::join;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use uuid::Uuid;

/// So many commits share one statement, and with it one `fsync`, at most.
pub(super) const BATCH: usize = 64;
/// For so long a lost connection is made again before it is said that nobody knows what became of a write.
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries of it.
const PAUSE: Duration = Duration::from_millis(200);
/// So often a write is done again that proved not to have happened.
const TRIES: usize = 5;

/// A commit that waits.
type Committing = (Box<Item>, Reply);

/// What the task owns.
pub(super) struct Task {
    settings: Arc<Settings>,
    messages: mpsc::Receiver<Message>,
    counters: Arc<Counters>,
    line: Option<Line>,
    /// Sessions of lost connections that were not taken over yet.
    lost: Vec<Uuid>,
    /// Why there was no connection to be had, and when.
    unreachable: Option<(Instant, String)>,
    /// Of commits that are written.
    answers: Answers,
}

/// What became of a transaction whose answer was lost.
enum Fate {
    /// It was committed.
    Committed,
    /// It was not, and will not be.
    Void,
    /// Nobody knows; why, in words.
    Unknown(String),
}

impl Task {
    pub(super) fn new(
        settings: Arc<Settings>,
        messages: mpsc::Receiver<Message>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            settings,
            messages,
            counters,
            line: None,
            lost: Vec::new(),
            unreachable: None,
            answers: Answers::default(),
        }
    }

    /// Works until the channel is closed and empty.
    pub(super) async fn run(mut self) {
        let mut commits: VecDeque<Committing> = VecDeque::new();
        let mut works: VecDeque<Box<dyn Work>> = VecDeque::new();
        loop {
            if works.is_empty() {
                let Some(message) = self.messages.recv().await else { break };
                self.take_in(message, &mut commits, &mut works);
            }
            // No timer: whatever waits at this moment goes along, and an idle store commits at once.
            while commits.len() + works.len() < 2 * BATCH
                && let Ok(message) = self.messages.try_recv()
            {
                self.take_in(message, &mut commits, &mut works);
            }
            while !commits.is_empty() {
                let group = next_group(&mut commits);
                self.commit(group).await;
            }
            self.answers.send();
            // One at a time: commits do not wait for many that wait for somebody else's lock.
            if let Some(work) = works.pop_front() {
                self.work(work).await;
            }
        }
        if let Some(line) = self.line.take() {
            line.close().await;
        }
    }

    fn take_in(
        &mut self,
        message: Message,
        commits: &mut VecDeque<Committing>,
        works: &mut VecDeque<Box<dyn Work>>,
    ) {
        match message {
            Message::Commit(item, reply) if item.is_plain() => commits.push_back((item, reply)),
            Message::Commit(item, reply) => works.push_back(Box::new(Single::new(item, reply))),
            Message::Work(work) => works.push_back(work),
            Message::Close => self.messages.close(),
        }
    }

    /// Writes commits of different machines in one statement; where one of them makes it fail, only that one fails.
    async fn commit(&mut self, group: Vec<Committing>) {
        let mut groups = vec![group];
        while let Some(group) = groups.pop() {
            match self.commit_together(&group).await {
                Ok(written) => {
                    self.counters.count(written.len());
                    for (n, (_, reply)) in group.into_iter().enumerate() {
                        let answer = if written.contains(&n) { Ok(()) } else { Err(CommitError::Fenced) };
                        self.answers.hold(reply, answer);
                    }
                }
                Err(error) if error.is_of_one && group.len() > 1 => {
                    let mut first = group;
                    let second = first.split_off(first.len() / 2);
                    groups.extend([second, first]);
                }
                Err(error) => {
                    tracing::error!(error = error.message, writes = group.len(), "commits were not written");
                    for (_, reply) in group {
                        self.answers.hold(reply, Err(StoreError::from(error.clone()).into()));
                    }
                }
            }
        }
    }

    async fn commit_together(&mut self, group: &[Committing]) -> Result<BTreeSet<usize>, Trouble> {
        let items: Vec<&Item> = group.iter().map(|(item, _)| &**item).collect();
        let mut taken_back = String::new();
        for _ in 0..TRIES {
            let (_, batch) = self.begin().await?;
            let Some(line) = &self.line else { continue };
            let mut answers = std::mem::take(&mut self.answers);
            let db = line.db();
            let writing = answered(vm::commit_together(&db, line.session, batch, &items));
            // The statement is sent by the connection's own task, before many others want to run.
            let answering = async {
                tokio::task::yield_now().await;
                answers.send();
            };
            let (written, ()) = join(writing, answering).await;
            let why = match written {
                Some(Ok(Written::Items(written))) => return Ok(written),
                Some(Ok(Written::NoSession)) => {
                    self.line = None;
                    continue;
                }
                Some(Err(Failure::Sql(error))) if is_lost(&error) => words(&error),
                Some(Err(Failure::Sql(error))) if is_passing(&error) => {
                    taken_back = words(&error);
                    continue;
                }
                Some(Err(failure)) => return Err(Trouble::of(failure)),
                None => no_answer(),
            };
            match self.recover(batch, why).await {
                Fate::Committed => return self.look(&items).await,
                Fate::Void => {}
                Fate::Unknown(why) => return Err(Trouble::unknown(why)),
            }
        }
        Err(Trouble::tried(&taken_back))
    }

    /// The statement was committed and nobody heard which of its commits were fenced: those whose lease is over by now, at
    /// the latest; their machines are to be dropped either way.
    async fn look(&mut self, items: &[&Item]) -> Result<BTreeSet<usize>, Trouble> {
        let (line, _) = self.begin().await.map_err(|trouble| Trouble::unknown(trouble.message))?;
        match answered(vm::still_leased(&line.db(), items)).await {
            Some(Ok(leased)) => Ok(leased),
            Some(Err(failure)) => {
                let error: CommitError = failure.into_error();
                Err(Trouble::unknown(error.to_string()))
            }
            None => Err(Trouble::unknown(no_answer())),
        }
    }

    /// Does a piece of work in a transaction of its own.
    async fn work(&mut self, mut work: Box<dyn Work>) {
        let outcome = self.transact(work.as_mut()).await;
        match &outcome {
            Ok(()) => self.counters.count(1),
            Err(trouble) => tracing::error!(error = trouble.message, "a write was not carried out"),
        }
        work.answer(outcome.map_err(StoreError::from));
    }

    async fn transact(&mut self, work: &mut dyn Work) -> Result<(), Trouble> {
        let mut taken_back = String::new();
        for _ in 0..TRIES {
            let (line, batch) = self.begin().await?;
            let why = match answered(line.transact(batch, work)).await {
                Some(Ok(Ended::Well)) => return Ok(()),
                Some(Ok(Ended::NoSession)) => {
                    self.line = None;
                    continue;
                }
                Some(Err(error)) if is_lost(&error) => words(&error),
                Some(Err(error)) if is_passing(&error) => {
                    taken_back = words(&error);
                    continue;
                }
                Some(Err(error)) => return Err(Trouble::not_written(words(&error))),
                None => no_answer(),
            };
            match self.recover(batch, why).await {
                // Its result was there before the commit was sent.
                Fate::Committed => return Ok(()),
                Fate::Void => {}
                Fate::Unknown(why) => return Err(Trouble::unknown(why)),
            }
        }
        Err(Trouble::tried(&taken_back))
    }

    /// The connection, and the number for a transaction.
    async fn begin(&mut self) -> Result<(&mut Line, i64), Trouble> {
        if self.line.as_ref().is_none_or(|line| line.client.is_closed()) {
            // Connecting may take long.
            self.answers.send();
            if let Some(line) = self.line.take() {
                self.lost.push(line.session);
            }
            // Many writes may wait; each of them trying anew would make the last ones wait for minutes.
            if let Some((at, why)) = &self.unreachable
                && at.elapsed() < PAUSE
            {
                return Err(Trouble::not_written(why.clone()));
            }
            self.open().await.map_err(Trouble::not_written)?;
        }
        let Some(line) = &mut self.line else { return Err(Trouble::not_written("no connection".to_owned())) };
        line.batch += 1;
        let batch = line.batch;
        Ok((line, batch))
    }

    /// Connects, and says what was the last transaction of the sessions before that was committed.
    async fn open(&mut self) -> Result<Option<i64>, String> {
        let session = Uuid::new_v4();
        let opened = Line::open(&self.settings, &self.lost, session).await;
        // Whether or not its answer is heard, the row may bear the new id from now on.
        self.lost.push(session);
        self.unreachable = opened.as_ref().err().map(|why| (Instant::now(), why.clone()));
        let (line, last) = opened?;
        self.lost.clear();
        self.line = Some(line);
        Ok(last)
    }

    /// Finds out what became of the transaction number `batch`, whose answer was lost.
    async fn recover(&mut self, batch: i64, why: String) -> Fate {
        tracing::warn!(
            error = why,
            "the connection that writes was lost; looking what became of the last transaction"
        );
        if let Some(line) = self.line.take() {
            self.lost.push(line.session);
        }
        let give_up = Instant::now() + RECOVERS_WITHIN;
        loop {
            match self.open().await {
                Ok(Some(last)) => {
                    let fate = if last >= batch { Fate::Committed } else { Fate::Void };
                    tracing::info!(committed = last >= batch, "connected again");
                    return fate;
                }
                Ok(None) => return Fate::Unknown(format!("{why}; afterwards the session was gone")),
                Err(again) if Instant::now() >= give_up => {
                    return Fate::Unknown(format!("{why}; then: {again}"));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// Takes the first commits of different machines, up to [`BATCH`]: one statement changes a row once.
fn next_group(commits: &mut VecDeque<Committing>) -> Vec<Committing> {
    let mut machines = BTreeSet::new();
    let mut group = Vec::new();
    let mut later = VecDeque::new();
    while let Some(committing) = commits.pop_front() {
        if group.len() < BATCH && machines.insert(committing.0.lease.key) {
            group.push(committing);
        } else {
            later.push_back(committing);
        }
    }
    *commits = later;
    group
}
