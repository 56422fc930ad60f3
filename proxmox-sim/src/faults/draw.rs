//! Drawing the fault that one request meets.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Faults;
use crate::request::Request;
use crate::schema::Endpoint;
use crate::timing::seconds_of;
use crate::world::is_drive;

/// The fault that one request meets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    LoseRequest,
    LoseAnswer,
    Late(Duration),
    Refused,
    Gateway(Duration),
    Busy,
    Slow(Duration),
    /// Carried out again after that time; the flag tells whether the first answer is lost.
    Duplicate(Duration, bool),
    /// The lock under which the request would be carried out is not had in time.
    LockTimeout,
    /// Answered from broadcasts of that age.
    StaleList(Duration),
    /// Something befalls the worker that the request starts.
    Worker(Fate),
}

/// What befalls a worker. The numbers, from 0 to 1, say where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Fails,
    Dies(f64),
    Warns,
    Leaks(f64),
    Partial(f64),
    Forbidden(f64),
    /// Does not get a lock; the flag tells whether that may be a storage's.
    Starves(f64, bool),
    Lingers,
}

impl Fate {
    /// Its name among the counters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fails => "task",
            Self::Dies(_) => "killed",
            Self::Warns => "warnings",
            Self::Leaks(_) => "leaked_volume",
            Self::Partial(_) => "partial",
            Self::Forbidden(_) => "forbidden_after_writes",
            Self::Starves(..) => "lock_timeout",
            Self::Lingers => "linger",
        }
    }
}

/// What a request is, as far as that decides which faults it can meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent of one another")]
pub(crate) struct Exposure {
    /// It changes something.
    pub(crate) changes: bool,
    /// A worker on a node carries it out.
    pub(crate) worker: bool,
    /// That worker is a task.
    pub(crate) task: bool,
    /// It changes a configuration,
    pub(crate) config: bool,
    /// of a drive too.
    pub(crate) drive: bool,
    /// It makes volumes.
    pub(crate) allocates: bool,
    /// It destroys a machine.
    pub(crate) destroys: bool,
    /// It stops a machine.
    pub(crate) stops: bool,
    /// It lists what the nodes broadcast.
    pub(crate) lists: bool,
}

impl Exposure {
    pub(crate) fn of(endpoint: &Endpoint, request: &Request) -> Self {
        let (method, path) = (endpoint.method.as_str(), endpoint.path.as_str());
        if method == "GET" {
            let lists = matches!(path, "/cluster/resources" | "/pools/{poolid}");
            return Self { lists, ..Self::default() };
        }
        let on_node = path.strip_prefix("/nodes/{node}/");
        let elsewhere = |rest: &str| rest.contains("/firewall") || rest.starts_with("tasks");
        let worker = !endpoint.anyone && on_node.is_some_and(|rest| !elsewhere(rest));
        let synchronous = method == "PUT" && !path.ends_with("/resize");
        let config = path.ends_with("/config");
        let drives = || {
            let parameters = request.parameters().unwrap_or_default();
            parameters.into_keys().any(|name| is_drive(&name))
        };
        let drive = config && drives();
        Self {
            changes: !endpoint.anyone,
            worker,
            task: worker && !synchronous,
            config,
            drive,
            allocates: drive || path.ends_with("/clone") || path == "/nodes/{node}/qemu",
            destroys: method == "DELETE" && path == "/nodes/{node}/qemu/{vmid}",
            stops: path.ends_with("/status/stop") || path.ends_with("/status/shutdown"),
            lists: false,
        }
    }
}

/// Draws faults.
#[derive(Debug)]
pub(crate) struct FaultSource {
    pub(crate) faults: Faults,
    rng: StdRng,
    /// The particulars of a fault: a stream of its own, so that which faults there are does not depend on
    /// it.
    particulars: StdRng,
}

impl FaultSource {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            rng: StdRng::seed_from_u64(seed ^ 0xfa17),
            particulars: StdRng::seed_from_u64(seed ^ 0xdead_fa17),
        }
    }

    /// Draws for one request. Always takes the same number of random values, so that a fault that
    /// cannot happen does not shift the later ones.
    pub(crate) fn draw(&mut self, exposure: impl FnOnce() -> Exposure) -> Option<Fault> {
        let hit = self.rng.random::<f64>();
        let which = self.rng.random::<f64>();
        let delay = seconds_of(self.faults.delay * self.rng.random::<f64>());
        let place = self.particulars.random::<f64>();
        if hit >= self.faults.rate {
            return None;
        }
        let table = self.table(exposure(), delay, place);
        let total: u32 = table.iter().map(|(weight, _)| weight).sum();
        let mut left = which * f64::from(total);
        for (weight, fault) in table {
            left -= f64::from(weight);
            if left < 0.0 {
                return Some(fault);
            }
        }
        None
    }

    /// What can happen to such a request, with the weights.
    fn table(&self, it: Exposure, delay: Duration, place: f64) -> [(u32, Fault); 18] {
        let f = &self.faults;
        let when = |possible: bool, weight: u32| if possible { weight } else { 0 };
        let again = seconds_of(f.duplicate_delay * place);
        let age = seconds_of(f.stale_age * place);
        // What changes a firewall or a pool has a lock, but no worker.
        let starves =
            if it.worker { Fault::Worker(Fate::Starves(place, it.allocates)) } else { Fault::LockTimeout };
        [
            (f.lose_request, Fault::LoseRequest),
            (f.lose_answer, Fault::LoseAnswer),
            (when(it.changes, f.late), Fault::Late(delay)),
            (f.refused, Fault::Refused),
            (f.gateway, Fault::Gateway(delay)),
            (when(it.changes, f.busy), Fault::Busy),
            (when(it.changes, f.task), Fault::Worker(Fate::Fails)),
            (f.slow, Fault::Slow(delay)),
            (when(it.changes, f.duplicate), Fault::Duplicate(again, false)),
            (when(it.changes, f.lost_duplicate), Fault::Duplicate(again, true)),
            (when(it.worker, f.killed), Fault::Worker(Fate::Dies(place))),
            (when(it.task, f.warnings), Fault::Worker(Fate::Warns)),
            (when(it.destroys, f.leaked_volume), Fault::Worker(Fate::Leaks(place))),
            (when(it.config, f.partial), Fault::Worker(Fate::Partial(place))),
            (when(it.drive, f.forbidden_after_writes), Fault::Worker(Fate::Forbidden(place))),
            (when(it.changes, f.lock_timeout), starves),
            (when(it.stops, f.linger), Fault::Worker(Fate::Lingers)),
            (when(it.lists, f.stale_list), Fault::StaleList(age)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: Exposure = Exposure {
        changes: true,
        worker: true,
        task: true,
        config: true,
        drive: true,
        allocates: true,
        destroys: true,
        stops: true,
        lists: false,
    };

    #[test]
    fn the_rate_and_the_seed_decide() {
        let draws = |seed| {
            let mut source = FaultSource::new(Faults::everything(0.3), seed);
            (0..1000).map(|_| source.draw(|| CHANGE)).collect::<Vec<_>>()
        };
        let first = draws(7);
        assert_eq!(first, draws(7));
        assert_ne!(first, draws(8));
        let hits = first.iter().flatten().count();
        assert!((250..350).contains(&hits), "{hits} of 1000");
    }

    #[test]
    fn reads_never_meet_faults_of_changes() {
        let mut source = FaultSource::new(Faults::everything(1.0), 1);
        for _ in 0..500 {
            let fault = source.draw(Exposure::default);
            let common = matches!(
                fault,
                Some(
                    Fault::LoseRequest
                        | Fault::LoseAnswer
                        | Fault::Refused
                        | Fault::Gateway(_)
                        | Fault::Slow(_)
                )
            );
            assert!(common, "{fault:?}");
        }
    }

    #[test]
    fn the_short_mixture_leaves_nothing_behind() {
        let mut source = FaultSource::new(Faults::at_rate(1.0), 3);
        for _ in 0..2000 {
            let fault = source.draw(|| CHANGE);
            let long = matches!(fault, Some(Fault::Duplicate(..) | Fault::StaleList(_)));
            let worker = matches!(fault, Some(Fault::Worker(fate)) if fate != Fate::Fails);
            assert!(!long && !worker, "{fault:?}");
        }
    }
}
