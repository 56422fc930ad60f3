use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::error::{ApiError, Failure};
use crate::params::Params;

/// Where tickets come from.
pub(crate) const LOGIN: &str = "/access/ticket";

/// A ticket lives for two hours.
const RENEW_AFTER: Duration = Duration::from_secs(90 * 60);
const USABLE_FOR: Duration = Duration::from_secs(110 * 60);

/// How long a refusal of the password is believed. Every 401 takes the server 3 s; a hundred waiting requests that
/// asked one after the other would wait for minutes to learn the same.
const REFUSAL_HOLDS: Duration = Duration::from_secs(5);

/// A ticket and the token that writes need beside it.
pub(crate) struct Session {
    pub(crate) ticket: SecretString,
    pub(crate) csrf: SecretString,
    since: Instant,
}

#[derive(Deserialize)]
pub(crate) struct LoginAnswer {
    ticket: String,
    #[serde(rename = "CSRFPreventionToken")]
    csrf: Option<String>,
    #[serde(rename = "NeedTFA", default)]
    second_factor: Option<serde_json::Value>,
}

impl LoginAnswer {
    /// The session, or `None` if the server wants a second factor.
    pub(crate) fn into_session(self) -> Option<Session> {
        if self.second_factor.is_some_and(|value| value != 0 && value != "0" && value != false) {
            return None;
        }
        Some(Session { ticket: self.ticket.into(), csrf: self.csrf?.into(), since: Instant::now() })
    }
}

/// The sessions of one account, of which one is current.
///
/// Each generation is a cell that is filled once: whoever comes first logs in, the others wait for the outcome, and if
/// the first one is dropped in the middle the next one takes over. No lock is held while the server is asked.
pub(crate) struct Tickets {
    username: String,
    password: SecretString,
    current: Mutex<Arc<Generation>>,
}

#[derive(Default)]
struct Generation {
    /// Serves as the password of the renewal, and is good for a while if that fails.
    previous: Option<Arc<Session>>,
    session: OnceCell<Arc<Session>>,
    refused: Mutex<Option<(Instant, ApiError)>>,
}

impl Tickets {
    pub(crate) fn new(username: String, password: SecretString) -> Self {
        Self { username, password, current: Mutex::default() }
    }

    /// The current session; logs in or renews where needed, through `login`.
    pub(crate) async fn session<F>(&self, login: impl Fn(Params) -> F) -> Result<Arc<Session>, ApiError>
    where
        F: Future<Output = Result<Session, ApiError>>,
    {
        let generation = self.generation();
        if let Some(session) = generation.session.get() {
            return Ok(Arc::clone(session));
        }
        let outcome = generation.session.get_or_try_init(|| self.fill(&generation, login)).await;
        match (outcome, &generation.previous) {
            (Ok(session), _) => Ok(Arc::clone(session)),
            // The renewal failed, but the ticket is still good: the request itself will show what is wrong.
            (Err(_), Some(previous)) if previous.since.elapsed() < USABLE_FOR => Ok(Arc::clone(previous)),
            (Err(error), _) => Err(error),
        }
    }

    /// Forgets a session that the server refused. The next request logs in with the password.
    pub(crate) fn forget(&self, refused: &Arc<Session>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let known = current.session.get().or(current.previous.as_ref());
        if known.is_some_and(|session| Arc::ptr_eq(session, refused)) {
            *current = Arc::default();
        }
    }

    /// The current generation, or a new one when it is time to renew.
    fn generation(&self) -> Arc<Generation> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = current.session.get()
            && session.since.elapsed() >= RENEW_AFTER
        {
            let previous = Some(Arc::clone(session));
            *current = Arc::new(Generation { previous, ..Generation::default() });
        }
        Arc::clone(&current)
    }

    async fn fill<F>(
        &self,
        generation: &Generation,
        login: impl Fn(Params) -> F,
    ) -> Result<Arc<Session>, ApiError>
    where
        F: Future<Output = Result<Session, ApiError>>,
    {
        let recent = generation.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((when, error)) = recent
            && when.elapsed() < REFUSAL_HOLDS
        {
            return Err(error);
        }
        if let Some(previous) = &generation.previous {
            // A valid ticket is accepted in place of the password.
            match login(self.params(&previous.ticket)).await {
                Err(error) if error.class() == Failure::Unauthorized => {}
                outcome => return outcome.map(Arc::new),
            }
        }
        let outcome = login(self.params(&self.password)).await;
        if let Err(error) = &outcome
            && error.class() == Failure::Unauthorized
        {
            let mut refused = generation.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = Some((Instant::now(), error.clone()));
        }
        outcome.map(Arc::new)
    }

    fn params(&self, password: &SecretString) -> Params {
        Params::new().set("username", &self.username).set("password", password.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Method;

    use super::*;
    use crate::error::{Answer, Sent};

    fn tickets() -> Tickets {
        Tickets::new("root@pam".to_owned(), "secret".to_owned().into())
    }

    fn session(ticket: &str) -> Session {
        Session { ticket: ticket.to_owned().into(), csrf: "c".to_owned().into(), since: Instant::now() }
    }

    fn refused() -> ApiError {
        let answer = Answer {
            status: 401,
            message: "authentication failure".to_owned(),
            errors: std::collections::BTreeMap::new(),
        };
        ApiError::new(Method::POST, LOGIN, Sent::Refused, answer)
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_log_in_once() {
        let tickets = tickets();
        let logins = AtomicUsize::new(0);
        let login = |_: Params| async {
            logins.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(session("a"))
        };
        let (a, b, c) = tokio::join!(tickets.session(login), tickets.session(login), tickets.session(login));
        assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()));
        assert_eq!(c.unwrap().ticket.expose_secret(), "a");
        assert_eq!(logins.into_inner(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_login_is_taken_over() {
        let tickets = tickets();
        let hang = |_: Params| std::future::pending::<Result<Session, ApiError>>();
        let waited = tokio::time::timeout(Duration::from_secs(1), tickets.session(hang)).await;
        assert!(waited.is_err());
        let next = tickets.session(|_| async { Ok(session("b")) }).await.unwrap();
        assert_eq!(next.ticket.expose_secret(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn renews_with_the_ticket_and_survives_a_failed_renewal() {
        let tickets = tickets();
        tickets.session(|_| async { Ok(session("a")) }).await.unwrap();
        tokio::time::advance(RENEW_AFTER).await;
        let lost = || ApiError::new(Method::POST, LOGIN, Sent::Unknown, crate::error::Cause::TimedOut);
        let kept = tickets.session(|_| async { Err(lost()) }).await.unwrap();
        assert_eq!(kept.ticket.expose_secret(), "a");
        let renewed = tickets
            .session(|params| async move {
                assert_eq!(params.value("password"), Some("a"));
                Ok(session("b"))
            })
            .await
            .unwrap();
        assert_eq!(renewed.ticket.expose_secret(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_ticket_gives_way_to_the_password() {
        let tickets = tickets();
        tickets.session(|_| async { Ok(session("a")) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(3 * 3600)).await;
        let renewed = tickets
            .session(|params| async move {
                if params.value("password") == Some("secret") { Ok(session("b")) } else { Err(refused()) }
            })
            .await
            .unwrap();
        assert_eq!(renewed.ticket.expose_secret(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_session_is_forgotten_once_and_a_refused_password_for_a_moment() {
        let tickets = tickets();
        let first = tickets.session(|_| async { Ok(session("a")) }).await.unwrap();
        tickets.forget(&first);
        let logins = AtomicUsize::new(0);
        let login = |_: Params| async {
            logins.fetch_add(1, Ordering::Relaxed);
            Err(refused())
        };
        for _ in 0..3 {
            assert_eq!(
                tickets.session(login).await.err().map(|error| error.class()),
                Some(Failure::Unauthorized)
            );
        }
        assert_eq!(logins.load(Ordering::Relaxed), 1);
        tokio::time::advance(REFUSAL_HOLDS).await;
        let second = tickets.session(|_| async { Ok(session("b")) }).await.unwrap();
        tickets.forget(&first);
        let still = tickets.session(|_| async { Err(refused()) }).await.unwrap();
        assert!(Arc::ptr_eq(&second, &still), "a late refusal of an older session drops no newer one");
    }
}
