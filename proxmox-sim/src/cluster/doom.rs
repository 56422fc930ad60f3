//! What an injected fault does to a worker, and when.

use super::{Cluster, Time};
use crate::faults::Fate;
use crate::works::{Break, Hold, Work, place};

/// How long the clean-up after a process that was stopped holds the machine's lock.
const LINGERING: Time = Time::from_secs(30);

/// A fate that waits for its moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doom {
    fate: Fate,
    /// Before which step it strikes, or at which lock.
    at: u32,
}

impl Doom {
    pub(super) fn name(&self) -> &'static str {
        self.fate.name()
    }

    /// The same, but not before the worker's first step.
    pub(super) fn after_first_step(self) -> Self {
        match self.fate {
            Fate::Starves(..) => self,
            _ => Self { at: self.at.max(1), ..self },
        }
    }

    /// Whether the worker is to fail now.
    pub(super) fn fails(&self, steps: u32) -> bool {
        self.fate == Fate::Fails && steps >= self.at
    }

    /// Whether the worker is to be killed now.
    pub(super) fn kills(&self, steps: u32) -> bool {
        self.is_death() && steps >= self.at
    }

    /// Whether the worker will be killed some time, at its end if not before.
    pub(super) fn is_death(&self) -> bool {
        matches!(self.fate, Fate::Dies(_))
    }

    /// Whether the worker does not get the lock that it asks for now.
    pub(super) fn starves(&mut self) -> bool {
        if !matches!(self.fate, Fate::Starves(..)) {
            return false;
        }
        let now = self.at == 0;
        self.at = self.at.checked_sub(1).unwrap_or(u32::MAX);
        now
    }

    /// Whether a task that ends well has a warning.
    pub(super) fn warns(&self) -> bool {
        self.fate == Fate::Warns
    }

    /// Whether the machine that was stopped lingers.
    pub(super) fn lingers(&self) -> bool {
        self.fate == Fate::Lingers
    }
}

impl Cluster {
    /// Settles where a fate strikes a worker. `None` when it cannot strike this one.
    pub(super) fn doom(&mut self, work: &mut dyn Work, fate: Option<Fate>) -> Option<Doom> {
        let roll = self.world.random.roll() * f64::from(work.phases());
        let fate = fate?;
        let at = match fate {
            Fate::Fails => {
                // The number of phases is small; what matters is that every one is hit now and then.
                let earlier = (1..work.phases()).take_while(|n| f64::from(*n) <= roll).count();
                1 + u32::try_from(earlier).unwrap_or(0)
            }
            Fate::Dies(place) if place < 0.5 && work.break_off(Break::Killed, place * 2.0) => u32::MAX,
            Fate::Dies(place) => lived((2.0 * place).fract()),
            Fate::Starves(roll, storage) => {
                let locks = work.locks(&self.world).len() + usize::from(storage);
                u32::try_from(place(roll, locks)).unwrap_or(0)
            }
            Fate::Leaks(place) | Fate::Partial(place) => {
                work.break_off(Break::Failed, place).then_some(u32::MAX)?
            }
            Fate::Forbidden(place) => work.break_off(Break::Forbidden, place).then_some(u32::MAX)?,
            Fate::Warns | Fate::Lingers => u32::MAX,
        };
        Some(Doom { fate, at })
    }

    /// Lets the clean-up of a machine's old process hold the lock of its configuration.
    pub(super) fn linger(&mut self, node: &str, vmid: u32) {
        let hold = Hold { node: node.to_owned(), vmid, time: Some(LINGERING) };
        self.begin_aside(Box::new(hold), node);
    }
}

/// How many steps a worker lives that has an even chance at each to die, one in four.
fn lived(roll: f64) -> u32 {
    let alive = |steps: &i32| 0.75_f64.powi(*steps) > roll;
    u32::try_from((1..100).take_while(alive).count()).unwrap_or(0)
}
