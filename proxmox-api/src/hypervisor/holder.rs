//! Who holds a machine's lock.

use super::meaning::{read, words};
use crate::{ApiError, Client, NodeInfo, TaskEntry, TaskFilter, TaskStatus, Upid};
use deploy_core::{Holder, MachineId, Vmid};

/// So many lines of a clone's log are read: what it does to each disk comes early.
const LINES: u32 = 50;

/// The task that holds the lock. PVE's locks name none, so that it is looked for among the running ones of the node.
pub(super) async fn holder(client: &Client, machine: &MachineId, lock: &str) -> Holder {
    let found = match lock {
        "clone" => cloner(client, machine).await,
        // Its task runs on the node that the machine comes from, where its configuration is only until near the end.
        "migrate" => migration(client, machine).await,
        _ => worker(client, machine.node.as_str(), machine.vmid).await,
    };
    found.unwrap_or_else(|error| Holder::Unknown(words(&error)))
}

async fn running(
    client: &Client,
    node: &str,
    kind: Option<&str>,
    vmid: Option<Vmid>,
) -> Result<Vec<Upid>, ApiError> {
    let filter = TaskFilter { kind, vmid: vmid.map(Vmid::get), limit: Some(500), ..TaskFilter::default() };
    let tasks = read(|| client.tasks(node, &filter)).await?;
    let runs = |task: &TaskEntry| matches!(task.status, TaskStatus::Running);
    Ok(tasks.into_iter().filter(runs).map(|task| task.upid).collect())
}

/// A clone runs under the number of its source, and only its log says what it makes: PVE 9 in so many words, PVE 8 by the
/// names of the volumes, where the storage tells them. Whose machine it is need not be known yet: somebody else may be making
/// it, from a template of his own.
async fn cloner(client: &Client, machine: &MachineId) -> Result<Holder, ApiError> {
    let node = machine.node.as_str();
    let clones = running(client, node, Some("qmclone"), None).await?;
    let mut holder = Holder::Nobody;
    for clone in clones {
        match target(&read(|| client.task_log(&clone, 0, LINES)).await?.lines, machine.vmid) {
            Some(true) => return Ok(task(&clone)),
            Some(false) => {}
            None => holder = Holder::Perhaps,
        }
    }
    if holder == Holder::Nobody { nobody(client, node).await } else { Ok(holder) }
}

/// Whether a clone makes this machine, as far as its log tells.
fn target(log: &[String], vmid: Vmid) -> Option<bool> {
    let told =
        log.iter().find_map(|line| line.strip_prefix("creating a clone of VM ")?.split_once(" with ID "));
    let volume = format!("vm-{vmid}-");
    match told {
        Some((_, number)) => Some(number.trim() == vmid.to_string()),
        None => log.iter().any(|line| line.contains(&volume)).then_some(true),
    }
}

async fn migration(client: &Client, machine: &MachineId) -> Result<Holder, ApiError> {
    let nodes = read(|| client.nodes()).await?;
    let mut holder = Holder::Nobody;
    for NodeInfo { node, .. } in nodes.into_iter().filter(NodeInfo::is_online) {
        match worker(client, &node, machine.vmid).await? {
            Holder::Task(task) => return Ok(Holder::Task(task)),
            Holder::Nobody => {}
            other => holder = other,
        }
    }
    Ok(holder)
}

/// A task of whoever on this machine. A backup of several machines names none.
async fn worker(client: &Client, node: &str, vmid: Vmid) -> Result<Holder, ApiError> {
    if let Some(upid) = running(client, node, None, Some(vmid)).await?.first() {
        return Ok(task(upid));
    }
    if running(client, node, Some("vzdump"), None).await?.iter().any(|backup| backup.id().is_empty()) {
        return Ok(Holder::Perhaps);
    }
    nobody(client, node).await
}

/// Nobody, where the list shows the tasks of all: without this right it shows our own alone.
async fn nobody(client: &Client, node: &str) -> Result<Holder, ApiError> {
    let path = format!("/nodes/{node}");
    if read(|| client.permissions(Some(&path))).await?.has(&path, "Sys.Audit") {
        Ok(Holder::Nobody)
    } else {
        Ok(Holder::Unknown(format!("to see the tasks of others on {node} takes Sys.Audit on {path}")))
    }
}

fn task(upid: &Upid) -> Holder {
    upid.as_str().parse().map_or(Holder::Perhaps, Holder::Task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_tells_what_it_makes_by_number_or_by_volume() {
        let of = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            target(&lines, Vmid::try_from(5001).unwrap())
        };
        // PVE 9.2
        assert_eq!(of(&["creating a clone of VM 9100 with ID 5001"]), Some(true));
        assert_eq!(
            of(&["creating a clone of VM 5001 with ID 5004", "Formatting '/x/vm-5004-disk-0.qcow2'"]),
            Some(false)
        );
        // PVE 8.4
        let early = "create full clone of drive ide2 (shared:9100/vm-9100-cloudinit.qcow2)";
        assert_eq!(of(&[early]), None);
        assert_eq!(
            of(&[early, "Formatting '/mnt/images/5001/vm-5001-cloudinit.qcow2', fmt=qcow2"]),
            Some(true)
        );
        assert_eq!(of(&[early, "Formatting '/mnt/images/50010/vm-50010-disk-0.qcow2'"]), None);
        assert_eq!(of(&["no content"]), None, "it waits for its own locks yet");
    }
}
