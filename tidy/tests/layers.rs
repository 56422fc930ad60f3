//! Who may import whom. The layers are the design: a backend that knows another, or a core that knows the time, would
//! work today and be in everybody's way tomorrow.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The members that each member may depend on outside of its tests.
const LAYERS: &[(&str, &[&str])] = &[
    ("deploy-core", &[]),
    ("deploy-worker", &["deploy-core"]),
    ("deploy-notify", &["deploy-core"]),
    ("deploy-testkit", &["deploy-core"]),
    ("proxmox-api", &["deploy-core"]),
    ("proxmox-sim", &[]),
    ("ip-pool", &["deploy-core"]),
    ("deploy-dns", &["deploy-core"]),
    ("store-sqlite", &["deploy-core"]),
    ("store-postgres", &["deploy-core"]),
    (
        "examples",
        &[
            "deploy-core",
            "deploy-dns",
            "deploy-worker",
            "deploy-notify",
            "deploy-testkit",
            "proxmox-api",
            "proxmox-sim",
            "ip-pool",
            "store-sqlite",
            "store-postgres",
            "throwaway-postgres",
        ],
    ),
    (
        "simulation",
        &["deploy-core", "deploy-worker", "deploy-testkit", "proxmox-api", "proxmox-sim", "ip-pool"],
    ),
    ("throwaway-postgres", &[]),
    ("throwaway-smtp", &[]),
    ("throwaway-dns", &[]),
    (
        "benches",
        &[
            "deploy-core",
            "deploy-worker",
            "deploy-testkit",
            "proxmox-api",
            "proxmox-sim",
            "ip-pool",
            "store-sqlite",
            "store-postgres",
            "throwaway-postgres",
            // Order files, and the engine as embedders wire it.
            "examples",
        ],
    ),
    ("tidy", &[]),
];

/// What the core may depend on by itself.
const CORE_DEPENDENCIES: &[&str] = &[
    "async-trait",
    "ipnet",
    "jiff",
    "secrecy",
    "serde",
    "serde_json",
    "sha-crypt",
    "ssh-key",
    "thiserror",
    "uuid",
];

/// What must not be anywhere below the core: runtimes, networks, databases, sources of randomness.
const NEVER_BELOW_CORE: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "reqwest",
    "hyper",
    "rustls",
    "rusqlite",
    "libsqlite3-sys",
    "tokio-postgres",
    "sqlx",
    "rand",
    "getrandom",
    "fastrand",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .exec()
        .expect("cargo metadata")
}

fn member<'a>(metadata: &'a Metadata, name: &str) -> &'a Package {
    metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == name)
        .expect("a member of this name")
}

#[test]
fn members_import_only_the_layers_below_them() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata.workspace_packages().iter().map(|p| p.name.as_str()).collect();
    let known: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, known, "a new member needs a line in LAYERS");
    for (name, allowed) in LAYERS {
        for dependency in &member(&metadata, name).dependencies {
            let ours = members.contains(dependency.name.as_str());
            // The testkit stands on the core, and the core's own tests on the testkit; others may test with anything.
            let in_tests = dependency.kind == DependencyKind::Development;
            assert!(
                !ours || in_tests || allowed.contains(&dependency.name.as_str()),
                "{name} must not depend on {}",
                dependency.name
            );
        }
    }
}

#[test]
fn backends_do_not_know_one_another_even_in_their_tests() {
    let metadata = metadata();
    let backends = [
        "proxmox-api",
        "ip-pool",
        "store-sqlite",
        "store-postgres",
        "deploy-worker",
        "deploy-notify",
        "deploy-dns",
    ];
    for name in backends {
        for dependency in &member(&metadata, name).dependencies {
            let is_backend = backends.contains(&dependency.name.as_str());
            assert!(!is_backend, "{name} must not know {}", dependency.name);
        }
    }
}

#[test]
fn the_simulator_shares_no_types_with_the_client() {
    // A wrong field name would agree with itself.
    let metadata = metadata();
    let simulator = member(&metadata, "proxmox-sim");
    let ours: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    for dependency in &simulator.dependencies {
        assert!(!ours.contains(dependency.name.as_str()), "proxmox-sim must not know {}", dependency.name);
    }
}

#[test]
fn the_core_depends_on_pure_crates_only() {
    let metadata = metadata();
    let core = member(&metadata, "deploy-core");
    for dependency in core.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
        assert!(
            CORE_DEPENDENCIES.contains(&dependency.name.as_str()),
            "deploy-core must not depend on {}",
            dependency.name
        );
    }
    let below = everything_below(&metadata, &core.id);
    for name in NEVER_BELOW_CORE {
        assert!(
            !below.contains(*name),
            "{name} is below deploy-core; find out with: cargo tree -p deploy-core -e normal -i {name}"
        );
    }
    assert!(below.contains("serde"), "the search below the core found nothing, so that it proves nothing");
}

/// The names of all packages that a build of `root` alone compiles. Features are resolved for the whole workspace, so that
/// this is at least what a build of the core alone has.
fn everything_below(metadata: &Metadata, root: &PackageId) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut queue = VecDeque::from([root]);
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    while let Some(id) = queue.pop_front() {
        for dependency in &nodes[id].deps {
            let built = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal && kind.target.is_none());
            if built && seen.insert(&dependency.pkg) {
                queue.push_back(&dependency.pkg);
            }
        }
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

#[test]
fn what_is_for_tests_is_never_shipped() {
    let metadata = metadata();
    let for_tests = ["deploy-testkit", "throwaway-postgres", "throwaway-smtp", "throwaway-dns"];
    let unpublished = ["examples", "simulation", "benches"];
    for (name, _) in LAYERS.iter().filter(|(name, _)| !unpublished.contains(name)) {
        for dependency in &member(&metadata, name).dependencies {
            let ships = dependency.kind != DependencyKind::Development
                && for_tests.contains(&dependency.name.as_str());
            assert!(!ships, "{name} may use {} in its tests only", dependency.name);
        }
    }
}
