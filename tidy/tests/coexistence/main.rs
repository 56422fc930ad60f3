//! Our stores beside the database crates that a panel uses already.
//!
//! One build can have one `libsqlite3-sys`, because it links a C library. Each of sqlx, diesel and sea-orm asks for one of its
//! own choice, so that `store-sqlite` takes whichever it is: a wide range of `rusqlite`. Here cargo resolves a crate for each of
//! them from what crates.io has today, and the compiler checks the range's both ends and the neighbour that most panels have.

mod panel;

use cargo_metadata::{
    MetadataCommand,
    semver::{Version, VersionReq},
};
use panel::Panel;

/// A crate that a panel has beside ours.
struct Neighbour {
    name: &'static str,
    version: &'static str,
    features: &'static [&'static str],
}

const SQLX_0_8: Neighbour =
    Neighbour { name: "sqlx", version: "0.8", features: &["sqlite", "postgres", "runtime-tokio-rustls"] };

const NEIGHBOURS: &[Neighbour] = &[
    SQLX_0_8,
    Neighbour {
        name: "sqlx",
        version: "0.9",
        features: &["sqlite", "postgres", "runtime-tokio", "tls-rustls"],
    },
    Neighbour { name: "diesel", version: "2", features: &["sqlite", "postgres"] },
    Neighbour {
        name: "sea-orm",
        version: "1",
        features: &["sqlx-sqlite", "sqlx-postgres", "runtime-tokio-rustls"],
    },
    Neighbour {
        name: "sea-orm",
        version: "2",
        features: &["sqlx-sqlite", "sqlx-postgres", "runtime-tokio-rustls"],
    },
];

/// The oldest and the newest `rusqlite` that `store-sqlite` is compiled with.
const ENDS: [&str; 2] = ["0.32.0", "0.41.0"];

impl Neighbour {
    fn called(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    fn dependency(&self) -> String {
        let Self { name, version, features } = self;
        format!("{name} = {{ version = \"{version}\", default-features = false, features = {features:?} }}")
    }

    fn requirement(&self) -> VersionReq {
        self.version.parse().expect("a requirement")
    }
}

/// What `store-sqlite` asks for.
fn range() -> VersionReq {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let store = metadata.packages.iter().find(|package| package.name.as_str() == "store-sqlite");
    let dependencies = &store.expect("store-sqlite is a member").dependencies;
    dependencies.iter().find(|dependency| dependency.name == "rusqlite").expect("rusqlite").req.clone()
}

/// The one version of a package.
fn only(panel: &Panel, package: &str) -> Version {
    match panel.locked(package).as_slice() {
        [version] => version.clone(),
        several => panic!("{panel:?} has these versions of {package}: {several:?}"),
    }
}

#[test]
fn one_sqlite_is_found_for_each_neighbour() {
    let range = range();
    println!("{:<14} {:<10} {:<10} libsqlite3-sys", "beside", "resolved", "rusqlite");
    for neighbour in NEIGHBOURS {
        let panel = Panel::resolve(&format!("locked-{}", neighbour.called()), &neighbour.dependency(), "")
            .unwrap_or_else(|said| panic!("beside {}: {said}", neighbour.called()));
        let resolved = only(&panel, neighbour.name);
        let (rusqlite, sqlite) = (only(&panel, "rusqlite"), only(&panel, "libsqlite3-sys"));
        println!("{:<14} {resolved:<10} {rusqlite:<10} {sqlite}", neighbour.called());
        assert!(neighbour.requirement().matches(&resolved), "{} became {resolved}", neighbour.called());
        assert!(range.matches(&rusqlite), "{rusqlite} is not in {range}");
        // Older ones have an SQLite without what our statements use.
        assert!(sqlite >= Version::new(0, 30, 0), "libsqlite3-sys {sqlite} is older than our range begins");
    }
}

#[test]
fn sqlx_0_8_compiles_beside_our_stores() {
    let source = "pub use sqlx::{PgPool, SqlitePool};\npub use store_postgres::PostgresStore;\npub use store_sqlite::SqliteStore;\n";
    let panel =
        Panel::resolve("sqlx-0.8", &SQLX_0_8.dependency(), source).unwrap_or_else(|said| panic!("{said}"));
    panel.check().unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn both_ends_of_the_rusqlite_range_compile() {
    let range = range();
    for end in ENDS {
        let version: Version = end.parse().expect("a version");
        assert!(range.matches(&version), "rusqlite {end} is not in store-sqlite's range any more: {range}");
        let panel = Panel::resolve(&format!("rusqlite-{end}"), "", "pub use store_sqlite::SqliteStore;\n")
            .and_then(|panel| panel.pin("rusqlite", end).map(|()| panel))
            .unwrap_or_else(|said| panic!("{said}"));
        assert_eq!(only(&panel, "rusqlite"), version);
        panel.check().unwrap_or_else(|said| panic!("store-sqlite with rusqlite {end}: {said}"));
    }
}
