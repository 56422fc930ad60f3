//! Makes every typed call with everything that it can send. The server holds what it gets against the description of
//! PVE's API, as it does in every test, where that is there.

use proxmox_api::{
    BackupVm, Client, CloneVm, ConfigUpdate, DestroyVm, DiskSize, FirewallOptions, FirewallRule, MigrateVm,
    Params, RestoreVm, TaskFilter, TaskSource, Upid,
};

use crate::canned::{Canned, answer};
use crate::described::{is_there, shared};

#[tokio::test]
async fn every_request_is_one_that_the_api_knows() {
    let server = Canned::start(std::iter::repeat_n(answer("200 OK", r#"{"data":null}"#), 100)).await;
    call_everything(&server.client()).await;
    if !is_there() {
        println!("NOT COMPARED: no description at {}", shared("pve-schema.json").display());
    }
    assert!(server.requests().len() > 40, "{}", server.requests().len());
}

/// Every typed call with everything that it can send. What comes back does not matter here.
async fn call_everything(client: &Client) {
    let upid: Upid = "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1:".parse().unwrap();
    let _ = client.version().await;
    let _ = client.node_version("pve1").await;
    let _ = client.permissions(Some("/vms/100")).await;
    let _ = client.cluster_status().await;
    let _ = client.vmid_state(100).await;
    let _ = client.next_vmid().await;
    let _ = client.vm_resources().await;
    let _ = client.resources().await;
    let _ = client.nodes().await;
    let _ = client.node_vms("pve1").await;
    let tasks = TaskFilter {
        source: TaskSource::All,
        kind: Some("qmclone"),
        vmid: Some(100),
        since: Some(1),
        limit: Some(500),
    };
    let _ = client.tasks("pve1", &tasks).await;
    let _ = client.task_status(&upid).await;
    let _ = client.task_log(&upid, 0, 50).await;
    let _ = client.storages("pve1").await;
    let _ = client.storage_content("pve1", "local", Some("images"), Some(100)).await;
    let _ = client.delete_volume("pve1", "local", "local:100/vm-100-disk-0.qcow2", Some(5)).await;
    let _ = client.pool("customers").await;
    let _ = client.pool("customers/small").await;
    let _ = client.add_to_pool("customers", &[100, 101], Some(true)).await;
    let _ = client.remove_from_pool("customers/small", &[100]).await;
    let _ = client.ha_resource(100).await;
    let _ = client.set_ha_state(100, "stopped").await;
    let _ = client.delete_ha_resource(100).await;
    call_machine(client).await;
    call_firewall(client).await;
}

async fn call_machine(client: &Client) {
    let clone = CloneVm {
        newid: 101,
        name: Some("web1"),
        description: Some("notes"),
        pool: Some("customers"),
        snapname: Some("clean"),
        storage: Some("local"),
        format: Some("qcow2"),
        full: Some(true),
        target: Some("pve2"),
        bwlimit: Some(1000),
    };
    let _ = client.clone_vm("pve1", 100, &clone).await;
    let migrate = MigrateVm {
        target: "pve2",
        online: true,
        with_local_disks: true,
        targetstorage: Some("1"),
        bwlimit: Some(1000),
    };
    let _ = client.migrate_vm("pve1", 100, &migrate).await;
    let _ = client.migrate_preview("pve1", 100).await;
    let update = ConfigUpdate {
        set: Params::new().set("net0", "virtio").set("scsi1", "local:8").set("cores", 2).flag("onboot", true),
        delete: &["net1"],
        revert: &["memory"],
        digest: Some("abc"),
        force: true,
    };
    let _ = client.update_vm_config("pve1", 100, &update, Some(20)).await;
    let _ = client.update_vm_config_sync("pve1", 100, &update).await;
    let _ = client.vm_config("pve1", 100).await;
    let _ = client.vm_config_in_force("pve1", 100).await;
    let _ = client.vm_pending("pve1", 100).await;
    let _ = client.resize_disk("pve1", 100, "scsi0", DiskSize::from_gib(20), Some("abc")).await;
    let _ = client.vm_status("pve1", 100).await;
    let _ = client.start_vm("pve1", 100).await;
    let _ = client.stop_vm("pve1", 100, Some(true)).await;
    let _ = client.shutdown_vm("pve1", 100, Some(60), true).await;
    let _ = client.reboot_vm("pve1", 100, Some(60)).await;
    let destroy = DestroyVm { purge: true, destroy_unreferenced_disks: true };
    let _ = client.destroy_vm("pve1", 100, destroy).await;
    let _ = client.snapshots("pve1", 100).await;
    let _ = client.delete_snapshot("pve1", 100, "clean", true).await;
    let _ = client.create_snapshot("pve1", 100, "clean", Some("before\nit"), true).await;
    let _ = client.roll_back("pve1", 100, "clean").await;
    let _ = client.reset_vm("pve1", 100).await;
    let backup = BackupVm {
        storage: "local",
        mode: Some("stop"),
        compress: Some("zstd"),
        notes_template: Some("for {{guestname}}"),
        protected: Some(true),
        remove: Some(false),
    };
    let _ = client.backup_vm("pve1", 100, &backup).await;
    let volume = "local:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst";
    let _ = client.backup_config("pve1", volume).await;
    let restore = RestoreVm { archive: volume, storage: Some("local"), force: true, unique: true };
    let _ = client.restore_vm("pve1", 100, &restore).await;
    let _ = client.regenerate_cloud_init("pve1", 100).await;
    let _ = client.cloud_init_pending("pve1", 100).await;
    let _ = client.agent_ping("pve1", 100).await;
    let _ = client.agent_interfaces("pve1", 100).await;
}

async fn call_firewall(client: &Client) {
    let text = |text: &str| Some(text.to_owned());
    let options = FirewallOptions {
        enable: Some(true),
        macfilter: Some(true),
        ipfilter: Some(true),
        dhcp: Some(false),
        ndp: Some(true),
        radv: Some(false),
        policy_in: text("DROP"),
        policy_out: text("ACCEPT"),
        log_level_in: text("nolog"),
        log_level_out: text("nolog"),
        digest: text("abc"),
    };
    let rule = FirewallRule {
        kind: "in".to_owned(),
        action: "ACCEPT".to_owned(),
        enable: true,
        macro_name: text("HTTPS"),
        source: text("203.0.113.1"),
        dest: text("203.0.113.2"),
        proto: text("tcp"),
        dport: text("22"),
        sport: text("23"),
        icmp_type: text("any"),
        iface: text("net0"),
        log: text("nolog"),
        comment: text("c"),
        ..FirewallRule::default()
    };
    let _ = client.cluster_firewall_options().await;
    let _ = client.firewall_options("pve1", 100).await;
    let _ = client.set_firewall_options("pve1", 100, &options, &["log_level_in"]).await;
    let _ = client.firewall_rules("pve1", 100).await;
    let _ = client.add_firewall_rule("pve1", 100, &rule).await;
    let _ = client.delete_firewall_rule("pve1", 100, 0, Some("abc")).await;
    let _ = client.ipsets("pve1", 100).await;
    let _ = client.create_ipset("pve1", 100, "ipfilter-net0", Some("c")).await;
    let _ = client.ipset_members("pve1", 100, "ipfilter-net0").await;
    let _ = client.add_ipset_member("pve1", 100, "ipfilter-net0", "203.0.113.7", Some("c")).await;
    let _ = client.delete_ipset_member("pve1", 100, "ipfilter-net0", "2001:db8::/64", Some("abc")).await;
    let _ = client.delete_ipset("pve1", 100, "ipfilter-net0", true).await;
}
