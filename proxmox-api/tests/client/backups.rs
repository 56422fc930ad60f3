//! Looking for backups: all that can be read, and never more than that.

use crate::canned::{Canned, answer};
use crate::looks::look;
use deploy_core::{Backups, ErrorClass, Look, Sighting};

const NODES: &str = r#"{"data":[{"node":"pve1","status":"online"},{"node":"pve2","status":"online"},
    {"node":"pve3","status":"offline"}]}"#;

fn storages(names: &[(&str, bool)]) -> String {
    let entry = |(name, shared): &(&str, bool)| {
        let shared = u8::from(*shared);
        format!(
            r#"{{"storage":"{name}","content":"images,backup","active":1,"enabled":1,"shared":{shared}}}"#
        )
    };
    let entries: Vec<String> = names.iter().map(entry).collect();
    format!(r#"{{"data":[{}]}}"#, entries.join(","))
}

/// One of machine 100, and one of another machine, which an old server does not filter out.
fn content(volume: &str, ctime: &str) -> String {
    format!(
        r#"{{"data":[{{"volid":"{volume}","vmid":100,"size":5{ctime}}},{{"volid":"x:other","vmid":1000}}]}}"#
    )
}

async fn backups(server: &Canned) -> Result<Backups, Sighting> {
    match look(server, Look::CONFIG.and(Look::BACKUPS)).await {
        Sighting::Seen(machine) => Ok(machine.backups.unwrap()),
        other => Err(other),
    }
}

fn unread(backups: &Backups) -> Vec<String> {
    backups.unread.iter().map(ToString::to_string).collect()
}

const DOWN: &str = "the storages of pve3: it is not online";

#[tokio::test]
async fn every_storage_is_asked_for_what_it_has_and_when_it_was_made() {
    let server = Canned::start([
        answer("200 OK", r#"{"data":{}}"#),
        answer("200 OK", NODES),
        answer("200 OK", &storages(&[("nas", true), ("local", false)])),
        answer("200 OK", &content("nas:a", r#","ctime":1700000000"#)),
        answer("200 OK", &content("local:b", "")),
        answer("200 OK", &storages(&[("nas", true), ("local", false)])),
        answer("200 OK", &content("local:c", r#","ctime":"1700000001""#)),
    ])
    .await;
    let backups = backups(&server).await.unwrap();
    assert_eq!(unread(&backups), [DOWN]);
    let seen: Vec<_> = backups
        .found
        .iter()
        .map(|backup| {
            (backup.volume.as_str(), backup.node.as_str(), backup.made_at.map(jiff::Timestamp::as_second))
        })
        .collect();
    let expected = [
        ("nas:a", "pve1", Some(1_700_000_000)),
        ("local:b", "pve1", None),
        ("local:c", "pve2", Some(1_700_000_001)),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_storage_that_cannot_be_read_hides_no_other() {
    let server = Canned::start([
        answer("200 OK", r#"{"data":{}}"#),
        answer("200 OK", NODES),
        answer("200 OK", &storages(&[("dead", false), ("nas", true), ("hung", true), ("local", false)])),
        answer("500 storage 'dead' is not online", ""),
        answer("403 Permission check failed (/storage/nas, Datastore.Audit)", ""),
        answer("500 got timeout", ""),
        answer("200 OK", &content("local:b", "")),
        // The second node: the shared one that was refused once more, the one that hangs not again.
        answer("200 OK", &storages(&[("nas", true), ("hung", true)])),
        answer("200 OK", &content("nas:a", "")),
    ])
    .await;
    let backups = backups(&server).await.unwrap();
    let volumes: Vec<_> = backups.found.iter().map(|backup| backup.volume.as_str()).collect();
    assert_eq!(volumes, ["local:b", "nas:a"]);
    let place = "GET /nodes/pve1/storage";
    let dead = format!("storage dead of pve1: {place}/dead/content: 500 storage 'dead' is not online");
    let hung = format!("storage hung of pve1: {place}/hung/content: 500 got timeout");
    // What another node could read of a shared one is all of it.
    assert_eq!(unread(&backups), [dead.as_str(), DOWN, &hung]);
    assert_eq!(server.requests().len(), 9);
}

#[tokio::test]
async fn a_node_whose_storages_cannot_be_read_hides_no_other() {
    let server = Canned::start([
        answer("200 OK", r#"{"data":{}}"#),
        answer("200 OK", NODES),
        answer("500 got timeout", ""),
        answer("200 OK", &storages(&[("local", false)])),
        answer("200 OK", &content("local:b", "")),
    ])
    .await;
    let backups = backups(&server).await.unwrap();
    assert_eq!(backups.found.len(), 1);
    assert_eq!(unread(&backups), ["the storages of pve1: GET /nodes/pve1/storage: 500 got timeout", DOWN]);
}

#[tokio::test]
async fn what_hides_everything_is_an_error() {
    let refused = || answer("401 invalid token", "");
    let cases = [
        (vec![answer("500 what", "")], ErrorClass::Failed),
        (vec![answer("200 OK", NODES), refused()], ErrorClass::Unauthorized),
        (
            vec![answer("200 OK", NODES), answer("200 OK", &storages(&[("nas", true)])), refused()],
            ErrorClass::Unauthorized,
        ),
    ];
    for (acts, class) in cases {
        let config = answer("200 OK", r#"{"data":{}}"#);
        let server = Canned::start(std::iter::once(config).chain(acts)).await;
        let Err(Sighting::Unknown(obscured)) = backups(&server).await else { panic!("no error") };
        assert_eq!(obscured.class, class, "{}", obscured.message);
    }
}

/// It is enabled, and holds backups, and PVE says itself that it cannot be read.
#[tokio::test]
async fn a_storage_that_is_not_online_is_told_and_not_asked() {
    let storages = storages(&[("nas", true)]).replace(r#""active":1"#, r#""active":0"#);
    let server = Canned::start([
        answer("200 OK", r#"{"data":{}}"#),
        answer("200 OK", r#"{"data":[{"node":"pve1","status":"online"}]}"#),
        answer("200 OK", &storages),
    ])
    .await;
    let backups = backups(&server).await.unwrap();
    assert!(backups.found.is_empty());
    assert_eq!(unread(&backups), ["storage nas of pve1: it is not online"]);
}
