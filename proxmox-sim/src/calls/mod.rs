//! The calls themselves, one file for each part of the tree.

#![allow(clippy::unnecessary_wraps, reason = "all calls have one shape, also those that cannot be refused")]

mod access;
mod agent;
mod cloudinit;
mod cluster;
mod config;
mod config_values;
mod figures;
mod firewall;
mod firewall_macros;
mod firewall_rules;
mod ha;
mod ipset;
mod lifecycle;
mod machines;
mod migrate;
mod nodes;
mod pools;
mod power;
mod snapshots;
mod storage;
mod tasks;
mod upload;
mod vzdump;

use std::time::Duration;

use serde_json::{Value, json};

use crate::access::Caller;
use crate::reply::Refusal;
use crate::schema::{Arguments, Endpoint};
use crate::task::TaskKey;
use crate::works::Work;
use crate::world::World;

/// A call that passed the checks of its table.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) arguments: Arguments,
    pub(crate) caller: Caller,
    /// The size of the file that came with it.
    pub(crate) uploaded: Option<u64>,
}

/// What a call leads to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// `data` of the answer.
    Data(Value),
    /// The whole body, for lists with a total.
    Body(Value),
    /// Refused, but only after that time.
    Refused(Duration, Refusal),
    /// Answered when a worker on that node is done.
    Wait(String, Box<dyn Work>),
    /// A task that begins within the call: its locks are taken and its first step is done before
    /// the call is answered, so that their failures are the call's.
    Entered { kind: &'static str, id: String, node: String, work: Box<dyn Work>, patience: Option<Duration> },
    /// A task; with patience the call waits for its end that long.
    Task { kind: &'static str, id: String, node: String, work: Box<dyn Work>, patience: Option<Duration> },
    /// Stops a task.
    Stop(TaskKey),
}

type Answered = Result<Outcome, Refusal>;

impl Call {
    fn node(&self) -> &str {
        self.arguments.require("node")
    }

    fn vmid(&self) -> u32 {
        self.arguments.vmid("vmid")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.arguments.text(name)
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.arguments.text(name).map(str::to_owned)
    }

    fn flag(&self, name: &str) -> bool {
        self.arguments.flag(name)
    }

    /// Options that only the user root@pam may send.
    fn need_root_for(&self, names: &[&str]) -> Result<(), Refusal> {
        let found = names.iter().find(|name| self.text(name).is_some());
        match found {
            Some(name) if !self.caller.is_root() => {
                Err(Refusal::parameter(name, "Only root may use this option."))
            }
            _ => Ok(()),
        }
    }

    fn task(&self, kind: &'static str, work: impl Work + 'static) -> Answered {
        Ok(Outcome::Task {
            kind,
            id: self.vmid().to_string(),
            node: self.node().to_owned(),
            work: Box::new(work),
            patience: None,
        })
    }
}

fn data(value: Value) -> Answered {
    Ok(Outcome::Data(value))
}

fn done() -> Answered {
    Ok(Outcome::Data(Value::Null))
}

fn list(rows: Vec<Value>) -> Answered {
    Ok(Outcome::Data(Value::Array(rows)))
}

fn with_total(rows: &[Value], total: usize) -> Answered {
    Ok(Outcome::Body(json!({ "data": rows, "total": total })))
}

/// Carries out a call.
pub(crate) fn dispatch(world: &mut World, call: &Call) -> Answered {
    let machine = call.endpoint.path.strip_prefix("/nodes/{node}/qemu/{vmid}");
    if let Some(rest) = machine {
        return dispatch_machine(world, call, rest);
    }
    match (call.endpoint.method.as_str(), call.endpoint.path.as_str()) {
        ("GET", "/version" | "/nodes/{node}/version") => cluster::version(world),
        ("POST", "/access/ticket") => access::ticket(world, call),
        ("GET", "/access/permissions") => access::permissions(world, call),
        ("GET", "/access/domains") => access::domains(),
        ("POST", "/access/users") => access::add_user(world, call),
        ("POST", "/access/users/{userid}/token/{tokenid}") => access::add_token(world, call),
        ("GET", "/access/acl") => access::acl(world, call),
        ("PUT", "/access/acl") => access::set_acl(world, call),
        ("GET", "/cluster/status") => cluster::status(world),
        ("GET", "/cluster/nextid") => cluster::nextid(world, call),
        ("GET", "/cluster/resources") => cluster::resources(world, call),
        ("GET", "/cluster/tasks") => tasks::cluster(world, call),
        ("GET", "/cluster/firewall/options") => firewall::cluster_options(world),
        ("PUT", "/cluster/firewall/options") => firewall::set_cluster_options(world, call),
        ("GET", "/cluster/options") => cluster::options(),
        ("GET", "/cluster/backup-info/not-backed-up") => cluster::not_backed_up(world),
        ("GET", "/cluster/ha/status/current") => cluster::ha_status(world),
        ("POST", "/cluster/ha/resources/{sid}/migrate") => ha::migrate(world, call),
        ("GET", "/nodes/{node}/vzdump/extractconfig") => vzdump::extract_config(world, call),
        ("POST", "/nodes/{node}/vzdump") => vzdump::backup(world, call),
        ("GET", "/cluster/ha/resources") => ha::list(world),
        ("POST", "/cluster/ha/resources") => ha::add(world, call),
        ("GET", "/cluster/ha/resources/{sid}") => ha::get(world, call),
        ("PUT", "/cluster/ha/resources/{sid}") => ha::update(world, call),
        ("DELETE", "/cluster/ha/resources/{sid}") => ha::remove(world, call),
        ("GET", "/nodes") => nodes::all(world, call),
        ("GET", "/nodes/{node}/status") => nodes::status(world),
        ("GET", "/nodes/{node}/network") => nodes::network(world, call),
        ("GET", "/nodes/{node}/tasks") => tasks::node(world, call),
        ("GET", "/nodes/{node}/tasks/{upid}/status") => tasks::status(world, call),
        ("GET", "/nodes/{node}/tasks/{upid}/log") => tasks::log(world, call),
        ("DELETE", "/nodes/{node}/tasks/{upid}") => tasks::stop(world, call),
        ("GET", "/storage") => storage::definitions(world),
        ("GET", "/nodes/{node}/storage") => storage::all(world, call),
        ("GET", "/nodes/{node}/storage/{storage}/status") => storage::status(world, call),
        ("GET", "/nodes/{node}/storage/{storage}/content") => storage::content(world, call),
        ("POST", "/nodes/{node}/storage/{storage}/content") => storage::allocate(world, call),
        ("POST", "/nodes/{node}/storage/{storage}/upload") => upload::upload(world, call),
        ("GET", "/nodes/{node}/storage/{storage}/content/{volume}") => storage::volume(world, call),
        ("PUT", "/nodes/{node}/storage/{storage}/content/{volume}") => storage::annotate(world, call),
        ("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}") => storage::delete(world, call),
        ("GET", "/nodes/{node}/qemu") => machines::list(world, call),
        ("POST", "/nodes/{node}/qemu") => lifecycle::create(world, call),
        ("GET", "/pools") => pools::list(world, call),
        ("POST", "/pools") => pools::add(world, call),
        ("GET", "/pools/{poolid}") => pools::get(world, call),
        ("PUT", "/pools" | "/pools/{poolid}") => pools::update(world, call),
        ("DELETE", "/pools" | "/pools/{poolid}") => pools::remove(world, call),
        (method, path) => Err(Refusal::NotImplemented(format!("Method '{method} {path}' not implemented"))),
    }
}

fn dispatch_machine(world: &mut World, call: &Call, rest: &str) -> Answered {
    let method = call.endpoint.method.as_str();
    if let Some(rest) = rest.strip_prefix("/firewall") {
        return firewall::dispatch(world, call, method, rest);
    }
    if let Some(command) = rest.strip_prefix("/agent/") {
        return agent::command(world, call, command);
    }
    match (method, rest) {
        ("DELETE", "") => lifecycle::destroy(world, call),
        ("POST", "/clone") => lifecycle::clone(world, call),
        ("POST", "/template") => lifecycle::template(world, call),
        ("GET", "/feature") => lifecycle::feature(world, call),
        ("GET", "/migrate") => migrate::preconditions(world, call),
        ("POST", "/migrate") => migrate::migrate(world, call),
        ("GET", "/config") => config::get(world, call),
        ("PUT" | "POST", "/config") => config::change(world, call),
        ("GET", "/pending") => config::pending(world, call),
        ("PUT", "/unlink") => config::unlink(world, call),
        ("PUT", "/resize") => lifecycle::resize(world, call),
        ("POST", "/move_disk") => lifecycle::move_disk(world, call),
        ("GET", "/cloudinit") => cloudinit::differences(world, call),
        ("PUT", "/cloudinit") => cloudinit::regenerate(world, call),
        ("GET", "/cloudinit/dump") => cloudinit::dump(world, call),
        ("GET", "/status/current") => power::current(world, call),
        ("POST", path) if path.starts_with("/status/") => power::change(world, call, path),
        ("GET", "/snapshot") => snapshots::list(world, call),
        ("POST", "/snapshot") => snapshots::create(world, call),
        ("DELETE", "/snapshot/{snapname}") => snapshots::delete(call),
        ("GET", "/snapshot/{snapname}/config") => snapshots::config(world, call),
        ("POST", "/snapshot/{snapname}/rollback") => snapshots::rollback(call),
        (method, path) => Err(Refusal::NotImplemented(format!("Method '{method} {path}' not implemented"))),
    }
}
