//! The temporary folder of a server, and who removes it.

use crate::{ServerError, account::Account};
use std::{
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

const PREFIX: &str = "throwaway-postgres-";

/// The longest path of a socket (`sun_path` of unix(7), with its final NUL left out).
const LONGEST_SOCKET: usize = 107;

/// What the server's socket adds to the folder's path: as long as it can be.
const SOCKET: &str = "/throwaway-postgres-123456/socket/.s.PGSQL.65535";

/// Stops the server named in the pid file, and removes the folder, once its standard input ends: when the folder is
/// dropped, and when this process ends, however it does.
const WATCHDOG: &str = include_str!("watchdog.sh");

/// A folder for one server. It goes, and with it the server, when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    account: Account,
    watchdog: Child,
    /// Kept open and never written to. Closed by the kernel, too.
    lifeline: Option<ChildStdin>,
}

impl Folder {
    /// Makes it, owned by the account that the server shall run as. What is named in `pid_file`, inside of it, is
    /// stopped before the folder is removed.
    pub(crate) fn make(pid_file: &str) -> Result<Self, ServerError> {
        let wanted = [env::temp_dir(), "/tmp".into(), "/var/tmp".into(), "/dev/shm".into()];
        let mut refused = Vec::new();
        for parent in wanted {
            match Self::make_in(&parent, pid_file) {
                Err(ServerError::NoFolder(reason)) => refused.push(format!("{}: {reason}", parent.display())),
                made => return made,
            }
        }
        Err(ServerError::NoFolder(refused.join("; ")))
    }

    fn make_in(parent: &Path, pid_file: &str) -> Result<Self, ServerError> {
        let no = |reason: String| ServerError::NoFolder(reason);
        let parent = std::path::absolute(parent).map_err(|error| no(error.to_string()))?;
        suits(&parent).map_err(no)?;
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&parent)
            .map_err(|error| no(error.to_string()))?;
        let account = Account::choose(made.path())?;
        if account != Account::Own {
            passable(&parent).map_err(no)?;
        }
        account.own(made.path()).map_err(|error| no(error.to_string()))?;
        // From here on it is the watchdog's to remove.
        let path = made.keep();
        let mut watchdog = watch(&path, &path.join(pid_file))?;
        let lifeline = watchdog.stdin.take();
        Ok(Self { path, account, watchdog, lifeline })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn account(&self) -> Account {
        self.account
    }

    /// Makes a folder in it.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf, ServerError> {
        let path = self.path.join(name);
        let made = fs::create_dir(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)))
            .and_then(|()| self.account.own(&path));
        made.map_err(ServerError::io(path.display().to_string()))?;
        Ok(path)
    }

    /// Writes a file that only the server's account can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, ServerError> {
        let path = self.path.join(name);
        let written = fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .and_then(|()| self.account.own(&path));
        written.map_err(ServerError::io(path.display().to_string()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The one way that it ends, whoever ends it.
        self.lifeline.take();
        let _ = self.watchdog.wait();
    }
}

fn watch(folder: &Path, pid_file: &Path) -> Result<Child, ServerError> {
    Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .args([folder, pid_file])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: Ctrl-C, and whoever kills the whole group of the tests, must not hit it.
        .process_group(0)
        .spawn()
        .map_err(ServerError::io("/bin/sh"))
}

/// Whether a server can live below `parent`. PostgreSQL takes lists of socket folders, with quotes and commas.
fn suits(parent: &Path) -> Result<(), String> {
    let text = parent.to_str().ok_or("not UTF-8")?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.+".contains(&byte)) {
        return Err("has characters that a socket's path should not have".into());
    }
    if text.len() + SOCKET.len() > LONGEST_SOCKET {
        return Err("too long for the path of a socket".into());
    }
    Ok(())
}

/// Whether everybody may pass through `parent` and what it is in.
fn passable(parent: &Path) -> Result<(), String> {
    let closed = parent.ancestors().find(|folder| {
        !fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    });
    closed.map_or(Ok(()), |folder| Err(format!("{} is closed to the server's user", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_parents_are_refused_with_a_reason() {
        assert_eq!(suits(Path::new("/tmp")), Ok(()));
        assert_eq!(suits(Path::new("/var/folders/x_1/T.2")), Ok(()));
        assert!(suits(Path::new("/tmp/with space")).unwrap_err().contains("characters"));
        assert!(suits(Path::new("/tmp/a,b")).unwrap_err().contains("characters"));
        let longest = format!("/{}", "x".repeat(LONGEST_SOCKET - SOCKET.len() - 1));
        assert_eq!(suits(Path::new(&longest)), Ok(()));
        assert!(suits(Path::new(&format!("{longest}x"))).unwrap_err().contains("too long"));
    }

    #[test]
    fn closed_parents_are_told_from_open_ones() {
        let root = tempfile::TempDir::new().unwrap();
        let inner = root.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let open = |mode| fs::set_permissions(root.path(), fs::Permissions::from_mode(mode)).unwrap();
        open(0o711);
        assert_eq!(passable(&inner), Ok(()));
        open(0o700);
        assert!(passable(&inner).unwrap_err().contains("closed"));
    }

    #[test]
    fn the_folder_goes_with_its_owner() {
        let folder = Folder::make("pid").unwrap();
        let path = folder.path().to_owned();
        folder.write("file", "text").unwrap();
        folder.subfolder("inner").unwrap();
        assert!(path.join("file").exists() && path.join("inner").exists());
        drop(folder);
        assert!(!path.exists());
    }
}
