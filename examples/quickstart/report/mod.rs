//! What came of it: a table and a log for people, one JSON document for programs.

mod json;
mod text;

pub(crate) use json::document;
pub(crate) use text::{print_left, print_log, print_requests, print_table};

use anyhow::Context as _;
use deploy_core::{LogEntry, LogEvent, LogId, Operation, Step, VmRecord};
use examples::engine::Engine;
use jiff::SignedDuration;
use serde::Serialize;

/// What came of one machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// The reference of its order.
    pub(crate) reference: String,
    /// The step it is on.
    pub(crate) status: &'static str,
    /// Its fully qualified domain name.
    pub(crate) name: String,
    /// The node it is on.
    pub(crate) node: String,
    /// Its number.
    pub(crate) vmid: u32,
    /// Its addresses.
    pub(crate) addresses: Vec<String>,
    /// The MAC of its first NIC.
    pub(crate) mac: Option<String>,
    /// The MACs of all its NICs.
    pub(crate) macs: Vec<String>,
    /// Seconds from the order to `ready`; none before it was.
    pub(crate) seconds: Option<f64>,
    /// 1 and the number of tries that failed on the way to `ready`.
    pub(crate) attempts: u32,
    /// What a human has to see to.
    pub(crate) attention: Option<String>,
    #[serde(skip)]
    pub(crate) log: Vec<LogEntry>,
    #[serde(skip)]
    pub(crate) dhcp: bool,
}

/// What came of these machines.
pub(crate) async fn machines(engine: &Engine, records: &[VmRecord]) -> anyhow::Result<Vec<Machine>> {
    let mut machines = Vec::new();
    for record in records {
        let log = engine.deployments.log(record.key, LogId::default(), 10_000).await;
        machines.push(machine(record, log.with_context(|| format!("log of {}", record.external_ref))?));
    }
    Ok(machines)
}

fn machine(record: &VmRecord, log: Vec<LogEntry>) -> Machine {
    let macs: Vec<_> = record.macs.iter().map(ToString::to_string).collect();
    let deploy = || log.iter().filter(|entry| entry.line.operation == Operation::Create);
    let failed = |entry: &&LogEntry| matches!(entry.line.event, LogEvent::Failed { .. });
    Machine {
        reference: record.external_ref.to_string(),
        status: record.step.as_str(),
        name: record.numbered.fqdn.to_string(),
        node: record.node.to_string(),
        vmid: record.numbered.vmid.get(),
        addresses: record.addresses.iter().map(|held| held.address.to_string()).collect(),
        mac: macs.first().cloned(),
        macs,
        seconds: deploy()
            .find(|entry| ends_deployment(entry))
            .map(|entry| seconds(entry.line.at.duration_since(record.created_at))),
        attempts: 1 + deploy().filter(failed).map(|entry| entry.times).sum::<u32>(),
        attention: record.attention.as_ref().map(|attention| attention.message.clone()),
        dhcp: record.spec.nics.iter().any(|nic| nic.addressing == deploy_core::Addressing::Dhcp),
        log,
    }
}

fn ends_deployment(entry: &LogEntry) -> bool {
    matches!(entry.line.event, LogEvent::Done { .. })
        && entry.line.operation.after(entry.line.step) == Some(Step::Ready)
}

/// Rounded to milliseconds, so that a document has no noise.
fn seconds(duration: SignedDuration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
