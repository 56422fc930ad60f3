//! Who we are.

mod ticket;
mod token;

pub use token::{ApiToken, ApiTokenError};

pub(crate) use ticket::{LOGIN, LoginAnswer, Session, Tickets};

use secrecy::SecretString;

/// What the client shows to the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// An API token: nothing to renew, no second factor, and it can be given fewer rights than its user. Best.
    Token(ApiToken),
    /// A user's password, for the few calls that no token may make. The client logs in by itself, renews its ticket
    /// and logs in once more when the server does not know it any longer.
    Password {
        /// The user with the realm, such as `root@pam`.
        username: String,
        /// The password.
        password: SecretString,
    },
}
