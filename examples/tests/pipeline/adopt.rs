//! A machine that somebody made by hand becomes one of ours, as it is.

use super::{
    bench::{Bench, client, done_steps, small, spec, vmid},
    terminate::backup,
};
use deploy_core::{
    Adopted, Adoption, Command, CommandError, CreateError, Denied, Deployments, Family, Look, Operation,
    Power, Sighting, Step, StopHow, VmKey, VmRecord, VmSpec, drift,
};
use proxmox_api::Params;
use proxmox_sim::{ClusterConfig, Switch};
use serde_json::{Value, json};

const UUID: &str = "7d444840-9dc0-11d1-b245-5ffdce74fad2";
const MAC: &str = "BC:24:11:5E:1F:07";
const NET: &str = "e1000=BC:24:11:5E:1F:07,bridge=vmbr0";

/// What it was sold as: more memory than it has, and cloud-init.
fn sold() -> Value {
    let mut order = small();
    order["additional_disks"] = json!([{ "storage": "local-lvm", "size": 5 }]);
    order["pve_pool"] = json!("customers");
    order
}

/// Somebody makes a machine with this number, and starts it.
async fn by_hand(bench: &Bench, number: &str, uuid: &str) {
    let smbios = format!("uuid={uuid}");
    let created = [
        ("vmid", number),
        ("name", "legacy-mail"),
        ("description", "the mail server\nask ann before you touch it"),
        ("smbios1", smbios.as_str()),
        ("memory", "512"),
        ("cores", "2"),
        ("scsi0", "local-lvm:8"),
        ("virtio1", "local-lvm:4"),
        ("boot", "order=scsi0"),
        ("net0", NET),
        ("tags", "theirs"),
    ];
    ask(bench, "/nodes/pve1/qemu", &created).await;
    ask(bench, &format!("/nodes/pve1/qemu/{number}/status/start"), &[]).await;
}

/// Asks for a task and waits until it is over.
async fn ask(bench: &Bench, path: &str, params: &[(&'static str, &str)]) {
    let params = params.iter().fold(Params::new(), |params, (key, value)| params.set(*key, *value));
    let client = client(&bench.sim, &[bench.sim.url()], bench.sim.token());
    let task: String = client.post(path, &params).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    let over = async {
        loop {
            let state = bench.ask(&format!("/nodes/pve1/tasks/{task}/status")).await;
            if state["status"] == "stopped" {
                assert_eq!(state["exitstatus"], "OK", "{path}");
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), over).await.expect("a task that ends");
}

async fn bench() -> Bench {
    let mut config = ClusterConfig::quick();
    config.pools.push("customers".to_owned());
    Bench::with(config).await
}

fn adoption(reference: &str, number: u32, uuid: &str, order: Value) -> Adoption {
    let machine = Adopted {
        vmid: vmid(number),
        smbios: uuid.parse().expect("a UUID"),
        node: "pve1".parse().expect("name"),
        addresses: vec![(0.try_into().expect("a slot"), "203.0.113.77".parse().expect("an address"))],
    };
    Adoption {
        reference: reference.parse().expect("reference"),
        spec: spec(order),
        machine,
        metadata: Value::Null,
    }
}

/// As the README has it.
async fn as_embedders_do(panel: &Deployments, spec: VmSpec) -> Result<VmKey, Box<dyn std::error::Error>> {
    // Which machine it is, and what it has. Its number may be another machine's by now; its UUID is not.
    let machine = Adopted {
        vmid: 400.try_into()?,
        smbios: "7d444840-9dc0-11d1-b245-5ffdce74fad2".parse()?, // PVE: smbios1
        node: "pve1".parse()?,
        addresses: vec![(0.try_into()?, "203.0.113.77".parse()?)],
    };
    // What it was sold as. It need not be so: what differs is shown afterwards, and made so on command.
    let reference = "old-1".parse()?;
    let metadata = json!({ "customer": 12 });
    let adoption = Adoption { reference, spec, machine, metadata };
    let key = panel.adopt(adoption).await?.record().key;
    Ok(key)
}

async fn adopt(bench: &Bench, adoption: Adoption) -> VmKey {
    bench.deployments.adopt(adoption).await.expect("written down").record().key
}

/// The machine once it rests after this.
async fn commanded(bench: &Bench, key: VmKey, command: Command) -> VmRecord {
    bench.deployments.command(key, command).await.expect("a command");
    let rests = |record: &VmRecord| {
        let life = &record.life;
        record.step.is_rest() && record.pending.is_empty() && life.asked.is_none() && life.queue.is_empty()
    };
    bench.run_until(key, rests).await
}

async fn look(bench: &Bench, record: &VmRecord) -> deploy_core::Machine {
    let look = Look::CONFIG.and(Look::POWER).and(Look::POOL);
    match bench.seams.hypervisor.machine(&record.machine_id(), look).await {
        Sighting::Seen(machine) => *machine,
        other => panic!("{other:?}"),
    }
}

/// The configuration but for what says of which moment it is.
async fn settings(bench: &Bench, record: &VmRecord) -> Value {
    let mut config = bench.config(record).await;
    config["digest"].take();
    config
}

#[tokio::test]
async fn a_machine_made_by_hand_is_adopted_as_it_is_brought_to_its_order_and_taken_away() {
    let bench = bench().await;
    by_hand(&bench, "400", UUID).await;
    bench
        .sim
        .switch(Switch::AddBackup {
            backup: backup(400, false, Some("of a machine that had the number before")),
        })
        .expect("a storage");
    let free = bench.free(Family::V4).await;
    let before = bench.ask("/nodes/pve1/qemu/400/config").await;
    let key = as_embedders_do(&bench.deployments, spec(sold())).await.expect("written down");
    let record = bench.run(key).await;

    // Nothing but the mark and the pool.
    assert_eq!((record.operation, record.step), (Operation::Adopt, Step::Ready));
    assert_eq!(done_steps(&bench.log(key).await), [Step::Adopting, Step::AdoptingIp, Step::Marking]);
    let mut expected = before.clone();
    let notes = format!("{}\nthe mail server\nask ann before you touch it", record.mark());
    (expected["description"], expected["digest"]) = (json!(notes), Value::Null);
    assert_eq!(settings(&bench, &record).await, expected);
    let machine = look(&bench, &record).await;
    assert_eq!(
        (machine.power.clone(), machine.pool.clone()),
        (Some(Power::Running), Some(Some("customers".parse().unwrap())))
    );

    // What it has is the record's.
    let held: Vec<String> = record.addresses.iter().map(|held| held.address.to_string()).collect();
    assert_eq!(held, ["203.0.113.77"]);
    assert_eq!(record.addresses[0].gateway, Some("203.0.113.1".parse().unwrap()));
    assert_eq!(bench.free(Family::V4).await, free - 1);
    assert_eq!(record.macs, [MAC.parse().unwrap()]);
    assert_eq!(record.slots, ["virtio1".parse().unwrap()]);
    assert!(!record.life.stopped && record.life.adopts.is_none());
    let fields: Vec<String> = drift(&record, &machine).into_iter().map(|drift| drift.field).collect();
    for field in ["pve_name", "tags", "memory", "net0.model", "virtio1.size"] {
        assert!(fields.iter().any(|found| found == field), "{field} in {fields:?}");
    }

    // Nobody else gets it.
    let again = bench.deployments.adopt(adoption("old-2", 400, UUID, sold())).await;
    assert!(matches!(again, Err(CreateError::Reserved { until: None, .. })), "{again:?}");

    // On command it becomes what was sold.
    commanded(&bench, key, Command::Stop(StopHow::Hard)).await;
    let record = commanded(&bench, key, Command::RunOn(Step::Migrated)).await;
    assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
    assert_eq!(drift(&record, &look(&bench, &record).await), []);
    assert_eq!(record.macs, [MAC.parse().unwrap()]);

    // And goes like any other, with all but the backup that is older than its adoption.
    let record = bench.terminate(key).await;
    assert_eq!(record.step, Step::Terminated);
    let list = bench.ask("/cluster/resources").await;
    assert!(list.as_array().expect("a list").iter().all(|machine| machine["vmid"] != 400));
    let content = bench.ask("/nodes/pve1/storage/shared/content").await;
    assert_eq!(content.as_array().expect("a list").iter().filter(|volume| volume["vmid"] == 400).count(), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_told_let_go_of_untouched_and_adopted_anew() {
    let bench = bench().await;
    by_hand(&bench, "400", UUID).await;
    let before = bench.ask("/nodes/pve1/qemu/400/config").await;
    let key = adopt(&bench, adoption("old-1", 400, UUID, small())).await;
    let record = bench.run_until(key, |record| record.attention.is_some()).await;
    let why = record.attention.as_ref().expect("attention").message.clone();
    assert!(why.starts_with("additional_disks: 0 are ordered") && why.contains("virtio1"), "{why}");

    let refused = bench.deployments.command(key, Command::Terminate).await;
    assert!(matches!(refused, Err(CommandError::Denied(Denied::NotNow { .. }))), "{refused:?}");
    let record = commanded(&bench, key, Command::LetGo).await;
    assert_eq!(record.step, Step::Terminated);
    assert_eq!(record.life.receipt[0].to_string(), "machine 400 was not adopted: nothing was done to it");
    assert_eq!(bench.ask("/nodes/pve1/qemu/400/config").await, before);

    // As it was sold, it is adopted at once, although its number and its address would rest.
    let key = adopt(&bench, adoption("old-1", 400, UUID, sold())).await;
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
}

#[tokio::test]
async fn another_machine_under_the_number_is_left_alone() {
    let bench = bench().await;
    by_hand(&bench, "400", "11111111-9dc0-11d1-b245-5ffdce74fad2").await;
    let before = bench.ask("/nodes/pve1/qemu/400/config").await;
    let key = adopt(&bench, adoption("old-1", 400, UUID, sold())).await;
    let record = bench.run_until(key, |record| record.attention.is_some()).await;
    let why = &record.attention.as_ref().expect("attention").message;
    assert!(why.contains(UUID) && why.contains("11111111-9dc0"), "{why}");
    let absent = adopt(&bench, adoption("old-2", 401, UUID, sold())).await;
    let record = bench.run_until(absent, |record| record.attention.is_some()).await;
    let why = &record.attention.as_ref().expect("attention").message;
    assert!(why.contains("there is no machine 401"), "{why}");
    for key in [key, absent] {
        assert_eq!(commanded(&bench, key, Command::LetGo).await.step, Step::Terminated);
    }
    assert_eq!(bench.ask("/nodes/pve1/qemu/400/config").await, before);
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_told_by_name_and_nothing_is_marked() {
    let bench = bench().await;
    by_hand(&bench, "400", UUID).await;
    let before = bench.ask("/nodes/pve1/qemu/400/config").await;
    // Another one of ours has it already: the lowest.
    let other = bench.order("new-1", spec(small())).await;
    let other = bench.run(other).await;
    let mut first = adoption("old-1", 400, UUID, sold());
    first.machine.addresses[0].1 = other.addresses[0].address;
    let key = adopt(&bench, first).await;
    let record = bench.run_until(key, |record| record.attention.is_some()).await;
    let why = &record.attention.as_ref().expect("attention").message;
    assert!(why.contains(&other.key.to_string()), "{why}");
    assert_eq!(bench.ask("/nodes/pve1/qemu/400/config").await, before);
    // It goes on by itself, once the other one has another.
    let nic = 0.try_into().expect("a slot");
    commanded(&bench, other.key, Command::SetDedicatedIp(nic, Family::V4)).await;
    assert_eq!(bench.run(key).await.step, Step::Ready);
}
