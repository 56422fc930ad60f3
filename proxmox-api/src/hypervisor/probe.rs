//! Asking guest agents, without a crowd.

use super::meaning::{obscured, words};
use crate::{AgentInterface, ApiError, Client, Failure};
use deploy_core::{Agent, NodeName, Obscured};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One probe at a time on each node of a cluster.
///
/// PVE waits 3 s for a silent agent, and meanwhile blocks one of the node's three API workers: a few booting guests would
/// shut everybody out. Nobody queues for the turn: who does not get it counts as silent, and is asked at the next poll,
/// which backs off. A young machine is asked as any other; its guest may be up within a second, and more than one worker
/// is never blocked.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<BTreeMap<NodeName, Arc<Semaphore>>>);

impl Probes {
    /// The node's turn, if nobody has it. Whoever drops it passes it on, also in the middle of a call.
    fn turn(&self, node: &NodeName) -> Option<OwnedSemaphorePermit> {
        // Nothing panics while it is held.
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = nodes.entry(node.clone()).or_insert_with(|| Arc::new(Semaphore::new(1)));
        Arc::clone(turns).try_acquire_owned().ok()
    }

    /// What the agent says. An agent that does not answer is silent, and so is one whose answer was lost or makes no sense:
    /// it is asked again.
    ///
    /// # Errors
    /// What asking again does not mend: we may not ask, no agent is configured in the running machine, the node is down.
    pub(super) async fn ask(&self, client: &Client, node: &NodeName, vmid: u32) -> Result<Agent, Obscured> {
        let Some(_turn) = self.turn(node) else { return Ok(Agent::Silent) };
        match client.agent_interfaces(node.as_str(), vmid).await {
            Ok(interfaces) => Ok(Agent::Answers(interfaces.into_iter().flat_map(addresses).collect())),
            Err(error) if is_silence(&error) => Ok(Agent::Silent),
            Err(error) => Err(denied(&error)),
        }
    }
}

fn addresses(interface: AgentInterface) -> impl Iterator<Item = (deploy_core::MacAddr, std::net::IpAddr)> {
    let mac = interface.mac.and_then(|mac| mac.to_string().parse().ok());
    interface.addresses.into_iter().filter_map(move |(address, _)| Some((mac?, address)))
}

/// `WrongState`: it stopped between two questions.
fn is_silence(error: &ApiError) -> bool {
    matches!(error.class(), Failure::Guest | Failure::UnknownOutcome | Failure::WrongState)
}

fn denied(error: &ApiError) -> Obscured {
    let why = obscured(error);
    if error.class() != Failure::Forbidden {
        return why;
    }
    let message = format!(
        "{}; to ask guest agents takes the privilege VM.GuestAgent.Audit on Proxmox VE 9, VM.Monitor before",
        words(error)
    );
    Obscured { message, ..why }
}
