use crate::{clock::minutes, dice::Dice, planted::Planted};
use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

/// What may go wrong in a run. Each can be left out, to find out which of them a failure needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Requests and answers are lost, late, refused, busy.
    Requests,
    /// Tasks fail, are killed, end with warnings; configurations are written in part.
    Tasks,
    /// Nodes, quorum and storages come and go; people change and delete machines, and take numbers.
    Mishaps,
    /// Requests are long under way, and arrive when their sender has given up or died.
    SlowWire,
    /// The store does not answer, or answers that nobody knows.
    Store,
    /// Worker processes die and come back.
    Crashes,
    /// Worker processes stand still for longer than their lease.
    Freezes,
    /// Orders are taken back at any moment.
    Terminations,
    /// Commands of every kind are given at any moment.
    Commands,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Requests,
        Self::Tasks,
        Self::Mishaps,
        Self::SlowWire,
        Self::Store,
        Self::Crashes,
        Self::Freezes,
        Self::Terminations,
        Self::Commands,
    ];
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Requests => "requests",
            Self::Tasks => "tasks",
            Self::Mishaps => "mishaps",
            Self::SlowWire => "slow-wire",
            Self::Store => "store",
            Self::Crashes => "crashes",
            Self::Freezes => "freezes",
            Self::Terminations => "terminations",
            Self::Commands => "commands",
        })
    }
}

impl FromStr for Trouble {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|trouble| trouble.to_string() == text);
        let all: Vec<String> = Self::ALL.iter().map(ToString::to_string).collect();
        named.ok_or_else(|| format!("no trouble is called '{text}'; there are {}", all.join(", ")))
    }
}

/// A run, as far as it is decided beforehand. The same plan is the same run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where all luck comes from.
    pub seed: u64,
    /// How many machines are ordered.
    pub machines: usize,
    /// How many worker processes there are.
    pub workers: usize,
    /// How long things go wrong, at the least; then they are left to come to rest.
    pub chaos: Duration,
    /// What goes wrong.
    pub troubles: BTreeSet<Trouble>,
    /// A bug in the engine's place, to see that it is seen.
    pub planted: Option<Planted>,
}

impl Plan {
    /// The plan of a seed: from 3 to 12 machines, one to three workers, everything goes wrong for half an hour or so.
    pub fn small(seed: u64) -> Self {
        let dice = Dice::of(seed, "plan", 0);
        let mut plan = Self {
            seed,
            machines: usize::try_from(dice.within(3..13)).unwrap_or(3),
            workers: usize::try_from(dice.within(1..4)).unwrap_or(1),
            chaos: minutes(dice.within(15..46)),
            troubles: Trouble::ALL.into(),
            planted: None,
        };
        if dice.chance(0.3) {
            plan.troubles.remove(&Trouble::Commands);
        }
        plan
    }

    /// So many machines, with more workers and more time.
    pub fn large(seed: u64, machines: usize) -> Self {
        Self { machines, workers: 4, chaos: minutes(90), ..Self::small(seed) }
    }

    /// The command that repeats it.
    pub fn command(&self) -> String {
        let Self { seed, machines, workers, chaos, planted, .. } = self;
        let minutes = chaos.as_secs().div_ceil(60);
        let planted = planted.map_or_else(String::new, |planted| format!(" --planted {planted}"));
        let without = Trouble::ALL.iter().filter(|trouble| !self.has(**trouble));
        let without: Vec<String> = without.map(|trouble| format!(" --without {trouble}")).collect();
        let without = without.concat();
        format!(
            "cargo run --release -p simulation -- --seed {seed} --machines {machines} --workers {workers} --minutes {minutes}{without}{planted}"
        )
    }

    /// Whether this goes wrong.
    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }

    /// Plans that are simpler in one respect, the simplest first.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        for machines in [1, 2, self.machines / 2, self.machines.saturating_sub(1)] {
            if (1..self.machines).contains(&machines) {
                plans.push(Self { machines, ..self.clone() });
            }
        }
        if self.workers > 1 {
            plans.push(Self { workers: 1, ..self.clone() });
        }
        for trouble in &self.troubles {
            let mut troubles = self.troubles.clone();
            troubles.remove(trouble);
            plans.push(Self { troubles, ..self.clone() });
        }
        plans
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, machines, workers, chaos, troubles, planted: _ } = self;
        let minutes = chaos.as_secs() / 60;
        let troubles: Vec<String> = troubles.iter().map(Trouble::to_string).collect();
        let troubles = troubles.join(", ");
        write!(f, "seed {seed}: {machines} machines, {workers} workers, {minutes} min of {troubles}")
    }
}
