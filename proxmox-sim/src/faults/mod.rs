//! Injected faults: what goes wrong, how often, and for how long.
//!
//! - `mod.rs`: [`Faults`], the description of what a request may meet.
//! - `draw.rs`: drawing the fault of one request from the seed.
//! - `mishaps.rs`: [`Mishaps`], the description of what happens by itself.
//! - `mishap.rs`: [`Mishap`], what has happened.

mod draw;
mod mishap;
mod mishaps;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timing::seconds_of;

pub(crate) use draw::{Exposure, Fate, Fault, FaultSource};
pub(crate) use mishap::seconds;
pub use mishap::{Incarnation, Mishap, MishapKind};
pub(crate) use mishaps::Kind;
pub use mishaps::Mishaps;

/// How often something goes wrong, and what.
///
/// With a rate of 0.2 every fifth request meets a fault; which one is drawn from the weights of those
/// that can happen to it. The draws come from the seed: the same sequence of requests at the same
/// times meets the same faults. Each is counted under the name of its field in
/// [`Counters::faults`](crate::Counters::faults); one that befalls the worker behind a request counts when it
/// strikes, so a request that is refused anyway counts nothing.
///
/// - [`Faults::none`]: nothing goes wrong.
/// - [`Faults::at_rate`]: the short mixture (`lose_request` to `slow`): every fault costs less than a
///   second and leaves nothing behind. For a demonstration in real time.
/// - [`Faults::everything`]: every kind there is. For tests under virtual time.
/// - [`Faults::unweighted`]: no kind at all, for a mixture of one's own.
///
/// ```
/// use std::time::Duration;
/// use proxmox_sim::{Cluster, ClusterConfig, Faults, Request};
///
/// // Every request that starts a task gets its worker killed, nothing else goes wrong.
/// let faults = Faults { killed: 1, ..Faults::unweighted(1.0) };
/// let config = ClusterConfig { faults, seed: 7, ..ClusterConfig::quick() };
/// let token = config.tokens[0].credential();
/// let mut cluster = Cluster::new(config);
/// let clone = Request::new("POST", "/nodes/pve1/qemu/9000/clone").param("newid", 100).token(&token);
/// let (now, reply) = cluster.complete(Duration::ZERO, clone);
/// let now = cluster.settle(now);
/// assert_eq!(cluster.counters().faults["killed"], 1);
///
/// // From now on all is well, and the task says what became of it.
/// cluster.set_faults(Faults::none());
/// let upid = reply.payload().as_str().unwrap();
/// let status = Request::new("GET", &format!("/nodes/pve1/tasks/{upid}/status")).token(&token);
/// let (_, reply) = cluster.complete(now, status);
/// assert_eq!(reply.payload()["exitstatus"], "unexpected status");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Share of the requests that meet a fault, from 0 to 1.
    pub rate: f64,
    /// The connection is reset and nothing was done.
    pub lose_request: u32,
    /// The request is carried out and the connection reset before the answer. A server carries out
    /// what it has read, whether or not the client still waits.
    pub lose_answer: u32,
    /// The connection is reset at once and the request carried out some time later.
    pub late: u32,
    /// 595: the next hop did not take the request.
    pub refused: u32,
    /// 596: the next hop gave up waiting; the request is carried out all the same.
    pub gateway: u32,
    /// 500 with the text of a lock that was not had in time, at once. Changing requests only.
    pub busy: u32,
    /// The task that the request starts fails between two of its steps and rolls back. Changing
    /// requests only.
    pub task: u32,
    /// The request is carried out and answered late.
    pub slow: u32,
    /// The request is carried out and answered, and carried out once more some time later: a blocked
    /// daemon works off what it has buffered long after the sender gave up. Changing requests only.
    pub duplicate: u32,
    /// The same with the first answer lost.
    pub lost_duplicate: u32,
    /// The worker of the request is killed (SIGKILL) at a random step, also between two options of a
    /// configuration, between growing a disk and writing its size, or half-way through the volumes of a
    /// machine that is destroyed. Nothing is cleaned up: a clone leaves `lock: clone`, its volumes and
    /// its firewall file, a migration `lock: migrate`, a destruction `lock: destroyed`. The task ends
    /// with `unexpected status`; a call that waits for the worker is answered with 596. One that is
    /// killed after its last step has done all its work.
    pub killed: u32,
    /// The task ends with `WARNINGS: 1` though it did its work, which is success.
    pub warnings: u32,
    /// A destruction cannot free one of the volumes, warns about it and goes on: the task ends with `WARNINGS: 1`,
    /// the machine is gone, and the volume stays behind as an orphan. Destructions only.
    pub leaked_volume: u32,
    /// A change of a configuration writes a random part of its options and fails: with the time-out of the
    /// storage's lock when a disk was still to be made, otherwise as a write without a majority does.
    /// What was written stays pending also on a stopped machine: `config` shows it as set, and the next
    /// start applies it.
    pub partial: u32,
    /// A change of a configuration is refused with 403 when the turn of one of its drives comes, after a
    /// random part of the other options is written. `PUT` answers with 403; the task of a `POST` ends with
    /// `403 Permission check failed (/vms/N, VM.Config.Disk)`. Only for requests that name a drive.
    pub forbidden_after_writes: u32,
    /// A lock is not had in the time that the server waits for it: 1 s for the machines of a clone, 10 s
    /// for any other machine, a storage or a firewall. A task ends with the text, a call that waits
    /// is answered with it as 500.
    pub lock_timeout: u32,
    /// After a machine was stopped, the clean-up of its old process holds the lock of its configuration
    /// for 30 s: everything that changes it waits 10 s and fails, a start first of all. Stops
    /// and shutdowns only.
    pub linger: u32,
    /// A list that comes from the nodes' broadcasts (`/cluster/resources`, the members of a pool) is older than
    /// the usual ten seconds: a machine that is gone is still there, one that is new is missing, and
    /// nodes and locks are those of then.
    pub stale_list: u32,
    /// Longest delay of `slow`, `late` and `gateway`, in seconds.
    pub delay: f64,
    /// Longest time until a duplicate is carried out, in seconds.
    pub duplicate_delay: f64,
    /// Greatest age of a stale list, in seconds.
    pub stale_age: f64,
    /// What happens to the cluster by itself.
    pub mishaps: Mishaps,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lose_request: 3,
            lose_answer: 3,
            late: 1,
            refused: 2,
            gateway: 2,
            busy: 2,
            task: 3,
            slow: 2,
            mishaps: Mishaps::default(),
            ..Self::unweighted(0.0)
        }
    }
}

impl Faults {
    /// The short mixture at the given rate.
    pub fn at_rate(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }

    /// Every kind at the given rate, and a mishap every minute in the mean. People need a range of
    /// [VMIDs](Mishaps::vmids) besides.
    pub fn everything(rate: f64) -> Self {
        Self {
            rate,
            duplicate: 1,
            lost_duplicate: 1,
            killed: 2,
            warnings: 1,
            leaked_volume: 3,
            partial: 2,
            forbidden_after_writes: 1,
            lock_timeout: 2,
            linger: 3,
            stale_list: 3,
            mishaps: Mishaps::every(60.0),
            ..Self::default()
        }
    }

    /// The given rate with every weight 0, for a mixture of one's own.
    pub const fn unweighted(rate: f64) -> Self {
        Self {
            rate,
            lose_request: 0,
            lose_answer: 0,
            late: 0,
            refused: 0,
            gateway: 0,
            busy: 0,
            task: 0,
            slow: 0,
            duplicate: 0,
            lost_duplicate: 0,
            killed: 0,
            warnings: 0,
            leaked_volume: 0,
            partial: 0,
            forbidden_after_writes: 0,
            lock_timeout: 0,
            linger: 0,
            stale_list: 0,
            delay: 0.5,
            duplicate_delay: 60.0,
            stale_age: 60.0,
            mishaps: Mishaps::unweighted(0.0),
        }
    }

    /// How far back the broadcasts have to be remembered.
    pub(crate) fn look_back(&self) -> Duration {
        if self.rate > 0.0 && self.stale_list > 0 { seconds_of(self.stale_age) } else { Duration::ZERO }
    }

    /// No faults at all.
    pub fn none() -> Self {
        Self::default()
    }
}
