//! Sends the rows to a simulated cluster, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use proxmox_sim::{CallId, Cluster, Handled, Reply, Request, Switch, Version};

use crate::accounts::{self, Accounts};
use crate::clock::Pace;
use crate::hands::{self, Deed, Given, Why};
use crate::names::Names;
use crate::rows::Row;
use crate::watch::{Watches, scripts};
use crate::{luck, raw, rows};

/// Seconds that a call usually takes.
const USUAL: f64 = 0.03;

/// How long a task is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// A recording under way.
pub(crate) struct Player {
    cluster: Cluster,
    version: Version,
    now: Duration,
    pace: Pace,
    accounts: Accounts,
    names: Names,
    watches: Watches,
    /// Calls that were sent together and are not answered yet.
    together: Vec<(usize, CallId)>,
    /// Such calls are being sent.
    batch: bool,
    replies: BTreeMap<usize, Reply>,
    /// Only what the notes name is done beside the rows.
    bare: bool,
    given: Given,
    told: usize,
}

/// A row and what the simulator said to it. The answers to a watch are lists.
pub(crate) struct Played {
    pub(crate) replies: BTreeMap<usize, Reply>,
    pub(crate) seen: Watches,
    /// How often was helped, by the reason.
    pub(crate) given: Given,
    /// How many calls were told in which order to write their options.
    pub(crate) told: usize,
}

impl Player {
    pub(crate) fn new(version: Version, lives: bool) -> Self {
        let config = accounts::cluster(version, lives);
        Self {
            accounts: Accounts::of(&config),
            cluster: Cluster::new(config),
            version,
            batch: false,
            now: Duration::from_secs(1),
            pace: Pace::default(),
            names: Names::default(),
            watches: Watches::default(),
            together: Vec::new(),
            replies: BTreeMap::new(),
            bare: false,
            given: Given::new(),
            told: 0,
        }
    }

    /// Without what was inferred from later answers.
    pub(crate) fn bare(version: Version, lives: bool) -> Self {
        Self { bare: true, ..Self::new(version, lives) }
    }

    pub(crate) fn play(mut self, rows: &[rows::Row]) -> Played {
        let mut scripts = scripts(rows);
        for (n, row) in rows.iter().enumerate() {
            let together = row.method.is_some() && hands::together(row);
            if !together {
                self.finish_together(rows);
            }
            if !(together && self.batch) {
                let moment = self.pace.moment(row, self.now);
                self.pass_to(moment);
            }
            self.help(rows, n);
            self.pace.sent(row, self.now);
            if let Some(options) = luck::order(rows, n).filter(|_| !self.bare) {
                self.told += 1;
                self.act(&Deed::Switch(Switch::WriteOrder { options }));
            }
            self.begin_watch(row, rows, &mut scripts);
            if row.method.is_none() || row.watch().is_some() || hands::never_whole(row, self.version) {
                continue;
            }
            if together {
                self.batch = true;
                self.send_together(n, row);
            } else {
                self.send(n, row);
            }
        }
        self.finish_together(rows);
        Played { replies: self.replies, seen: self.watches, given: self.given, told: self.told }
    }

    /// Does what was done before a row. Nothing is done that no answer of ours shows.
    fn help(&mut self, rows: &[Row], n: usize) {
        for help in hands::before(rows, n, self.version) {
            let shown = |row: &Row| row.case == help.shown_by && row.status.is_some();
            assert!(help.shown_by.is_empty() || rows[n..].iter().any(shown), "{help:?} is not shown");
            if self.bare && help.why != Why::Noted {
                continue;
            }
            *self.given.entry(help.why).or_default() += 1;
            for deed in &help.deeds {
                self.act(deed);
            }
        }
    }

    /// The looks of a script begin with its first row.
    fn begin_watch(&mut self, row: &Row, rows: &[Row], scripts: &mut BTreeMap<String, Vec<usize>>) {
        let begins = |script: &&String| row.case.starts_with(&format!("{script}/"));
        let Some(script) = scripts.keys().find(begins).cloned() else {
            return;
        };
        for n in scripts.remove(&script).into_iter().flatten() {
            let request = self.request(&rows[n]);
            if let Some((_, look)) = rows[n].watch() {
                self.watches.begin(&script, look, request);
            }
        }
        self.watches.sample(&mut self.cluster, self.now);
    }

    fn send(&mut self, n: usize, row: &Row) {
        self.wait_for_task(row);
        let begun = self.now;
        let reply = self.call(self.request(row));
        // A call takes its time, also where it changes nothing any more.
        let took = if row.held { USUAL } else { row.elapsed_s.min(0.1) };
        self.pass_to(self.now.max(begun + Duration::from_secs_f64(took)));
        self.watches.end(row, &mut self.cluster, self.now);
        self.keep(n, row, reply);
    }

    fn keep(&mut self, n: usize, row: &Row, reply: Reply) {
        self.accounts.learn(row, &reply);
        self.names.learn(row, &reply);
        self.replies.insert(n, reply);
    }

    fn send_together(&mut self, n: usize, row: &Row) {
        let request = self.request(row);
        match self.cluster.handle(self.now, request) {
            Handled::Now(answer) => {
                let reply = answer.reply.unwrap_or_else(lost);
                self.keep(n, row, reply);
            }
            Handled::Later(call) => self.together.push((n, call)),
        }
    }

    /// Lets the calls that were sent together come to their ends.
    fn finish_together(&mut self, rows: &[Row]) {
        self.batch = false;
        while !self.together.is_empty() {
            for (call, answer) in self.cluster.take_answers() {
                if let Some(at) = self.together.iter().position(|(_, waiting)| *waiting == call) {
                    let (n, _) = self.together.remove(at);
                    self.keep(n, &rows[n], answer.reply.unwrap_or_else(lost));
                }
            }
            if self.together.is_empty() {
                break;
            }
            let next = self.cluster.next_event().expect("a call under way has an end");
            self.pass_to(next);
        }
    }

    /// Sends a request and lets time pass until it is answered.
    fn call(&mut self, request: Request) -> Reply {
        let call = match self.cluster.handle(self.now, request) {
            Handled::Now(answer) => {
                self.pass_to(self.now + answer.delay);
                return answer.reply.unwrap_or_else(lost);
            }
            Handled::Later(call) => call,
        };
        loop {
            let found = self.cluster.take_answers().into_iter().find(|(done, _)| *done == call);
            if let Some((_, answer)) = found {
                self.pass_to(self.now + answer.delay);
                return answer.reply.unwrap_or_else(lost);
            }
            let next = self.cluster.next_event().expect("a call under way has an end");
            self.pass_to(next);
        }
    }

    fn pass_to(&mut self, moment: Duration) {
        self.now = self.watches.look(&mut self.cluster, self.now, moment);
    }

    /// Lets time pass until the task that is asked for has the recorded state.
    fn wait_for_task(&mut self, row: &Row) {
        let Some(upid) = row.path.strip_suffix("/status").and_then(|p| p.split_once("/tasks/")) else {
            return;
        };
        let recorded = row.answer().and_then(|answer| answer["data"]["status"].as_str().map(str::to_owned));
        let refused = row.status.is_some_and(|status| status != 200);
        if recorded.as_deref() == Some("running") || refused || hands::hurried(row) {
            return;
        }
        let upid = self.names.fill(upid.1);
        let node = upid.split(':').nth(1).unwrap_or_default().to_owned();
        let end = self.now + PATIENCE;
        loop {
            let path = format!("/nodes/{node}/tasks/{upid}/status");
            let reply = self.call(self.accounts.root(Request::new("GET", &path)));
            if reply.payload()["status"] != "running" || self.now > end {
                return;
            }
            let next = self.cluster.next_event().unwrap_or(end);
            self.pass_to(next.max(self.now + Duration::from_millis(10)));
        }
    }

    fn act(&mut self, deed: &Deed) {
        match deed {
            Deed::Switch(switch) => {
                let flipped = self.cluster.switch(switch.clone());
                assert!(self.bare || flipped.is_ok(), "{switch:?}: {flipped:?}");
            }
            Deed::Call(method, path, params) => {
                self.by_hand(method, path, params);
                self.now = self.cluster.settle(self.now);
            }
            Deed::Begin(method, path, params) => self.by_hand(method, path, params),
            Deed::Kill(case) => {
                let upid = self.names.fill(&format!("{{{{upid:{case}}}}}"));
                let killed = self.cluster.switch(Switch::KillTask { upid });
                assert!(self.bare || killed.is_ok(), "{case}: {killed:?}");
            }
            Deed::Pause(seconds) => self.pass_to(self.now + Duration::from_secs_f64(*seconds)),
        }
    }

    fn by_hand(&mut self, method: &str, path: &str, params: &[(&str, &str)]) {
        let request = Request::new(method, path);
        let request = params.iter().fold(request, |request, (k, v)| request.param(k, v));
        let reply = self.call(self.accounts.root(request));
        // What a guest does not let go of waits for its next start, and the call says so.
        let waits =
            reply.body.as_ref().is_some_and(|body| body["errors"].to_string().contains("hotplug problem"));
        assert!(self.bare || waits || reply.status == 200, "{method} {path} {params:?}: {reply:?}");
        self.names.meet(&reply);
    }

    fn request(&self, row: &Row) -> Request {
        let method = row.method.as_deref().unwrap_or_default();
        let mut request = match &row.raw_request {
            Some(text) => raw::request(text),
            None => self.plain(row, method),
        };
        if let Some(body) = &row.raw_body {
            request.content_type.clone_from(&row.request_content_type);
            request.body = self.names.fill(body).into_bytes();
        }
        self.accounts.sign(row, request)
    }

    fn plain(&self, row: &Row, method: &str) -> Request {
        let path = self.names.fill(&row.path);
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            ..Request::default()
        };
        row.params.iter().fold(request, |request, (name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let value =
                if value.starts_with("PVE:user@realm:") { self.accounts.ticket().to_owned() } else { value };
            let value = match name.as_str() {
                "since" => self.names.moment(&value, row, accounts::EPOCH + self.now.as_secs()),
                _ => self.names.fill(&value),
            };
            request.param(name, value)
        })
    }
}

fn lost() -> Reply {
    Reply { status: 0, reason: String::new(), body: None, text: None }
}
