use std::fmt;
use std::sync::Arc;

use http::Method;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use crate::auth::{ApiToken, Credentials, LOGIN, LoginAnswer, Session, Tickets};
use crate::builder::ClientBuilder;
use crate::error::{ApiError, Cause, Failure, Sent};
use crate::lenient;
use crate::params::Params;
use crate::path::{ApiPath, PathError};
use crate::timeouts::Pace;
use crate::transport::{Reply, Request, Transport};

/// A client of one cluster. Cheap to clone; clones share connections and login.
///
/// # Cancel safety
/// Every method is a single request. Dropping its future may happen before or after the request was sent: as after
/// [`Sent::Unknown`], look before repeating anything that is not a read.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Inner>,
    permit: Option<Permit>,
    /// Waits for no place among the requests that may be under way at once.
    goes_first: bool,
}

/// Asked right before each write leaves; where it says why not, the write is held back.
pub(crate) type Permit = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

struct Inner {
    transport: Transport,
    auth: Auth,
}

enum Auth {
    Token(ApiToken),
    Tickets(Tickets),
}

/// What every successful answer looks like.
#[derive(Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) data: T,
    /// How many there are in all, where `data` is a part of a list.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub(crate) total: Option<u64>,
}

impl Client {
    /// Starts to describe a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(crate) fn new(transport: Transport, credentials: Credentials) -> Self {
        let auth = match credentials {
            Credentials::Token(token) => Auth::Token(token),
            Credentials::Password { username, password } => Auth::Tickets(Tickets::new(username, password)),
        };
        Self { shared: Arc::new(Inner { transport, auth }), permit: None, goes_first: false }
    }

    /// This client, with a permit that each of its writes needs: also of those that follow one another, and after the login
    /// that a write may have to wait for.
    pub(crate) fn with_permit(&self, permit: Permit) -> Self {
        Self { permit: Some(permit), ..self.clone() }
    }

    /// This client, for the few requests that others wait for: they go before those that wait for a place.
    pub(crate) fn going_first(&self) -> Self {
        Self { goes_first: true, ..self.clone() }
    }

    /// Any read: `GET` with the parameters as the query.
    ///
    /// # Errors
    /// Every kind of [`ApiError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, params: &Params) -> Result<T, ApiError> {
        self.call(Method::GET, ApiPath::parse(path), params, Pace::Read).await
    }

    /// Any `POST`, with the parameters as a form. Time-out: [`Timeouts::long_write`](crate::Timeouts::long_write), for
    /// what is not known here may do its work before it answers, and a time-out leaves its outcome unknown.
    ///
    /// # Errors
    /// Every kind of [`ApiError`]; [`ApiError::sent`] says whether it may be repeated.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, params: &Params) -> Result<T, ApiError> {
        self.call(Method::POST, ApiPath::parse(path), params, Pace::LongWrite).await
    }

    /// Any `PUT`, with the parameters as a form. Time-out: [`Timeouts::long_write`](crate::Timeouts::long_write).
    ///
    /// # Errors
    /// Every kind of [`ApiError`]; [`ApiError::sent`] says whether it may be repeated.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, params: &Params) -> Result<T, ApiError> {
        self.call(Method::PUT, ApiPath::parse(path), params, Pace::LongWrite).await
    }

    /// Any `DELETE`, with the parameters as the query (PVE refuses a body). Time-out:
    /// [`Timeouts::long_write`](crate::Timeouts::long_write).
    ///
    /// # Errors
    /// Every kind of [`ApiError`]; [`ApiError::sent`] says whether it may be repeated.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str, params: &Params) -> Result<T, ApiError> {
        self.call(Method::DELETE, ApiPath::parse(path), params, Pace::LongWrite).await
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: Result<ApiPath, PathError>,
        params: &Params,
        pace: Pace,
    ) -> Result<T, ApiError> {
        self.exchange(method, path, params, pace).await.map(|envelope| envelope.data)
    }

    /// The one place that every request goes through.
    pub(crate) async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: Result<ApiPath, PathError>,
        params: &Params,
        pace: Pace,
    ) -> Result<Envelope<T>, ApiError> {
        let path = path.map_err(|error| {
            ApiError::new(method.clone(), "", Sent::No, Cause::Invalid(error.to_string()))
        })?;
        let span = tracing::debug_span!("pve", %method, %path, ?params);
        let request = Request { method, path: &path, params, pace };
        let outcome = async {
            let outcome = match self.authorised(&request).await {
                Ok(reply) => decode(&request, &reply),
                Err(error) => Err(error),
            };
            match &outcome {
                Ok(_) => tracing::debug!("answered"),
                Err(error) => tracing::debug!(%error, class = ?error.class(), "failed"),
            }
            outcome
        };
        outcome.instrument(span).await
    }

    async fn authorised(&self, request: &Request<'_>) -> Result<Reply, ApiError> {
        let tickets = match &self.shared.auth {
            Auth::Token(token) => return self.send(request, &token_headers(token, request)?).await,
            Auth::Tickets(tickets) => tickets,
        };
        let session = self.session(tickets).await?;
        let outcome = self.send(request, &ticket_headers(&session, request)?).await;
        match outcome {
            // Refused before anything was done: once more with a fresh ticket. A ticket becomes invalid early when the
            // password changes or the clock of a node jumps.
            Err(error) if error.class() == Failure::Unauthorized => {
                tickets.forget(&session);
                let session = self.session(tickets).await?;
                self.send(request, &ticket_headers(&session, request)?).await
            }
            outcome => outcome,
        }
    }

    async fn send(&self, request: &Request<'_>, headers: &HeaderMap) -> Result<Reply, ApiError> {
        // The permit is asked right before the request leaves, thus after that wait.
        let _place = if self.goes_first { None } else { self.shared.transport.place().await };
        if let Some(permit) = self.permit.as_ref().filter(|_| request.method != Method::GET) {
            permit().map_err(|why| {
                ApiError::new(request.method.clone(), request.path.as_str(), Sent::No, Cause::HeldBack(why))
            })?;
        }
        self.shared.transport.send(request, headers).await
    }

    async fn session(&self, tickets: &Tickets) -> Result<Arc<Session>, ApiError> {
        tickets.session(|params| self.login(params)).await.map_err(|error| unsent(&error))
    }

    async fn login(&self, params: Params) -> Result<Session, ApiError> {
        let path = ApiPath::parse(LOGIN).map_err(|error| {
            ApiError::new(Method::POST, LOGIN, Sent::No, Cause::Invalid(error.to_string()))
        })?;
        let request = Request { method: Method::POST, path: &path, params: &params, pace: Pace::ShortWrite };
        // It waits for no place: others wait for it, and there is one at a time.
        let reply = self.shared.transport.send(&request, &HeaderMap::new()).await?;
        let answer: Envelope<LoginAnswer> = decode(&request, &reply)?;
        answer
            .data
            .into_session()
            .ok_or_else(|| ApiError::new(Method::POST, LOGIN, Sent::Refused, Cause::SecondFactor))
    }
}

/// A failed login: the request that needed it was not sent, however the login itself ended.
fn unsent(error: &ApiError) -> ApiError {
    match error.sent() {
        Sent::No | Sent::Refused => error.clone(),
        Sent::Yes | Sent::Unknown => {
            let problem = format!("the login failed: {}", error.cause());
            ApiError::new(error.method().clone(), error.path(), Sent::No, Cause::Connect(problem))
        }
    }
}

fn token_headers(token: &ApiToken, request: &Request<'_>) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, secret_value(&token.header(), request)?);
    Ok(headers)
}

fn ticket_headers(session: &Session, request: &Request<'_>) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    let cookie = format!("PVEAuthCookie={}", session.ticket.expose_secret());
    headers.insert(COOKIE, secret_value(&cookie, request)?);
    if request.method != Method::GET {
        let csrf = secret_value(session.csrf.expose_secret(), request)?;
        headers.insert(HeaderName::from_static("csrfpreventiontoken"), csrf);
    }
    Ok(headers)
}

fn secret_value(text: &str, request: &Request<'_>) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let problem = "the credentials cannot stand in a header".to_owned();
        ApiError::new(request.method.clone(), request.path.as_str(), Sent::No, Cause::Invalid(problem))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn decode<T: DeserializeOwned>(request: &Request<'_>, reply: &Reply) -> Result<Envelope<T>, ApiError> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        let cause = Cause::Undecodable { status: reply.status, problem: error.to_string() };
        ApiError::new(request.method.clone(), request.path.as_str(), Sent::Yes, cause)
    })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
