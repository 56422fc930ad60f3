//! One request to one or, while nothing was sent, the next server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use hyper::ext::ReasonPhrase;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::carrier::{Carrier, Uncarried};
use crate::error::{Answer, ApiError, Cause, Sent};
use crate::params::Params;
use crate::path::ApiPath;
use crate::timeouts::{Pace, Timeouts};

/// A request before it is given to a server.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a ApiPath,
    pub(crate) params: &'a Params,
    pub(crate) pace: Pace,
}

/// A successful answer, still as text.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Transport {
    carrier: Arc<dyn Carrier>,
    /// Base addresses up to and with `/api2/json`; never empty.
    bases: Vec<String>,
    /// The server that answered last.
    preferred: AtomicUsize,
    timeouts: Timeouts,
    /// What may be under way at once.
    places: Semaphore,
}

impl Transport {
    pub(crate) fn new(
        carrier: Arc<dyn Carrier>,
        bases: Vec<String>,
        timeouts: Timeouts,
        at_once: usize,
    ) -> Self {
        let places = Semaphore::new(at_once.min(Semaphore::MAX_PERMITS));
        Self { carrier, bases, preferred: AtomicUsize::new(0), timeouts, places }
    }

    /// Waits until another request may be under way, for as long as the place is kept.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed: there is always a place in the end.
        self.places.acquire().await.ok()
    }

    pub(crate) async fn send(&self, request: &Request<'_>, headers: &HeaderMap) -> Result<Reply, ApiError> {
        let mut index = self.preferred.load(Ordering::Relaxed);
        let mut untried = self.bases.len() - 1;
        loop {
            let outcome = self.send_to(&self.bases[index], request, headers).await;
            let next = (index + 1) % self.bases.len();
            match &outcome {
                Err(error) if elsewhere(error, request) => {
                    tracing::debug!(server = %self.bases[index], %error, "server passed over");
                    self.prefer(index, next);
                    if untried > 0 {
                        untried -= 1;
                        index = next;
                        continue;
                    }
                }
                // A node that accepts connections and answers nothing, or perhaps has lost its daemon: not again here, but
                // the next request elsewhere.
                Err(error)
                    if error.status() == Some(595)
                        || (error.status().is_none() && error.sent() == Sent::Unknown) =>
                {
                    self.prefer(index, next);
                }
                _ => {}
            }
            return outcome;
        }
    }

    /// Turns from one server to the next, unless another request has turned already.
    fn prefer(&self, from: usize, to: usize) {
        let _ = self.preferred.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    async fn send_to(
        &self,
        base: &str,
        request: &Request<'_>,
        headers: &HeaderMap,
    ) -> Result<Reply, ApiError> {
        let fail =
            |sent, cause: Cause| ApiError::new(request.method.clone(), request.path.as_str(), sent, cause);
        let message = message(base, request, headers)
            .map_err(|error| fail(Sent::No, Cause::Invalid(error.to_string())))?;
        let answer = self.carrier.carry(message, self.timeouts.of(request.pace)).await;
        let answer = answer.map_err(|lost| match lost {
            Uncarried::NotSent(cause) => fail(Sent::No, cause),
            Uncarried::Unanswered(cause) => fail(Sent::Unknown, cause),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Reply { status: status.as_u16(), body: answer.into_body() });
        }
        let reason = answer.extensions().get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
        let refused = refusal(status, reason, answer.body());
        Err(fail(reached(&refused, request), refused.into()))
    }
}

/// The request as it goes over the wire: parameters in the body of a POST or PUT, else in the query.
fn message(
    base: &str,
    request: &Request<'_>,
    headers: &HeaderMap,
) -> Result<http::Request<Vec<u8>>, http::Error> {
    let in_body = request.method == Method::POST || request.method == Method::PUT;
    let parameters = request.params.encoded();
    let mut url = format!("{base}{}", request.path);
    if !in_body && !request.params.is_empty() {
        url.push('?');
        url.push_str(&parameters);
    }
    let mut message = http::Request::builder().method(request.method.clone()).uri(url).body(Vec::new())?;
    message.headers_mut().clone_from(headers);
    if in_body {
        // A body of known length: PVE refuses chunked ones. The library leaves the length of an empty one out.
        message.headers_mut().insert(CONTENT_LENGTH, parameters.len().into());
        message
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        *message.body_mut() = parameters.into_bytes();
    }
    Ok(message)
}

/// True if the request may be given to another server without a risk.
fn elsewhere(error: &ApiError, request: &Request<'_>) -> bool {
    match error.cause() {
        Cause::Connect(_) => true,
        // The proxy of this node could not reach the daemon beside it. For a path that is handed on to another node
        // it may be that other one, which every server would answer.
        Cause::Answer(answer) => answer.status == 595 && !request.path.is_proxied(),
        // Never for a certificate that is not trusted: that needs a person, not a way around.
        _ => false,
    }
}

/// Reads an error answer. The body is empty for 401, 501 and 59x, and without a message before PVE 8.4.
fn refusal(status: StatusCode, reason: Option<&[u8]>, body: &[u8]) -> Answer {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let reason = reason.map(String::from_utf8_lossy);
    let message = body["message"]
        .as_str()
        .or(reason.as_deref())
        .or_else(|| status.canonical_reason())
        .unwrap_or_default()
        .trim_end()
        .to_owned();
    let errors = body["errors"].as_object().into_iter().flatten();
    let errors = errors.map(|(name, problem)| {
        let problem = problem.as_str().map_or_else(|| problem.to_string(), str::to_owned);
        (name.clone(), problem.trim_end().to_owned())
    });
    Answer { status: status.as_u16(), message, errors: errors.collect() }
}

/// How far a request got that the server answered with an error.
fn reached(answer: &Answer, request: &Request<'_>) -> Sent {
    match answer.status {
        595 => Sent::No,
        // The update of a configuration checks some things, rights among them, after it has written others. The texts
        // of rights are the same early and late.
        400 if answer.errors.values().any(|problem| is_late(problem)) || is_late(&answer.message) => {
            Sent::Yes
        }
        403 if is_config_write(request) => Sent::Yes,
        300..=499 | 501 | 505 | 506 => Sent::Refused,
        500 => Sent::Yes,
        _ => Sent::Unknown,
    }
}

fn is_late(problem: &str) -> bool {
    problem.contains("hotplug problem") || problem.contains("unable to apply pending change")
}

fn is_config_write(request: &Request<'_>) -> bool {
    request.method != Method::GET && request.path.as_str().ends_with("/config")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_from_the_body_or_the_reason_phrase() {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let text = |reason: Option<&str>, body: &str| {
            refusal(status, reason.map(str::as_bytes), body.as_bytes()).message
        };
        let full = r#"{"data":null,"message":"VM is locked (clone)\nand more\n"}"#;
        assert_eq!(text(Some("VM is locked (clone)"), full), "VM is locked (clone)\nand more");
        assert_eq!(text(Some("VM is locked (clone)"), r#"{"data":null}"#), "VM is locked (clone)");
        assert_eq!(text(Some("Broken pipe"), ""), "Broken pipe");
        assert_eq!(text(None, "<html>"), "Internal Server Error");
    }

    #[test]
    fn status_codes_say_how_far_a_request_got() {
        let sent = |status: u16, method: Method, path: &str, errors: &[(&str, &str)]| {
            let errors = errors.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            let answer = Answer { status, message: String::new(), errors };
            let path = ApiPath::parse(path).unwrap();
            reached(&answer, &Request { method, path: &path, params: &Params::new(), pace: Pace::Read })
        };
        let config = "/nodes/pve1/qemu/100/config";
        assert_eq!(sent(400, Method::POST, "/nodes/pve1/qemu/100/clone", &[]), Sent::Refused);
        assert_eq!(sent(400, Method::PUT, config, &[("net0", "hotplug problem - x")]), Sent::Yes);
        assert_eq!(sent(400, Method::PUT, config, &[("net0", "invalid format - x")]), Sent::Refused);
        assert_eq!(sent(403, Method::PUT, config, &[]), Sent::Yes);
        assert_eq!(sent(403, Method::GET, config, &[]), Sent::Refused);
        assert_eq!(sent(401, Method::PUT, config, &[]), Sent::Refused);
        assert_eq!(sent(500, Method::PUT, config, &[]), Sent::Yes);
        assert_eq!(sent(501, Method::PUT, config, &[]), Sent::Refused);
        assert_eq!(sent(595, Method::PUT, config, &[]), Sent::No);
        for status in [502, 596, 597, 599] {
            assert_eq!(sent(status, Method::PUT, config, &[]), Sent::Unknown);
        }
    }
}
