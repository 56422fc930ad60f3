//! Looking for a machine through the hypervisor backend.

use std::time::Duration;

use crate::canned::{Act, Canned, answer, nowhere, token};
use deploy_core::{Agent, ErrorClass, Hypervisor, Look, Machine, MachineId, Obscured, Sighting, Vmid};
use proxmox_api::{Client, Proxmox, Timeouts};

/// Machine 100, last seen on pve1.
pub(crate) fn machine() -> MachineId {
    MachineId {
        cluster: "c1".parse().unwrap(),
        vmid: Vmid::try_from(100).unwrap(),
        node: "pve1".parse().unwrap(),
    }
}

pub(crate) fn hypervisor(server: &Canned) -> Proxmox {
    Proxmox::new().with_cluster("c1".parse().unwrap(), server.client())
}

pub(crate) async fn look(server: &Canned, look: Look) -> Sighting {
    hypervisor(server).machine(&machine(), look).await
}

const RUNNING: &str = r#"{"data":{"status":"running","qmpstatus":"running","uptime":1}}"#;

fn config() -> Act {
    answer("200 OK", r#"{"data":{"agent":"1"}}"#)
}

fn seen(sighting: Sighting) -> Box<Machine> {
    match sighting {
        Sighting::Seen(machine) => machine,
        other => panic!("{other:?}"),
    }
}

fn unknown(sighting: Sighting) -> Obscured {
    match sighting {
        Sighting::Unknown(obscured) => obscured,
        other => panic!("{other:?}"),
    }
}

fn with_agent() -> Look {
    Look::CONFIG.and(Look::AGENT)
}

async fn probed(act: Act) -> Sighting {
    let server = Canned::start([config(), answer("200 OK", RUNNING), act]).await;
    let short = Timeouts { read: Duration::from_millis(200), ..Timeouts::default() };
    let client = server.builder().timeouts(short).build().unwrap();
    Proxmox::new().with_cluster("c1".parse().unwrap(), client).machine(&machine(), with_agent()).await
}

#[tokio::test]
async fn an_agent_that_gives_no_answer_is_silent() {
    let inside = r#"{"data":{"result":{"error":{"class":"GenericError","desc":"not supported"}}}}"#;
    for act in [
        answer("500 QEMU guest agent is not running", ""),
        answer("500 VM 100 qmp command 'guest-network-get-interfaces' failed - got timeout", ""),
        answer("500 VM 100 is not running", ""),
        answer("200 OK", inside),
        answer("200 OK", r#"{"data":{"result":["gibberish"]}}"#),
        answer("596 Connection timed out", ""),
        Act::Hang,
        Act::Reset,
    ] {
        let name = format!("{act:?}");
        assert_eq!(seen(probed(act).await).agent, Some(Agent::Silent), "{name}");
    }
    let answers = probed(answer("200 OK", r#"{"data":{"result":[]}}"#)).await;
    assert_eq!(seen(answers).agent, Some(Agent::Answers(vec![])));
}

#[tokio::test]
async fn an_agent_that_may_not_be_asked_is_an_error_of_the_look() {
    let forbidden = answer("403 Permission check failed (/vms/100, VM.GuestAgent.Audit)", "");
    let obscured = unknown(probed(forbidden).await);
    assert_eq!(obscured.class, ErrorClass::Unauthorized);
    for part in ["agent/network-get-interfaces", "VM.GuestAgent.Audit on Proxmox VE 9", "VM.Monitor"] {
        assert!(obscured.message.contains(part), "{}", obscured.message);
    }
    for (status, class) in [
        ("401 invalid token", ErrorClass::Unauthorized),
        ("500 No QEMU guest agent configured", ErrorClass::Refused),
        ("595 No route to host", ErrorClass::Unreachable),
    ] {
        let obscured = unknown(probed(answer(status, "")).await);
        assert_eq!(obscured.class, class, "{}", obscured.message);
        assert!(!obscured.message.contains("VM.Monitor"), "{}", obscured.message);
    }
}

/// While one agent of a node is asked, nobody asks another one there, and the turn is free again afterwards, even if the
/// asker goes away.
#[tokio::test]
async fn one_agent_of_a_node_is_asked_at_a_time() {
    let server = Canned::start([config(), answer("200 OK", RUNNING), Act::Hang]).await;
    let hypervisor = hypervisor(&server);
    let asker = hypervisor.clone();
    let first = tokio::spawn(async move { asker.machine(&machine(), with_agent()).await });
    let arrived = async {
        while server.requests().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap();
    let answers = answer("200 OK", r#"{"data":{"result":[]}}"#);
    for act in [config(), answer("200 OK", RUNNING)] {
        server.push(act);
    }
    let second = hypervisor.machine(&machine(), with_agent()).await;
    assert_eq!(seen(second).agent, Some(Agent::Silent));
    assert_eq!(server.requests().len(), 5, "not asked");
    // On another node.
    for act in [config(), answer("200 OK", RUNNING), answers.clone()] {
        server.push(act);
    }
    let elsewhere = MachineId { node: "pve2".parse().unwrap(), ..machine() };
    let other = hypervisor.machine(&elsewhere, with_agent()).await;
    assert_eq!(seen(other).agent, Some(Agent::Answers(vec![])));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for act in [config(), answer("200 OK", RUNNING), answers] {
        server.push(act);
    }
    let third = hypervisor.machine(&machine(), with_agent()).await;
    assert_eq!(seen(third).agent, Some(Agent::Answers(vec![])));
}

fn listed(node: &str, kind: &str) -> Act {
    answer("200 OK", &format!(r#"{{"data":[{{"vmid":100,"node":"{node}","type":"{kind}"}}]}}"#))
}

#[tokio::test]
async fn a_machine_whose_node_died_is_looked_for_elsewhere() {
    let lost = |status: &str, times| vec![answer(status, ""); times];
    for dead in [
        // Asked again at once, unless that took its time already.
        lost("595 No route to host", 3),
        lost("595 Connection timed out", 1),
        lost("596 Broken pipe", 3),
        lost("596 Connection timed out", 1),
        lost("504 Gateway Timeout", 1),
        vec![Act::Hang],
    ] {
        let name = format!("{dead:?}");
        let (count, acts) = (dead.len(), dead.into_iter().chain([listed("pve2", "qemu"), config()]));
        let server = Canned::start(acts).await;
        let short = Timeouts { read: Duration::from_millis(200), ..Timeouts::default() };
        let client = server.builder().timeouts(short).build().unwrap();
        let hypervisor = Proxmox::new().with_cluster("c1".parse().unwrap(), client);
        let found = seen(hypervisor.machine(&machine(), Look::CONFIG).await);
        assert_eq!(found.node.as_str(), "pve2", "{name}");
        let requests = server.requests();
        assert_eq!(requests.len(), count + 2, "{name}");
        assert!(requests[count].starts_with("GET /api2/json/cluster/resources?type=vm "), "{name}");
        assert!(requests[count + 1].starts_with("GET /api2/json/nodes/pve2/qemu/100/config "), "{name}");
    }
}

#[tokio::test]
async fn a_machine_that_did_not_move_stays_unknown() {
    for list in [listed("pve1", "qemu"), listed("pve2", "lxc"), answer("200 OK", r#"{"data":[]}"#)] {
        let server = Canned::start([answer("596 Connection timed out", ""), list]).await;
        let obscured = unknown(look(&server, Look::CONFIG).await);
        assert!(obscured.message.contains("596"), "{}", obscured.message);
        assert_eq!(server.requests().len(), 2);
    }
    let server = Canned::start([answer("401 invalid token", "")]).await;
    assert_eq!(unknown(look(&server, Look::CONFIG).await).class, ErrorClass::Unauthorized);
    assert_eq!(server.requests().len(), 1, "the node answered");
    let nobody = Client::builder().url(nowhere().await).credentials(token()).allow_plain_http();
    let hypervisor = Proxmox::new().with_cluster("c1".parse().unwrap(), nobody.build().unwrap());
    let obscured = unknown(hypervisor.machine(&machine(), Look::CONFIG).await);
    assert_eq!(obscured.class, ErrorClass::Unreachable);
}
