//! What the cluster looked like some time ago, as far as lists show it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::machine::Machine;
use super::{Node, Statistic, World};

/// The cluster as lists show it.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// When it was taken.
    at: Duration,
    nodes: BTreeMap<String, Node>,
    /// Only with what lists show live: where they are, their locks and tags.
    machines: BTreeMap<u32, Machine>,
    rows: BTreeMap<u32, Statistic>,
}

/// Pictures of the latest past, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    /// How far back they go; zero for none.
    span: Duration,
    all: VecDeque<(Duration, Arc<Picture>)>,
}

impl Pictures {
    pub(super) fn reach_back(&mut self, span: Duration) {
        self.span = span;
        if span.is_zero() {
            self.all.clear();
        }
    }

    pub(super) fn add(
        &mut self,
        at: Duration,
        machines: &BTreeMap<u32, Machine>,
        nodes: &BTreeMap<String, Node>,
        rows: &BTreeMap<u32, Statistic>,
    ) {
        if self.span.is_zero() {
            return;
        }
        let machines = machines.iter().map(|(vmid, machine)| (*vmid, outline(machine))).collect();
        self.push(at, Arc::new(Picture { at, nodes: nodes.clone(), machines, rows: rows.clone() }));
    }

    /// Nothing has changed since the latest one.
    pub(super) fn repeat(&mut self, at: Duration) {
        if let Some((_, latest)) = self.all.back() {
            let latest = Arc::clone(latest);
            self.push(at, latest);
        }
    }

    fn push(&mut self, at: Duration, picture: Arc<Picture>) {
        self.all.push_back((at, picture));
        while self.all.front().is_some_and(|(first, _)| *first + self.span < at) {
            self.all.pop_front();
        }
    }

    /// The latest picture that is at least that old, or else the oldest.
    pub(crate) fn of(&self, now: Duration, age: Duration) -> Option<Picture> {
        let old_enough = self.all.iter().rev().find(|(at, _)| *at + age <= now);
        let (at, picture) = old_enough.or_else(|| self.all.front())?;
        Some(Picture { at: *at, ..(**picture).clone() })
    }
}

impl Picture {
    /// Puts the picture in the place of the present, and the present into the picture.
    pub(crate) fn swap(&mut self, world: &mut World) {
        std::mem::swap(&mut self.nodes, &mut world.nodes);
        std::mem::swap(&mut self.machines, &mut world.machines);
        std::mem::swap(&mut self.rows, &mut world.statistics.rows);
        std::mem::swap(&mut self.at, &mut world.statistics.at);
    }
}

fn outline(machine: &Machine) -> Machine {
    let mut outline = Machine::new(machine.vmid, &machine.node);
    for key in ["lock", "tags"] {
        if let Some(value) = machine.config.get(key) {
            outline.config.set(key, value);
        }
    }
    outline
}
