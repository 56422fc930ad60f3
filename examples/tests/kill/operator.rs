//! The human: sees attention, makes sure that nothing works on the machine any more, and types the command that is named.

use crate::{
    cluster::Cluster,
    database::{Picture, Row},
};
use proxmox_api::Params;
use serde_json::json;

#[derive(Default)]
pub(crate) struct Operator {
    /// Tasks that were killed.
    pub(crate) tasks_killed: u32,
    /// Commands that were typed.
    pub(crate) commands: Vec<String>,
}

/// A command for a node's shell.
enum Typed {
    Unlock { vmid: u32 },
    Destroy { vmid: u32 },
}

impl Operator {
    /// Kills the worker of a clone or a migration of ours that is under way, if there is one; says so.
    pub(crate) async fn kill_a_task(&mut self, cluster: &Cluster, picture: &Picture) -> bool {
        for upid in picture.machines.values().filter_map(submitted) {
            let kind = upid.split(':').nth(5);
            if matches!(kind, Some("qmclone" | "qmigrate")) && is_running(cluster, upid).await {
                cluster.switch(json!({ "switch": "kill-task", "upid": upid })).await;
                self.tasks_killed += 1;
                return true;
            }
        }
        false
    }

    /// Does what attention asks for.
    pub(crate) async fn look(&mut self, cluster: &Cluster, picture: &Picture) {
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
