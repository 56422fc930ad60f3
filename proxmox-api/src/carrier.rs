//! How requests get to a server, and answers back.

mod connector;
mod https;
mod relayed;

pub(crate) use https::Https;

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Cause;

/// Carries one request to a server and its answer back: the network, as far as a [`Client`](crate::Client) is concerned.
///
/// A client brings its own: HTTPS with the trust it was given. Another one, set by
/// [`ClientBuilder::carrier`](crate::ClientBuilder::carrier), is for programs that reach their cluster in a way of their own,
/// and for tests: a simulated cluster in the same process and in virtual time, a network that loses what a test says.
///
/// # Guarantees
/// The request is delivered to the server that its address names once or not at all.
///
/// # Errors
/// [`Uncarried`], which says whether the server may have seen the request. Whoever does not know must say that it may: what
/// was not sent is sent again.
///
/// # Cancel safety
/// A dropped future may or may not have delivered the request, like one whose answer was lost.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Carries a request, and returns the whole answer, whatever its status, within `limit`. A reason phrase that is not the
    /// usual one of the status, which is where PVE says what is wrong, is in the answer's extensions as a
    /// [`hyper::ext::ReasonPhrase`].
    async fn carry(
        &self,
        request: http::Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Uncarried>;
}

/// A request that got no answer, and why.
#[derive(Debug, thiserror::Error)]
pub enum Uncarried {
    /// The server has not seen it.
    #[error("not sent: {0}")]
    NotSent(Cause),
    /// The server may have seen it, and may have carried it out.
    #[error("sent, perhaps: {0}")]
    Unanswered(Cause),
}
