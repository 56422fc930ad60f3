//! Notifications: a hint that something is due, from whichever process.

use crate::{
    PostgresStore, Settings,
    failure::words,
    link::{Wire, connect, dial},
};
use deploy_core::{Doorbell, VmKey};
use futures_util::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// A notification arrives well within this.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(5);

/// A listener at work; dropping it ends it.
#[derive(Debug)]
pub struct Listening {
    _task: AbortOnDropHandle<()>,
}

impl PostgresStore {
    /// Rings the bell when an order or a command was written by any process, so that a worker need not wait for its next look
    /// into the store: one notification for all orders of a transaction, none for what workers write. After each connection
    /// that was lost it wakes the worker once, for what it may have missed.
    ///
    /// It is only a hint. Behind a pooler in transaction mode there are no notifications; the listener notices, says so once,
    /// and workers go on polling. [`Settings::with_listen_url`] leads it past the pooler.
    pub fn listen(&self, doorbell: Arc<dyn Doorbell>) -> Listening {
        let task = tokio::spawn(listen(Arc::clone(self.settings()), doorbell));
        Listening { _task: AbortOnDropHandle::new(task) }
    }
}

async fn listen(settings: Arc<Settings>, doorbell: Arc<dyn Doorbell>) {
    let mut warned = None;
    loop {
        match dial(&settings.listener(), &settings.tls).await {
            Ok((client, wire)) => {
                warned = None;
                let ended = hear(&settings, &client, wire, &*doorbell).await;
                tracing::warn!(error = ended, "the connection that listens was lost");
                // What was said meanwhile is not said again.
                doorbell.wake();
            }
            Err(why) => {
                if warned.as_ref() != Some(&why) {
                    tracing::warn!(
                        error = why,
                        "orders of other processes are found by polling: no connection to listen"
                    );
                    warned = Some(why);
                }
            }
        }
        sleep(PAUSE).await;
    }
}

/// Listens until the connection ends; why, in words.
async fn hear(settings: &Settings, client: &Client, wire: Wire, doorbell: &dyn Doorbell) -> String {
    let mut heard = match wire {
        Wire::Plain(mut connection) => {
            stream::poll_fn(move |context| connection.poll_message(context)).boxed()
        }
        Wire::Encrypted(mut connection) => {
            stream::poll_fn(move |context| connection.poll_message(context)).boxed()
        }
    };
    let probe = format!("probe {}", Uuid::new_v4());
    let introduction = async {
        let listen = settings.schema.fill("LISTEN $schema");
        client.batch_execute(&listen).await.map_err(|error| words(&error))?;
        // From elsewhere, as orders come: what a connection says to itself it hears while its own statement runs, also behind a
        // pooler that throws away what comes after that.
        let other = connect(settings).await?;
        let notify = settings.schema.fill(&format!("SELECT pg_notify($channel, '{probe}')"));
        other.batch_execute(&notify).await.map_err(|error| words(&error))
    };
    tokio::pin!(introduction);
    let (mut introduced, mut heard_it) = (false, false);
    // Until when the probe must be back.
    let mut proof: Option<Instant> = None;
    loop {
        tokio::select! {
            // What is there already is heard before anything is said to be missing.
            biased;
            message = heard.next() => match message {
                Some(Ok(AsyncMessage::Notification(told))) if told.payload() == probe => {
                    heard_it = true;
                    proof = None;
                    doorbell.wake();
                }
                Some(Ok(AsyncMessage::Notification(told))) => ring(told.payload(), doorbell),
                Some(Ok(_)) => {}
                Some(Err(error)) => return words(&error),
                None => return "it was closed".to_owned(),
            },
            answer = &mut introduction, if !introduced => match answer {
                Ok(()) => {
                    introduced = true;
                    // It may be back before whoever sent it is told.
                    proof = (!heard_it).then(|| Instant::now() + COMES_BACK_WITHIN);
                }
                Err(error) => return error,
            },
            () = sleep_until(proof.unwrap_or_else(Instant::now)), if proof.is_some() => {
                proof = None;
                tracing::warn!(
                    "notifications do not arrive, as behind a pooler in transaction mode: orders of other processes are found \
                     by polling; give the listener a URL of its own"
                );
            }
        }
    }
}

/// The payload is the key of a machine with a command, or nothing for orders.
fn ring(payload: &str, doorbell: &dyn Doorbell) {
    if payload.starts_with("probe ") {
        return; // another process's
    }
    match payload.parse::<Uuid>() {
        Ok(key) => doorbell.ring(VmKey(key)),
        Err(_) => doorbell.wake(),
    }
}
