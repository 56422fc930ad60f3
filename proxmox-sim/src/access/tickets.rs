//! Tickets and the tokens against forged requests.

use sha2::{Digest, Sha256};

use super::hex;

/// Life of a ticket in seconds.
const LIFE: u64 = 7200;

/// The key that tickets are signed with.
#[derive(Debug)]
pub(super) struct Tickets {
    key: String,
}

impl Tickets {
    pub(super) fn new(key: String) -> Self {
        Self { key }
    }

    /// A ticket and its CSRF token.
    pub(super) fn issue(&self, user: &str, now: u64) -> (String, String) {
        let body = format!("PVE:{user}:{now:08X}");
        (format!("{body}::{}", self.sign(&body)), self.csrf(user))
    }

    /// The user of a ticket that is valid now.
    pub(super) fn user(&self, ticket: &str, now: u64) -> Option<String> {
        let (body, signature) = ticket.split_once("::")?;
        let [_, user, time] = body.split(':').collect::<Vec<_>>()[..] else {
            return None;
        };
        let made = u64::from_str_radix(time, 16).ok()?;
        (self.sign(body) == signature && now.saturating_sub(made) < LIFE).then(|| user.to_owned())
    }

    pub(super) fn csrf(&self, user: &str) -> String {
        self.sign(&format!("csrf:{user}"))
    }

    fn sign(&self, text: &str) -> String {
        hex(&Sha256::digest(format!("{}:{text}", self.key)))
    }
}
