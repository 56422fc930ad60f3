//! Over the wire: TLS, status lines, a whole life of a machine.

use std::time::{Duration, Instant};

use percent_encoding::NON_ALPHANUMERIC;
use proxmox_sim::{ClusterConfig, Faults, Running, Server, ServerOptions};
use reqwest::{Certificate, Client, Method, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Panel {
    running: Running,
    client: Client,
}

impl Panel {
    async fn start(config: ClusterConfig) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = Server::start(config, ServerOptions::default()).await.expect("a free port");
        let ca = Certificate::from_pem(running.ca_pem().as_bytes()).expect("a certificate");
        let client = Client::builder().tls_certs_only([ca]).build().expect("a client");
        Self { running, client }
    }

    async fn send(&self, method: Method, path: &str, params: &[(&str, &str)]) -> reqwest::Result<Response> {
        let form: Vec<String> = params
            .iter()
            .map(|(k, v)| format!("{k}={}", percent_encoding::utf8_percent_encode(v, NON_ALPHANUMERIC)))
            .collect();
        let form = form.join("&");
        let mut url = format!("{}/api2/json{path}", self.running.url());
        let with_body = matches!(method, Method::POST | Method::PUT);
        if !with_body && !form.is_empty() {
            url = format!("{url}?{form}");
        }
        let mut request = self
            .client
            .request(method, url)
            .header("Authorization", format!("PVEAPIToken={}", self.running.token()));
        if with_body {
            request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
        }
        request.send().await
    }

    async fn call(&self, method: Method, path: &str, params: &[(&str, &str)]) -> Value {
        let response = self.send(method.clone(), path, params).await.expect("an answer");
        let status = response.status();
        let body = response.text().await.expect("a body");
        assert_eq!(status, 200, "{method} {path}: {body}");
        serde_json::from_str::<Value>(&body).expect("JSON")["data"].clone()
    }

    async fn task(&self, method: Method, path: &str, params: &[(&str, &str)]) {
        let upid = self.call(method, path, params).await;
        let upid = upid.as_str().expect("a UPID");
        let node = upid.split(':').nth(1).expect("a node");
        let path = format!("/nodes/{node}/tasks/{upid}/status");
        loop {
            let status = self.call(Method::GET, &path, &[]).await;
            if status["status"] == "stopped" {
                assert_eq!(status["exitstatus"], "OK", "{upid}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn fast() -> ClusterConfig {
    let mut config = ClusterConfig::quick();
    config.durations.scale = 0.1;
    config
}

#[tokio::test]
async fn error_texts_are_in_the_status_line_and_in_the_body() {
    let panel = Panel::start(fast()).await;
    let response = panel.send(Method::GET, "/nodes/pve1/qemu/555/config", &[]).await.expect("an answer");
    let text = "Configuration file 'nodes/pve1/qemu-server/555.conf' does not exist";
    assert_eq!(response.status(), 500);
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>().expect("a reason phrase");
    assert_eq!(reason.as_bytes(), text.as_bytes());
    assert_eq!(response.headers()["connection"], "close");
    let body: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    assert_eq!(body["message"], format!("{text}\n"));
    assert!(body["data"].is_null());
    panel.running.shutdown().await;
}

#[tokio::test]
async fn a_machine_is_deployed_and_terminated() {
    let panel = Panel::start(fast()).await;
    let vm = "/nodes/pve1/qemu/5001";
    panel.call(Method::GET, "/cluster/nextid", &[("vmid", "5001")]).await;
    let clone = [("newid", "5001"), ("name", "vm5001.example.test"), ("description", "mark: 5001")];
    panel.task(Method::POST, "/nodes/pve1/qemu/9000/clone", &clone).await;
    let before = panel.call(Method::GET, &format!("{vm}/config"), &[]).await;
    let scsi0 = before["scsi0"].as_str().expect("a disk").replace(",size=2G", "");
    let config = [
        ("cores", "2"),
        ("memory", "1024"),
        ("scsi0", &*format!("{scsi0},mbps_rd=100,mbps_wr=50.5")),
        ("scsi1", "shared:8,format=qcow2,discard=on"),
        ("net0", "virtio=02:aa:bb:00:50:01,bridge=vmbr0,tag=100,rate=12.5,firewall=1"),
        ("ciuser", "deploy"),
        ("cipassword", "$6$salt$hash"),
        ("ipconfig0", "ip=203.0.113.14/24,gw=203.0.113.1,ip6=2001:db8:1::14/64,gw6=2001:db8:1::1"),
        ("tags", "web;deploy"),
        ("onboot", "1"),
        ("digest", before["digest"].as_str().expect("a digest")),
    ];
    panel.task(Method::POST, &format!("{vm}/config"), &config).await;
    panel.task(Method::PUT, &format!("{vm}/resize"), &[("disk", "scsi0"), ("size", "5G")]).await;
    panel.call(Method::POST, &format!("{vm}/firewall/ipset"), &[("name", "ipfilter-net0")]).await;
    panel
        .call(Method::POST, &format!("{vm}/firewall/ipset/ipfilter-net0"), &[("cidr", "203.0.113.14")])
        .await;
    let rule = [("type", "in"), ("action", "ACCEPT"), ("enable", "1"), ("proto", "tcp"), ("dport", "22")];
    panel.call(Method::POST, &format!("{vm}/firewall/rules"), &rule).await;
    panel
        .call(Method::PUT, &format!("{vm}/firewall/options"), &[("enable", "1"), ("policy_in", "DROP")])
        .await;

    let after = panel.call(Method::GET, &format!("{vm}/config"), &[]).await;
    assert_eq!(after["scsi1"], "shared:5001/vm-5001-disk-1.qcow2,discard=on,size=8G");
    assert_eq!(after["net0"], "virtio=02:aa:bb:00:50:01,bridge=vmbr0,firewall=1,rate=12.5,tag=100");
    assert_eq!(
        (after["tags"].as_str(), after["cipassword"].as_str()),
        (Some("deploy;web"), Some("**********"))
    );
    assert!(after["scsi0"].as_str().expect("a disk").ends_with(",mbps_rd=100,mbps_wr=50.5,size=5G,ssd=1"));

    panel.task(Method::POST, &format!("{vm}/status/start"), &[]).await;
    let ping = || panel.send(Method::POST, "/nodes/pve1/qemu/5001/agent/ping", &[]);
    while ping().await.expect("an answer").status() != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let interfaces = panel.call(Method::GET, &format!("{vm}/agent/network-get-interfaces"), &[]).await;
    let eth0 = &interfaces["result"][1];
    assert_eq!(eth0["hardware-address"], "02:aa:bb:00:50:01");
    assert_eq!(eth0["ip-addresses"][0]["ip-address"], "203.0.113.14");
    assert_eq!(eth0["ip-addresses"][1]["ip-address"], "2001:db8:1::14");

    let running = panel.send(Method::DELETE, vm, &[("purge", "1")]).await.expect("an answer");
    assert_eq!(running.status(), 500);
    panel.task(Method::POST, &format!("{vm}/status/stop"), &[]).await;
    panel.task(Method::DELETE, vm, &[("purge", "1"), ("destroy-unreferenced-disks", "1")]).await;
    panel.call(Method::GET, "/cluster/nextid", &[("vmid", "5001")]).await;
    let state = panel.running.state();
    assert!(state["vms"]["5001"].is_null() && state["firewalls"]["5001"].is_null());
    let left = state["volumes"].as_array().expect("volumes").iter().filter(|v| v["owner"] == 5001).count();
    assert_eq!(left, 0);
    let counters = panel.running.counters();
    assert_eq!((counters.clones[&5001], counters.destroyed[&5001]), (1, 1));
    assert_eq!(counters.requests["POST /nodes/{node}/qemu/{vmid}/clone"], 1);
    panel.running.shutdown().await;
}

#[tokio::test]
async fn a_lost_answer_is_a_reset_and_the_work_is_done() {
    let mut config = fast();
    config.faults = Faults { lose_answer: 1, ..NOTHING };
    let panel = Panel::start(config).await;
    let clone = [("newid", "100")];
    let error = panel.send(Method::POST, "/nodes/pve1/qemu/9000/clone", &clone).await.expect_err("a reset");
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    panel.running.set_faults(Faults::none());
    while panel.running.counters().clones.get(&100) != Some(&1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = panel.running.requests();
    assert_eq!((log[0].status, log[0].path.as_str()), (Some(0), "/nodes/pve1/qemu/9000/clone"));
    panel.running.shutdown().await;
}

const NOTHING: Faults = Faults { delay: 0.05, ..Faults::unweighted(1.0) };

#[tokio::test]
async fn refusals_of_a_hop_have_no_body() {
    let mut config = fast();
    config.faults = Faults { refused: 1, ..NOTHING };
    let panel = Panel::start(config).await;
    let response = panel.send(Method::GET, "/version", &[]).await.expect("an answer");
    assert_eq!(response.status().as_u16(), 595);
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>().expect("a reason phrase");
    assert_eq!(reason.as_bytes(), b"Connection refused");
    assert_eq!(response.text().await.expect("a body"), "");
    panel.running.shutdown().await;
}

#[tokio::test]
async fn the_certificate_is_the_one_that_is_named() {
    let panel = Panel::start(fast()).await;
    let pairs: Vec<&str> = panel.running.fingerprint().split(':').collect();
    assert_eq!(pairs.len(), 32);
    assert!(pairs.iter().all(|pair| u8::from_str_radix(pair, 16).is_ok() && pair.to_uppercase() == *pair));
    let stranger = Client::builder().tls_certs_only([]).build().expect("a client");
    let refused = stranger.get(panel.running.url()).send().await.expect_err("not trusted");
    assert!(refused.is_connect(), "{refused:?}");
    panel.running.shutdown().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let options = ServerOptions { tls: false, idle: Duration::from_millis(200), ..ServerOptions::default() };
    let running = Server::start(fast(), options).await.expect("a free port");
    let address = running.url().strip_prefix("http://").expect("plain HTTP").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
    let token = running.token();
    let request =
        format!("GET /api2/json/version HTTP/1.1\r\nHost: x\r\nAuthorization: PVEAPIToken={token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = vec![0; 1000];
    let length = stream.read(&mut answer).await.expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
    let since = Instant::now();
    assert_eq!(stream.read(&mut answer).await.expect("an end"), 0);
    assert!(since.elapsed() >= Duration::from_millis(150), "{:?}", since.elapsed());
    running.shutdown().await;
}

#[tokio::test]
async fn the_simulators_own_calls() {
    let panel = Panel::start(fast()).await;
    let url = |path: &str| format!("{}{path}", panel.running.url());
    let post = async |method: Method, path: &str, body: &str| {
        let response = panel.client.request(method, url(path)).body(body.to_owned()).send().await;
        response.expect("an answer").status().as_u16()
    };
    let get = async |path: &str| {
        let response = panel.client.get(url(path)).send().await.expect("an answer");
        serde_json::from_str::<Value>(&response.text().await.expect("a body")).expect("JSON")
    };
    let off = r#"{"switch": "node", "node": "pve2", "online": false}"#;
    assert_eq!(post(Method::POST, "/sim/switch", off).await, 200);
    assert_eq!(
        panel.send(Method::GET, "/nodes/pve2/qemu", &[]).await.expect("an answer").status().as_u16(),
        595
    );
    assert_eq!(get("/sim/state").await["nodes"]["pve2"]["online"], false);
    assert_eq!(post(Method::POST, "/sim/switch", r#"{"switch": "nonsense"}"#).await, 400);
    assert_eq!(post(Method::POST, "/sim/switch", r#"{"switch": "crash", "node": "nosuch"}"#).await, 400);
    assert_eq!(get("/sim/counters").await["requests"]["GET /nodes/{node}/qemu"], 1);
    panel.call(Method::GET, "/nodes", &[]).await;
    let log = get("/sim/requests").await;
    assert_eq!((&log[1]["path"], &log[1]["status"]), (&"/nodes".into(), &200.into()));
    assert_eq!(post(Method::PUT, "/sim/faults", r#"{"rate": 0.5}"#).await, 200);
    assert_eq!(get("/sim/faults").await["rate"], 0.5);
    assert_eq!(get("/sim/faults").await["delay"], 0.5, "the rest stays");
    assert_eq!(post(Method::PUT, "/sim/faults", r#"{"speed": 1}"#).await, 400);
    let plan = r#"{"rate": 0, "mishaps": {"interval": 0.02, "node_crash": 7, "lasting": [900, 900]}}"#;
    assert_eq!(post(Method::PUT, "/sim/faults", plan).await, 200);
    let mishaps = get("/sim/faults").await["mishaps"].clone();
    assert_eq!((&mishaps["node_crash"], &mishaps["node_down"]), (&7.into(), &2.into()), "the rest stays");
    while get("/sim/mishaps").await.as_array().is_none_or(Vec::is_empty) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(post(Method::POST, "/sim/end-mishaps", "").await, 200);
    let ended = get("/sim/mishaps").await;
    assert!(
        ended.as_array().is_some_and(|all| all.iter().all(|mishap| !mishap["ended"].is_null())),
        "{ended}"
    );
    assert_eq!(get("/sim/stale-locks").await, Value::Array(Vec::new()));
    assert_eq!(post(Method::POST, "/sim/shutdown", "").await, 200);
    panel.running.ended().await;
}
