//! Fast looks beside the script: what is seen when, at best in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proxmox_sim::{Cluster, Handled, Reply, Request};

use crate::rows::Row;

/// How often is looked.
const PERIOD: Duration = Duration::from_millis(20);

/// The looks of a script, by name of the look.
type Looks = BTreeMap<String, (Request, Vec<Reply>)>;

/// All looks, and which of them go on.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    all: BTreeMap<String, Looks>,
    active: Option<String>,
}

impl Watches {
    /// Begins a look, or goes on with it.
    pub(crate) fn begin(&mut self, script: &str, look: &str, request: Request) {
        self.active = Some(script.to_owned());
        let looks = self.all.entry(script.to_owned()).or_default();
        looks.entry(look.to_owned()).or_insert((request, Vec::new()));
    }

    /// Lets time pass up to a moment and looks on the way.
    pub(crate) fn look(&mut self, cluster: &mut Cluster, now: Duration, moment: Duration) -> Duration {
        let mut time = now;
        while self.active.is_some() && time < moment {
            self.sample(cluster, time);
            time = (time + PERIOD).min(moment);
        }
        cluster.advance(moment);
        moment.max(now)
    }

    /// Looks once.
    pub(crate) fn sample(&mut self, cluster: &mut Cluster, time: Duration) {
        let looks = self.active.as_ref().and_then(|script| self.all.get_mut(script));
        for (request, seen) in looks.into_iter().flat_map(BTreeMap::values_mut) {
            let Handled::Now(answer) = cluster.handle(time, request.clone()) else {
                continue;
            };
            let Some(reply) = answer.reply else {
                continue;
            };
            if seen.last() != Some(&reply) {
                seen.push(reply);
            }
        }
    }

    /// A row outside the watch, when it is the one that ends it, is looked at once more.
    pub(crate) fn end(&mut self, row: &Row, cluster: &mut Cluster, now: Duration) {
        if row.case.ends_with("/task-log") {
            self.sample(cluster, now);
            self.active = None;
        }
    }

    /// What was seen.
    pub(crate) fn seen(&self, script: &str, look: &str) -> &[Reply] {
        self.all.get(script).and_then(|looks| looks.get(look)).map_or(&[], |(_, seen)| seen)
    }
}

/// The scripts that are watched, and the first row of each of their looks.
pub(crate) fn scripts(rows: &[Row]) -> BTreeMap<String, Vec<usize>> {
    let mut scripts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for (n, row) in rows.iter().enumerate() {
        if let Some(watch) = row.watch()
            && known.insert(watch)
        {
            scripts.entry(watch.0.to_owned()).or_default().push(n);
        }
    }
    scripts
}
