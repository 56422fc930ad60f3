//! Who runs the server.

use crate::ServerError;
use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

/// The user that the server runs as: whoever runs the tests, but never root, whom `initdb` and `postgres` refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user of this process.
    Own,
    /// Another one, since this process is root's.
    Other {
        /// The user's number.
        uid: u32,
        /// The number of the user's group.
        gid: u32,
    },
}

impl Account {
    /// The account that can run a server. `ours` is something that this process has just made.
    pub(crate) fn choose(ours: &Path) -> Result<Self, ServerError> {
        let owner = fs::metadata(ours).map_err(ServerError::io(ours.display().to_string()))?.uid();
        if owner != 0 {
            return Ok(Self::Own);
        }
        let known = fs::read_to_string("/etc/passwd").map_err(ServerError::io("/etc/passwd"))?;
        ["postgres", "nobody"].iter().find_map(|name| entry(&known, name)).ok_or_else(|| {
            ServerError::Unusable(
                "PostgreSQL refuses to run as root, and /etc/passwd has neither postgres nor nobody to run it as".into(),
            )
        })
    }

    /// Makes `command` run as this user.
    pub(crate) fn run(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Makes `path` this user's.
    pub(crate) fn own(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        }
    }
}

/// The user `name` in the text of `/etc/passwd`.
fn entry(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Account::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgresql:x:7:7::/:/bin/sh\npostgres:x:101:104:PG,,,:/v:/bin/bash\n";
        assert_eq!(entry(passwd, "postgres"), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(entry(passwd, "nobody"), None);
        assert_eq!(entry("postgres:x:many:1::/:", "postgres"), None);
    }
}
