//! How machines are on their clusters.

use super::table;
use crate::config::Job;
use deploy_core::{Agent, ExternalRef, LockSince, Remote, RemoteMachine, RemoteStatus, VmRecord};
use deploy_worker::RemoteView;
use examples::engine;
use std::sync::Arc;

/// Shows these machines one by one, or all in one table.
pub(crate) async fn status(job: Job, references: &[ExternalRef]) -> anyhow::Result<()> {
    let database = super::open(&job).await?;
    let (store, clock) = (database.store(), database.clock());
    let records = super::records(&*store, references).await?;
    let hypervisor = engine::hypervisor(&clock, job.clients);
    let view = RemoteView::new(hypervisor, Arc::clone(&store) as _).with_clock(clock);
    if references.is_empty() {
        print_table(&records, &view.statuses(&records).await);
    }
    for record in records.iter().filter(|_| !references.is_empty()) {
        print_page(record, &view.status(record).await);
    }
    database.close().await;
    Ok(())
}

fn print_table(records: &[VmRecord], statuses: &[RemoteStatus]) {
    let rows = records.iter().zip(statuses).map(|(record, status)| {
        let [state, uptime, lock, node, drift] = cells(&status.seen);
        let (machine, vmid) = (record.external_ref.to_string(), record.numbered.vmid.to_string());
        [machine, vmid, record.step.to_string(), node, state, uptime, lock, drift]
    });
    let head = ["Machine", "VMID", "Step", "Node", "State", "Up", "Lock", "Not as ordered"];
    table::print(head, rows.collect(), "no machines");
    table::say(
        "By the lists of the clusters: of disks, NICs and firewalls a look at one machine tells more.",
    );
}

/// State, uptime, lock, node and drift.
fn cells(seen: &Remote) -> [String; 5] {
    let none = || "-".to_owned();
    match seen {
        Remote::There(machine) => [
            state(machine),
            machine.uptime.filter(|uptime| *uptime > 0).map_or_else(none, table::duration),
            machine.lock.as_ref().map_or_else(none, lock),
            machine.node.to_string(),
            drift(machine),
        ],
        Remote::Stranger { node, name } => {
            let whose = format!("the number is somebody else's: {}", name.as_deref().unwrap_or("no name"));
            ["stranger".to_owned(), none(), none(), node.to_string(), whose]
        }
        Remote::Absent => ["absent".to_owned(), none(), none(), none(), none()],
        Remote::Unknown(why) => ["unknown".to_owned(), none(), none(), none(), why.message.clone()],
    }
}

fn state(machine: &RemoteMachine) -> String {
    machine.state.as_ref().map_or_else(|| "not told yet".to_owned(), ToString::to_string)
}

fn lock(lock: &LockSince) -> String {
    match lock.since {
        Some(since) => format!("{}, seen since {}", lock.lock, table::time(since)),
        None => lock.lock.to_string(),
    }
}

fn drift(machine: &RemoteMachine) -> String {
    let lines: Vec<String> = machine.drift.iter().map(ToString::to_string).collect();
    if lines.is_empty() { "-".to_owned() } else { lines.join("\n") }
}

fn print_page(record: &VmRecord, status: &RemoteStatus) {
    let [state, uptime, lock, node, drift] = cells(&status.seen);
    table::say(&format!(
        "{} (machine {}, {})",
        record.external_ref, record.numbered.vmid, record.numbered.fqdn
    ));
    let line = |name: &str, text: &str| {
        for (n, text) in text.lines().enumerate() {
            table::say(&format!("  {:<15} {text}", if n == 0 { name } else { "" }));
        }
    };
    line("step", record.step.as_str());
    line("state", &state);
    line("up for", &uptime);
    line("node", &node);
    line("lock", &lock);
    line("not as ordered", &drift);
    let Some(close) = status.machine().and_then(|machine| machine.close.as_ref()) else { return };
    let tasks = close
        .tasks
        .iter()
        .map(|task| format!("{} of {}, since {}", task.kind, task.user, table::time(task.since)));
    line("tasks", &lines(tasks));
    line("guest agent", &agent(close.agent.as_ref()));
    line("waits for start", &lines(close.pending.iter().cloned()));
    line("not seen", &lines(close.hidden.iter().map(|(part, why)| format!("{part}: {why}"))));
}

fn agent(agent: Option<&Agent>) -> String {
    match agent {
        None => "not asked".to_owned(),
        Some(Agent::Silent) => "silent".to_owned(),
        Some(Agent::Answers(addresses)) => {
            let shown = addresses.iter().filter(|(_, address)| !address.is_loopback());
            format!("answers: {}", lines(shown.map(|(_, address)| address.to_string())).replace('\n', ", "))
        }
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "-".to_owned() } else { lines.join("\n") }
}
