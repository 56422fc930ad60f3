//! Where PostgreSQL's programs are.

use crate::ServerError;
use std::{
    cmp::Reverse,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The programs that a server is made, run and asked with. They come from one folder, so that they are of one version.
const NEEDED: [&str; 5] = ["initdb", "postgres", "pg_ctl", "pg_basebackup", "psql"];

/// Names the one folder where the programs are.
pub(crate) const PG_BIN: &str = "PG_BIN";

/// Where programs may be.
#[derive(Debug)]
pub(crate) struct Places {
    /// The only folder to look in.
    only: Option<PathBuf>,
    /// The folders of `PATH`.
    path: Vec<PathBuf>,
    /// The parent of Debian's folders, `VERSION/bin` each.
    versions: PathBuf,
    /// Where Debian puts daemons; not on everybody's `PATH`.
    daemons: Vec<PathBuf>,
}

impl Places {
    /// Those of this machine.
    pub(crate) fn of_this_machine() -> Self {
        Self {
            only: env::var_os(PG_BIN).map(PathBuf::from),
            path: env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default(),
            versions: "/usr/lib/postgresql".into(),
            daemons: vec!["/usr/sbin".into(), "/usr/local/sbin".into()],
        }
    }

    /// The folder with all of PostgreSQL's programs.
    pub(crate) fn postgres(&self) -> Result<PathBuf, ServerError> {
        let candidates = match &self.only {
            Some(folder) => vec![folder.clone()],
            None => self.candidates(),
        };
        let complete = |folder: &&PathBuf| NEEDED.iter().all(|program| folder.join(program).is_file());
        candidates.iter().find(complete).cloned().ok_or(ServerError::Missing {
            what: "PostgreSQL server",
            package: "postgresql",
            looked: candidates,
            instead: "or name the folder of its programs in PG_BIN, or a running server in TEST_DATABASE_URL",
        })
    }

    fn candidates(&self) -> Vec<PathBuf> {
        // A link leads to the folder where the others are. Debian's psql in /usr/bin is a script of its own.
        let linked = self.path.iter().filter_map(|folder| folder.join("postgres").canonicalize().ok());
        let mut candidates: Vec<PathBuf> =
            linked.filter_map(|it| it.parent().map(Path::to_path_buf)).collect();
        candidates.extend(self.told_by_pg_config());
        candidates.extend(self.installed_versions());
        if candidates.is_empty() {
            candidates.extend(self.path.iter().cloned());
            candidates.push(self.versions.clone());
        }
        candidates
    }

    fn told_by_pg_config(&self) -> Option<PathBuf> {
        let program = self.path.iter().map(|folder| folder.join("pg_config")).find(|path| path.is_file())?;
        let output = Command::new(program).arg("--bindir").output().ok()?;
        let told = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(told.trim())).filter(|folder| folder.is_absolute())
    }

    fn installed_versions(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.versions).into_iter().flatten().flatten();
        let mut found: Vec<(u32, PathBuf)> = entries
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        found.sort_by_key(|(version, _)| Reverse(*version));
        found.into_iter().map(|(_, folder)| folder).collect()
    }

    /// pgbouncer's program.
    pub(crate) fn pgbouncer(&self) -> Result<PathBuf, ServerError> {
        let looked: Vec<PathBuf> = self.path.iter().chain(&self.daemons).cloned().collect();
        single("pgbouncer", "pgbouncer", looked)
    }

    /// The program that asks a server which was given, of whatever version.
    pub(crate) fn psql(&self) -> Result<PathBuf, ServerError> {
        single("psql", "postgresql-client", self.path.clone())
    }
}

/// A program that is looked for alone.
fn single(
    program: &'static str,
    package: &'static str,
    looked: Vec<PathBuf>,
) -> Result<PathBuf, ServerError> {
    let found = looked.iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    let instead = "or put the folder of its program on the PATH";
    found.ok_or(ServerError::Missing { what: program, package, looked, instead })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn nowhere(root: &TempDir) -> Places {
        let root = root.path();
        Places {
            only: None,
            path: vec![root.join("path")],
            versions: root.join("versions"),
            daemons: Vec::new(),
        }
    }

    fn install(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for program in NEEDED {
            fs::write(folder.join(program), "").unwrap();
        }
    }

    #[test]
    fn the_newest_version_is_taken() {
        let root = TempDir::new().unwrap();
        let places = nowhere(&root);
        for version in ["9", "17", "15"] {
            install(&places.versions.join(version).join("bin"));
        }
        assert_eq!(places.postgres().unwrap(), places.versions.join("17/bin"));
        // What lacks a program is passed over.
        fs::remove_file(places.versions.join("17/bin/initdb")).unwrap();
        assert_eq!(places.postgres().unwrap(), places.versions.join("15/bin"));
    }

    #[test]
    fn the_path_goes_first_and_links_are_followed() {
        let root = TempDir::new().unwrap();
        let places = nowhere(&root);
        install(&places.versions.join("17/bin"));
        install(&places.versions.join("15/bin"));
        fs::create_dir_all(&places.path[0]).unwrap();
        std::os::unix::fs::symlink(places.versions.join("15/bin/postgres"), places.path[0].join("postgres"))
            .unwrap();
        assert_eq!(places.postgres().unwrap(), places.versions.canonicalize().unwrap().join("15/bin"));
    }

    #[test]
    fn what_is_missing_is_told_with_the_line_to_run() {
        let root = TempDir::new().unwrap();
        let told = nowhere(&root).postgres().unwrap_err().to_string();
        assert!(told.contains("apt-get install -y postgresql\n"), "{told}");
        assert!(told.contains(root.path().to_str().unwrap()), "{told}");
        assert!(told.contains("TEST_DATABASE_URL"), "{told}");
        let told = nowhere(&root).pgbouncer().unwrap_err().to_string();
        assert!(told.contains("no pgbouncer") && told.contains("apt-get install -y pgbouncer\n"), "{told}");
    }

    #[test]
    fn the_folder_that_is_named_is_the_only_one() {
        let root = TempDir::new().unwrap();
        let mut places = nowhere(&root);
        install(&places.versions.join("17/bin"));
        places.only = Some(root.path().join("elsewhere"));
        assert!(matches!(places.postgres(), Err(ServerError::Missing { .. })));
        install(&root.path().join("elsewhere"));
        assert_eq!(places.postgres().unwrap(), root.path().join("elsewhere"));
    }
}
