//! Watches machines until all are where they should be.

use crate::progress::Display;
use deploy_core::{LogEntry, LogEvent, LogId, Step, VmKey, VmRecord};
use examples::engine::Engine;
use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

const GLANCE: Duration = Duration::from_millis(100);
/// What is only counted in the log, and attention that passed, is no new event: so everything unfinished is read again this
/// often.
const REREAD: Duration = Duration::from_secs(1);
const PAGE: usize = 1000;

/// How watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every machine is there.
    There,
    /// Some need attention, and nothing else moved for long enough.
    Stuck,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// The machines that are watched.
pub(crate) struct Watch<'a> {
    engine: &'a Engine,
    records: Vec<VmRecord>,
    last: HashMap<VmKey, LogEntry>,
    seen: LogId,
}

impl<'a> Watch<'a> {
    /// Watches these machines; what happened until `since` is not shown.
    pub(crate) async fn new(engine: &'a Engine, keys: &[VmKey], since: LogId) -> anyhow::Result<Self> {
        let mut watch = Self { engine, records: Vec::new(), last: HashMap::new(), seen: since };
        for key in keys {
            watch.records.extend(engine.deployments.status(*key).await?);
        }
        Ok(watch)
    }

    /// The last entry of the log.
    pub(crate) async fn latest(engine: &Engine) -> anyhow::Result<LogId> {
        let mut latest = LogId::default();
        loop {
            match engine.deployments.events(latest, PAGE).await?.last() {
                Some(entry) => latest = entry.id,
                None => return Ok(latest),
            }
        }
    }

    /// The records as they were last read, in the order of the file.
    pub(crate) fn records(&self) -> &[VmRecord] {
        &self.records
    }

    /// Shows what happens until every machine is at `goal`, until nothing moves any more, or until `interrupt`.
    ///
    /// `patience` is how long machines that need attention are waited for where all others are there.
    pub(crate) async fn until(
        &mut self,
        goal: Step,
        patience: Duration,
        display: &mut dyn Display,
        interrupt: impl Future<Output = ()>,
    ) -> anyhow::Result<Ended> {
        tokio::pin!(interrupt);
        let mut moved = Instant::now();
        let mut reread = Instant::now();
        display.begin(&self.records, &self.last, goal);
        loop {
            let news = self.news().await?;
            let all = reread.elapsed() >= REREAD;
            if all {
                reread = Instant::now();
            }
            self.refresh(&news, all, goal).await?;
            for entry in &news {
                if let Some(record) = self.records.iter().find(|record| record.key == entry.key) {
                    display.event(record, entry);
                }
            }
            display.show(&self.records, &self.last, goal);
            let waited_for: Vec<_> = self.records.iter().filter(|record| record.step != goal).collect();
            if waited_for.is_empty() {
                return Ok(Ended::There);
            }
            if waited_for.iter().any(|record| record.attention.is_none()) {
                moved = Instant::now();
            } else if moved.elapsed() >= patience {
                return Ok(Ended::Stuck);
            }
            tokio::select! {
                () = &mut interrupt => return Ok(Ended::Interrupted),
                () = tokio::time::sleep(GLANCE) => {}
            }
        }
    }

    /// New entries of the log, of our machines.
    async fn news(&mut self) -> anyhow::Result<Vec<LogEntry>> {
        let mut news = Vec::new();
        loop {
            let page = self.engine.deployments.events(self.seen, PAGE).await?;
            let complete = page.len() < PAGE;
            if let Some(entry) = page.last() {
                self.seen = entry.id;
            }
            news.extend(
                page.into_iter().filter(|entry| self.records.iter().any(|record| record.key == entry.key)),
            );
            if complete {
                break;
            }
        }
        for entry in &news {
            self.last.insert(entry.key, entry.clone());
        }
        Ok(news)
    }

    async fn refresh(&mut self, news: &[LogEntry], all: bool, goal: Step) -> anyhow::Result<()> {
        let touched: BTreeSet<VmKey> = news.iter().map(|entry| entry.key).collect();
        for record in &mut self.records {
            let stale = touched.contains(&record.key) || (all && record.step != goal);
            if stale && let Some(now) = self.engine.deployments.status(record.key).await? {
                *record = now;
            }
        }
        Ok(())
    }
}

/// What a machine waits for, or what happened to it last, in a few words.
pub(crate) fn words(record: &VmRecord, last: Option<&LogEntry>) -> String {
    if let Some(attention) = &record.attention {
        return format!("needs attention: {}", attention.message);
    }
    // What happened at an earlier step says nothing about this one.
    let Some(entry) = last.filter(|entry| entry.line.step == record.step) else { return String::new() };
    match &entry.line.event {
        LogEvent::Failed { message, .. } if record.failures > 0 => {
            format!("try {}: {message}", record.failures + 1)
        }
        LogEvent::Sent { change, .. } => change.clone(),
        event => event.to_string(),
    }
}
