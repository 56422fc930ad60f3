use clap::Parser;
use simulation::{Plan, Planted, Trouble};
use std::{num::NonZeroUsize, time::Duration};

/// Runs deployments with everything going wrong, in virtual time, and checks what must hold in the end.
///
/// A seed decides everything that happens. A run that fails prints the seed and, made as simple as it still fails, the
/// command that repeats it.
#[derive(Debug, Parser)]
#[command(name = "simulation", version)]
pub(crate) struct Cli {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// Machines of each run; by default the seed says, from 3 to 12
    #[arg(long)]
    machines: Option<usize>,
    /// Worker processes of each run; by default the seed says, from 1 to 3
    #[arg(long)]
    workers: Option<usize>,
    /// How long things go wrong, in minutes; by default the seed says, about half an hour
    #[arg(long)]
    minutes: Option<u64>,
    /// A trouble to leave out; may be given several times
    #[arg(long, value_name = "TROUBLE")]
    without: Vec<Trouble>,
    /// Seeds at once
    #[arg(long, default_value_t = thread_count())]
    pub(crate) threads: NonZeroUsize,
    /// A bug to plant, to see that it is seen
    #[arg(long)]
    planted: Option<Planted>,
    /// Tell everything that happens, line by line, of the first seed alone
    #[arg(long)]
    pub(crate) tell: bool,
    /// Do not look for the simplest run that fails
    #[arg(long)]
    pub(crate) no_shrink: bool,
}

impl Cli {
    /// What is to be run.
    pub(crate) fn plans(&self) -> impl Iterator<Item = Plan> + use<> {
        let (machines, workers, minutes) = (self.machines, self.workers, self.minutes);
        let (without, planted) = (self.without.clone(), self.planted);
        (self.seed..self.seed.saturating_add(self.seeds)).map(move |seed| {
            let mut plan = match machines {
                Some(machines) if machines > 12 => Plan::large(seed, machines),
                machines => {
                    let plan = Plan::small(seed);
                    Plan { machines: machines.unwrap_or(plan.machines), ..plan }
                }
            };
            plan.planted = planted;
            plan.chaos = minutes.map_or(plan.chaos, |minutes| Duration::from_secs(60 * minutes));
            plan.workers = workers.unwrap_or(plan.workers);
            plan.troubles.retain(|trouble| !without.contains(trouble));
            plan
        })
    }
}

fn thread_count() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
