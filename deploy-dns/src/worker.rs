//! The loop that takes machines' turns.

use crate::{
    Providers, Zones,
    running::{Bell, RunningDns},
    turn::Turns,
};
use deploy_core::{Clock, DnsStore, RetryPolicy, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// No setting is longer than this: what is meant as "never" must not overflow a sum of times.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps machines' DNS records as they shall be.
///
/// Several may work on one store: each machine is one's at a time. Errors of the store or of the providers do not end it.
#[derive(Clone)]
pub struct DnsWorker {
    turns: Turns,
    poll: Duration,
    machines: usize,
}

impl DnsWorker {
    /// A worker with the default delays. Its clock is the store's, or one that goes alike.
    pub fn new(store: Arc<dyn DnsStore>, providers: Providers, zones: Zones, clock: Arc<dyn Clock>) -> Self {
        let turns = Turns {
            store,
            providers,
            zones: Arc::new(zones),
            clock,
            policy: RetryPolicy::default(),
            lasting: Duration::from_secs(120),
        };
        Self { turns, poll: Duration::from_secs(2), machines: 16 }
    }

    /// Waits so long between tries.
    #[must_use]
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.turns.policy = policy;
        self
    }

    /// How long a machine's records are its own, from two seconds to a day; by default 120 s. After half of it no request is
    /// sent any more. It must be more than twice the longest time-out of a provider; after a crash, the machines that were in
    /// hand stand still for so long.
    #[must_use]
    pub fn with_claims_lasting(mut self, lasting: Duration) -> Self {
        self.turns.lasting = lasting.clamp(Duration::from_secs(2), LONGEST);
        self
    }

    /// Looks into the store at least this often, from every 10 ms to once a day; by default every 2 s.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.clamp(Duration::from_millis(10), LONGEST);
        self
    }

    /// Sees to so many machines at once, at least one; by default 16.
    #[must_use]
    pub fn with_machines(mut self, machines: usize) -> Self {
        self.machines = machines.max(1);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time.
    pub fn start(&self) -> RunningDns {
        let (bell, stop) = (Bell::default(), CancellationToken::new());
        let work = self.clone().work(bell.clone(), stop.clone());
        RunningDns { bell, stop, task: AbortOnDropHandle::new(tokio::spawn(work)) }
    }

    /// Sees to everything that is due now, for those who call it from cron; says how many turns that took.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be asked; turns that fail go on later.
    ///
    /// # Cancel safety
    /// Dropped, it has seen to some machines; those in hand are due again when their claims' time is over.
    pub async fn pass(&self) -> Result<u64, StoreError> {
        self.turns.store.dns_plan(self.turns.zones.fingerprint()).await?;
        let mut taken = 0;
        loop {
            let mut running = JoinSet::new();
            self.claim(&mut running).await?;
            if running.is_empty() {
                return Ok(taken);
            }
            taken += running.len() as u64;
            while let Some(ended) = running.join_next().await {
                note(ended);
            }
        }
    }

    async fn work(self, bell: Bell, stop: CancellationToken) {
        let mut running = JoinSet::new();
        let mut planned = false;
        while !stop.is_cancelled() {
            if !planned {
                let told = self.turns.store.dns_plan(self.turns.zones.fingerprint()).await;
                planned =
                    told.inspect_err(|error| tracing::warn!("the DNS zones were not told: {error}")).is_ok();
            }
            if planned && let Err(error) = self.claim(&mut running).await {
                tracing::warn!("no machines were claimed for their DNS records: {error}");
            }
            let is_full = running.len() >= self.machines;
            let pause = self.pause(planned && !is_full).await;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = running.join_next() => note(ended),
                () = bell.heard(), if !is_full => {}
                () = tokio::time::sleep(pause), if !is_full => {}
            }
        }
        while let Some(ended) = running.join_next().await {
            note(ended);
        }
    }

    /// Claims as many machines as there is room for, and begins their turns.
    async fn claim(&self, running: &mut JoinSet<()>) -> Result<(), StoreError> {
        let room = self.machines.saturating_sub(running.len());
        if room == 0 {
            return Ok(());
        }
        let lasting = SignedDuration::try_from(self.turns.lasting).unwrap_or(SignedDuration::MAX);
        // From before the claims: their time has begun then.
        let begun = Instant::now();
        for claimed in self.turns.store.claim_dns(room, lasting).await? {
            let (turns, key) = (self.turns.clone(), claimed.claim.key);
            running.spawn(async move {
                if let Err(error) = turns.take(claimed, begun).await {
                    tracing::warn!(vm = %key, "a turn of its DNS records was not finished: {error}");
                }
            });
        }
        Ok(())
    }

    /// Until the next look into the store.
    async fn pause(&self, asks: bool) -> Duration {
        let next = if asks { self.turns.store.next_dns_due().await.ok().flatten() } else { None };
        let until = |at: Timestamp| {
            let until = at.duration_since(self.turns.clock.now());
            Duration::try_from(until).unwrap_or(Duration::ZERO).max(Duration::from_millis(10))
        };
        next.map_or(self.poll, |at| until(at).min(self.poll))
    }
}

/// A turn that panics, in a provider or a store, is that machine's alone: it is due again when its claim's time is over.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a turn of DNS records broke down: {error}");
    }
}
