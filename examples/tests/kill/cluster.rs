//! The simulated cluster: a process of its own, its API, and its side channel.

use proxmox_api::{Client, Credentials, Params, Trust};
use proxmox_sim::ClusterConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A fault or two in a row are got over by asking again.
const TRIES: u32 = 30;

pub(crate) struct Cluster {
    process: Child,
    /// What the worker is told of it.
    pub(crate) url: String,
    pub(crate) fingerprint: String,
    pub(crate) token: String,
    /// The user root@pam, who may do what no token may.
    root: Client,
    side: reqwest::Client,
}

/// What the simulator writes down about itself.
#[derive(Deserialize)]
struct Address {
    url: String,
    fingerprint: String,
    ca_pem: String,
    token: String,
}

/// What was done since the start.
#[derive(Deserialize)]
pub(crate) struct Counters {
    pub(crate) requests: BTreeMap<String, u64>,
    /// Successful clones by the number they made.
    pub(crate) clones: BTreeMap<u32, u64>,
    pub(crate) faults: BTreeMap<String, u64>,
}

impl Cluster {
    /// Starts it, and waits until it can be reached.
    pub(crate) async fn start(folder: &Path, seed: u64) -> Self {
        // The cluster counts whole seconds. Counted from now, its clock would be up to two behind, and what it makes for an order
        // would look older than the order.
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 2;
        let config = ClusterConfig { seed, epoch, pools: vec!["demo".to_owned()], ..ClusterConfig::quick() };
        let password = config.root_password.clone();
        let process = Command::new(env!("CARGO_BIN_EXE_quickstart"))
            .args(["--serve-simulator", "--db"])
            .arg(folder.join("cluster"))
            .env("QUICKSTART_SIMULATOR", serde_json::to_string(&config).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let address = address(&folder.join("cluster.simulator.json")).await;
        let credentials =
            Credentials::Password { username: "root@pam".to_owned(), password: password.into() };
        let root = Client::builder()
            .url(&address.url)
            .credentials(credentials)
            .trust(Trust::Fingerprints(vec![address.fingerprint.parse().unwrap()]))
            .build()
            .unwrap();
        // One of two providers may be compiled in by somebody else's features; the first to be installed is taken.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = reqwest::Certificate::from_pem(address.ca_pem.as_bytes()).unwrap();
        // The server closes idle connections, as the real one does. A request that goes out on one at that moment is lost, and
        // here nothing asks again.
        let side = reqwest::Client::builder()
            .tls_certs_only([certificate])
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let Address { url, fingerprint, token, .. } = address;
        Self { process, url, fingerprint, token, root, side }
    }

    /// Any read of the API; faults are got over.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(path, &Params::new()).await
    }

    /// Any read that gives a list.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        rows(path, self.get(path).await)
    }

    /// The tasks that work on a node.
    pub(crate) async fn active_tasks(&self, node: &str) -> Vec<Value> {
        let path = format!("/nodes/{node}/tasks");
        rows(&path, self.ask(&path, &Params::new().set("source", "active").set("limit", 1000)).await)
    }

    async fn ask(&self, path: &str, params: &Params) -> Value {
        for _ in 0..TRIES {
            if let Ok(data) = self.root.get(path, params).await {
                return data;
            }
        }
        self.root.get(path, params).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A change, which the server may refuse.
    pub(crate) async fn try_post(&self, path: &str, params: &Params) -> Result<Value, proxmox_api::ApiError> {
        self.root.post(path, params).await
    }

    pub(crate) async fn post(&self, path: &str, params: &Params) -> Value {
        self.try_post(path, params).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) async fn put(&self, path: &str, params: &Params) {
        let _: Value = self.root.put(path, params).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// A removal; says whether it was carried out, as far as the answer came through.
    pub(crate) async fn delete(&self, path: &str, params: &Params) -> bool {
        match self.root.delete::<Value>(path, params).await {
            Ok(upid) => self.exit(&upid).await == "OK",
            Err(_) => false,
        }
    }

    /// Waits for a task, and asserts that it ended well.
    pub(crate) async fn done(&self, upid: &Value) {
        assert_eq!(self.exit(upid).await, "OK", "{upid}");
    }

    /// Waits for a task, and says whether it ended well.
    pub(crate) async fn ended_well(&self, upid: &Value) -> bool {
        self.exit(upid).await == "OK"
    }

    /// Waits for a task, and says how it ended.
    async fn exit(&self, upid: &Value) -> Value {
        let upid = upid.as_str().expect("a task");
        let node = upid.split(':').nth(1).expect("a node");
        let path = format!("/nodes/{node}/tasks/{upid}/status");
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let state = self.get(&path).await;
            if state["status"] == "stopped" {
                return state["exitstatus"].clone();
            }
            assert!(Instant::now() < until, "{upid} works on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn counters(&self) -> Counters {
        serde_json::from_value(self.side("GET", "/sim/counters", Value::Null).await).unwrap()
    }

    /// Everything, past the API and its faults.
    pub(crate) async fn state(&self) -> Value {
        self.side("GET", "/sim/state", Value::Null).await
    }

    pub(crate) async fn faults(&self, rate: f64) {
        self.side("PUT", "/sim/faults", json!({ "rate": rate })).await;
    }

    pub(crate) async fn switch(&self, switch: Value) {
        self.side("POST", "/sim/switch", switch).await;
    }

    async fn side(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.url);
        let request = self.side.request(method.parse().unwrap(), &url).body(body.to_string());
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn rows(path: &str, data: Value) -> Vec<Value> {
    match data {
        Value::Array(rows) => rows,
        other => panic!("{path}: {other}"),
    }
}

async fn address(file: &Path) -> Address {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(text) = std::fs::read(file) {
            return serde_json::from_slice(&text).expect("all of it or nothing");
        }
        assert!(Instant::now() < until, "the simulated cluster did not come up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
