//! Taking requests in: faults, authentication, permissions, parameters, then the call itself.

use super::start::TaskStart;
use super::{CallId, Cluster, Event, Handled, Waiting};
use crate::access::Caller;
use crate::calls::{self, Call, Outcome};
use crate::faults::{Exposure, Fate, Fault};
use crate::reply::{Answer, Refusal, Reply};
use crate::request::Request;
use crate::schema::{Endpoint, Schema, check};
use crate::world::Time;

/// How long a worker is given to stop before it is killed.
const STOP_PATIENCE: Time = Time::from_secs(5);
/// How long the lock of a firewall or of the accounts is waited for.
const LOCK_PATIENCE: Time = Time::from_secs(10);

impl Cluster {
    /// Takes a request in.
    pub fn handle(&mut self, now: Time, request: Request) -> Handled {
        self.advance(now);
        if request.method != "GET" {
            self.world.statistics.touch();
        }
        let (path, version) = (request.api_path(), self.world.version);
        let found = path.as_deref().and_then(|path| Schema::get().find(&request.method, path, version));
        let endpoint = found.map(|found| found.endpoint);
        self.counters.request(&request.method, endpoint.map_or("unknown", |e| e.path.as_str()));
        let journal = self.journal.add(self.world.now, &request);
        let call = CallId(journal);
        let relayed = request.method != "GET" && endpoint.is_some_and(|e| e.daemon || e.proxied);
        let (latency, wrapped) = (self.latency.of(&request), request.is_wrapped());
        self.waiting.insert(call, Waiting { journal, latency, lost: false, wrapped, relayed });

        let fault = endpoint.and_then(|e| self.faults.draw(|| Exposure::of(e, &request)));
        if let Some(fault) = fault {
            self.counters.fault(fault);
        }
        match fault {
            Some(Fault::LoseRequest) => self.lose(call),
            Some(Fault::Late(delay)) => {
                self.lose(call);
                self.schedule(delay, Event::Arrive(None, Box::new(request)));
            }
            Some(Fault::Slow(delay)) => self.schedule(delay, Event::Arrive(Some(call), Box::new(request))),
            Some(Fault::Refused) => self.respond(call, Reply::bare(595, "Connection refused")),
            Some(Fault::Busy) => self.respond(call, busy(&request)),
            Some(Fault::Gateway(delay)) => {
                self.arrive(None, &request);
                self.schedule(delay, Event::GatewayTimeout(call));
            }
            Some(Fault::LoseAnswer) => {
                self.lose(call);
                self.execute(call, &request, None);
            }
            Some(Fault::Duplicate(after, lost)) => {
                if lost {
                    self.lose(call);
                }
                self.execute(call, &request, None);
                self.schedule(after, Event::Arrive(None, Box::new(request)));
            }
            Some(Fault::StaleList(age)) => self.execute_looking_back(call, &request, age),
            Some(Fault::LockTimeout) => self.respond_after(call, LOCK_PATIENCE, busy(&request)),
            Some(Fault::Worker(fate)) => self.execute(call, &request, Some(fate)),
            None => self.execute(call, &request, None),
        }
        match self.answers.iter().position(|(done, _)| *done == call) {
            Some(at) => Handled::Now(self.answers.remove(at).1),
            None => Handled::Later(call),
        }
    }

    /// Marks the answer of a call as lost. The client sees the reset at once.
    fn lose(&mut self, call: CallId) {
        let delay = self.waiting.remove(&call).map(|waiting| waiting.latency).unwrap_or_default();
        self.journal.answered(call.0, 0);
        self.answers.push((call, Answer { reply: None, delay, relayed: false }));
    }

    /// Carries out a request that was held up.
    pub(super) fn arrive(&mut self, call: Option<CallId>, request: &Request) {
        // Nobody waits for the answer of one that was given up.
        self.sequence += 1;
        let nobody = CallId(u64::MAX - self.sequence);
        self.execute(call.unwrap_or(nobody), request, None);
    }

    /// Carries out a request that sees the cluster as it was.
    fn execute_looking_back(&mut self, call: CallId, request: &Request, age: Time) {
        let picture = self.world.statistics.pictures.of(self.world.now, age);
        let Some(mut picture) = picture else {
            return self.execute(call, request, None);
        };
        self.counters.struck("stale_list");
        picture.swap(&mut self.world);
        self.execute(call, request, None);
        picture.swap(&mut self.world);
    }

    /// Carries out a request, by a worker of that node's daemon.
    pub(super) fn carry_out(
        &mut self,
        call: CallId,
        request: &Request,
        fate: Option<Fate>,
        worker: Option<String>,
    ) {
        let reply = match self.decide(request) {
            Ok((outcome, caller)) => {
                self.occupy(call, worker, &outcome);
                self.begin_outcome(call, outcome, &caller, fate)
            }
            Err(refusal) => Some(refusal.reply()),
        };
        match reply {
            Some(reply) => self.respond(call, reply),
            None if self.waiting.contains_key(&call) => {
                self.schedule(self.proxy_timeout, Event::GatewayTimeout(call));
            }
            None => {}
        }
    }

    /// Starts what the call asks for; `None` when its answer comes later.
    fn begin_outcome(
        &mut self,
        call: CallId,
        outcome: Outcome,
        caller: &str,
        fate: Option<Fate>,
    ) -> Option<Reply> {
        match outcome {
            Outcome::Data(data) => Some(Reply::data(data)),
            Outcome::Body(body) => Some(Reply::ok(body)),
            Outcome::Refused(delay, refusal) => {
                self.respond_after(call, delay, refusal.reply());
                None
            }
            Outcome::Wait(node, work) => {
                self.begin_call(work, &node, call, fate);
                None
            }
            Outcome::Entered { kind, id, node, work, patience } => {
                let start = TaskStart { kind, id, node, work };
                self.enter_task(start, caller, fate, (call, patience));
                None
            }
            Outcome::Task { kind, id, node, work, patience } => {
                let waits = patience.map(|_| call);
                let start = TaskStart { kind, id, node, work };
                let upid = self.begin_task(start, caller, fate, waits);
                let Some(patience) = patience else {
                    return Some(Reply::data(upid.into()));
                };
                self.schedule(patience, Event::Patience(call, upid));
                None
            }
            Outcome::Stop(task) if self.heedless(task) => {
                self.schedule(STOP_PATIENCE, Event::Kill(task, call));
                None
            }
            Outcome::Stop(task) => {
                self.interrupt(task);
                Some(Reply::data(serde_json::Value::Null))
            }
        }
    }

    fn respond_after(&mut self, call: CallId, delay: Time, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&call) {
            let mut answer = self.answer(waiting, reply);
            answer.delay += delay;
            self.answers.push((call, answer));
        }
    }

    fn decide(&mut self, request: &Request) -> Result<(Outcome, String), Refusal> {
        let method = request.method.as_str();
        if !matches!(method, "GET" | "POST" | "PUT" | "DELETE") {
            return Err(Refusal::Bare(501, format!("method '{method}' not available")));
        }
        if request.chunked {
            return Err(Refusal::Bare(501, "chunked transfer encoding not supported".to_owned()));
        }
        let Some(path) = request.api_path() else {
            return Err(Refusal::Bare(404, "Not Found".to_owned()));
        };
        let found = Schema::get().find(method, &path, self.world.version);
        let anyone = found.as_ref().is_some_and(|found| found.endpoint.anyone);
        let caller = match self.world.accounts.authenticate(request, self.world.unix(), &self.world.pools) {
            Ok(caller) => caller,
            Err(_) if anyone => Caller::default(),
            Err(refusal) => return Err(refusal),
        };
        let Some(found) = found else {
            let refusal = Refusal::NotImplemented(format!("Method '{method} {path}' not implemented"));
            self.counters.off_schema(request, &refusal);
            return Err(refusal);
        };
        let sent = request.parameters()?;
        self.permit(found.endpoint, &caller, &found.variables)?;
        // Where the call is carried out is decided before its parameters are looked at.
        self.need_node(found.endpoint, found.variables.get("node").map(String::as_str))?;
        let frozen = found.variables.get("node").and_then(|name| self.world.nodes.get(name));
        if found.endpoint.proxied && frozen.is_some_and(|node| node.frozen) {
            let late = Refusal::Bare(596, "Connection timed out".to_owned());
            return Ok((calls::Outcome::Refused(self.proxy_timeout, late), caller.name));
        }
        let checked = check(&found, &sent, self.world.version).map_err(Refusal::Parameters);
        let arguments = checked.inspect_err(|refusal| self.counters.off_schema(request, refusal))?;
        let uploaded = request.uploaded();
        let call = Call { endpoint: found.endpoint, arguments, caller, uploaded };
        let outcome = calls::dispatch(&mut self.world, &call)?;
        self.wake_ha_manager();
        Ok((outcome, call.caller.name))
    }

    /// Permissions come before existence.
    fn permit(
        &self,
        endpoint: &Endpoint,
        caller: &Caller,
        variables: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        if endpoint.no_token && caller.name.contains('!') {
            let uri = &endpoint.path;
            let text = format!(
                "Permission check failed (URI '{uri}' not available with API token, need proper ticket.)"
            );
            return Err(Refusal::Forbidden(text));
        }
        for (path, privileges) in &endpoint.permissions {
            let mut path = path.clone();
            for (name, value) in variables {
                path = path.replace(&format!("{{{name}}}"), value);
            }
            let old_agent =
                self.world.version < crate::Version::V9_2 && privileges[0].starts_with("VM.GuestAgent");
            let privileges: Vec<&str> =
                if old_agent { vec!["VM.Monitor"] } else { privileges.iter().map(String::as_str).collect() };
            caller.need(&path, &privileges)?;
        }
        Ok(())
    }

    /// Whether the node that the call runs on takes it.
    fn need_node(&self, endpoint: &Endpoint, node: Option<&str>) -> Result<(), Refusal> {
        let refused = || Err(Refusal::Bare(595, "Connection refused".to_owned()));
        let Some(name) = node.filter(|_| endpoint.proxied) else {
            // Everything else runs on the node that was asked.
            let first = self.world.nodes.values().find(|node| node.id == 1);
            return if endpoint.daemon && first.is_some_and(|node| !node.daemon) {
                refused()
            } else {
                Ok(())
            };
        };
        match self.world.nodes.get(name) {
            None => Err(Refusal::Die(format!(
                "hostname lookup '{name}' failed - failed to get address info for: {name}: Temporary failure in name resolution"
            ))),
            Some(node) if !node.online || (endpoint.daemon && !node.daemon) => refused(),
            Some(_) => Ok(()),
        }
    }
}

fn busy(request: &Request) -> Reply {
    let path = request.api_path().unwrap_or_default();
    let vmid = path.split('/').find(|part| part.parse::<u32>().is_ok_and(|n| n >= 100));
    let text = match vmid {
        Some(vmid) if !path.contains("firewall") => {
            format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout")
        }
        Some(vmid) => format!("cfs-lock 'firewall-vm-{vmid}' error: got lock request timeout"),
        None => "cfs-lock 'file-user_cfg' error: got lock request timeout".to_owned(),
    };
    Refusal::Die(text).reply()
}
