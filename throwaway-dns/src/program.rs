//! Where programs are.

use crate::Error;
use std::{env, path::PathBuf};

/// The program of this name. Daemons are not on everybody's `PATH`.
pub(crate) fn find(what: &'static str, packages: &'static str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    find_in(path, what, packages)
}

fn find_in(mut folders: Vec<PathBuf>, what: &'static str, packages: &'static str) -> Result<PathBuf, Error> {
    folders.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.iter().map(|folder| folder.join(what)).find(|path| path.is_file());
    found.ok_or(Error::Missing { what, packages, looked: folders })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_the_line_that_installs_it() {
        let error =
            find_in(vec!["/nowhere".into()], "no_such_server", "its-package").unwrap_err().to_string();
        assert!(
            error.contains("no_such_server is not on this machine (looked in /nowhere, /usr/sbin"),
            "{error}"
        );
        assert!(error.ends_with("apt-get install -y its-package"), "{error}");
    }
}
