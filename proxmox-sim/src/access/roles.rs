//! Privileges and the roles that come with every server.

use std::collections::BTreeSet;

use crate::version::Version;

/// Name, and the privileges of administrators, of users, and of those that look.
type Group = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Privileges of both lines, by the group that roles are made of: those only administrators have,
/// those of users, and those that merely look.
const GROUPS: [Group; 7] = [
    (
        "VM",
        &[
            "VM.Config.Disk",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.HWType",
            "VM.Config.Options",
            "VM.Allocate",
            "VM.Clone",
            "VM.Migrate",
            "VM.Snapshot",
            "VM.Snapshot.Rollback",
        ],
        &["VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.Backup", "VM.PowerMgmt"],
        &["VM.Audit"],
    ),
    ("Sys", &["Sys.Console", "Sys.Syslog"], &[], &["Sys.Audit"]),
    (
        "Datastore",
        &["Datastore.Allocate", "Datastore.AllocateTemplate"],
        &["Datastore.AllocateSpace"],
        &["Datastore.Audit"],
    ),
    ("SDN", &["SDN.Allocate"], &["SDN.Use"], &["SDN.Audit"]),
    ("User", &["User.Modify", "Group.Allocate", "Realm.AllocateUser"], &[], &[]),
    ("Pool", &["Pool.Allocate"], &[], &["Pool.Audit"]),
    ("Mapping", &["Mapping.Modify"], &["Mapping.Use"], &["Mapping.Audit"]),
];

/// Privileges that no role but Administrator has.
const ROOT: [&str; 6] = [
    "Sys.PowerMgmt",
    "Sys.Modify",
    "Sys.Incoming",
    "Sys.AccessNetwork",
    "Realm.Allocate",
    "Permissions.Modify",
];

const GUEST_AGENT: [&str; 5] = [
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
];

/// Every privilege of a line.
pub(crate) fn all(version: Version) -> BTreeSet<&'static str> {
    let mut all: BTreeSet<&str> = ROOT.into_iter().collect();
    for (_, admin, user, audit) in GROUPS {
        all.extend(admin.iter().chain(user).chain(audit));
    }
    match version {
        Version::V7_4 | Version::V8_4 => {
            all.insert("VM.Monitor");
        }
        Version::V9_2 => {
            all.extend(GUEST_AGENT);
            all.insert("VM.Replicate");
        }
    }
    all
}

/// The privileges of a role, `None` when there is none of that name.
pub(crate) fn role(name: &str, version: Version) -> Option<BTreeSet<&'static str>> {
    let of = |wanted: &str, admin: bool, user: bool| {
        let group = GROUPS.iter().find(|(group, ..)| *group == wanted);
        let mut privileges = BTreeSet::new();
        if let Some((group, admins, users, auditors)) = group {
            privileges.extend(auditors.iter().copied());
            privileges.extend(users.iter().copied().filter(|_| user));
            privileges.extend(admins.iter().copied().filter(|_| admin));
            if *group == "VM" {
                privileges.extend(more(version, admin));
            }
        }
        privileges
    };
    Some(match name {
        "NoAccess" => BTreeSet::new(),
        "Administrator" => all(version),
        "PVEAdmin" => GROUPS.iter().flat_map(|(group, ..)| of(group, true, true)).collect(),
        "PVEAuditor" => GROUPS.iter().flat_map(|(group, ..)| of(group, false, false)).collect(),
        "PVETemplateUser" => BTreeSet::from(["VM.Audit", "VM.Clone"]),
        "PVEVMAdmin" => of("VM", true, true),
        "PVEVMUser" => of("VM", false, true),
        "PVESysAdmin" => of("Sys", true, true),
        "PVEDatastoreAdmin" => of("Datastore", true, true),
        "PVEDatastoreUser" => of("Datastore", false, true),
        "PVESDNAdmin" => of("SDN", true, true),
        "PVESDNUser" => of("SDN", false, true),
        "PVEPoolAdmin" => of("Pool", true, true),
        "PVEPoolUser" => of("Pool", false, true),
        "PVEUserAdmin" => of("User", true, true),
        "PVEMappingAdmin" => of("Mapping", true, true),
        "PVEMappingUser" => of("Mapping", false, true),
        "PVEMappingAuditor" => of("Mapping", false, false),
        _ => return None,
    })
}

/// What the two lines call differently.
fn more(version: Version, admin: bool) -> Vec<&'static str> {
    match (version, admin) {
        (Version::V7_4 | Version::V8_4, true) => vec!["VM.Monitor"],
        (Version::V7_4 | Version::V8_4, false) => Vec::new(),
        (Version::V9_2, true) => GUEST_AGENT.into_iter().chain(["VM.Replicate"]).collect(),
        (Version::V9_2, false) => vec!["VM.GuestAgent.Audit"],
    }
}

/// What `cap` of a login lists: privileges by area.
pub(crate) fn capabilities(privileges: &BTreeSet<&str>) -> serde_json::Value {
    let area = |prefixes: &[&str]| -> serde_json::Value {
        let wanted = |name: &&&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let names = privileges.iter().filter(wanted);
        names.map(|name| ((*name).to_owned(), 1.into())).collect::<serde_json::Map<_, _>>().into()
    };
    let modify = "Permissions.Modify";
    serde_json::json!({
        "vms": area(&["VM.", modify]), "access": area(&["User.", "Group.", modify]),
        "storage": area(&["Datastore.", modify]), "nodes": area(&["Sys.", modify]),
        "sdn": area(&["SDN.", modify]), "dc": area(&["Sys.Audit", "Sys.Modify", "SDN."]),
        "mapping": area(&["Mapping.", modify]),
    })
}
