//! What a client sees differently on the oldest line.

mod support;

use proxmox_sim::{ClusterConfig, Version};
use serde_json::{Value, json};
use support::Lab;
use support::meet::MACHINE;

fn lab() -> Lab {
    let mut lab = Lab::with(ClusterConfig { version: Version::V7_4, ..ClusterConfig::quick() });
    lab.clone_to(100);
    lab
}

#[test]
fn the_text_of_an_error_is_in_the_reason_phrase_alone() {
    let mut lab = lab();
    assert_eq!(lab.get("/version")["release"], "7.4");
    let missing = lab.call("GET", "/nodes/pve1/qemu/555/config", &[]);
    assert_eq!(missing.reason, "Configuration file 'nodes/pve1/qemu-server/555.conf' does not exist");
    assert_eq!((missing.status, missing.body), (500, Some(json!({"data": null}))));
    let wrong = lab.call("PUT", &format!("{MACHINE}/config"), &[("cores", "many")]);
    let errors = json!({"cores": "type check ('integer') failed - got 'many'"});
    assert_eq!((wrong.status, wrong.body), (400, Some(json!({"data": null, "errors": errors}))));
}

#[test]
fn a_disk_grows_within_the_call() {
    let mut lab = lab();
    let path = format!("{MACHINE}/resize");
    assert_eq!(lab.ok("PUT", &path, &[("disk", "scsi0"), ("size", "5G")]), Value::Null);
    assert!(lab.config(100)["scsi0"].as_str().expect("a disk").contains(",size=5G,"));
    let smaller = lab.call("PUT", &path, &[("disk", "scsi0"), ("size", "4G")]);
    assert_eq!((smaller.status, smaller.reason.as_str()), (500, "shrinking disks is not supported"));
    let tasks = lab.get("/nodes/pve1/tasks?typefilter=resize");
    assert_eq!(tasks, json!([]), "it is no task");
}

#[test]
fn what_came_later_is_unknown() {
    let mut lab = lab();
    let unknown = "property is not defined in schema and the schema does not allow additional properties";
    for (method, path, name, value) in [
        ("PUT", format!("{MACHINE}/config"), "ciupgrade", "1"),
        ("POST", format!("{MACHINE}/status/stop"), "overrule-shutdown", "1"),
        ("POST", "/nodes/pve1/vzdump".to_owned(), "job-id", "one"),
    ] {
        let reply = lab.call(method, &path, &[(name, value)]);
        assert_eq!(reply.error(name), Some(unknown), "{method} {path}");
    }
    let reply = lab.call("PUT", "/pools", &[("poolid", "one")]);
    assert_eq!((reply.status, reply.reason.as_str()), (501, "Method 'PUT /pools' not implemented"));
}
