//! Users, tokens, their rights, and the secret behind the tickets.

mod caller;
pub(crate) mod roles;
mod tickets;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use caller::Caller;
use caller::{Entry, Rights};
use tickets::Tickets;

use crate::config::{Grant, TokenConfig};
use crate::reply::Refusal;
use crate::request::Request;
use crate::version::Version;

/// A user of the server's own realm, or root.
#[derive(Debug, Default)]
struct User {
    password: Option<String>,
}

#[derive(Debug)]
struct Token {
    secret: String,
    /// Has rights of its own only.
    separate: bool,
    /// Unix time, 0 for never.
    expire: u64,
    /// May do everything, whatever is granted to the user.
    unlimited: bool,
}

/// A line of the access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AclEntry {
    pub(crate) path: String,
    /// User or token.
    pub(crate) who: String,
    pub(crate) role: String,
    pub(crate) propagate: bool,
}

/// Everybody who may come in, and with what rights.
#[derive(Debug)]
pub(crate) struct Accounts {
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, Token>,
    pub(crate) acl: Vec<AclEntry>,
    /// Privileges that were granted without a role.
    grants: Vec<(String, Grant)>,
    tickets: Tickets,
    version: Version,
}

/// What a new token is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewToken<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) separate: bool,
    pub(crate) expire: u64,
}

/// The user who may do everything.
pub(crate) const ROOT: &str = "root@pam";

impl Accounts {
    pub(crate) fn new(tokens: &[TokenConfig], password: &str, seed: u64, version: Version) -> Self {
        let mut accounts = Self {
            users: BTreeMap::from([("root@pam".to_owned(), User { password: Some(password.to_owned()) })]),
            tokens: BTreeMap::new(),
            acl: Vec::new(),
            grants: Vec::new(),
            tickets: Tickets::new(format!("{seed}/{password}")),
            version,
        };
        for token in tokens {
            let user = token.id.split('!').next().unwrap_or(&token.id).to_owned();
            accounts.users.entry(user).or_default();
            let unlimited = token.grants.is_none();
            let made = Token { secret: token.secret.clone(), separate: true, expire: 0, unlimited };
            accounts.tokens.insert(token.id.clone(), made);
            for grant in token.grants.iter().flatten() {
                accounts.grants.push((token.id.clone(), grant.clone()));
            }
        }
        accounts
    }

    pub(crate) fn has_user(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    pub(crate) fn has_token(&self, id: &str) -> bool {
        self.tokens.contains_key(id)
    }

    pub(crate) fn add_user(&mut self, user: &str, password: Option<&str>) {
        self.users.insert(user.to_owned(), User { password: password.map(str::to_owned) });
    }

    pub(crate) fn add_token(&mut self, new: NewToken<'_>) {
        let NewToken { id, secret, separate, expire } = new;
        let token = Token { secret: secret.to_owned(), separate, expire, unlimited: false };
        self.tokens.insert(id.to_owned(), token);
    }

    /// Gives a token privileges beside its roles.
    pub(crate) fn grant(&mut self, id: &str, grant: Grant) {
        self.grants.push((id.to_owned(), grant));
    }

    /// Paths on which somebody has a role or a privilege.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        let roles = self.acl.iter().map(|entry| entry.path.as_str());
        roles.chain(self.grants.iter().map(|(_, grant)| grant.path.as_str()))
    }

    /// Forgets what was granted on the path of a machine that is gone.
    pub(crate) fn forget_machine(&mut self, vmid: u32) {
        let path = format!("/vms/{vmid}");
        self.acl.retain(|entry| entry.path != path);
        self.grants.retain(|(_, grant)| grant.path != path);
    }

    /// Finds out who sends the request. The texts of the two lines differ.
    pub(crate) fn authenticate(
        &self,
        request: &Request,
        now: u64,
        pools: &BTreeMap<String, Vec<u32>>,
    ) -> Result<Caller, Refusal> {
        let refuse = |old: String| {
            let text = if self.version == Version::V9_2 { "Authentication failed!".to_owned() } else { old };
            Err(Refusal::Unauthenticated(text))
        };
        let token = request.authorization.as_deref().and_then(|a| a.strip_prefix("PVEAPIToken"));
        if let Some(value) = token {
            let credential = value.trim_start_matches(['=', ' ']);
            return self.token(credential, now).map(|id| self.caller(&id, pools)).or_else(refuse);
        }
        let cookies = request.cookie.as_deref().unwrap_or_default();
        let Some(ticket) = cookies.split(';').find_map(|c| c.trim().strip_prefix("PVEAuthCookie=")) else {
            return Err(Refusal::Unauthenticated("No ticket".to_owned()));
        };
        let ticket = percent_encoding::percent_decode_str(ticket).decode_utf8_lossy();
        let Some(user) = self.tickets.user(&ticket, now) else {
            return refuse("permission denied - invalid PVE ticket".to_owned());
        };
        if request.method != "GET" && request.csrf.as_deref() != Some(self.tickets.csrf(&user).as_str()) {
            return Err(Refusal::Unauthenticated("Permission denied - invalid csrf token".to_owned()));
        }
        Ok(self.caller(&user, pools))
    }

    /// Checks a token in the order in which the server does; the error is the older line's text.
    fn token(&self, credential: &str, now: u64) -> Result<String, String> {
        let parts = credential.split_once('=').filter(|(id, _)| id.contains('!'));
        let (id, secret) = parts.ok_or_else(|| "no tokenid specified".to_owned())?;
        let (user, name) = id.split_once('!').unwrap_or((id, ""));
        if !self.users.contains_key(user) {
            return Err(format!("no such user ('{user}')"));
        }
        let token = self.tokens.get(id).ok_or_else(|| format!("no such token '{name}' for user '{user}'"))?;
        if token.expire > 0 && token.expire < now {
            return Err(format!("token '{name}' access expired"));
        }
        if token.secret != secret {
            return Err("invalid token value!".to_owned());
        }
        Ok(id.to_owned())
    }

    fn caller(&self, name: &str, pools: &BTreeMap<String, Vec<u32>>) -> Caller {
        let user = name.split('!').next().unwrap_or(name);
        let token = self.tokens.get(name);
        let mut rights = Rights { user: Some(self.entries(user)), token: None, pools: BTreeMap::new() };
        // What is configured for a token is not limited by its user.
        let configured = self.grants.iter().any(|(who, _)| who == name);
        if user == "root@pam" || token.is_some_and(|token| token.unlimited) || configured {
            rights.user = None;
        }
        if token.is_some_and(|token| token.separate && !token.unlimited) {
            rights.token = Some(self.entries(name));
        }
        if rights.user.is_some() || rights.token.is_some() {
            let members = pools.iter().flat_map(|(pool, vms)| vms.iter().map(|vm| (*vm, pool.clone())));
            rights.pools = members.collect();
        }
        Caller::new(name, rights)
    }

    fn entries(&self, who: &str) -> Vec<Entry> {
        let of_roles = self.acl.iter().filter(|entry| entry.who == who).map(|entry| Entry {
            path: entry.path.clone(),
            privileges: roles::role(&entry.role, self.version)
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            propagate: entry.propagate,
        });
        let granted = self.grants.iter().filter(|(id, _)| id == who).map(|(_, grant)| Entry {
            path: grant.path.clone(),
            privileges: grant.privileges.iter().cloned().collect::<BTreeSet<_>>(),
            propagate: true,
        });
        of_roles.chain(granted).collect()
    }

    /// A ticket and its CSRF token, for the right password or a ticket that is still valid.
    pub(crate) fn login(&self, user: &str, password: &str, now: u64) -> Result<(String, String), Refusal> {
        let known = self.users.get(user);
        let renewed = self.tickets.user(password, now).is_some_and(|name| name == user);
        let right = known.is_some_and(|known| known.password.as_deref() == Some(password));
        if known.is_none() || !(renewed || right) {
            return Err(Refusal::Login("authentication failure".to_owned()));
        }
        Ok(self.tickets.issue(user, now))
    }

    /// The rights of somebody who has just logged in.
    pub(crate) fn rights_of(&self, user: &str, pools: &BTreeMap<String, Vec<u32>>) -> Caller {
        self.caller(user, pools)
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
