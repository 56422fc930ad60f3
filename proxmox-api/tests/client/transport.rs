//! What is sent, and what is made of every way in which a server can fail to answer.

use std::time::Duration;

use crate::canned::{Act, Canned, answer, nowhere, token};
use proxmox_api::{
    Busy, Cause, Client, CloneVm, ConfigUpdate, Credentials, Failure, Fingerprint, Params, Sent, Started,
    Timeouts, Trust, VmidState,
};

const VERSION: &str = r#"{"data":{"version":"8.4.1","release":"8.4","repoid":"825b122a3d29aa85"}}"#;
const UPID: &str = "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1:";

fn version() -> Act {
    answer("200 OK", VERSION)
}

#[tokio::test]
async fn a_read_has_its_parameters_in_the_query_and_no_body() {
    let server = Canned::start([answer("200 OK", r#"{"data":"5001"}"#)]).await;
    assert_eq!(server.client().vmid_state(5001).await.unwrap(), VmidState::Free);
    let request = &server.requests()[0];
    assert!(request.starts_with("GET /api2/json/cluster/nextid?vmid=5001 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("PVEAPIToken=root@pam!t1=secret\r\n"), "{request}");
    assert!(!request.to_lowercase().contains("content-length"), "{request}");
}

#[tokio::test]
async fn a_write_has_a_form_of_known_length() {
    let task = answer("200 OK", &format!(r#"{{"data":"{UPID}"}}"#));
    let server = Canned::start([task.clone(), task]).await;
    let update = ConfigUpdate {
        set: Params::new().set("net0", "virtio=BC:24:11:00:00:01,trunks=1;2"),
        digest: Some("abc"),
        delete: &["net1", "net2"],
        ..ConfigUpdate::default()
    };
    let client = server.client();
    let started = client.update_vm_config("pve1", 100, &update, None).await.unwrap();
    assert_eq!(started.upid().map(ToString::to_string).as_deref(), Some(UPID));
    client.start_vm("pve1", 100).await.unwrap();
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api2/json/nodes/pve1/qemu/100/config HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("application/x-www-form-urlencoded"), "{head}");
    assert_eq!(
        body,
        "net0=virtio%3DBC%3A24%3A11%3A00%3A00%3A01%2Ctrunks%3D1%3B2&delete=net1%2Cnet2&digest=abc"
    );
    assert!(requests[1].to_lowercase().contains("content-length: 0\r\n"), "{}", requests[1]);
}

/// What a raw write does is not known, so that it gets the time of the slowest.
#[tokio::test]
async fn a_raw_write_has_the_time_of_a_long_one() {
    const LONG: Duration = Duration::from_millis(150);
    let server = Canned::start([Act::Hang, Act::Hang, Act::Hang]).await;
    let timeouts = Timeouts {
        read: Duration::from_millis(1),
        short_write: Duration::from_millis(1),
        long_write: LONG,
        ..Timeouts::default()
    };
    let client = server.builder().timeouts(timeouts).build().unwrap();
    let params = Params::new();
    for method in 0..3 {
        let began = tokio::time::Instant::now();
        let outcome: Result<(), _> = match method {
            0 => client.post("/nodes/pve1/qemu/100/agent/fstrim", &params).await,
            1 => client.put("/nodes/pve1/qemu/100/cloudinit", &params).await,
            _ => client.delete("/nodes/pve1/qemu/100/snapshot/s1", &params).await,
        };
        assert!(matches!(outcome.unwrap_err().cause(), Cause::TimedOut));
        assert!(began.elapsed() >= LONG, "method {method}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_delete_has_no_body_and_its_volume_in_one_segment() {
    let server = Canned::start([answer("200 OK", r#"{"data":null}"#)]).await;
    let outcome =
        server.client().delete_volume("pve1", "local", "local:backup/a.zst", Some(5)).await.unwrap();
    assert_eq!(outcome, Started::Done);
    let line = "DELETE /api2/json/nodes/pve1/storage/local/content/local%3Abackup%2Fa.zst?delay=5 HTTP/1.1";
    assert_eq!(server.requests()[0].lines().next(), Some(line));
}

#[tokio::test]
async fn the_message_is_found_in_the_reason_phrase_of_older_servers() {
    let server = Canned::start([answer("500 VM is locked (clone)", r#"{"data":null}"#)]).await;
    let error = server.client().start_vm("pve1", 100).await.unwrap_err();
    assert_eq!(error.answer().unwrap().message, "VM is locked (clone)");
    assert_eq!((error.class(), error.sent()), (Failure::Busy(Busy::Locked), Sent::Yes));
    let expected =
        "POST /nodes/pve1/qemu/100/status/start: 500 VM is locked (clone) (carried out, at least in part)";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn empty_bodies_of_errors_are_answers_all_the_same() {
    let acts =
        ["401 No ticket", "595 Connection refused", "596 Broken pipe", "501 Method 'GET /x' not implemented"];
    let server = Canned::start(acts.map(|status| answer(status, ""))).await;
    let client = server.client();
    let mut seen = Vec::new();
    for _ in acts {
        let error = client.start_vm("pve1", 100).await.unwrap_err();
        seen.push((error.status().unwrap(), error.class(), error.sent()));
    }
    let expected = [
        (401, Failure::Unauthorized, Sent::Refused),
        (595, Failure::Transient, Sent::No),
        (596, Failure::UnknownOutcome, Sent::Unknown),
        (501, Failure::Refused, Sent::Refused),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_reset_after_the_request_leaves_the_outcome_unknown_and_is_not_repeated() {
    let other = Canned::start([version()]).await;
    let server = Canned::start([Act::Reset]).await;
    let client = server.builder().url(&other.url).build().unwrap();
    let clone = CloneVm { newid: 101, ..CloneVm::default() };
    let error = client.clone_vm("pve1", 100, &clone).await.unwrap_err();
    assert_eq!((error.class(), error.sent()), (Failure::UnknownOutcome, Sent::Unknown));
    assert!(matches!(error.cause(), Cause::Broken(_)), "{error}");
    assert_eq!((server.requests().len(), other.requests().len()), (1, 0));
    // But the next one goes elsewhere.
    client.version().await.unwrap();
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_breaks_leaves_the_outcome_unknown_too() {
    let server = Canned::start([version(), Act::Reset, version()]).await;
    let client = server.client();
    client.version().await.unwrap();
    let error = client.stop_vm("pve1", 100, None).await.unwrap_err();
    assert_eq!(error.sent(), Sent::Unknown);
    assert_eq!(server.requests().len(), 2, "not sent a second time behind our back");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unknown() {
    let server = Canned::start([Act::Hang]).await;
    let timeouts = Timeouts { short_write: Duration::from_millis(100), ..Timeouts::default() };
    let client = server.builder().timeouts(timeouts).build().unwrap();
    let error = client.start_vm("pve1", 100).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::TimedOut), "{error}");
    assert_eq!((error.class(), error.sent()), (Failure::UnknownOutcome, Sent::Unknown));
}

#[tokio::test]
async fn half_an_answer_is_unknown() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":".to_vec();
    let server = Canned::start([Act::Last(half)]).await;
    let error = server.client().start_vm("pve1", 100).await.unwrap_err();
    assert_eq!((error.class(), error.sent()), (Failure::UnknownOutcome, Sent::Unknown));
}

#[tokio::test]
async fn a_successful_answer_that_cannot_be_read_was_carried_out() {
    let server = Canned::start([answer("200 OK", "<html>"), answer("200 OK", r#"{"data":7}"#)]).await;
    let client = server.client();
    for _ in 0..2 {
        let error = client.start_vm("pve1", 100).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Undecodable { status: 200, .. }), "{error}");
        assert_eq!((error.class(), error.sent()), (Failure::UnknownOutcome, Sent::Yes));
    }
}

#[tokio::test]
async fn what_was_not_sent_is_given_to_the_next_server_which_is_kept() {
    let server = Canned::start([version(), version()]).await;
    let client = Client::builder()
        .url(nowhere().await)
        .url(&server.url)
        .url(nowhere().await)
        .credentials(token())
        .allow_plain_http()
        .build()
        .unwrap();
    client.version().await.unwrap();
    client.version().await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn nobody_there_is_not_sent() {
    let client = Client::builder()
        .url(nowhere().await)
        .url(nowhere().await)
        .credentials(token())
        .allow_plain_http()
        .build()
        .unwrap();
    let error = client.start_vm("pve1", 100).await.unwrap_err();
    assert_eq!((error.class(), error.sent()), (Failure::Transient, Sent::No));
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_server_without_its_daemon_is_passed_over() {
    let lame = Canned::start([answer("595 Connection refused", "")]).await;
    let good = Canned::start([version()]).await;
    let client = lame.builder().url(&good.url).build().unwrap();
    client.version().await.unwrap();
    assert_eq!((lame.requests().len(), good.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_node_that_is_down_is_not_asked_for_through_every_server() {
    let first = Canned::start([answer("595 Connection refused", "")]).await;
    let second = Canned::start([version()]).await;
    let client = first.builder().url(&second.url).build().unwrap();
    let error = client.start_vm("pve2", 100).await.unwrap_err();
    assert_eq!((error.status(), error.sent()), (Some(595), Sent::No));
    assert_eq!(second.requests().len(), 0);
    // It may have been the first server's own daemon, so the next request goes elsewhere.
    client.version().await.unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_pinned_certificate_is_accepted_and_another_one_is_not_sent_anything() {
    let (server, _, fingerprint) = Canned::start_tls([version()]).await;
    let pin = |fingerprint| Trust::Fingerprints(vec![fingerprint]);
    let good = server.builder().trust(pin(fingerprint)).build().unwrap();
    good.version().await.unwrap();
    let other = Fingerprint::of(b"another");
    let spare = Canned::start([version()]).await;
    let wary = server.builder().url(&spare.url).trust(pin(other)).build().unwrap();
    let error = wary.version().await.unwrap_err();
    assert_eq!((error.class(), error.sent()), (Failure::Untrusted, Sent::No));
    let Cause::Fingerprint(mismatch) = error.cause() else { panic!("{error}") };
    assert_eq!((mismatch.got, mismatch.expected.as_slice()), (fingerprint, [other].as_slice()));
    let text = error.to_string();
    for part in [fingerprint.to_string().as_str(), other.to_string().as_str(), "pvenode cert info"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!((server.requests().len(), spare.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_ca_is_accepted_and_an_unknown_one_is_explained() {
    let (server, pem, _) = Canned::start_tls([version()]).await;
    server.builder().trust(Trust::Ca(pem.into_bytes())).build().unwrap().version().await.unwrap();
    let (_, other, _) = Canned::start_tls([]).await;
    let client = server.builder().trust(Trust::Ca(other.into_bytes())).build().unwrap();
    let error = client.version().await.unwrap_err();
    assert_eq!((error.class(), error.sent()), (Failure::Untrusted, Sent::No));
    assert!(error.to_string().contains("pve-root-ca.pem"), "{error}");
}

#[tokio::test]
async fn a_password_logs_in_writes_with_the_csrf_token_and_logs_in_again_once() {
    let login = |ticket: &str| {
        let body = format!(
            r#"{{"data":{{"ticket":"{ticket}","CSRFPreventionToken":"csrf-{ticket}","username":"root@pam"}}}}"#
        );
        answer("200 OK", &body)
    };
    let done = answer("200 OK", &format!(r#"{{"data":"{UPID}"}}"#));
    let refused = answer("401 permission denied - invalid PVE ticket", "");
    let server = Canned::start([login("a"), done.clone(), version(), refused, login("b"), done]).await;
    let credentials =
        Credentials::Password { username: "root@pam".into(), password: "pass;word".to_owned().into() };
    let client = server.builder().credentials(credentials).build().unwrap();
    client.start_vm("pve1", 100).await.unwrap();
    client.version().await.unwrap();
    client.start_vm("pve1", 100).await.unwrap();
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /api2/json/access/ticket HTTP/1.1\r\n"));
    assert!(requests[0].ends_with("username=root%40pam&password=pass%3Bword"));
    assert!(requests[1].contains("PVEAuthCookie=a\r\n") && requests[1].contains("csrf-a"));
    assert!(requests[2].contains("PVEAuthCookie=a\r\n") && !requests[2].contains("csrf-a"));
    assert!(requests[5].contains("PVEAuthCookie=b\r\n") && requests[5].contains("csrf-b"));
    assert_eq!(requests.len(), 6);
}

#[tokio::test]
async fn a_failed_login_means_that_the_request_was_not_sent() {
    let server = Canned::start([answer("401 authentication failure", r#"{"data":null}"#), Act::Reset]).await;
    let credentials =
        || Credentials::Password { username: "root@pam".into(), password: "wrong".to_owned().into() };
    let error =
        server.builder().credentials(credentials()).build().unwrap().start_vm("pve1", 1).await.unwrap_err();
    assert_eq!((error.class(), error.sent()), (Failure::Unauthorized, Sent::Refused));
    let error =
        server.builder().credentials(credentials()).build().unwrap().start_vm("pve1", 1).await.unwrap_err();
    assert_eq!((error.class(), error.sent()), (Failure::Transient, Sent::No));
    assert!(!format!("{error} {error:?}").contains("wrong"));
}

#[tokio::test]
async fn a_second_factor_is_refused_with_a_hint() {
    let half = r#"{"data":{"ticket":"PVE:!tfa!","NeedTFA":1,"username":"root@pam"}}"#;
    let server = Canned::start([answer("200 OK", half)]).await;
    let credentials = Credentials::Password { username: "root@pam".into(), password: "p".to_owned().into() };
    let error = server.builder().credentials(credentials).build().unwrap().version().await.unwrap_err();
    assert!(error.to_string().contains("API token"), "{error}");
}

#[tokio::test]
async fn an_error_of_the_agent_inside_a_success_is_an_error() {
    let failed = r#"{"data":{"result":{"error":{"class":"GenericError","desc":"not supported"}}}}"#;
    let found = r#"{"data":{"result":[{"name":"eth0","hardware-address":"bc:24:11:00:00:01","ip-addresses":
        [{"ip-address":"203.0.113.7","ip-address-type":"ipv4","prefix":24},{"ip-address":"fe80::1%eth0","prefix":64}]},{"name":"x"}]}}"#;
    let server = Canned::start([
        answer("200 OK", failed),
        answer("200 OK", found),
        answer("200 OK", r#"{"data":{"result":{}}}"#),
    ])
    .await;
    let client = server.client();
    let error = client.agent_interfaces("pve1", 100).await.unwrap_err();
    assert_eq!(error.class(), Failure::Guest);
    let interfaces = client.agent_interfaces("pve1", 100).await.unwrap();
    assert_eq!(interfaces[0].mac, "BC:24:11:00:00:01".parse().ok());
    assert_eq!((interfaces[0].addresses.len(), interfaces[1].addresses.len()), (2, 0));
    client.agent_ping("pve1", 100).await.unwrap();
}
