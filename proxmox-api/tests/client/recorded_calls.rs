//! The typed call for each recorded path. Its parameters do not matter, as the answer is the recorded one; what it
//! makes of that is held against the JSON.

use crate::expected::{Is, class, rows, same, tags, text, whole};
use crate::recorded_vm::{firewall_options, machine};
use proxmox_api::{
    ApiError, Client, DestroyVm, RunState, Started, Tags, TaskFilter, TaskStatus, Upid, VmidState,
};
use serde_json::{Value, json};

const UPID: &str = "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1:";

/// What came of a call whose value was right.
pub(crate) type Outcome = Option<Result<(), ApiError>>;

#[allow(clippy::unnecessary_wraps, reason = "the calls that have no typed one have no outcome")]
pub(crate) fn right<T>(outcome: Result<T, ApiError>, check: impl FnOnce(T)) -> Outcome {
    Some(outcome.map(check))
}

/// Of a call that answers with a task, or with nothing when it is done.
pub(crate) fn task(outcome: Result<Started, ApiError>, data: &Value) -> Outcome {
    right(outcome, |started| assert_eq!(started.upid().map(Upid::as_str), data.as_str()))
}

pub(crate) fn nothing(outcome: Result<(), ApiError>, data: &Value) -> Outcome {
    right(outcome, |()| assert_eq!(*data, Value::Null))
}

pub(crate) fn is(tags_of: &Tags, data: &Value) {
    let mut ours: Vec<String> = tags_of.iter().map(ToString::to_string).collect();
    ours.sort_unstable();
    assert_eq!(ours, tags(&data["tags"]), "{data}");
}

pub(crate) fn state(state: RunState) -> Is<'static> {
    Is::Text(match state {
        RunState::Running => Some("running"),
        RunState::Stopped => Some("stopped"),
        RunState::Unknown => Some("unknown"),
    })
}

fn status(status: &TaskStatus, recorded: &str) {
    match status {
        TaskStatus::Running => assert_eq!(recorded.to_lowercase(), "running"),
        TaskStatus::Stopped(exit) => {
            assert_eq!(exit.to_string(), recorded);
            assert_eq!(exit.is_success(), recorded == "OK" || recorded.starts_with("WARNINGS: "));
            let class = (!exit.is_success()).then(|| class(recorded));
            assert_eq!(exit.class(), class, "{recorded}");
        }
    }
}

#[allow(clippy::too_many_lines, reason = "one arm a call")]
pub(crate) async fn call(client: &Client, method: &str, path: &str, row: &Value) -> Outcome {
    let data = &row["response"]["data"];
    let segments: Vec<_> = path.split('?').next().unwrap_or_default().split('/').collect();
    let upid: Upid = UPID.parse().unwrap();
    match (method, segments.as_slice()) {
        ("GET", ["version"]) => right(client.version().await, |version| {
            let fields =
                [("version", version.version), ("release", version.release), ("repoid", version.repoid)];
            for (key, value) in &fields {
                same(data, &[(key, Is::Text(Some(value)))]);
            }
        }),
        ("GET", ["access", "permissions"]) => right(client.permissions(None).await, |permissions| {
            for (path, held) in data.as_object().unwrap() {
                assert_eq!(permissions.on(path).count(), held.as_object().unwrap().len(), "{path}");
                assert!(held.as_object().unwrap().keys().all(|name| permissions.has(path, name)), "{path}");
            }
        }),
        ("GET", ["cluster", "nextid"]) if row["params"] == json!([]) => {
            right(client.next_vmid().await, |vmid| assert_eq!(Some(vmid.to_string()), text(data)))
        }
        ("GET", ["cluster", "nextid"]) => right(client.vmid_state(100).await, |state| {
            assert_eq!(state == VmidState::Free, row["status"] == 200, "{row}");
        }),
        ("GET", ["cluster", "status"]) => right(client.cluster_status().await, |status| {
            let of = |kind: &str| {
                data.as_array().unwrap().iter().filter(|row| row["type"] == kind).collect::<Vec<_>>()
            };
            let cluster = of("cluster")[0];
            same(
                cluster,
                &[("name", Is::Text(status.name.as_deref())), ("quorate", Is::Flag(status.quorate))],
            );
            assert_eq!(status.nodes.len(), of("node").len());
            for (row, node) in of("node").into_iter().zip(&status.nodes) {
                let fields = [("online", Is::Flag(node.online)), ("local", Is::Flag(node.local))];
                same(row, &fields);
                same(row, &[("name", Is::Text(Some(&node.name))), ("ip", Is::Text(node.ip.as_deref()))]);
            }
        }),
        ("GET", ["cluster", "resources"]) if row["params"] == json!([["type", "vm"]]) => {
            right(client.vm_resources().await, |all| {
                for (data, vm) in rows(data, &all) {
                    same(data, &[("vmid", whole(Some(vm.vmid.into()))), ("status", state(vm.status))]);
                    same(data, &[("node", Is::Text(Some(&vm.node))), ("type", Is::Text(Some(&vm.kind)))]);
                    same(
                        data,
                        &[("name", Is::Text(vm.name.as_deref())), ("lock", Is::Text(vm.lock.as_deref()))],
                    );
                    same(
                        data,
                        &[("pool", Is::Text(vm.pool.as_deref())), ("template", Is::Flag(vm.template))],
                    );
                    same(data, &[("hastate", Is::Text(vm.hastate.as_deref())), ("uptime", whole(vm.uptime))]);
                    same(data, &[("maxmem", whole(vm.maxmem)), ("mem", whole(vm.mem))]);
                    same(data, &[("maxcpu", Is::Number(vm.maxcpu)), ("cpu", Is::Number(vm.cpu))]);
                    same(data, &[("netin", whole(vm.netin)), ("netout", whole(vm.netout))]);
                    is(&vm.tags, data);
                }
            })
        }
        ("GET", ["cluster", "resources"]) if row["params"] == json!([]) => {
            right(client.resources().await, |all| {
                let of = |kinds: &[&str]| -> Vec<&Value> {
                    let rows = data.as_array().unwrap().iter();
                    rows.filter(|row| kinds.iter().any(|kind| row["type"] == **kind)).collect()
                };
                let (guests, nodes) = (of(&["qemu", "lxc"]), of(&["node"]));
                assert_eq!((all.guests.len(), all.nodes.len()), (guests.len(), nodes.len()), "{data}");
                for (row, guest) in guests.into_iter().zip(&all.guests) {
                    same(
                        row,
                        &[("vmid", whole(Some(guest.vmid.into()))), ("node", Is::Text(Some(&guest.node)))],
                    );
                    same(row, &[("netin", whole(guest.netin)), ("netout", whole(guest.netout))]);
                }
                for (row, node) in nodes.into_iter().zip(&all.nodes) {
                    let fields = [("node", Is::Text(Some(node.node.as_str())))];
                    same(row, &fields);
                    same(row, &[("status", Is::Text(node.status.as_deref()))]);
                }
            })
        }
        ("GET", ["cluster", "firewall", "options"]) => {
            right(client.cluster_firewall_options().await, |options| firewall_options(&options, data))
        }
        ("GET", ["nodes"]) => right(client.nodes().await, |nodes| {
            for (data, node) in rows(data, &nodes) {
                same(data, &[("node", Is::Text(Some(&node.node))), ("status", Is::Text(Some(&node.status)))]);
                same(data, &[("ssl_fingerprint", Is::Text(node.ssl_fingerprint.as_deref()))]);
                same(data, &[("maxcpu", whole(node.maxcpu.map(Into::into))), ("cpu", Is::Number(node.cpu))]);
                same(data, &[("maxmem", whole(node.maxmem)), ("mem", whole(node.mem))]);
            }
        }),
        ("GET", ["cluster", "ha", "resources", _]) => right(client.ha_resource(101).await, |resource| {
            let Some(resource) = resource else { return assert_eq!(row["status"], 500) };
            same(
                data,
                &[("sid", Is::Text(Some(&resource.sid))), ("state", Is::Text(resource.state.as_deref()))],
            );
            same(data, &[("group", Is::Text(resource.group.as_deref()))]);
            same(data, &[("digest", Is::Text(resource.digest.as_deref()))]);
        }),
        ("PUT", ["cluster", "ha", "resources", _]) => {
            nothing(client.set_ha_state(101, "stopped").await, data)
        }
        ("DELETE", ["cluster", "ha", "resources", _]) => nothing(client.delete_ha_resource(101).await, data),
        ("GET", ["pools", _]) => right(client.pool("p1").await, |pool| {
            same(data, &[("comment", Is::Text(pool.comment.as_deref()))]);
            for (data, member) in rows(&data["members"], &pool.members) {
                same(
                    data,
                    &[("type", Is::Text(Some(&member.kind))), ("node", Is::Text(member.node.as_deref()))],
                );
                same(data, &[("vmid", whole(member.vmid.map(Into::into)))]);
            }
        }),
        ("PUT", ["pools", _]) => nothing(client.add_to_pool("p1", &[101], None).await, data),
        ("GET", ["nodes", node, "version"]) => right(client.node_version(node).await, |version| {
            same(data, &[("version", Is::Text(Some(&version.version)))]);
        }),
        ("GET", ["nodes", node, "tasks"]) => {
            right(client.tasks(node, &TaskFilter::default()).await, |tasks| {
                for (data, entry) in rows(data, &tasks) {
                    same(
                        data,
                        &[("upid", Is::Text(Some(entry.upid.as_str()))), ("endtime", whole(entry.endtime))],
                    );
                    status(&entry.status, data["status"].as_str().unwrap_or("RUNNING"));
                }
            })
        }
        ("GET", ["nodes", _, "tasks", .., "status"]) => right(client.task_status(&upid).await, |ours| {
            let exit = data["exitstatus"].as_str().or(data["status"].as_str());
            status(&ours, exit.unwrap());
        }),
        ("GET", ["nodes", _, "tasks", .., "log"]) => right(client.task_log(&upid, 0, 500).await, |log| {
            let lines = data.as_array().cloned().unwrap_or_else(|| vec![data.clone()]);
            let lines: Vec<_> = lines.iter().map(|line| line["t"].as_str().unwrap()).collect();
            assert_eq!(log.lines, lines);
            assert_eq!(Some(log.total), row["response"]["total"].as_u64());
        }),
        ("GET", ["nodes", node, "qemu"]) => right(client.node_vms(node).await, |vms| {
            for (data, vm) in rows(data, &vms) {
                same(data, &[("vmid", whole(Some(vm.vmid.into()))), ("status", state(vm.status))]);
                same(data, &[("name", Is::Text(vm.name.as_deref())), ("lock", Is::Text(vm.lock.as_deref()))]);
                same(data, &[("template", Is::Flag(vm.template)), ("cpus", Is::Number(vm.cpus))]);
                same(data, &[("maxmem", whole(vm.maxmem)), ("uptime", whole(vm.uptime))]);
                is(&vm.tags, data);
            }
        }),
        ("GET", ["nodes", node, "storage"]) => right(client.storages(node).await, |storages| {
            for (data, storage) in rows(data, &storages) {
                same(
                    data,
                    &[("storage", Is::Text(Some(&storage.storage))), ("type", Is::Text(Some(&storage.kind)))],
                );
                same(data, &[("shared", Is::Flag(storage.shared)), ("active", Is::Flag(storage.active))]);
                same(data, &[("enabled", Is::Flag(storage.enabled)), ("total", whole(storage.total))]);
                same(data, &[("used", whole(storage.used)), ("avail", whole(storage.avail))]);
                assert_eq!(storage.holds("images"), data["content"].as_str().unwrap().contains("images"));
            }
        }),
        ("GET", ["nodes", node, "storage", storage, "content"]) => {
            right(client.storage_content(node, storage, None, None).await, |volumes| {
                for (data, volume) in rows(data, &volumes) {
                    same(data, &[("volid", Is::Text(Some(&volume.volid)))]);
                    same(data, &[("content", Is::Text(Some(&volume.content)))]);
                    same(
                        data,
                        &[("format", Is::Text(volume.format.as_deref())), ("size", whole(volume.size))],
                    );
                    same(
                        data,
                        &[("vmid", whole(volume.vmid.map(Into::into))), ("ctime", whole(volume.ctime))],
                    );
                    same(data, &[("parent", Is::Text(volume.parent.as_deref()))]);
                    same(data, &[("protected", Is::Flag(volume.protected))]);
                }
            })
        }
        ("DELETE", ["nodes", node, "storage", storage, "content", ..]) => {
            task(client.delete_volume(node, storage, "local:100/vm-100-disk-0.raw", None).await, data)
        }
        ("DELETE", ["nodes", node, "qemu", _]) => {
            task(client.destroy_vm(node, 100, DestroyVm::default()).await, data)
        }
        (_, ["nodes", node, "qemu", _, rest @ ..]) => machine(client, method, node, rest, row).await,
        _ => None,
    }
}
