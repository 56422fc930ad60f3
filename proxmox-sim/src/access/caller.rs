//! Who is asking, and what they may do.

use std::collections::{BTreeMap, BTreeSet};

use crate::reply::Refusal;

/// The authenticated sender of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// `user@realm` or `user@realm!token`.
    pub(crate) name: String,
    rights: Rights,
}

/// What somebody was granted. A token with rights of its own has those that its user has too.
#[derive(Debug, Clone, Default)]
pub(super) struct Rights {
    /// None: everything.
    pub(super) user: Option<Vec<Entry>>,
    pub(super) token: Option<Vec<Entry>>,
    /// Pools of machines.
    pub(super) pools: BTreeMap<u32, String>,
}

/// A role on a path.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) privileges: BTreeSet<String>,
    pub(super) propagate: bool,
}

impl Caller {
    pub(super) fn new(name: &str, rights: Rights) -> Self {
        Self { name: name.to_owned(), rights }
    }

    /// The user root@pam with a ticket. A token of it is not.
    pub(crate) fn is_root(&self) -> bool {
        self.name == "root@pam"
    }

    /// Whether the caller has the privilege on the path, inherited from above or from the pool that
    /// a machine is in.
    pub(crate) fn may(&self, path: &str, privilege: &str) -> bool {
        let has = |entries: &Option<Vec<Entry>>| {
            entries.as_ref().is_none_or(|entries| granted(entries, path).contains(privilege))
        };
        if has(&self.rights.user) && has(&self.rights.token) {
            return true;
        }
        self.pool_of(path).is_some_and(|pool| self.may(&pool, privilege))
    }

    fn pool_of(&self, path: &str) -> Option<String> {
        let vmid = path.strip_prefix("/vms/")?.parse().ok()?;
        self.rights.pools.get(&vmid).map(|pool| format!("/pool/{pool}"))
    }

    /// All privileges on a path, out of those that there are.
    pub(crate) fn privileges(&self, path: &str, all: &BTreeSet<&'static str>) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = all.iter().map(|name| (*name).to_owned()).collect();
        for entry in self.rights.user.iter().chain(&self.rights.token).flatten() {
            names.extend(entry.privileges.iter().cloned());
        }
        names.retain(|name| self.may(path, name));
        names
    }

    pub(crate) fn need(&self, path: &str, privileges: &[&str]) -> Result<(), Refusal> {
        if privileges.iter().any(|privilege| self.may(path, privilege)) {
            return Ok(());
        }
        Err(Refusal::Forbidden(format!("Permission check failed ({path}, {})", privileges.join("|"))))
    }
}

/// What entries grant on a path: those of the deepest path above it that has any.
fn granted<'a>(entries: &'a [Entry], path: &str) -> BTreeSet<&'a str> {
    let covers = |entry: &&Entry| {
        let base = entry.path.trim_end_matches('/');
        let rest = path.strip_prefix(base);
        let inherited = rest.is_some_and(|rest| rest.starts_with('/') && rest != "/");
        rest.is_some_and(|rest| rest.is_empty() || rest == "/") || (entry.propagate && inherited)
    };
    let covering: Vec<&Entry> = entries.iter().filter(covers).collect();
    let deepest = covering.iter().map(|entry| entry.path.trim_end_matches('/').len()).max();
    let decisive = covering.into_iter().filter(|e| Some(e.path.trim_end_matches('/').len()) == deepest);
    decisive.flat_map(|entry| entry.privileges.iter().map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, privilege: &str, propagate: bool) -> Entry {
        Entry { path: path.to_owned(), privileges: BTreeSet::from([privilege.to_owned()]), propagate }
    }

    #[test]
    fn a_deeper_entry_takes_the_place_of_what_is_inherited() {
        let entries =
            vec![entry("/", "Sys.Audit", true), entry("/vms", "VM.Audit", true), entry("/pool", "X", false)];
        let rights = Rights { user: Some(entries), ..Rights::default() };
        let caller = Caller::new("a@pve", rights);
        assert!(caller.may("/nodes/pve1", "Sys.Audit") && caller.may("/vms/100", "VM.Audit"));
        assert!(!caller.may("/vms/100", "Sys.Audit"), "the entry of /vms is the only one that counts");
        assert!(caller.may("/pool", "X") && !caller.may("/pool/p", "X"));
    }

    #[test]
    fn a_separate_token_has_what_both_have() {
        let both = Rights {
            user: Some(vec![entry("/vms", "VM.Audit", true)]),
            token: Some(vec![entry("/vms/100", "VM.Audit", true)]),
            pools: BTreeMap::new(),
        };
        let caller = Caller::new("a@pve!t", both);
        assert!(caller.may("/vms/100", "VM.Audit") && !caller.may("/vms/101", "VM.Audit"));
    }
}
