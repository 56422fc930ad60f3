//! The human: sees attention and notices, makes sure that nothing works on the machine any more, and types the command that is
//! named.

use crate::{
    cluster::Cluster,
    desk::Desk,
    picture::{Picture, Row},
};
use proxmox_api::Params;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Operator {
    /// The numbers of the machines whose tasks were killed.
    pub(crate) killed: Vec<u32>,
    /// Commands that were typed.
    pub(crate) commands: Vec<String>,
    /// Volumes that were told to be left behind, by the notice that told it; with `true` those that are seen to. Their names may
    /// be given anew after that.
    left: BTreeMap<(i64, String), bool>,
}

/// A command for a node's shell.
enum Typed {
    Unlock { vmid: u32 },
    Destroy { vmid: u32 },
}

impl Operator {
    /// Kills the worker of a clone or a migration of ours that is under way, if there is one; says so.
    pub(crate) async fn kill_a_task(&mut self, cluster: &Cluster, picture: &Picture) -> bool {
        let submitted = |row| submitted(row).map(|upid| (row.vmid, upid));
        for (vmid, upid) in picture.machines.values().filter_map(submitted) {
            let kind = upid.split(':').nth(5);
            if matches!(kind, Some("qmclone" | "qmigrate")) && is_running(cluster, upid).await {
                cluster.switch(json!({ "switch": "kill-task", "upid": upid })).await;
                self.killed.push(vmid);
                return true;
            }
        }
        false
    }

    /// Does what attention and notices ask for.
    pub(crate) async fn look(&mut self, cluster: &Cluster, desk: &Desk, picture: &Picture) {
        self.free_what_is_left(cluster, desk).await;
        for row in picture.machines.values() {
            let Some(message) = &row.attention else { continue };
            let Some((node, command)) = command(message) else { continue };
            if works(cluster, row, node).await || !is_locked(cluster, row.vmid).await {
                continue;
            }
            match Typed::parse(command) {
                Typed::Unlock { vmid } => {
                    let unlock = json!({ "switch": "option", "vmid": vmid, "key": "lock", "value": null });
                    cluster.switch(unlock).await;
                }
                Typed::Destroy { vmid } => {
                    // As the command does it: as root@pam, whom no token is. No other cluster shares the storages.
                    let how = Params::new().flag("skiplock", true).flag("purge", true);
                    let how = how.flag("destroy-unreferenced-disks", true);
                    if !cluster.delete(&format!("/nodes/{node}/qemu/{vmid}"), &how).await {
                        continue;
                    }
                }
            }
            self.commands.push(format!("{node}# {command}"));
        }
    }
}

impl Operator {
    /// Frees the volumes that are told to be left behind, unless they are gone by now.
    async fn free_what_is_left(&mut self, cluster: &Cluster, desk: &Desk) {
        let mut told = Vec::new();
        for (notice, message) in desk.messages("left_behind") {
            let volumes =
                volumes(&message).map(|(node, volid)| (node.to_owned(), (notice, volid.to_owned())));
            told.extend(volumes);
        }
        told.retain(|(_, volume)| self.left.get(volume) != Some(&true));
        if told.is_empty() {
            return;
        }
        let state = cluster.state().await;
        for (node, volume) in told {
            let volid = volume.1.clone();
            let is_news = !self.left.contains_key(&volume);
            let (exists, named) = (exists(&state, &volid), is_named(&state, &volid));
            assert!(!(is_news && exists && named), "told to free {volid}, which is in use");
            // Freed without an answer the last time, and the name was given anew since.
            let is_done = !exists || named || free(cluster, &node, &volid).await;
            if is_done && exists && !named {
                self.commands.push(format!("{node}# pvesm free {volid}"));
            }
            self.left.insert(volume, is_done);
        }
    }
}

async fn free(cluster: &Cluster, node: &str, volid: &str) -> bool {
    let (storage, name) = (volid.split(':').next().expect("a storage"), volid.replace('/', "%2F"));
    cluster.delete(&format!("/nodes/{node}/storage/{storage}/content/{name}"), &Params::new()).await
}

impl Typed {
    fn parse(command: &str) -> Self {
        let (command, advice) = command.split_once(" (").unwrap_or((command, ""));
        let words: Vec<_> = command.split_whitespace().collect();
        let vmid = |word: &str| word.parse().unwrap_or_else(|_| panic!("no number: {command}"));
        match words.as_slice() {
            ["qm", "unlock", number] => Self::Unlock { vmid: vmid(number) },
            ["qm", "destroy", number, "--skiplock", "--purge"]
                if advice.starts_with("and --destroy-unreferenced-disks, unless ") =>
            {
                Self::Destroy { vmid: vmid(number) }
            }
            _ => panic!("nobody knows how to type this: {command} ({advice})"),
        }
    }
}

/// Node and command of a message that ends `on NODE as root…: COMMAND`.
fn command(message: &str) -> Option<(&str, &str)> {
    let (before, command) = message.rsplit_once(": ").filter(|(_, command)| command.starts_with("qm "))?;
    let node = before.rsplit_once(" on ")?.1.split_whitespace().next()?;
    Some((node, command))
}

/// Node and volume of each command of a message that ends `to free them: pvesm free VOLUME (as root on NODE, …); …`.
fn volumes(message: &str) -> impl Iterator<Item = (&str, &str)> {
    let (_, commands) =
        message.split_once("to free them: ").unwrap_or_else(|| panic!("no command: {message}"));
    commands.split("; ").map(|command| {
        let volume = command.strip_prefix("pvesm free ").and_then(|rest| rest.split_once(" (as root on "));
        let (volume, rest) = volume.unwrap_or_else(|| panic!("nobody knows how to type this: {command}"));
        (rest.split([',', ')']).next().unwrap_or_default(), volume)
    })
}

fn exists(state: &Value, volid: &str) -> bool {
    state["volumes"].as_array().expect("a list").iter().any(|volume| volume["volid"] == volid)
}

/// Whether a configuration names a volume: a linked clone with its base in front.
fn is_named(state: &Value, volid: &str) -> bool {
    let name = volid.split_once(':').map_or(volid, |(_, name)| name);
    state["vms"].as_object().into_iter().flatten().any(|(_, vm)| vm["config"].to_string().contains(name))
}

/// The task that a machine waits for.
fn submitted(row: &Row) -> Option<&str> {
    row.progress["task"].as_str()
}

async fn is_running(cluster: &Cluster, upid: &str) -> bool {
    let node = upid.split(':').nth(1).expect("a UPID");
    cluster.get(&format!("/nodes/{node}/tasks/{upid}/status")).await["status"] == "running"
}

/// Whether a task may still work on the machine. A clone runs under its template's number, and nobody knows for sure which
/// machine it makes: so any clone will do.
async fn works(cluster: &Cluster, row: &Row, node: &str) -> bool {
    let number = row.vmid.to_string();
    let active = cluster.active_tasks(node).await;
    active.iter().any(|task| task["type"] == "qmclone" || task["id"].as_str() == Some(&number))
}

/// Attention stays until the machine's next turn.
async fn is_locked(cluster: &Cluster, vmid: u32) -> bool {
    cluster.state().await["vms"][vmid.to_string()]["config"].get("lock").is_some()
}
