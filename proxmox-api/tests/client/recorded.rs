//! Decodes what real servers answered, if the recordings are there: every answer of a typed call becomes a value, or
//! the error that was recorded.

use std::path::Path;

use crate::canned::{Canned, answer};
use proxmox_api::{
    ApiError, CloneVm, ConfigUpdate, DestroyVm, DiskSize, Failure, FirewallOptions, FirewallRule, MigrateVm,
    Sent, Started, TaskFilter, TaskStatus, Upid, VmidState,
};
use serde_json::Value;

const UPID: &str = "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1:";

/// What was made of an answer, reduced to what the recording can be asked for.
enum Made {
    Task(Started),
    Digest(Option<String>),
    Count(usize),
    Exit(TaskStatus),
    Vmid(VmidState),
    Nothing,
}

#[tokio::test]
async fn every_recorded_answer_is_understood() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pve-transcripts");
    if !folder.is_dir() {
        println!("no recordings at {}: nothing to compare with", folder.display());
        return;
    }
    let server = Canned::start([]).await;
    let client = server.client();
    let (mut values, mut errors) = (0, 0);
    for file in ["pve-8.4", "pve-9.2", "golden-8.4", "golden-9.2"] {
        let text = std::fs::read_to_string(folder.join(format!("{file}.jsonl"))).unwrap();
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            // Requests that were written by hand are about the server's HTTP, not about answers.
            if row["status"].is_null() || !row["raw_request"].is_null() || !row["raw_body"].is_null() {
                continue;
            }
            let (Some(path), Some(method)) = (row["path"].as_str(), row["method"].as_str()) else { continue };
            let Some(path) = path.strip_prefix("/api2/json/") else { continue };
            let status = row["status"].as_u64().unwrap();
            let body = match &row["response"] {
                Value::Null => row["response_text"].as_str().unwrap_or_default().to_owned(),
                body => body.to_string(),
            };
            let reason = row["reason"].as_str().unwrap_or_default();
            server.push(answer(&format!("{status} {reason}"), &body));
            let sent = server.requests().len();
            let of_machines = row["params"] == serde_json::json!([["type", "vm"]]);
            let outcome = call(&client, method, path, of_machines).await;
            let Some(outcome) = outcome else {
                // Not one of the typed calls: take the answer back with an untyped one.
                let _ = client.get::<Value>("/version", &proxmox_api::Params::new()).await;
                continue;
            };
            assert_eq!(server.requests().len(), sent + 1, "{path}");
            match outcome {
                Ok(made) => {
                    values += 1;
                    assert!(status == 200 || matches!(made, Made::Vmid(VmidState::Taken)), "{line}");
                    check_value(&made, &row["response"]["data"], line);
                }
                Err(error) => {
                    errors += 1;
                    check_error(&error, &row, line);
                }
            }
        }
    }
    assert!(values > 1500 && errors > 200, "{values} values and {errors} errors");
}

fn check_value(made: &Made, data: &Value, line: &str) {
    match made {
        Made::Task(started) => assert_eq!(started.upid().map(Upid::as_str), data.as_str(), "{line}"),
        Made::Digest(digest) => assert_eq!(digest.as_deref(), data["digest"].as_str(), "{line}"),
        Made::Count(count) => assert_eq!(Some(*count), data.as_array().map(Vec::len), "{line}"),
        Made::Exit(TaskStatus::Running) => assert_eq!(data["status"], "running", "{line}"),
        Made::Exit(TaskStatus::Stopped(exit)) => {
            assert_eq!(data["exitstatus"], exit.to_string(), "{line}");
            assert_eq!(exit.class().is_none(), exit.is_success());
            let unclassed = ["qemu-img", "migration aborted", "unable to create VM"];
            let known = unclassed.iter().any(|part| exit.to_string().contains(part));
            assert!(exit.class() != Some(Failure::Other) || known, "{line}");
        }
        Made::Vmid(state) => assert_eq!(*state == VmidState::Free, data.is_string(), "{line}"),
        Made::Nothing => {}
    }
}

fn check_error(error: &ApiError, row: &Value, line: &str) {
    let answer = error.answer().unwrap_or_else(|| panic!("{error} for {line}"));
    assert_eq!(Some(u64::from(answer.status)), row["status"].as_u64(), "{line}");
    let message = row["response"]["message"].as_str().or(row["reason"].as_str()).unwrap_or_default();
    assert_eq!(answer.message, message.trim_end(), "{line}");
    let errors = row["response"]["errors"].as_object().map_or(0, serde_json::Map::len);
    assert_eq!(answer.errors.len(), errors, "{line}");
    let expected = match answer.status {
        401 | 501 => Sent::Refused,
        595 => Sent::No,
        596 => Sent::Unknown,
        500 => Sent::Yes,
        _ => error.sent(),
    };
    assert_eq!(error.sent(), expected, "{line}");
    // Sentences without a class of their own: they say of what went wrong, and that is all there is to know.
    let unclassed = ["qemu-img", "unable to parse value", "malformed JSON"];
    let known = unclassed.iter().any(|part| answer.message.contains(part));
    assert_eq!(error.class() == Failure::Other, known, "{error} for {line}");
}

/// Makes the typed call for a recorded path, with parameters that do not matter: the answer is the recorded one.
#[allow(clippy::too_many_lines, reason = "one line a call")]
async fn call(
    client: &proxmox_api::Client,
    method: &str,
    path: &str,
    of_machines: bool,
) -> Option<Result<Made, ApiError>> {
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<_> = path.split('/').collect();
    let upid: Upid = UPID.parse().unwrap();
    let count = |list: Result<usize, ApiError>| Some(list.map(Made::Count));
    let nothing = |outcome: Result<(), ApiError>| Some(outcome.map(|()| Made::Nothing));
    let task = |outcome: Result<Started, ApiError>| Some(outcome.map(Made::Task));
    match (method, segments.as_slice()) {
        ("GET", ["version"]) => nothing(client.version().await.map(|_| ())),
        ("GET", ["access", "permissions"]) => nothing(client.permissions(None).await.map(|_| ())),
        ("GET", ["cluster", "nextid"]) => Some(client.vmid_state(100).await.map(Made::Vmid)),
        ("GET", ["cluster", "status"]) => nothing(client.cluster_status().await.map(|status| {
            assert_eq!(status.nodes.len(), 2);
        })),
        ("GET", ["cluster", "resources"]) if of_machines => {
            count(client.vm_resources().await.map(|list| list.len()))
        }
        ("GET", ["nodes"]) => count(client.nodes().await.map(|list| list.len())),
        ("GET", ["cluster", "ha", "resources", _]) => nothing(client.ha_resource(1).await.map(|_| ())),
        ("DELETE", ["cluster", "ha", "resources", _]) => nothing(client.delete_ha_resource(1).await),
        ("PUT", ["pools", _]) => nothing(client.add_to_pool("p1", &[1], None).await),
        ("GET", ["nodes", node, rest @ ..]) if *rest == ["tasks"] => {
            count(client.tasks(node, &TaskFilter::default()).await.map(|list| list.len()))
        }
        ("GET", ["nodes", node, "qemu"]) => count(client.node_vms(node).await.map(|list| list.len())),
        ("GET", ["nodes", node, "storage"]) => count(client.storages(node).await.map(|list| list.len())),
        ("GET", ["nodes", node, "storage", storage, "content"]) => {
            count(client.storage_content(node, storage, None, None).await.map(|list| list.len()))
        }
        ("DELETE", ["nodes", node, "storage", storage, "content", ..]) => {
            task(client.delete_volume(node, storage, "x", None).await)
        }
        ("GET", ["nodes", _, "tasks", .., "status"]) => Some(client.task_status(&upid).await.map(Made::Exit)),
        ("GET", ["nodes", _, "tasks", .., "log"]) => {
            nothing(client.task_log(&upid, 0, 500).await.map(|log| {
                assert!(log.total >= log.lines.len() as u64);
            }))
        }
        ("DELETE", ["nodes", node, "qemu", _]) => {
            task(client.destroy_vm(node, 1, DestroyVm::default()).await)
        }
        (_, ["nodes", node, "qemu", _, rest @ ..]) => vm_call(client, method, node, rest).await,
        _ => None,
    }
}

async fn vm_call(
    client: &proxmox_api::Client,
    method: &str,
    node: &str,
    rest: &[&str],
) -> Option<Result<Made, ApiError>> {
    let count = |list: Result<usize, ApiError>| Some(list.map(Made::Count));
    let nothing = |outcome: Result<(), ApiError>| Some(outcome.map(|()| Made::Nothing));
    let task = |outcome: Result<Started, ApiError>| Some(outcome.map(Made::Task));
    let migrate = MigrateVm {
        target: "pve2",
        online: true,
        with_local_disks: false,
        targetstorage: None,
        bwlimit: None,
    };
    let update = ConfigUpdate::default();
    match (method, rest) {
        ("GET", ["config"]) => {
            let config = client.vm_config(node, 1).await;
            if let Ok(config) = &config {
                for (slot, text) in config.drives() {
                    let drive = config.drive(slot).unwrap().unwrap();
                    assert_eq!(drive.to_string().parse(), Ok(drive), "{text}");
                }
                for index in config.nets() {
                    assert!(config.net(index).unwrap().unwrap().macaddr.is_some());
                }
                assert_eq!(config.smbios_uuid().is_some(), config.get("smbios1").is_some());
                assert!(config.ipconfig(0).is_ok() && config.boot_order().is_ok());
            }
            Some(config.map(|config| Made::Digest(config.digest().map(str::to_owned))))
        }
        ("GET", ["pending"]) => count(client.vm_pending(node, 1).await.map(|list| list.len())),
        ("POST", ["config"]) => task(client.update_vm_config(node, 1, &update, None).await),
        ("PUT", ["config"]) => nothing(client.update_vm_config_sync(node, 1, &update).await),
        ("POST", ["clone"]) => task(client.clone_vm(node, 1, &CloneVm::default()).await),
        ("GET", ["migrate"]) => nothing(client.migrate_preview(node, 1).await.map(|_| ())),
        ("POST", ["migrate"]) => task(client.migrate_vm(node, 1, &migrate).await),
        ("PUT", ["resize"]) => task(client.resize_disk(node, 1, "scsi0", DiskSize::from_gib(1), None).await),
        ("GET", ["status", "current"]) => nothing(client.vm_status(node, 1).await.map(|_| ())),
        ("POST", ["status", "start"]) => task(client.start_vm(node, 1).await),
        ("POST", ["status", "stop"]) => task(client.stop_vm(node, 1, None).await),
        ("POST", ["status", "shutdown"]) => task(client.shutdown_vm(node, 1, None, false).await),
        ("POST", ["status", "reboot"]) => task(client.reboot_vm(node, 1, None).await),
        ("GET", ["snapshot"]) => nothing(client.snapshots(node, 1).await.map(|_| ())),
        ("DELETE", ["snapshot", _]) => task(client.delete_snapshot(node, 1, "a", false).await),
        ("PUT", ["cloudinit"]) => nothing(client.regenerate_cloud_init(node, 1).await),
        ("GET", ["cloudinit"]) => count(client.cloud_init_pending(node, 1).await.map(|list| list.len())),
        ("POST", ["agent", "ping"]) => nothing(client.agent_ping(node, 1).await),
        ("GET", ["agent", "network-get-interfaces"]) => {
            nothing(client.agent_interfaces(node, 1).await.map(|_| ()))
        }
        ("GET", ["firewall", "options"]) => {
            Some(client.firewall_options(node, 1).await.map(|options| Made::Digest(options.digest)))
        }
        ("PUT", ["firewall", "options"]) => {
            nothing(client.set_firewall_options(node, 1, &FirewallOptions::default(), &[]).await)
        }
        ("GET", ["firewall", "rules"]) => count(client.firewall_rules(node, 1).await.map(|list| list.len())),
        ("POST", ["firewall", "rules"]) => {
            nothing(client.add_firewall_rule(node, 1, &FirewallRule::default()).await)
        }
        ("DELETE", ["firewall", "rules", _]) => nothing(client.delete_firewall_rule(node, 1, 0, None).await),
        ("GET", ["firewall", "ipset"]) => count(client.ipsets(node, 1).await.map(|list| list.len())),
        ("POST", ["firewall", "ipset"]) => nothing(client.create_ipset(node, 1, "a", None).await),
        ("GET", ["firewall", "ipset", _]) => {
            count(client.ipset_members(node, 1, "a").await.map(|list| list.len()))
        }
        ("POST", ["firewall", "ipset", _]) => nothing(client.add_ipset_member(node, 1, "a", "b", None).await),
        ("DELETE", ["firewall", "ipset", _]) => nothing(client.delete_ipset(node, 1, "a", false).await),
        ("DELETE", ["firewall", "ipset", _, _, ..]) => {
            nothing(client.delete_ipset_member(node, 1, "a", "b", None).await)
        }
        _ => None,
    }
}
