use crate::{dice::Dice, flag::Flag, weather::Weather};
use async_trait::async_trait;
use http::{HeaderMap, StatusCode, header::AsHeaderName};
use hyper::ext::ReasonPhrase;
use proxmox_api::{Carrier, Cause, Uncarried};
use proxmox_sim::{Answer, InProcess, Reply, Request};
use std::{sync::Arc, time::Duration};
use tokio_util::task::AbortOnDropHandle;

/// Longer no request is under way: less than the time that late ones are waited for.
const LONGEST_WAY: u64 = 25_000;

/// The network between one worker process and the cluster.
pub(crate) struct Wire {
    pub(crate) sim: Arc<InProcess>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) dice: Dice,
    pub(crate) frozen: Arc<Flag>,
}

#[async_trait]
impl Carrier for Wire {
    async fn carry(
        &self,
        request: http::Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Uncarried> {
        let slow = self.dice.chance(self.weather.slow_wire());
        let way = if slow { self.dice.millis(100..LONGEST_WAY) } else { self.dice.millis(0..4) };
        let goes_down_with_its_sender = self.dice.chance(0.3);
        let (sim, request) = (Arc::clone(&self.sim), received(request));
        // On its way it needs nobody any more: it arrives also when its sender has died or given up.
        let delivery = tokio::spawn(async move {
            tokio::time::sleep(way).await;
            sim.handle(request).await
        });
        let answer = if goes_down_with_its_sender {
            tokio::time::timeout(limit, AbortOnDropHandle::new(delivery)).await
        } else {
            tokio::time::timeout(limit, delivery).await
        };
        self.frozen.until(false).await;
        match answer {
            Err(_) => Err(Uncarried::Unanswered(Cause::TimedOut)),
            Ok(Ok(Answer { reply: Some(reply), .. })) => sent(&reply),
            Ok(Ok(Answer { reply: None, .. }) | Err(_)) => {
                Err(Uncarried::Unanswered(Cause::Broken("connection reset by peer".to_owned())))
            }
        }
    }
}

fn received(request: http::Request<Vec<u8>>) -> Request {
    let (head, body) = request.into_parts();
    Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content_type: text(&head.headers, http::header::CONTENT_TYPE),
        body,
        chunked: false,
        authorization: text(&head.headers, http::header::AUTHORIZATION),
        cookie: text(&head.headers, http::header::COOKIE),
        csrf: text(&head.headers, "csrfpreventiontoken"),
    }
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn sent(reply: &Reply) -> Result<http::Response<Vec<u8>>, Uncarried> {
    let broken = |what: &dyn std::fmt::Display| Uncarried::Unanswered(Cause::Broken(what.to_string()));
    let body = reply.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut answer = http::Response::new(body.into_bytes());
    *answer.status_mut() = StatusCode::from_u16(reply.status).map_err(|error| broken(&error))?;
    let reason = ReasonPhrase::try_from(reply.reason.as_bytes()).map_err(|error| broken(&error))?;
    answer.extensions_mut().insert(reason);
    Ok(answer)
}
