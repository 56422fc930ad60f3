//! A panel's own crate: our stores, and a database crate that the panel uses already.

use cargo_metadata::semver::Version;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What every panel here depends on.
pub(crate) const STORES: &[&str] = &["store-sqlite", "store-postgres"];

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Below the workspace's target folder, and the same at every run: what was built once stays built.
const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/coexistence");

/// What cargo says where it has no network, or is not to use it.
const OFFLINE: &[&str] = &["offline", "failed to download", "download of", "failed to fetch", "network"];

/// A crate in a folder of its own, outside of the workspace.
#[derive(Debug)]
pub(crate) struct Panel {
    folder: PathBuf,
}

impl Panel {
    /// Writes a crate of this name, with these lines among its dependencies and this source, and has cargo resolve it
    /// anew, as it would for somebody who begins today.
    ///
    /// # Errors
    /// What cargo said. Two versions of one `links` library (`libsqlite3-sys` links `sqlite3`) are an error of cargo's
    /// resolver, so that success says that there is one.
    pub(crate) fn resolve(name: &str, dependencies: &str, source: &str) -> Result<Self, String> {
        let panel = Self { folder: Path::new(FOLDER).join(name) };
        let stores: Vec<String> = STORES
            .iter()
            .map(|store| format!("{store} = {{ path = '{}' }}", Path::new(ROOT).join(store).display()))
            .collect();
        let manifest = format!(
            "[package]\nname = \"panel\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{}\n{dependencies}\n\n[workspace]\n",
            stores.join("\n")
        );
        fs::create_dir_all(panel.folder.join("src")).expect("a folder for the crate");
        fs::write(panel.folder.join("Cargo.toml"), manifest).expect("a manifest");
        fs::write(panel.folder.join("src/lib.rs"), source).expect("a source file");
        panel.cargo(&["generate-lockfile"])?;
        Ok(panel)
    }

    /// Takes this very version of a package.
    pub(crate) fn pin(&self, package: &str, version: &str) -> Result<(), String> {
        self.cargo(&["update", "--package", package, "--precise", version])
    }

    /// Has the compiler check it.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.cargo(&["check", "--locked"])
    }

    /// The versions of a package that its lock file has.
    pub(crate) fn locked(&self, package: &str) -> Vec<Version> {
        let path = self.folder.join("Cargo.lock");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lock: toml::Table = text.parse().expect("a lock file is TOML");
        lock["package"]
            .as_array()
            .expect("a list of packages")
            .iter()
            .filter(|entry| entry["name"].as_str() == Some(package))
            .map(|entry| {
                entry["version"].as_str().and_then(|version| version.parse().ok()).expect("a version")
            })
            .collect()
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(), String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", Path::new(FOLDER).join("target"))
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TERM_COLOR", "never")
            .output()
            .expect("cargo can be started");
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let why = if OFFLINE.iter().any(|sign| said.contains(sign)) {
            "cargo could not get what it needs from crates.io; this test needs the network: "
        } else {
            ""
        };
        Err(format!("{why}cargo {} in {}:\n{said}", arguments.join(" "), self.folder.display()))
    }
}
