//! Stand-ins for tests of the loop: a store in memory that can be made to fail, scripted turns, and time that tests move.

mod bench;
mod script;
mod store;
mod tasks;

pub(crate) use bench::Bench;
pub(crate) use script::{Act, Busy, Script, advance};
pub(crate) use store::{FakeStore, Row, State};
pub(crate) use tasks::{FakeTasks, Mood};

use deploy_core::{Change, Clock, CloneMode, NewRecord, Progress, Sending, TaskId, VmKey, VmRecord, Vmid};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) fn key(number: u32) -> VmKey {
    VmKey(Uuid::from_u128(u128::from(number)))
}

pub(crate) fn record(number: u32) -> VmRecord {
    let spec = serde_json::json!({
        "cluster": "c1", "domain": "vm{vmid}.example.org", "pve_name": "vm{vmid}", "node": "n1",
        "template": {"vmid": 9000, "node": "n1"}, "clone": {"mode": "linked"},
        "sockets": 1, "cores": 1, "memory": 512, "system_disk": {"size": 10},
    });
    let order = NewRecord {
        key: key(number),
        external_ref: format!("order-{number}").parse().unwrap(),
        spec: serde_json::from_value(spec).unwrap(),
        macs: Vec::new(),
        metadata: serde_json::Value::Null,
        created_at: start_time(),
        adopts: None,
    };
    order.numbered(Vmid::try_from(1000 + number).unwrap()).unwrap()
}

/// The progress of a machine that this task clones.
pub(crate) fn cloning(task: TaskId) -> Progress {
    let clone = Change::Clone {
        template: Vmid::try_from(9000).unwrap(),
        template_node: "n1".parse().unwrap(),
        mode: CloneMode::Linked,
        name: "vm".parse().unwrap(),
    };
    Progress::Submitted { task, change: Sending::from(&clone) }
}

pub(crate) fn start_time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A clock over tokio's time.
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        start_time() + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}
