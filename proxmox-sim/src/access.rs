//! Who is asking, and what they may do.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::config::{Grant, TokenConfig};
use crate::reply::Refusal;
use crate::request::Request;
use crate::version::Version;

/// The authenticated sender of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// `user@realm` or `user@realm!token`.
    pub(crate) name: String,
    grants: Option<Vec<Grant>>,
}

impl Caller {
    /// The user root@pam with a ticket. A token of it is not.
    pub(crate) fn is_root(&self) -> bool {
        self.name == "root@pam"
    }

    /// Whether the caller has the privilege on the path, or on one above it.
    pub(crate) fn may(&self, path: &str, privilege: &str) -> bool {
        let Some(grants) = &self.grants else {
            return true;
        };
        grants.iter().any(|grant| {
            let base = grant.path.trim_end_matches('/');
            let covers = path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            covers && grant.privileges.iter().any(|p| p == privilege)
        })
    }

    pub(crate) fn need(&self, path: &str, privileges: &[&str]) -> Result<(), Refusal> {
        if privileges.iter().any(|privilege| self.may(path, privilege)) {
            return Ok(());
        }
        Err(Refusal::Forbidden(format!("Permission check failed ({path}, {})", privileges.join("|"))))
    }

    pub(crate) fn grants(&self) -> Option<&[Grant]> {
        self.grants.as_deref()
    }
}

/// Tokens, and the secret behind the tickets.
#[derive(Debug)]
pub(crate) struct Accounts {
    tokens: BTreeMap<String, TokenConfig>,
    password: String,
    key: String,
    version: Version,
}

/// Life of a ticket in seconds.
const TICKET_LIFE: u64 = 7200;

impl Accounts {
    pub(crate) fn new(tokens: &[TokenConfig], password: &str, seed: u64, version: Version) -> Self {
        Self {
            tokens: tokens.iter().map(|token| (token.id.clone(), token.clone())).collect(),
            password: password.to_owned(),
            key: format!("{seed}/{password}"),
            version,
        }
    }

    /// Finds out who sends the request. The texts of the two lines differ.
    pub(crate) fn authenticate(&self, request: &Request, now: u64) -> Result<Caller, Refusal> {
        let refuse = |old: String| {
            let text = if self.version == Version::V9_2 { "Authentication failed!".to_owned() } else { old };
            Err(Refusal::Unauthenticated(text))
        };
        if let Some(value) = request.authorization.as_deref().and_then(|a| a.strip_prefix("PVEAPIToken")) {
            let value = value.trim_start_matches(['=', ' ']);
            let Some((id, secret)) = value.split_once('=').filter(|(id, _)| id.contains('!')) else {
                return refuse("no tokenid specified".to_owned());
            };
            let Some(token) = self.tokens.get(id) else {
                let (user, name) = id.split_once('!').unwrap_or((id, ""));
                return refuse(format!("no such token '{name}' for user '{user}'"));
            };
            if token.secret != secret {
                return refuse("invalid token value!".to_owned());
            }
            return Ok(Caller { name: token.id.clone(), grants: token.grants.clone() });
        }
        let cookies = request.cookie.as_deref().unwrap_or_default();
        let Some(ticket) = cookies.split(';').find_map(|c| c.trim().strip_prefix("PVEAuthCookie=")) else {
            return Err(Refusal::Unauthenticated("No ticket".to_owned()));
        };
        let ticket = percent_encoding::percent_decode_str(ticket).decode_utf8_lossy();
        let Some(user) = self.ticket_user(&ticket, now) else {
            return refuse("permission denied - invalid PVE ticket".to_owned());
        };
        if request.method != "GET" && request.csrf.as_deref() != Some(self.csrf(&user).as_str()) {
            return Err(Refusal::Unauthenticated("Permission denied - invalid csrf token".to_owned()));
        }
        Ok(Caller { name: user, grants: None })
    }

    /// A ticket and its CSRF token, for the right password or a ticket that is still valid.
    pub(crate) fn login(&self, user: &str, password: &str, now: u64) -> Result<(String, String), Refusal> {
        let renewed = self.ticket_user(password, now).is_some_and(|name| name == user);
        if user != "root@pam" || !(renewed || password == self.password) {
            return Err(Refusal::Login("authentication failure".to_owned()));
        }
        let body = format!("PVE:{user}:{now:08X}");
        Ok((format!("{body}::{}", self.sign(&body)), self.csrf(user)))
    }

    fn ticket_user(&self, ticket: &str, now: u64) -> Option<String> {
        let (body, signature) = ticket.split_once("::")?;
        let [_, user, time] = body.split(':').collect::<Vec<_>>()[..] else {
            return None;
        };
        let made = u64::from_str_radix(time, 16).ok()?;
        (self.sign(body) == signature && now.saturating_sub(made) < TICKET_LIFE).then(|| user.to_owned())
    }

    fn csrf(&self, user: &str) -> String {
        self.sign(&format!("csrf:{user}"))
    }

    fn sign(&self, text: &str) -> String {
        hex(&Sha256::digest(format!("{}:{text}", self.key)))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
