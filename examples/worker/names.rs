//! The machines' names, kept where the file says.

use deploy_core::{Clock, DnsStore};
use deploy_dns::{DnsWorker, Providers, Zones};
use std::{sync::Arc, time::Duration};

/// Where names go.
pub(crate) struct Names {
    pub(crate) providers: Providers,
    pub(crate) zones: Zones,
    pub(crate) poll: Option<Duration>,
}

impl Names {
    /// What keeps them.
    pub(crate) fn worker(self, store: Arc<dyn DnsStore>, clock: Arc<dyn Clock>) -> DnsWorker {
        let worker = DnsWorker::new(store, self.providers, self.zones, clock);
        match self.poll {
            Some(poll) => worker.with_poll(poll),
            None => worker,
        }
    }
}
