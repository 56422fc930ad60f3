//! What the tests share: a cluster under virtual time, spoken to as a client would.

#![allow(dead_code, reason = "every test file uses its own part")]

pub(crate) mod meet;

use std::time::Duration;

use proxmox_sim::{Cluster, ClusterConfig, Reply, Request};
use serde_json::Value;

/// A cluster, the time, and the token.
pub(crate) struct Lab {
    pub(crate) cluster: Cluster,
    pub(crate) now: Duration,
    pub(crate) token: String,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(ClusterConfig::quick())
    }

    pub(crate) fn with(config: ClusterConfig) -> Self {
        let token = config.tokens[0].credential();
        Self { cluster: Cluster::new(config), now: Duration::ZERO, token }
    }

    pub(crate) fn request(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Request {
        let request = Request::new(method, path).token(&self.token);
        params.iter().fold(request, |request, (name, value)| request.param(name, value))
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, path: &str, params: &[(&str, &str)]) -> Reply {
        let request = self.request(method, path, params);
        let (now, reply) = self.cluster.complete(self.now, request);
        self.now = now;
        reply
    }

    pub(crate) fn get(&mut self, path: &str) -> Value {
        let reply = self.call("GET", path, &[]);
        assert_eq!(reply.status, 200, "GET {path}: {}", reply.reason);
        reply.payload().clone()
    }

    /// Sends a request that must work.
    pub(crate) fn ok(&mut self, method: &str, path: &str, params: &[(&str, &str)]) -> Value {
        let reply = self.call(method, path, params);
        assert_eq!(reply.status, 200, "{method} {path}: {} {:?}", reply.reason, reply.body);
        reply.payload().clone()
    }

    /// Sends a request that starts a task, and waits for the task's end.
    pub(crate) fn task(&mut self, method: &str, path: &str, params: &[(&str, &str)]) -> String {
        let upid = self.ok(method, path, params);
        self.now = self.cluster.settle(self.now);
        self.exit_status(upid.as_str().expect("a UPID"))
    }

    pub(crate) fn exit_status(&mut self, upid: &str) -> String {
        let node = upid.split(':').nth(1).expect("a node").to_owned();
        let status = self.get(&format!("/nodes/{node}/tasks/{upid}/status"));
        status["exitstatus"].as_str().unwrap_or("running").to_owned()
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
        self.cluster.advance(self.now);
    }

    /// Clones template 9000 to the given number.
    pub(crate) fn clone_to(&mut self, vmid: u32) {
        let vmid = vmid.to_string();
        let status = self.task(
            "POST",
            "/nodes/pve1/qemu/9000/clone",
            &[("newid", &vmid), ("name", "one.example.test")],
        );
        assert_eq!(status, "OK");
    }

    pub(crate) fn config(&mut self, vmid: u32) -> Value {
        self.get(&format!("/nodes/pve1/qemu/{vmid}/config"))
    }
}
