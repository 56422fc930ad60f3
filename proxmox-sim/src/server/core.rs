//! The cluster with a clock, shared by all connections.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use std::sync::Arc;

use crate::cluster::{CallId, Cluster, Handled};
use crate::reply::Answer;
use crate::request::Request;

/// What connections share.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    started: Instant,
    /// Something was scheduled.
    wake: Notify,
    end: watch::Sender<bool>,
    log_requests: bool,
}

#[derive(Debug)]
struct State {
    cluster: Cluster,
    waiting: BTreeMap<CallId, oneshot::Sender<Answer>>,
}

impl State {
    /// Hands out the answers that have come up.
    fn deliver(&mut self) {
        for (call, answer) in self.cluster.take_answers() {
            if let Some(sender) = self.waiting.remove(&call) {
                // A client that went away does not matter: its request was carried out.
                let _ = sender.send(answer);
            }
        }
    }
}

impl Core {
    pub(super) fn new(cluster: Cluster, log_requests: bool) -> Self {
        Self {
            state: Mutex::new(State { cluster, waiting: BTreeMap::new() }),
            started: Instant::now(),
            wake: Notify::new(),
            end: watch::Sender::new(false),
            log_requests,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a request and waits for its answer.
    pub(super) async fn handle(&self, request: Request) -> Answer {
        let line = self.log_requests.then(|| format!("{} {}", request.method, request.path));
        let receiver = {
            let mut state = self.lock();
            let handled = state.cluster.handle(self.now(), request);
            state.deliver();
            match handled {
                Handled::Now(answer) => Err(answer),
                Handled::Later(call) => {
                    let (sender, receiver) = oneshot::channel();
                    state.waiting.insert(call, sender);
                    Ok(receiver)
                }
            }
        };
        self.wake.notify_one();
        let answer = match receiver {
            Err(answer) => answer,
            Ok(receiver) => {
                receiver.await.unwrap_or(Answer { reply: None, delay: Duration::ZERO, relayed: false })
            }
        };
        if let Some(line) = line {
            let outcome = answer
                .reply
                .as_ref()
                .map_or_else(|| "lost".to_owned(), |r| format!("{} {}", r.status, r.reason));
            // Nothing is to be done about an output that is gone.
            let _ = writeln!(std::io::stderr(), "{:9.3} {line} -> {outcome}", self.now().as_secs_f64());
        }
        answer
    }

    /// Lets time pass in the cluster.
    pub(super) async fn drive(self: Arc<Self>) {
        loop {
            let next = self.with_cluster(|cluster| cluster.next_event());
            let woken = self.wake.notified();
            match next {
                None => woken.await,
                Some(time) => {
                    tokio::select! {
                        biased;
                        () = woken => {}
                        () = tokio::time::sleep_until(self.started + time) => {}
                    }
                }
            }
        }
    }

    /// Something may be due earlier than before.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn with_cluster<T>(&self, look: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut state = self.lock();
        state.cluster.advance(self.now());
        let result = look(&mut state.cluster);
        state.deliver();
        result
    }

    pub(super) fn end(&self) {
        self.end.send_replace(true);
    }

    pub(super) async fn ended(&self) {
        let mut end = self.end.subscribe();
        // The sender lives as long as this does.
        let _ = end.wait_for(|ended| *ended).await;
    }
}
