//! One goal function a step: compares the order with the machine observed and says what is missing.
//!
//! What is already as ordered needs no call, so every step is idempotent by construction, and the same code that deploys
//! a machine repairs one that was interrupted half-way.

mod adopt;
mod clone;
mod cloud_init;
mod commanded;
mod cpu_ram;
mod disk;
mod exchange;
mod firewall;
mod network;
mod package;
mod power;
mod remove;
mod saved;

pub(crate) use adopt::{adoptable, marked};
pub(crate) use clone::{clone_change, cloned, destroy_command, migrated};
pub(crate) use cloud_init::cloud_init;
pub(crate) use commanded::{powered_on, reset, set_while_stopped, suspended, unsuspended};
pub(crate) use cpu_ram::cpu_ram;
pub(crate) use disk::{
    additional_disk_bandwidths, additional_disk_sizes, additional_disks_exist, each_additional_size,
    system_disk_bandwidth, system_disk_size,
};
pub(crate) use exchange::{
    exchangeable, moved_to_template, old_disk_freed, stopped_to_exchange, system_disk_replaced,
};
pub(crate) use firewall::firewall;
pub(crate) use network::network;
pub(crate) use package::{
    fits, package_fits, reinstallable, started_again, stopped_if_needed, template, told_while_stopped,
};
pub(crate) use power::{nothing_waits, rules_doubted, started, was_started};
pub(crate) use remove::{backups_deleted, deleted_backups, removed, removed_while_stopped, stopped};

pub(crate) use saved::{
    backed_up, backup_deleted, in_question, restorable, restored, rolled_back, snapshot_deleted, snapshotted,
    stopped_to_restore,
};

use crate::{Change, Configure, rules::Verdict};

/// The verdict on settings: met where none is missing.
fn configured(missing: Configure) -> Verdict {
    if missing.is_empty() { Verdict::Met } else { Verdict::Unmet(Change::Configure(Box::new(missing))) }
}
