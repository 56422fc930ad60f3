//! What several runs come to.

use crate::{ideal, run::Taken, simulator::Seen};
use benches::median;
use deploy_worker::Limits;
use serde::Serialize;
use std::collections::BTreeMap;

/// One run, with what the cluster saw of it.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    /// What it took of us.
    #[serde(flatten)]
    pub(crate) taken: Taken,
    /// What the simulated cluster says of it; nothing where it was another one.
    #[serde(flatten)]
    pub(crate) seen: Option<FromOutside>,
}

/// What the cluster saw.
#[derive(Debug, Serialize)]
pub(crate) struct FromOutside {
    /// What the durations were drawn from.
    pub(crate) seed: u64,
    /// Seconds of the ideal path, of the slowest machine.
    pub(crate) ideal: f64,
    /// Seconds that it takes within our limits, if nothing else took any time.
    pub(crate) limits_allow: f64,
    /// Its workers that waited too long for a lock.
    pub(crate) lock_timeouts: u64,
    /// What it took of the processors itself, seconds.
    pub(crate) simulator_cpu: f64,
}

impl FromOutside {
    pub(crate) fn new(seed: u64, saw: &Seen, limits: &Limits) -> Self {
        Self {
            seed,
            ideal: ideal::path(&saw.tasks),
            limits_allow: ideal::within(limits, &saw.tasks),
            lock_timeouts: saw.lock_timeouts,
            simulator_cpu: saw.cpu,
        }
    }
}

/// Medians of the runs of a series. Each is the middle of its own figures.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) machines: u32,
    pub(crate) runs: usize,
    /// The fewest machines that became ready in a run.
    pub(crate) ready: u32,
    /// Seconds from the first order to the last machine.
    pub(crate) wall: f64,
    /// Seconds of these until all orders were placed.
    pub(crate) placing: f64,
    pub(crate) cpu_per_machine: f64,
    /// MiB.
    pub(crate) peak_rss: f64,
    pub(crate) requests_per_machine: f64,
    /// By method and path, the mean of all runs.
    pub(crate) requests_per_machine_by_endpoint: BTreeMap<String, f64>,
    /// Failed tries, of all runs.
    pub(crate) failures: u64,
    #[serde(flatten)]
    pub(crate) outside: Option<Outside>,
}

/// Medians of what the simulated cluster saw.
#[derive(Debug, Serialize)]
pub(crate) struct Outside {
    pub(crate) ideal: f64,
    pub(crate) over_ideal: f64,
    /// Seconds that our limits allow.
    pub(crate) limits_allow: f64,
    /// How many times these it took.
    pub(crate) times_limits_allow: f64,
    /// Of all runs.
    pub(crate) lock_timeouts: u64,
    /// Processors that the simulator was busy with.
    pub(crate) simulator_load: f64,
}

impl Summary {
    /// The summary of the runs of a series, at least one.
    pub(crate) fn of(machines: u32, runs: &[Run]) -> Self {
        let taken = || runs.iter().map(|run| &run.taken);
        let seen: Option<Vec<_>> = runs.iter().map(|run| Some((&run.taken, run.seen.as_ref()?))).collect();
        let mut endpoints = BTreeMap::new();
        for (endpoint, count) in taken().flat_map(|taken| &taken.requests) {
            *endpoints.entry(endpoint.clone()).or_default() += each(*count, machines, runs.len());
        }
        Self {
            machines,
            runs: runs.len(),
            ready: taken().map(|taken| taken.ready).min().unwrap_or_default(),
            wall: median(taken().map(|taken| taken.wall)),
            placing: median(taken().map(|taken| taken.placing)),
            cpu_per_machine: median(taken().map(|taken| taken.cpu / f64::from(machines))),
            peak_rss: median(taken().map(|taken| taken.peak_rss)),
            requests_per_machine: median(
                taken().map(|taken| each(taken.requests.values().sum(), machines, 1)),
            ),
            requests_per_machine_by_endpoint: endpoints,
            failures: taken().flat_map(|taken| &taken.failures).map(|(_, times)| times).sum(),
            outside: seen.map(|seen| Outside::of(&seen)),
        }
    }
}

impl Outside {
    fn of(runs: &[(&Taken, &FromOutside)]) -> Self {
        let over = |of: &dyn Fn(&Taken, &FromOutside) -> f64| {
            median(runs.iter().map(|(taken, seen)| of(taken, seen)))
        };
        Self {
            ideal: over(&|_, seen| seen.ideal),
            over_ideal: over(&|taken, seen| taken.wall - seen.ideal),
            limits_allow: over(&|_, seen| seen.limits_allow),
            times_limits_allow: over(&|taken, seen| taken.wall / seen.limits_allow),
            lock_timeouts: runs.iter().map(|(_, seen)| seen.lock_timeouts).sum(),
            simulator_load: over(&|taken, seen| seen.simulator_cpu / taken.wall),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are not that many")]
fn each(requests: u64, machines: u32, runs: usize) -> f64 {
    requests as f64 / f64::from(machines) / runs as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(wall: f64, cpu: f64, requests: u64) -> Run {
        let taken = Taken {
            machines: 2,
            ready: 2,
            wall,
            placing: 0.1,
            cpu,
            cpu_before: 0.0,
            peak_rss: 10.0,
            requests: BTreeMap::from([("GET /a".to_owned(), requests), ("PUT /b".to_owned(), 2)]),
            failures: vec![("clone: refused".to_owned(), 2)],
            stuck: Vec::new(),
        };
        let seen =
            FromOutside { seed: 1, ideal: 3.0, limits_allow: 4.0, lock_timeouts: 1, simulator_cpu: 1.0 };
        Run { taken, seen: Some(seen) }
    }

    fn is(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 1e-9
    }

    #[test]
    fn the_middle_run_is_told_and_what_went_wrong_in_any() {
        let summary = Summary::of(2, &[run(4.0, 0.5, 10), run(9.0, 0.1, 30), run(5.0, 0.3, 20)]);
        assert!(is(summary.wall, 5.0) && is(summary.cpu_per_machine, 0.15), "{summary:?}");
        assert_eq!(summary.failures, 6);
        let outside = summary.outside.as_ref().expect("a simulated cluster");
        assert!(is(outside.over_ideal, 2.0) && is(outside.times_limits_allow, 1.25), "{outside:?}");
        assert!(is(summary.requests_per_machine, 11.0), "{summary:?}");
        assert!(is(summary.requests_per_machine_by_endpoint["GET /a"], 10.0), "{summary:?}");
        assert_eq!(outside.lock_timeouts, 3);
    }

    #[test]
    fn another_cluster_says_nothing() {
        let silent = Run { seen: None, ..run(4.0, 0.5, 10) };
        assert!(Summary::of(2, &[silent]).outside.is_none());
    }
}
