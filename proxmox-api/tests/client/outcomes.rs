//! What the answers to changes mean, through the hypervisor backend: which say that it is done, and which that nobody knows.

use std::collections::BTreeSet;

use crate::canned::{Act, Canned, answer};
use crate::looks::{hypervisor, look, machine};
use deploy_core::{
    Change, CloneMode, DestroyMode, Ended, ErrorClass, Hypervisor, Look, NicSlot, OwnerMark, Sent,
    SetFirewall, Sighting, SubmitError, Submitted, Target, TaskState, VmKey, Vmid,
};

fn refused(status: &str, message: &str) -> Act {
    answer(status, &format!(r#"{{"data":null,"message":"{message}\n"}}"#))
}

async fn submit(change: &Change, acts: impl IntoIterator<Item = Act>) -> Result<Submitted, SubmitError> {
    let server = Canned::start(acts).await;
    let target = Target {
        machine: machine(),
        mark: OwnerMark(VmKey(uuid::Uuid::nil())),
        smbios: None,
        revision: None,
        not_after: None,
    };
    hypervisor(&server).submit(&target, change).await
}

async fn fails(change: &Change, act: Act) -> (ErrorClass, Sent) {
    let error = submit(change, [act]).await.unwrap_err();
    (error.class, error.sent)
}

fn migrate() -> Change {
    Change::Migrate { to: "pve2".parse().unwrap(), storage: None }
}

fn clone() -> Change {
    Change::Clone {
        template: Vmid::try_from(9000).unwrap(),
        template_node: "pve1".parse().unwrap(),
        mode: CloneMode::Linked,
        name: "vps-100".parse().unwrap(),
    }
}

#[tokio::test]
async fn what_is_so_already_is_done_and_looked_at() {
    let done = [
        (Change::Start, refused("500 x", "VM 100 already running")),
        (migrate(), refused("400 x", "target is local node.")),
        (Change::JoinPool("gold".parse().unwrap()), refused("500 x", "VM 100 is already a pool member")),
    ];
    for (change, act) in done {
        assert_eq!(submit(&change, [act]).await, Ok(Submitted::Applied), "{change}");
    }
    let mark = "pve-deploy: 00000000-0000-0000-0000-000000000000";
    let config = answer("200 OK", &format!(r#"{{"data":{{"description":"{mark}"}}}}"#));
    let gone = refused("500 x", "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist");
    assert_eq!(submit(&Change::Destroy(DestroyMode::Purge), [config, gone]).await, Ok(Submitted::Applied));
}

/// A set or member that is there already is what was wanted, and the rest goes on.
#[tokio::test]
async fn a_part_of_a_firewall_that_is_there_does_not_stop_the_others() {
    let exists = answer(
        "400 Parameter verification failed.",
        r#"{"data":null,"errors":{"name":"IPSet 'ipfilter-net0' already exists"}}"#,
    );
    let nics: BTreeSet<NicSlot> = NicSlot::in_order().take(2).collect();
    let set = Change::SetFirewall(Box::new(SetFirewall { create_filters: nics, ..SetFirewall::default() }));
    let fine = answer("200 OK", r#"{"data":null}"#);
    assert_eq!(submit(&set, [exists, fine]).await, Ok(Submitted::Applied));
}

/// Another's machine, or our own whose answer was lost: the look decides, and nothing is tried under another number.
#[tokio::test]
async fn a_number_that_is_taken_is_looked_at() {
    let taken = refused("500 x", "unable to create VM 100: config file already exists");
    assert_eq!(fails(&clone(), taken).await, (ErrorClass::Unknown, Sent::Answered));
}

#[tokio::test]
async fn what_got_lost_on_the_way_may_have_been_carried_out() {
    for change in [clone(), migrate(), Change::Start] {
        assert_eq!(fails(&change, Act::Reset).await, (ErrorClass::Unknown, Sent::Unknown), "{change}");
        let given_up = answer("596 Broken pipe", "");
        assert_eq!(fails(&change, given_up).await, (ErrorClass::Unknown, Sent::Unknown), "{change}");
        let down = answer("595 Connection refused", "");
        assert_eq!(fails(&change, down).await, (ErrorClass::Unreachable, Sent::No), "{change}");
    }
}

/// The same words are used before and after the machine has moved: the task has failed, and the look finds the machine.
#[tokio::test]
async fn migration_problems_do_not_say_where_the_machine_is() {
    let upid = "UPID:pve1:00000001:00000001:00000001:qmigrate:100:a@pve!t:";
    let ended = r#"{"data":{"status":"stopped","exitstatus":"migration problems"}}"#;
    let server = Canned::start([answer("200 OK", ended)]).await;
    let states = hypervisor(&server).tasks(&machine().cluster, &[upid.parse().unwrap()]).await;
    let [TaskState::Ended(Ended::Failed { class, .. })] = &states[..] else { panic!("{states:?}") };
    assert_eq!(*class, ErrorClass::Failed);

    let moved = [
        refused("500 x", "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"),
        answer("400 x", r#"{"data":null,"errors":{"vmid":"VM 100 already exists"}}"#),
        answer(
            "200 OK",
            r#"{"data":[{"id":"qemu/100","type":"qemu","vmid":100,"node":"pve2","status":"stopped"}]}"#,
        ),
        answer("200 OK", r#"{"data":{"name":"vps-100"}}"#),
    ];
    let server = Canned::start(moved).await;
    let Sighting::Seen(seen) = look(&server, Look::CONFIG).await else { panic!("it is not found") };
    assert_eq!(seen.node.as_str(), "pve2");
}

/// At the moment in which a configuration appears PVE says nothing of its power, which is not "stopped".
#[tokio::test]
async fn a_status_without_a_status_is_not_known() {
    let server = Canned::start([
        answer("200 OK", r#"{"data":{"lock":"clone"}}"#),
        answer("200 OK", r#"{"data":{"ha":{"managed":0}}}"#),
    ])
    .await;
    let Sighting::Seen(seen) = look(&server, Look::CONFIG.and(Look::POWER)).await else { panic!("unseen") };
    assert_eq!(seen.power, None);
}

/// A list may show the machine that had the number before; whose it is, is read from its configuration alone.
#[tokio::test]
async fn a_list_that_is_late_says_only_where_to_look() {
    let late = [
        refused("500 x", "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"),
        answer("400 x", r#"{"data":null,"errors":{"vmid":"VM 100 already exists"}}"#),
        answer(
            "200 OK",
            r#"{"data":[{"id":"qemu/100","type":"qemu","vmid":100,"node":"pve2","status":"running","name":"old"}]}"#,
        ),
        answer("200 OK", r#"{"data":{"lock":"clone"}}"#),
    ];
    let server = Canned::start(late).await;
    let Sighting::Seen(seen) = look(&server, Look::CONFIG).await else { panic!("unseen") };
    assert_eq!((seen.config.name, seen.lock.as_deref()), (None, Some("clone")));
}
