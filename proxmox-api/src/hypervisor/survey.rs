//! Seeing how machines are: all of a cluster by its list, one by a few requests at once.

use super::{
    Cluster, Proxmox, look,
    meaning::{obscured, read},
    read_firewall,
};
use crate::{
    ApiError, Client, Resources, RunState, TaskEntry, TaskFilter, TaskSource, TaskStatus, VmResource,
    VmStatus,
};
use async_trait::async_trait;
use deploy_core::{
    Bytes, ClusterName, ErrorClass, GuestKind, Hidden, Inspected, Inspection, Look, LookError, Machine,
    MachineFirewall, MachineId, NodeName, NodeState, Obscured, Power, RunningTask, Sighting, Survey,
    Surveyed, Surveyor, Traffic, Vmid,
};
use jiff::Timestamp;

#[async_trait]
impl Surveyor for Proxmox {
    async fn survey(&self, cluster: &ClusterName) -> Result<Survey, LookError> {
        let client =
            self.client(cluster).map_err(|message| LookError { class: ErrorClass::Refused, message })?;
        match read(|| client.resources()).await {
            Ok(resources) => Ok(survey(resources)),
            Err(error) => {
                let Obscured { class, message } = obscured(&error);
                Err(LookError { class, message })
            }
        }
    }

    async fn inspect(&self, id: &MachineId) -> Inspection {
        match self.cluster(&id.cluster) {
            Ok(cluster) => inspect(cluster, id).await,
            Err(message) => Inspection::Unknown(Obscured { class: ErrorClass::Refused, message }),
        }
    }
}

fn survey(resources: Resources) -> Survey {
    let guests = resources.guests.into_iter().filter_map(|guest| {
        let vmid = Vmid::try_from(guest.vmid).ok()?;
        Some((vmid, surveyed(guest)?))
    });
    let nodes = resources.nodes.into_iter().filter_map(|node| {
        let state = match node.status.as_deref()? {
            "online" => NodeState::Online,
            "offline" => NodeState::Offline,
            _ => return None,
        };
        Some((node.node.parse().ok()?, state))
    });
    Survey { guests: guests.collect(), nodes: nodes.collect() }
}

fn surveyed(guest: VmResource) -> Option<Surveyed> {
    Some(Surveyed {
        kind: match guest.kind.as_str() {
            "qemu" if guest.template => GuestKind::Template,
            "qemu" => GuestKind::Machine,
            _ => GuestKind::Container,
        },
        node: guest.node.parse().ok()?,
        name: guest.name,
        power: match guest.status {
            RunState::Running => Some(Power::Running),
            RunState::Stopped => Some(Power::Stopped),
            RunState::Unknown => None,
        },
        uptime: guest.uptime,
        lock: guest.lock.map(Into::into),
        tags: guest.tags.iter().filter_map(|tag| tag.parse().ok()).collect(),
        cpus: guest.maxcpu.and_then(cpus),
        memory: guest.maxmem.map(Bytes),
        counted: guest.netin.zip(guest.netout).map(|(received, sent)| Traffic { received, sent }),
    })
}

/// A number of CPUs, which PVE may write with decimals.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the range is checked first
fn cpus(number: f64) -> Option<u32> {
    (0.0..=1e6).contains(&number).then_some(number.round() as u32)
}

/// What is asked beside the configuration, all on the node where the machine is.
struct Beside {
    status: Result<VmStatus, ApiError>,
    firewall: Result<MachineFirewall, ApiError>,
    tasks: Result<Vec<RunningTask>, ApiError>,
}

/// Looks at a machine where it was last seen, with everything at once; where it turns out to be elsewhere, what is beside its
/// configuration is asked there once more.
async fn inspect(cluster: &Cluster, id: &MachineId) -> Inspection {
    let (client, vmid) = (&cluster.client, id.vmid.get());
    let config = Look::CONFIG.and(Look::PENDING);
    let (sighting, mut asked) =
        tokio::join!(look::machine(cluster, id, config), beside(client, &id.node, vmid));
    let machine = match sighting {
        Sighting::Seen(machine) => *machine,
        Sighting::ProvenAbsent => return Inspection::ProvenAbsent,
        Sighting::Unknown(why) => return Inspection::Unknown(why),
    };
    if machine.node != id.node {
        asked = beside(client, &machine.node, vmid).await;
    }
    let mut inspected = put_together(machine, asked);
    ask_agent(cluster, vmid, &mut inspected).await;
    Inspection::Seen(Box::new(inspected))
}

async fn beside(client: &Client, node: &NodeName, vmid: u32) -> Beside {
    let name = node.as_str();
    let (status, firewall, tasks) = tokio::join!(
        read(|| client.vm_status(name, vmid)),
        read_firewall::firewall(client, name, vmid, Look::FIREWALL),
        tasks(client, name, vmid),
    );
    Beside { status, firewall, tasks }
}

/// What works on a machine now: our own, or all with `Sys.Audit` on the node. A clone shows at its source.
async fn tasks(client: &Client, node: &str, vmid: u32) -> Result<Vec<RunningTask>, ApiError> {
    let filter = TaskFilter { source: TaskSource::Active, vmid: Some(vmid), ..TaskFilter::default() };
    let entries = read(|| client.tasks(node, &filter)).await?;
    let mut tasks: Vec<RunningTask> = entries.into_iter().filter_map(running).collect();
    tasks.sort_by_key(|task| task.since);
    Ok(tasks)
}

/// One that has just ended is still in the list.
fn running(TaskEntry { upid, status, .. }: TaskEntry) -> Option<RunningTask> {
    let since = Timestamp::from_second(i64::from(upid.starttime())).ok()?;
    let task = RunningTask { kind: upid.kind().to_owned(), since, user: upid.user().to_owned() };
    matches!(status, TaskStatus::Running).then_some(task)
}

fn put_together(mut machine: Machine, asked: Beside) -> Inspected {
    let mut hidden = Vec::new();
    let mut hide = |part, error: &ApiError| hidden.push(Hidden { part, why: obscured(error) });
    let mut uptime = None;
    match asked.status {
        Ok(status) => {
            machine.power = look::power(&status);
            machine.look = machine.look.and(Look::POWER);
            uptime = status.uptime;
        }
        Err(error) => hide("power", &error),
    }
    match asked.firewall {
        Ok(firewall) => {
            machine.firewall = Some(firewall);
            machine.look = machine.look.and(Look::FIREWALL);
        }
        Err(error) => hide("firewall", &error),
    }
    let tasks = asked.tasks.unwrap_or_else(|error| {
        hide("tasks", &error);
        Vec::new()
    });
    Inspected { machine, uptime, tasks, hidden }
}

/// Asked last, and only where it can answer: the node waits 3 s for a guest that is silent.
async fn ask_agent(cluster: &Cluster, vmid: u32, inspected: &mut Inspected) {
    let machine = &mut inspected.machine;
    if machine.power != Some(Power::Running) || !machine.config.agent {
        return;
    }
    match cluster.probes.ask(&cluster.client, &machine.node, vmid).await {
        Ok(agent) => {
            machine.agent = Some(agent);
            machine.look = machine.look.and(Look::AGENT);
        }
        Err(why) => inspected.hidden.push(Hidden { part: "agent", why }),
    }
}
