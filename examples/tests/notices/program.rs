//! The worker's program, told by its file whom to tell.

use crate::bench::{CONTACT, read, simulator};
use deploy_notify::WebhookVerifier;
use proxmox_sim::Running;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use throwaway_smtp::{Door, PASSWORD, Server};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A worker's process, killed at the end.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A worker's folder: one machine, mail with words of its own, and a webhook.
fn folder(sim: &Running, smtp: &Server, hook: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    write("templates/ready.txt", "Subject: {{ name }} für Sie\n\nHallo {{ contact }}\n");
    write("token", sim.token());
    write("smtp-password", PASSWORD);
    write("webhook-secret", SECRET);
    write("mail-ca.pem", smtp.authority());
    write(
        "machines.toml",
        &format!(
            "[packages.small]\ndomain = \"{{reference}}.example.net\"\ntemplate = {{ vmid = 9000, node = \"pve1\" }}\n\
             clone = {{ mode = \"linked\" }}\ncores = 1\nmemory_mib = 1024\nsystem_disk = {{ size_gib = 8 }}\n\
             [[machines]]\nreference = \"web-1\"\npackage = \"small\"\nnode = \"pve1\"\ncontact = \"{CONTACT}\"\n"
        ),
    );
    write(
        "worker.toml",
        &format!(
            "database = \"deploy.db\"\norders = \"machines.toml\"\n\
             [smtp]\nhost = \"localhost\"\nsecurity = \"starttls\"\nport = {}\nca = \"mail-ca.pem\"\n\
             user = \"panel@example.org\"\npassword_file = \"smtp-password\"\n\
             sender = \"Hosting <panel@example.org>\"\ntemplates = \"templates\"\noperator = \"operator@example.org\"\n\
             operator_kinds = [\"ready\"]\n\
             [webhook]\nurl = \"{hook}\"\nsecret_file = \"webhook-secret\"\nkinds = [\"ready\"]\n\
             [[cluster]]\nname = \"demo\"\nvmids = {{ first = 1000, last = 1999 }}\nquarantine_minutes = 60\n\
             [cluster.access]\nurls = [\"{}\"]\ntoken_file = \"token\"\nfingerprints = [\"{}\"]\n",
            smtp.port(Door::StartTls),
            sim.url(),
            sim.fingerprint()
        ),
    );
    folder
}

/// Takes one request, and gives its head and its body.
fn take(listener: &TcpListener) -> (String, Vec<u8>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    let length = header(&head, "content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (&stream).write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
    (head, body)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_file_names_is_told_beside_the_standard_output() {
    let (sim, smtp) = (simulator().await, Server::start().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder(&sim, &smtp, &format!("http://{}/hook", listener.local_addr().unwrap()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.arg(folder.path().join("worker.toml")).stdin(Stdio::null());
    let mut worker = Process(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut errors = BufReader::new(worker.0.stderr.take().unwrap()).lines();
    let sends = errors.by_ref().map(Result::unwrap).find(|line| line.contains("mail can"));
    assert!(sends.as_ref().is_some_and(|line| line.contains("mail can be sent")), "{sends:?}");

    let (head, body) = take(&listener);
    let verifier = WebhookVerifier::new(SECRET.parse().unwrap());
    let id = verifier.verify(|name| header(&head, name), &body, jiff::Timestamp::now()).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&told["type"], &told["data"]["event"]), (&"ready".into(), &id.into()));
    assert_eq!(told["data"]["name"], "web-1.example.net");

    let mut lines = BufReader::new(worker.0.stdout.take().unwrap()).lines();
    let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&line["notice"], &line["reference"]), (&"ready".into(), &"web-1".into()));
    let [subject, message_id, text] = read(&smtp.wait_for(CONTACT, 1).unwrap()[0]);
    assert_eq!((subject.as_str(), text.trim_end()), ("web-1.example.net für Sie", "Hallo ann@example.org"));
    let [subject, to_operator, _] = read(&smtp.wait_for("operator@example.org", 1).unwrap()[0]);
    assert_eq!(subject, "web-1.example.net für Sie");
    assert_ne!(message_id, to_operator);
}
