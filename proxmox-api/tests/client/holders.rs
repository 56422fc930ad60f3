//! Who holds a lock, through the hypervisor backend.

use crate::canned::{Act, Canned, answer};
use crate::looks::{hypervisor, machine};
use deploy_core::{Holder, Hypervisor};

fn upid(pid: u32, kind: &str, id: &str) -> String {
    format!("UPID:pve1:{pid:08X}:00000001:00000001:{kind}:{id}:a@pve!t:")
}

/// A list of tasks, each with its status or none while it runs.
fn tasks(list: &[(String, Option<&str>)]) -> Act {
    let entry = |(upid, status): &(String, Option<&str>)| {
        let status = status.map_or(String::new(), |status| format!(r#","status":"{status}""#));
        format!(r#"{{"upid":"{upid}"{status}}}"#)
    };
    let entries: Vec<String> = list.iter().map(entry).collect();
    answer("200 OK", &format!(r#"{{"data":[{}]}}"#, entries.join(",")))
}

fn log(line: &str) -> Act {
    answer("200 OK", &format!(r#"{{"data":[{{"n":1,"t":"{line}"}}]}}"#))
}

fn rights(given: &str) -> Act {
    answer("200 OK", &format!(r#"{{"data":{{"/nodes/pve1":{{{given}}}}}}}"#))
}

async fn asked(lock: &str, acts: impl IntoIterator<Item = Act>) -> (Holder, Vec<String>) {
    let server = Canned::start(acts).await;
    let holder = hypervisor(&server).holder(&machine(), lock).await;
    let lines = server.requests().into_iter().map(|request| request.lines().next().unwrap().to_owned());
    (holder, lines.collect())
}

#[tokio::test]
async fn a_clone_is_found_among_those_of_its_node() {
    let clones = [1, 2, 3].map(|pid| (upid(pid, "qmclone", "9000"), None));
    let ended = (upid(4, "qmclone", "9000"), Some("OK"));
    let audit = || rights(r#""Sys.Audit":1"#);
    let list = || tasks(&[clones[0].clone(), clones[1].clone(), clones[2].clone(), ended.clone()]);
    let other = || log("creating a clone of VM 9000 with ID 101");
    let ours = log("creating a clone of VM 9000 with ID 100");
    let (holder, requests) = asked("clone", [list(), other(), ours]).await;
    assert_eq!(holder, Holder::Task(clones[1].0.parse().unwrap()));
    assert!(requests[0].contains("/nodes/pve1/tasks?"), "{requests:?}");
    for parameter in ["source=all", "typefilter=qmclone", "limit=500"] {
        assert!(requests[0].contains(parameter), "{requests:?}");
    }
    assert!(!requests[0].contains("vmid="), "somebody else may clone another template: {requests:?}");
    // Those of other machines hold other locks, and one that says nothing may be ours.
    assert_eq!(asked("clone", [list(), other(), other(), other(), audit()]).await.0, Holder::Nobody);
    let silent = log("create full clone of drive scsi0 (local:9000/base-9000-disk-0.raw)");
    assert_eq!(asked("clone", [list(), other(), silent, other()]).await.0, Holder::Perhaps);
    assert_eq!(asked("clone", [tasks(std::slice::from_ref(&ended)), audit()]).await.0, Holder::Nobody);
    let blind = rights(r#""VM.Audit":1"#);
    assert!(
        matches!(asked("clone", [tasks(&[ended]), blind]).await.0, Holder::Unknown(_)),
        "it may be a stranger's"
    );
}

#[tokio::test]
async fn nobody_holds_a_lock_only_where_every_task_can_be_seen() {
    let backup = (upid(1, "vzdump", "100"), None);
    let (holder, requests) = asked("backup", [tasks(std::slice::from_ref(&backup))]).await;
    assert_eq!(holder, Holder::Task(backup.0.parse().unwrap()));
    assert!(requests[0].contains("vmid=100"), "{requests:?}");

    let several = (upid(1, "vzdump", ""), None);
    assert_eq!(asked("backup", [tasks(&[]), tasks(&[several])]).await.0, Holder::Perhaps);

    let seen = [tasks(&[]), tasks(&[]), rights(r#""Sys.Audit":1"#)];
    assert_eq!(asked("backup", seen).await.0, Holder::Nobody);
    let unseen = [tasks(&[]), tasks(&[]), rights(r#""VM.Audit":1"#)];
    let (Holder::Unknown(why), _) = asked("backup", unseen).await else { panic!("it is known") };
    assert!(why.contains("Sys.Audit on /nodes/pve1"), "{why}");
    let down = answer("595 Connection refused", "");
    assert!(matches!(asked("snapshot", [down.clone(), down.clone(), down]).await.0, Holder::Unknown(_)));
}

/// The task of a migration is on the node that the machine comes from.
#[tokio::test]
async fn a_migration_is_looked_for_on_every_node() {
    let nodes = r#"{"data":[{"node":"pve1","status":"online"},{"node":"pve2","status":"online"},{"node":"pve3","status":"offline"}]}"#;
    let migration = (upid(1, "qmigrate", "100"), None);
    let acts = [
        answer("200 OK", nodes),
        tasks(&[]),
        tasks(&[]),
        rights(r#""Sys.Audit":1"#),
        tasks(std::slice::from_ref(&migration)),
    ];
    let (holder, requests) = asked("migrate", acts).await;
    assert_eq!(holder, Holder::Task(migration.0.parse().unwrap()));
    assert!(requests.last().unwrap().contains("/nodes/pve2/tasks?"), "{requests:?}");
}
