//! When machines at rest are looked for.

use super::{
    Dispatcher,
    jobs::{Done, Job},
};
use crate::audit::{self, AuditReport, Cursors};
use deploy_core::StoreError;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::warn;

/// The rounds of a worker.
pub(super) struct Audits {
    /// When the next one begins; `None` while one is under way, and where there are none.
    at: Option<Instant>,
    cursors: Cursors,
}

impl Audits {
    pub(super) fn new(at: Option<Instant>) -> Self {
        Self { at, cursors: Cursors::default() }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.at
    }
}

impl Dispatcher {
    pub(super) fn audit(&mut self, now: Instant) {
        if self.audits.at.is_none_or(|at| at > now) {
            return;
        }
        self.audits.at = None;
        let mut cursors = std::mem::take(&mut self.audits.cursors);
        let (store, hypervisor) = (Arc::clone(&self.parts.store), Arc::clone(&self.parts.hypervisor));
        self.jobs.start(Job::Audit, async move {
            let result = audit::round(&*store, &*hypervisor, &mut cursors).await;
            Done::Audit(cursors, result)
        });
    }

    pub(super) fn audited(&mut self, cursors: Cursors, result: Result<AuditReport, StoreError>) {
        self.audits.cursors = cursors;
        self.audits.at = self.parts.settings.audit.map(|every| Instant::now() + every);
        match result {
            Ok(report) => report.checked.into_iter().for_each(|key| self.rung(key)),
            Err(error) => warn!(%error, "the machines at rest could not be looked for"),
        }
    }
}
