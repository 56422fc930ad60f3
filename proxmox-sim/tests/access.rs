//! Who may do what, and what strangers are told.

mod support;

use proxmox_sim::{ClusterConfig, Grant, Reply, Request, Switch, TokenConfig, Version};
use support::Lab;

fn lab(version: Version, grants: &[(&str, &[&str])]) -> Lab {
    Lab::with(ClusterConfig { version, tokens: vec![limited(grants)], ..ClusterConfig::quick() })
}

fn limited(grants: &[(&str, &[&str])]) -> TokenConfig {
    let grants = grants.iter().map(|(path, privileges)| Grant {
        path: (*path).to_owned(),
        privileges: privileges.iter().map(|&p| p.to_owned()).collect(),
    });
    TokenConfig { id: "web@pve!t".into(), secret: "s".into(), grants: Some(grants.collect()) }
}

fn send(lab: &mut Lab, request: Request) -> Reply {
    lab.cluster.complete(lab.now, request).1
}

#[test]
fn strangers() {
    for (version, unknown, wrong, ticket) in [
        (Version::V9_2, "Authentication failed!", "Authentication failed!", "Authentication failed!"),
        (
            Version::V8_4,
            "no such token 'x' for user 'root@pam'",
            "invalid token value!",
            "permission denied - invalid PVE ticket",
        ),
    ] {
        let mut lab = lab(version, &[]);
        let version = || Request::new("GET", "/version");
        let none = send(&mut lab, version());
        assert_eq!((none.status, none.reason.as_str(), none.body), (401, "No ticket", None));
        assert_eq!(send(&mut lab, version().token("root@pam!x=s")).reason, unknown);
        assert_eq!(send(&mut lab, version().token("web@pve!t=wrong")).reason, wrong);
        let mut request = version();
        request.cookie = Some("PVEAuthCookie=PVE:root@pam:00000000::bad".into());
        assert_eq!(send(&mut lab, request).reason, ticket);
    }
}

#[test]
fn a_401_is_delayed() {
    let mut lab = Lab::with(ClusterConfig::demo());
    let (now, reply) = lab.cluster.complete(lab.now, Request::new("GET", "/version"));
    assert_eq!((reply.status, now.as_secs()), (401, 3));
}

#[test]
fn a_ticket_needs_its_csrf_token_and_is_root() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    let login = |password: &str| {
        Request::new("POST", "/access/ticket").param("username", "root@pam").param("password", password)
    };
    let failed = send(&mut lab, login("wrong"));
    assert_eq!((failed.status, failed.reason.as_str()), (401, "authentication failure"));
    let session = send(&mut lab, login("simulated")).payload().clone();
    let text = |key: &str| session[key].as_str().expect("text").to_owned();
    let change = |csrf: Option<String>| {
        let mut request =
            Request::new("PUT", "/nodes/pve1/qemu/100/config").param("delete", "lock").param("skiplock", 1);
        request.cookie = Some(format!("PVEAuthCookie={}", text("ticket")));
        request.csrf = csrf;
        request
    };
    assert_eq!(send(&mut lab, change(None)).reason, "Permission denied - invalid csrf token");
    let stale = Switch::Option { vmid: 100, key: "lock".into(), value: Some("clone".into()) };
    lab.cluster.switch(stale).expect("a machine");
    assert_eq!(lab.task("DELETE", "/nodes/pve1/qemu/100", &[]), "VM is locked (clone)");
    assert_eq!(send(&mut lab, change(Some(text("CSRFPreventionToken")))).status, 200);
    assert_eq!(lab.task("DELETE", "/nodes/pve1/qemu/100", &[]), "OK");
}

#[test]
fn rights_are_asked_for_one_after_the_other() {
    let clone = |grants: &[(&str, &[&str])]| {
        let mut lab = lab(Version::V9_2, grants);
        let reply = lab.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
        (reply.status, reply.reason)
    };
    let source: (&str, &[&str]) = ("/vms/9000", &["VM.Clone"]);
    let target: (&str, &[&str]) = ("/vms/100", &["VM.Allocate"]);
    let storage: (&str, &[&str]) = ("/storage/shared", &["Datastore.AllocateSpace"]);
    let bridge: (&str, &[&str]) = ("/sdn/zones/localnetwork", &["SDN.Use"]);
    let refused = |text: &str| (403, text.to_owned());
    assert_eq!(clone(&[]), refused("Permission check failed (/vms/9000, VM.Clone)"));
    assert_eq!(clone(&[source]), refused("Permission check failed"));
    let text = "Permission check failed (/storage/shared, Datastore.AllocateSpace)";
    assert_eq!(clone(&[source, target]), refused(text));
    let text = "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)";
    assert_eq!(clone(&[source, target, storage]), refused(text));
    assert_eq!(clone(&[source, target, storage, bridge]).0, 200);
    let mut oldest = lab(Version::V7_4, &[source, target, storage]);
    let reply = oldest.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
    assert_eq!(reply.status, 200, "there nobody needs rights to bridges: {}", reply.reason);
}

#[test]
fn rights_come_before_existence_and_filter_lists() {
    let mut lab = lab(Version::V9_2, &[("/vms/9000", &["VM.Audit"])]);
    let reply = lab.call("GET", "/nodes/pve1/qemu/555/config", &[]);
    assert_eq!((reply.status, reply.reason.as_str()), (403, "Permission check failed (/vms/555, VM.Audit)"));
    assert_eq!(lab.call("GET", "/nodes/pve1/qemu/9000/config", &[]).status, 200);
    let rows = lab.get("/cluster/resources?type=vm");
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    let next = lab.call("GET", "/cluster/nextid", &[("vmid", "9001")]);
    assert_eq!(next.error("vmid"), Some("VM 9001 already exists"), "nextid hides nothing");
    assert_eq!(lab.get("/cluster/tasks"), serde_json::json!([]));
}

#[test]
fn nodes_that_are_down_or_unknown() {
    let mut lab = Lab::new();
    lab.cluster.switch(Switch::Node { node: "pve2".into(), online: false }).expect("a node");
    let reply = lab.call("GET", "/nodes/pve2/qemu", &[]);
    assert_eq!((reply.status, reply.reason.as_str(), reply.body), (595, "Connection refused", None));
    assert_eq!(lab.call("GET", "/cluster/resources", &[]).status, 200);
    let reply = lab.call("GET", "/nodes/nosuch/qemu", &[]);
    assert!(reply.reason.starts_with("hostname lookup 'nosuch' failed"), "{}", reply.reason);
    let reply = lab.call("GET", "/nosuchpath", &[]);
    let text = "Method 'GET /nosuchpath' not implemented";
    assert_eq!((reply.status, reply.reason.as_str()), (501, text));
    assert_eq!(reply.body, Some(serde_json::json!({"data": null, "message": text})));
    assert_eq!(lab.call("PATCH", "/version", &[]).reason, "method 'PATCH' not available");
}

#[test]
fn bodies() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    let path = "/nodes/pve1/qemu/100/config";
    let with = |lab: &Lab, kind: &str, body: &str| {
        let mut request = lab.request("PUT", path, &[]);
        request.content_type = Some(kind.into());
        request.body = body.into();
        request
    };
    let request = with(&lab, "application/json", r#"{"memory": 256, "onboot": true}"#);
    assert_eq!(send(&mut lab, request).status, 200);
    let request = with(&lab, "text/plain", "memory=256");
    assert_eq!(send(&mut lab, request).status, 506);
    let form = "application/x-www-form-urlencoded";
    let request = with(&lab, form, "memory=256&memory=300");
    assert_eq!(send(&mut lab, request).error("memory"), Some("type check ('string') failed - got ARRAY"));
    let request = with(&lab, form, "tags=a;b");
    let reply = send(&mut lab, request);
    assert!(reply.error("b").is_some(), "a bare semicolon separates parameters");
    let mut request = lab.request("DELETE", "/nodes/pve1/qemu/100", &[]);
    request.body = b"purge=1".to_vec();
    assert_eq!(send(&mut lab, request).reason, "Unexpected content for method 'DELETE'");
}

#[test]
fn where_a_call_goes_is_decided_before_its_parameters_are_looked_at() {
    let mut lab = Lab::new();
    lab.cluster.switch(Switch::Node { node: "pve2".into(), online: false }).expect("a node");
    let nonsense: &[(&str, &str)] = &[("nonsense", "1")];
    let down = lab.call("POST", "/nodes/pve2/qemu/100/status/start", nonsense);
    assert_eq!((down.status, down.reason.as_str()), (595, "Connection refused"));
    let nowhere = lab.call("GET", "/nodes/bad_node!/qemu", &[]);
    assert_eq!(nowhere.status, 500);
    assert!(nowhere.reason.starts_with("hostname lookup 'bad_node!' failed"), "{}", nowhere.reason);
    assert_eq!(lab.call("POST", "/nodes/pve1/qemu/100/status/start", nonsense).status, 400);
}

#[test]
fn where_one_of_several_rights_would_do_none_is_named() {
    let mut lab = lab(Version::V8_4, &[("/pool/p1", &["VM.Allocate"])]);
    for params in [vec![("vmid", "100")], vec![("vmid", "100"), ("pool", "nosuch")]] {
        let reply = lab.call("POST", "/nodes/pve1/qemu", &params);
        let text = match params[..] {
            [_] => "Permission check failed",
            _ => "Permission check failed (pool 'nosuch' does not exist)",
        };
        assert_eq!((reply.status, reply.reason.as_str()), (403, text));
    }
}

#[test]
fn effective_rights_are_listed_by_path() {
    let mut lab = lab(Version::V9_2, &[("/sdn/zones/localnetwork", &["SDN.Use"]), ("/vms", &["VM.Audit"])]);
    let rows = lab.get("/access/permissions");
    let paths: Vec<&String> = rows.as_object().expect("an object").keys().collect();
    assert_eq!(paths, ["/sdn/zones/localnetwork", "/vms"], "paths without a right are left out");
    let mut root = Lab::with(ClusterConfig { pools: vec!["p1".into()], ..ClusterConfig::quick() });
    root.clone_to(100);
    root.ok("PUT", "/pools/p1", &[("vms", "100")]);
    let rows = root.get("/access/permissions");
    assert!(rows.get("/vms/100").is_some() && rows.get("/pool").is_some(), "{rows}");
    assert!(rows.get("/pool/p1").is_none(), "of a pool only the members are named");
}

/// Whoever may change a machine's disks may not therefore copy those of others.
#[test]
fn a_copy_of_an_image_needs_the_right_to_clone_its_machine() {
    let own: (&str, &[&str]) = ("/vms/100", &["VM.Config.Disk", "VM.Audit"]);
    let storage: (&str, &[&str]) = ("/storage/shared", &["Datastore.AllocateSpace"]);
    let clone: (&str, &[&str]) = ("/vms/9000", &["VM.Clone"]);
    for (grants, expected) in [
        (&[own, storage][..], (403, "Permission check failed (/vms/9000, VM.Clone)")),
        (&[own, clone], (403, "Permission check failed (/storage/shared, Datastore.AllocateSpace)")),
        (&[own, storage, clone], (200, "OK")),
    ] {
        let mut config = ClusterConfig::quick();
        config.tokens.push(limited(grants));
        let mut lab = Lab::with(config);
        lab.clone_to(100);
        let drive = "shared:0,import-from=shared:9000/base-9000-disk-0.qcow2";
        let request = Request::new("POST", "/nodes/pve1/qemu/100/config").param("scsi0", drive);
        let reply = send(&mut lab, request.token("web@pve!t=s"));
        assert_eq!((reply.status, reply.reason.as_str()), expected);
    }
}
