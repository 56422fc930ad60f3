//! Files to install from.

mod support;

use proxmox_sim::{Reply, Request};
use support::Lab;

const UPLOAD: &str = "/nodes/pve1/storage/local/upload";

/// Sends a file.
fn send(lab: &mut Lab, content: &str, name: &str, file: &str) -> Reply {
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\n{content}\r\n\
         --B\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{file}\r\n--B--\r\n"
    );
    let request = Request {
        content_type: Some("multipart/form-data; boundary=B".to_owned()),
        body: body.into_bytes(),
        ..lab.request("POST", UPLOAD, &[])
    };
    let (now, reply) = lab.cluster.complete(lab.now, request);
    lab.now = now;
    reply
}

#[test]
fn a_file_is_uploaded_listed_replaced_and_deleted() {
    let mut lab = Lab::new();
    for file in ["a", "with\r\n--\r\nlines"] {
        let reply = send(&mut lab, "iso", "C:\\odd name.ISO", file);
        assert_eq!(reply.status, 200, "{}", reply.reason);
        lab.now = lab.cluster.settle(lab.now);
        assert_eq!(lab.exit_status(reply.payload().as_str().expect("a UPID")), "OK");
        let listed = lab.get("/nodes/pve1/storage/local/content?content=iso");
        assert_eq!(listed.as_array().map(Vec::len), Some(1));
        assert_eq!(listed[0]["volid"], "local:iso/C__odd_name.ISO");
        assert_eq!(listed[0]["size"], file.len());
        assert!(listed[0].get("vmid").is_none());
    }
    let volume = "/nodes/pve1/storage/local/content/local:iso/C__odd_name.ISO";
    assert_eq!(lab.task("DELETE", volume, &[]), "OK");
    assert_eq!(lab.get("/nodes/pve1/storage/local/content?content=iso").as_array().map(Vec::len), Some(0));
}

#[test]
fn what_is_refused() {
    let mut lab = Lab::new();
    assert_eq!(send(&mut lab, "iso", "a.txt", "x").error("filename"), Some("wrong file extension"));
    let text = "value 'snippets' does not have a value in the enumeration 'iso, vztmpl, import'";
    assert_eq!(send(&mut lab, "snippets", "a.yaml", "x").error("content"), Some(text));
    let other = send(&mut lab, "import", "a.qcow2", "x");
    assert_eq!(other.reason, "storage 'local' does not support 'import' content");
    let form = lab.call("POST", UPLOAD, &[("content", "iso"), ("filename", "a.iso")]);
    let text = "upload 'Content-Type 'application/x-www-form-urlencoded' not implemented";
    assert_eq!((form.status, form.reason.as_str()), (506, text));
}
