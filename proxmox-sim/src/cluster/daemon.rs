//! The workers of a node's daemon. A call that waits within its handler keeps one busy, and when all are, other
//! calls that have nothing to do with it wait for a free one.

use std::collections::VecDeque;

use super::{CallId, Cluster, Event};
use crate::calls::Outcome;
use crate::faults::Fate;
use crate::reply::Reply;
use crate::request::Request;
use crate::schema::{Found, Schema};
use crate::world::Time;

/// The workers of all nodes.
#[derive(Debug, Default)]
pub(super) struct Daemons {
    /// How many each node has; with none there is one for every call.
    workers: usize,
    busy: Vec<(CallId, String)>,
    queue: VecDeque<Queued>,
}

/// A call that waits for a free worker.
#[derive(Debug)]
struct Queued {
    node: String,
    call: CallId,
    request: Box<Request>,
    fate: Option<Fate>,
}

impl Daemons {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, ..Self::default() }
    }

    fn is_free(&self, node: &str) -> bool {
        self.busy.iter().filter(|(_, at)| at == node).count() < self.workers
    }

    /// Whether a call waits for a worker.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next call on a node, if there is a worker for it.
    fn next(&mut self, node: &str) -> Option<Queued> {
        let at = self.queue.iter().position(|queued| queued.node == node)?;
        if self.is_free(node) { self.queue.remove(at) } else { None }
    }
}

impl Cluster {
    /// The node whose daemon carries a request out, if one of a limited number of workers does.
    fn daemon_of(&self, request: &Request) -> Option<String> {
        if self.daemons.workers == 0 {
            return None;
        }
        let path = request.api_path()?;
        let Found { endpoint, variables } = Schema::get().find(&request.method, &path, self.world.version)?;
        // Strangers do not get that far.
        let known = self.world.accounts.authenticate(request, self.world.unix(), &self.world.pools).is_ok();
        if !endpoint.daemon || !(known || endpoint.anyone) {
            return None;
        }
        let asked = || self.world.nodes.iter().find(|(_, node)| node.id == 1).map(|(name, _)| name.clone());
        let node = variables.get("node").filter(|_| endpoint.proxied).cloned().or_else(asked)?;
        self.world.nodes.get(&node).filter(|node| node.daemon && !node.frozen).map(|_| node)
    }

    /// Carries a request out, now or when there is a worker for it.
    pub(super) fn execute(&mut self, call: CallId, request: &Request, fate: Option<Fate>) {
        match self.daemon_of(request) {
            None => self.carry_out(call, request, fate, None),
            Some(node) if self.daemons.is_free(&node) => self.carry_out(call, request, fate, Some(node)),
            Some(node) => {
                let request = Box::new(request.clone());
                self.daemons.queue.push_back(Queued { node, call, request, fate });
                if self.waiting.contains_key(&call) {
                    self.schedule(self.proxy_timeout, Event::GatewayTimeout(call));
                }
            }
        }
    }

    /// Gives the calls that wait for a node's workers to those that are free. The client may be gone by then;
    /// that makes no difference.
    pub(super) fn employ(&mut self, node: &str) {
        while let Some(Queued { node, call, request, fate }) = self.daemons.next(node) {
            self.carry_out(call, &request, fate, Some(node));
        }
    }

    /// A worker begins with a call.
    pub(super) fn occupy(&mut self, call: CallId, node: Option<String>, outcome: &Outcome) {
        let Some(node) = node else {
            return;
        };
        if let Outcome::Refused(delay, _) = outcome {
            self.schedule(*delay, Event::Handled(call));
        }
        self.daemons.busy.push((call, node));
    }

    /// A worker is done with a call.
    pub(super) fn handled(&mut self, call: CallId) {
        let Some(at) = self.daemons.busy.iter().position(|(busy, _)| *busy == call) else {
            return;
        };
        let (_, node) = self.daemons.busy.remove(at);
        self.schedule(Time::ZERO, Event::Employ(node));
    }

    /// The daemon of a node ends, and with it all it was asked.
    pub(super) fn forget_daemon(&mut self, node: &str) {
        self.daemons.busy.retain(|(_, at)| at != node);
        let (gone, kept) =
            std::mem::take(&mut self.daemons.queue).into_iter().partition(|queued| queued.node == node);
        self.daemons.queue = kept;
        let gone: VecDeque<Queued> = gone;
        for queued in gone {
            self.respond(queued.call, Reply::bare(596, "Broken pipe"));
        }
    }
}
