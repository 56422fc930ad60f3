//! The simulator as a process of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_says_where_it_is_and_ends_when_asked() {
    let directory = std::env::temp_dir().join(format!("proxmox-sim-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let ready_file = directory.join("ready.json");
    let child = Command::new(env!("CARGO_BIN_EXE_proxmox-sim"))
        .args(["--http", "--port", "0", "--scale", "0", "--seed", "5", "--ready-file"])
        .arg(&ready_file)
        .arg("--cert-out")
        .arg(directory.join("cert.pem"))
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut process = Process(child);
    let until = Instant::now() + Duration::from_secs(20);
    let ready: Value = loop {
        if let Ok(text) = std::fs::read_to_string(&ready_file) {
            break serde_json::from_str(&text).expect("all of it or nothing");
        }
        assert!(Instant::now() < until, "not ready in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(ready["pid"], process.0.id());
    let certificate = std::fs::read_to_string(directory.join("cert.pem")).expect("a certificate");
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));

    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
    let url = ready["url"].as_str().expect("a URL");
    let token = ready["token"].as_str().expect("a token");
    let request = client
        .get(format!("{url}/api2/json/version"))
        .header("Authorization", format!("PVEAPIToken={token}"));
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let end = client.post(format!("{url}/sim/shutdown")).send().await.expect("an answer");
    assert_eq!(end.status(), 200);
    loop {
        if let Some(status) = process.0.try_wait().expect("a process") {
            assert!(status.success());
            break;
        }
        assert!(Instant::now() < until, "not ended in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_dir_all(&directory).expect("tidied up");
}
