//! Volumes that nothing names, through the hypervisor backend.

use crate::canned::{Act, Canned, answer};
use crate::looks::{hypervisor, machine};
use deploy_core::{Hypervisor, Leftover, LookError};

const NODES: &str = r#"{"data":[{"node":"pve1","status":"online"}]}"#;
const STORAGES: &str = r#"{"data":[{"storage":"local","content":"images,rootdir","active":1,"enabled":1,"shared":0},
    {"storage":"nas","content":"backup","active":1,"enabled":1,"shared":1}]}"#;
const CONTENT: &str = r#"{"data":[
    {"volid":"local:100/vm-100-disk-0.qcow2","vmid":100,"size":5,"ctime":1700000000},
    {"volid":"local:100/vm-100-disk-1.qcow2","vmid":100,"size":6,"ctime":1700000001},
    {"volid":"local:100/vm-100-disk-2.qcow2","vmid":100,"size":7},
    {"volid":"local:1000/vm-1000-disk-0.qcow2","vmid":1000,"size":8}]}"#;

fn ok(body: &str) -> Act {
    answer("200 OK", body)
}

async fn left(more: impl IntoIterator<Item = Act>) -> Result<Vec<Leftover>, LookError> {
    let lists = [ok(NODES), ok(STORAGES), ok(CONTENT)];
    let server = Canned::start(lists.into_iter().chain(more)).await;
    hypervisor(&server).leftovers(&machine()).await
}

fn names(left: Result<Vec<Leftover>, LookError>) -> Vec<String> {
    left.unwrap().into_iter().map(|volume| volume.volume).collect()
}

/// Whatever the configuration names is in use: also what is unplugged but kept, and what a pending change lets go. The base of a
/// linked clone stands in front of its name here and not there.
#[tokio::test]
async fn what_a_configuration_names_is_not_left_behind() {
    let config =
        ok(r#"{"data":{"scsi0":"local:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2,size=5"}}"#);
    let in_force =
        ok(r#"{"data":{"scsi0":"local:100/vm-100-disk-0.qcow2","unused0":"local:100/vm-100-disk-2.qcow2"}}"#);
    let left = left([config, in_force]).await.unwrap();
    let [volume] = &left[..] else { panic!("{left:?}") };
    assert_eq!(volume.volume, "local:100/vm-100-disk-1.qcow2");
    assert_eq!((volume.node.as_str(), volume.size.map(|size| size.0)), ("pve1", Some(6)));
    assert_eq!(volume.made_at.map(jiff::Timestamp::as_second), Some(1_700_000_001));
}

#[tokio::test]
async fn without_a_machine_nothing_is_named() {
    let gone =
        answer("500 Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist", r#"{"data":null}"#);
    let free = ok(r#"{"data":"100"}"#);
    assert_eq!(names(left([gone.clone(), free]).await).len(), 3, "those of the number alone");
    // It is somewhere else, and may name them all.
    let taken = answer(
        "400 Parameter verification failed.",
        r#"{"data":null,"errors":{"vmid":"VM 100 already exists"}}"#,
    );
    assert!(left([gone, taken]).await.is_err());
}

/// A snapshot may name what the configuration does not.
#[tokio::test]
async fn of_a_machine_with_snapshots_nothing_is_told() {
    assert_eq!(names(left([ok(r#"{"data":{"parent":"before-update"}}"#)]).await), [""; 0]);
}
