//! The file's tables, as serde reads them. Units are part of the keys' names (`size_gib`, `rate_mibps`), so that no number
//! can be read as something else.

use crate::clusters::{Pool, Vmids};
use deploy_core::{
    BridgeName, ClusterName, CpuCount, DnsName, EmailAddress, ExternalRef, FirewallSpec, GiB, Iops, MiB,
    MiBps, NamePattern, NicModel, NodeName, PoolName, PvePool, ReadyWhen, SshKey, StorageId, Tag, Template,
    UserName, VlanId, WhenVanished,
};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use toml::Spanned;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) cluster: Option<Spanned<Cluster>>,
    #[serde(default)]
    pub(super) packages: BTreeMap<String, Package>,
    pub(super) machines: Vec<Spanned<Machine>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) name: ClusterName,
    pub(super) vmids: Spanned<Vmids>,
    pub(super) quarantine_minutes: u32,
    #[serde(default)]
    pub(super) pools: Vec<Spanned<Pool>>,
}

/// Makes the tables of packages and machines from one list, because a machine may say for itself whatever a package says.
macro_rules! hardware {
    ($($(#[$attribute:meta])* $key:ident: $type:ty,)*) => {
        /// What machines have in common.
        #[derive(Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Package {
            $($(#[$attribute])* pub(super) $key: Option<$type>,)*
        }

        /// A machine: a reference, a package, and what is different for this one.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Machine {
            pub(super) reference: Spanned<ExternalRef>,
            pub(super) package: Option<Spanned<String>>,
            $($(#[$attribute])* $key: Option<$type>,)*
        }

        impl Machine {
            /// What is ordered: each key as the machine says it, or else as the package does.
            pub(super) fn over(&self, package: &Package) -> Package {
                Package { $($key: self.$key.clone().or_else(|| package.$key.clone()),)* }
            }
        }
    };
}

hardware! {
    cluster: Spanned<ClusterName>,
    domain: Spanned<NamePattern>,
    pve_name: Spanned<NamePattern>,
    contact: EmailAddress,
    node: NodeName,
    template: Template,
    clone: Spanned<Clone>,
    migration_storage: StorageId,
    pve_pool: PvePool,
    tags: BTreeSet<Tag>,
    autostart: bool,
    sockets: CpuCount,
    cores: CpuCount,
    memory_mib: MiB,
    system_disk: SystemDisk,
    additional_disks: Vec<AdditionalDisk>,
    nics: Vec<Spanned<Nic>>,
    firewall: FirewallSpec,
    cloud_init: CloudInit,
    ready_when: Spanned<ReadyWhen>,
    when_vanished: WhenVanished,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clone {
    pub(super) mode: CloneKind,
    pub(super) storage: Option<StorageId>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CloneKind {
    Linked,
    Full,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SystemDisk {
    pub(super) size_gib: GiB,
    pub(super) read_mibps: Option<MiBps>,
    pub(super) write_mibps: Option<MiBps>,
    pub(super) read_iops: Option<Iops>,
    pub(super) write_iops: Option<Iops>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdditionalDisk {
    pub(super) storage: StorageId,
    pub(super) size_gib: GiB,
    pub(super) read_mibps: Option<MiBps>,
    pub(super) write_mibps: Option<MiBps>,
    pub(super) read_iops: Option<Iops>,
    pub(super) write_iops: Option<Iops>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nic {
    pub(super) bridge: BridgeName,
    pub(super) vlan: Option<VlanId>,
    pub(super) rate_mibps: Option<MiBps>,
    #[serde(default)]
    pub(super) firewall: bool,
    #[serde(default)]
    pub(super) model: NicModel,
    #[serde(default)]
    pub(super) dhcp: bool,
    pub(super) v4: Option<Spanned<Draw>>,
    pub(super) v6: Option<Spanned<Draw>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draw {
    pub(super) count: u8,
    #[serde(default)]
    pub(super) pools: Vec<Spanned<PoolName>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CloudInit {
    pub(super) user: Option<UserName>,
    #[serde(default, deserialize_with = "password")]
    pub(super) password: Option<Spanned<SecretString>>,
    #[serde(default)]
    pub(super) ssh_keys: Vec<SshKey>,
    #[serde(default)]
    pub(super) resolvers: Vec<IpAddr>,
    pub(super) search_domain: Option<DnsName>,
    pub(super) drive_storage: Option<StorageId>,
}

fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Spanned<SecretString>>, D::Error> {
    let text = Spanned::<String>::deserialize(deserializer)?;
    Ok(Some(Spanned::new(text.span(), text.into_inner().into())))
}
