//! How a machine is on its cluster, seen through the real client.

use super::{
    bench::{Bench, client, small, spec},
    create::everything,
};
use deploy_core::{Agent, Lock, MachineState, Remote, RemoteMachine, RemoteStatus, Step, VmRecord};
use deploy_worker::RemoteView;
use proxmox_api::{Params, Proxmox};
use proxmox_sim::{ClusterConfig, Grant, Switch, TokenConfig};
use std::sync::Arc;

fn view(bench: &Bench, token: &str) -> RemoteView {
    let client = client(&bench.sim, &[bench.sim.url()], token);
    let proxmox = Proxmox::new().with_cluster("demo".parse().expect("name"), client);
    RemoteView::new(Arc::new(proxmox), Arc::new(bench.store.clone()))
}

async fn ready(bench: &Bench, order: serde_json::Value) -> VmRecord {
    let key = bench.order("a_1", spec(order)).await;
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
    record
}

fn there(status: RemoteStatus) -> RemoteMachine {
    match status.seen {
        Remote::There(machine) => *machine,
        other => panic!("{other:?}"),
    }
}

/// Somebody does this to the machine, beside the engine.
async fn somebody(
    bench: &Bench,
    record: &VmRecord,
    method: &str,
    path: &str,
    params: &[(&'static str, &str)],
) {
    let path = format!("/nodes/{}/qemu/{}/{path}", record.spec.node, record.numbered.vmid);
    let params = params.iter().fold(Params::new(), |params, (key, value)| params.set(*key, *value));
    let client = client(&bench.sim, &[bench.sim.url()], bench.sim.token());
    let done: Result<serde_json::Value, _> = match method {
        "PUT" => client.put(&path, &params).await,
        _ => client.post(&path, &params).await,
    };
    done.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
}

#[tokio::test]
async fn a_machine_with_everything_is_as_ordered_and_tells_all_of_itself() {
    let mut config = ClusterConfig::quick();
    config.pools.push("customers".to_owned());
    let bench = Bench::with(config).await;
    let record = ready(&bench, everything()).await;
    let before = bench.sim.counters().total_requests();
    let machine = there(view(&bench, bench.sim.token()).status(&record).await);
    let requests = bench.sim.counters().total_requests() - before;
    assert_eq!(machine.drift, []);
    assert_eq!((machine.state, machine.lock), (Some(MachineState::Running), None));
    let close = machine.close.expect("a look");
    assert_eq!((close.tasks, close.hidden), (vec![], vec![]));
    let Some(Agent::Answers(addresses)) = close.agent else { panic!("{:?}", close.agent) };
    // Cloud-init configures the first of each family.
    let first = record.addresses[0].address;
    assert!(addresses.iter().any(|(_, address)| *address == first), "{first} in {addresses:?}");
    // Rows of what waits, status, tasks, agent, options, rules, sets, and the members of each set.
    let sets = record.spec.nics.len() as u64;
    assert!(requests <= 7 + sets, "{requests}");
}

#[tokio::test]
async fn what_somebody_changes_is_found_by_field() {
    let bench = Bench::new().await;
    let record = ready(&bench, small()).await;
    let view = view(&bench, bench.sim.token());
    somebody(&bench, &record, "PUT", "config", &[("memory", "4096"), ("tags", "theirs"), ("onboot", "1")])
        .await;
    let machine = there(view.status(&record).await);
    let fields: Vec<String> = machine.drift.iter().map(ToString::to_string).collect();
    assert_eq!(
        fields,
        [
            "autostart: on instead of off",
            "memory: 4096 MiB instead of 1024 MiB",
            "tags: theirs instead of none",
        ]
    );
    somebody(&bench, &record, "POST", "status/stop", &[]).await;
    let stopped = async {
        while there(view.status(&record).await).state != Some(MachineState::Stopped) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), stopped).await.expect("it stops");
    let machine = there(view.status(&record).await);
    let power = machine.drift.iter().find(|drift| drift.field == "power").expect("a drift");
    assert_eq!(power.to_string(), "power: stopped instead of running");
    assert_eq!(machine.close.expect("a look").agent, None, "nobody asks a guest that does not run");
}

#[tokio::test]
async fn a_lock_is_seen_by_list_and_look_with_its_date() {
    let bench = Bench::new().await;
    let record = ready(&bench, small()).await;
    let view = view(&bench, bench.sim.token());
    let (vmid, key) = (record.numbered.vmid.get(), "lock".to_owned());
    bench.sim.switch(Switch::Option { vmid, key, value: Some("backup".to_owned()) }).expect("a machine");
    let first = there(view.status(&record).await).lock.expect("a lock");
    assert_eq!(first.lock, Lock::Backup);
    assert!(first.since.is_some());
    let records = [record];
    let listed = there(view.statuses(&records).await.remove(0));
    assert_eq!(listed.lock, Some(first));
}

#[tokio::test]
async fn who_may_not_ask_agents_sees_the_rest() {
    let grants = vec![Grant { path: "/vms".to_owned(), privileges: vec!["VM.Audit".to_owned()] }];
    let token = TokenConfig {
        id: "audit@pve!panel".to_owned(),
        secret: "7b0c6a52-94d3-4b7e-8f11-0d2f5c9e6a48".to_owned(),
        grants: Some(grants),
    };
    let mut config = ClusterConfig::quick();
    config.tokens.push(token.clone());
    let bench = Bench::with(config).await;
    let record = ready(&bench, small()).await;
    let machine = there(view(&bench, &token.credential()).status(&record).await);
    assert_eq!((machine.state, machine.drift), (Some(MachineState::Running), vec![]));
    let close = machine.close.expect("a look");
    assert_eq!((close.agent, close.hidden.len()), (None, 1));
    let (part, why) = &close.hidden[0];
    assert!(part == "agent" && why.contains("VM.GuestAgent.Audit"), "{part}: {why}");
}

#[tokio::test]
async fn a_machine_that_was_moved_is_found_where_it_is() {
    let bench = Bench::new().await;
    let record = ready(&bench, small()).await;
    somebody(&bench, &record, "POST", "migrate", &[("target", "pve3"), ("online", "1")]).await;
    let view = view(&bench, bench.sim.token());
    let moved = async {
        loop {
            // While it moves nobody may know.
            if let Remote::There(machine) = view.status(&record).await.seen
                && machine.node.as_str() == "pve3"
                && machine.lock.is_none()
            {
                return machine;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let machine = tokio::time::timeout(std::time::Duration::from_secs(30), moved).await.expect("it moves");
    let drift: Vec<String> = machine.drift.iter().map(ToString::to_string).collect();
    assert_eq!(drift, ["node: pve3 instead of pve1"]);
    let close = machine.close.expect("a look");
    assert!(matches!(close.agent, Some(Agent::Answers(_))), "{:?}", close.agent);
    assert_eq!(close.hidden, vec![], "all of it was asked for where it is");
}
