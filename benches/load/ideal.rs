//! What the simulated tasks alone make necessary, from the times that they really took.

use crate::simulator::Task;
use deploy_worker::Limits;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// The tasks of a machine's life that follow one another, whatever anybody does.
const PATH: [&str; 3] = ["qmclone", "qmigrate", "qmstart"];

/// How long each of these tasks of each machine took, seconds. A task that failed made the machine's life longer, but
/// it was not necessary.
fn lives(tasks: &[Task]) -> Vec<[f64; 3]> {
    let mut lives: BTreeMap<u32, [f64; 3]> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.ok) {
        let place = PATH.iter().position(|kind| *kind == task.kind);
        if let (Some(place), Some(vmid)) = (place, task.vmid) {
            lives.entry(vmid).or_default()[place] += task.ended - task.began;
        }
    }
    // In the order in which they were cloned, which is the order of their numbers.
    lives.into_values().collect()
}

/// The ideal path: the machine whose tasks take the longest, if nothing else took any time. Seconds.
pub(crate) fn path(tasks: &[Task]) -> f64 {
    lives(tasks).iter().map(|life| life.iter().sum()).fold(0.0, f64::max)
}

/// How long all of it takes where only so much may run at once, and nothing else takes any time. Seconds.
///
/// Each machine goes from one task to the next, first come, first served. All are cloned from one template onto one storage,
/// and leave the same node for the same other one.
pub(crate) fn within(limits: &Limits, tasks: &[Task]) -> f64 {
    let lives = lives(tasks);
    let at_once = [limits.clone_storage.min(limits.template), limits.migration, limits.node];
    let mut machines: Vec<(f64, usize)> = (0..lives.len()).map(|machine| (0.0, machine)).collect();
    for (task, at_once) in at_once.into_iter().enumerate() {
        let slots = at_once.min(limits.cluster).max(1);
        let mut free: BinaryHeap<Reverse<Moment>> = (0..slots).map(|_| Reverse(Moment(0.0))).collect();
        machines.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (at, machine) in &mut machines {
            let slot = free.pop().map_or(0.0, |Reverse(Moment(free))| free);
            *at = at.max(slot) + lives[*machine][task];
            free.push(Reverse(Moment(*at)));
        }
    }
    // Whichever they are, no more of them at once than the cluster is given.
    let all: f64 = lives.iter().flatten().sum();
    machines.iter().map(|(at, _)| *at).fold(all / f64::from(limits.cluster.max(1)), f64::max)
}

/// A number of seconds that can be compared.
#[derive(PartialEq)]
struct Moment(f64);

impl Eq for Moment {}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(lives: &[[f64; 3]]) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (vmid, life) in (100..).zip(lives) {
            for (kind, seconds) in PATH.into_iter().zip(life) {
                let kind = kind.to_owned();
                tasks.push(Task { kind, vmid: Some(vmid), began: 7.0, ended: 7.0 + seconds, ok: true });
            }
        }
        tasks
    }

    fn is(seconds: f64, expected: f64) -> bool {
        (seconds - expected).abs() < 1e-9
    }

    #[test]
    fn the_ideal_path_is_that_of_the_slowest_machine() {
        let mut all = tasks(&[[1.0, 2.0, 0.5], [2.0, 1.75, 0.25], [3.0, 0.5, 0.25]]);
        assert!(is(path(&all), 4.0), "{}", path(&all));
        all.push(Task { kind: "qmclone".to_owned(), vmid: Some(100), began: 0.0, ended: 9.0, ok: false });
        all.push(Task { kind: "qmconfig".to_owned(), vmid: Some(100), began: 0.0, ended: 9.0, ok: true });
        assert!(is(path(&all), 4.0), "what failed or is no such task does not count");
        assert!(is(path(&[]), 0.0));
    }

    #[test]
    fn limits_make_machines_wait_for_one_another() {
        let all = tasks(&[[1.0, 2.0, 1.0]; 4]);
        let wide = Limits { cluster: 9, node: 9, clone_storage: 9, template: 9, migration: 9, backup: 9 };
        assert!(is(within(&wide, &all), 4.0));
        let one_migration = Limits { migration: 1, ..wide };
        assert!(is(within(&one_migration, &all), 1.0 + 4.0 * 2.0 + 1.0));
        let two_clones = Limits { template: 2, ..wide };
        assert!(is(within(&two_clones, &all), 2.0 + 2.0 + 1.0));
        let two_of_all = Limits { cluster: 2, ..wide };
        assert!(is(within(&two_of_all, &all), 4.0 * 4.0 / 2.0));
    }
}
