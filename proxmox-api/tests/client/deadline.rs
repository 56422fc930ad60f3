//! Changes that would leave too late.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::canned::{Canned, answer};
use crate::looks::machine;
use deploy_core::{
    Change, Clock, DestroyMode, ErrorClass, Hypervisor, NicSlot, OwnerMark, Sent, SetFirewall, SubmitError,
    Submitted, Target, VmKey,
};
use jiff::Timestamp;
use proxmox_api::{Client, Credentials, Proxmox};

/// A clock that is a second later each time it is looked at.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

async fn submit(client: Client, not_after: Timestamp, change: &Change) -> Result<Submitted, SubmitError> {
    let hypervisor = Proxmox::new()
        .with_clock(Arc::new(Ticking(AtomicI64::new(100))))
        .with_cluster("c1".parse().unwrap(), client);
    let target = Target {
        machine: machine(),
        mark: OwnerMark(VmKey(uuid::Uuid::nil())),
        smbios: None,
        revision: None,
        not_after: Some(not_after),
    };
    hypervisor.submit(&target, change).await
}

fn assert_held_back(outcome: Result<Submitted, SubmitError>) {
    let SubmitError { class, sent, message } = outcome.unwrap_err();
    assert_eq!((class, sent), (ErrorClass::Unreachable, Sent::No));
    assert!(message.contains("held back"), "{message}");
}

#[tokio::test]
async fn a_change_in_time_is_sent_and_one_that_is_late_is_not() {
    let started =
        || answer("200 OK", r#"{"data":"UPID:pve1:00000001:00000001:00000001:qmstart:100:a@pve!t:"}"#);
    let server = Canned::start([started()]).await;
    let outcome = submit(server.client(), at(100), &Change::Start).await;
    assert!(matches!(outcome, Ok(Submitted::Task(_))), "{outcome:?}");
    assert_eq!(server.requests().len(), 1);

    let server = Canned::start([started()]).await;
    assert_held_back(submit(server.client(), at(99), &Change::Start).await);
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn each_request_of_a_change_is_held_back_on_its_own() {
    let done = || answer("200 OK", r#"{"data":null}"#);
    let server = Canned::start([done(), done(), done()]).await;
    let nics = NicSlot::in_order().take(3);
    let set = SetFirewall { create_filters: nics.collect::<BTreeSet<_>>(), ..SetFirewall::default() };
    assert_held_back(submit(server.client(), at(101), &Change::SetFirewall(Box::new(set))).await);
    assert_eq!(server.requests().len(), 2, "the third came too late");
}

/// The login may take as long as anything else.
#[tokio::test]
async fn what_had_to_wait_for_a_login_is_judged_after_it() {
    let ticket = r#"{"data":{"ticket":"PVE:a@pve:1","CSRFPreventionToken":"c","username":"a@pve"}}"#;
    let server = Canned::start([answer("200 OK", ticket)]).await;
    let password = Credentials::Password { username: "a@pve".to_owned(), password: "secret".into() };
    let client = server.builder().credentials(password).build().unwrap();
    assert_held_back(submit(client, at(99), &Change::Start).await);
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].contains("/access/ticket"), "{requests:?}");
}

#[tokio::test]
async fn destroying_reads_the_identity_but_does_not_destroy_too_late() {
    let key = "pve-deploy: 00000000-0000-0000-0000-000000000000";
    let config = answer("200 OK", &format!(r#"{{"data":{{"description":"{key}"}}}}"#));
    let server = Canned::start([config]).await;
    assert_held_back(submit(server.client(), at(99), &Change::Destroy(DestroyMode::Purge)).await);
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("GET "), "{requests:?}");
}
