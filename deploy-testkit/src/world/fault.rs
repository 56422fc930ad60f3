//! What becomes of requests.

use jiff::SignedDuration;
use std::collections::VecDeque;

/// What becomes of one change that is asked for: how its request and answer travel, and how it goes where it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fault {
    /// How request and answer travel.
    pub delivery: Delivery,
    /// How it goes where it arrives.
    pub effect: Effect,
}

/// How request and answer travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// It arrives and is answered.
    #[default]
    Answered,
    /// Provably not sent.
    NotSent,
    /// It never arrives; the caller cannot know.
    RequestLost,
    /// It arrives; its answer does not.
    AnswerLost,
    /// It arrives after this time, when nobody waits for an answer any more.
    Late(SignedDuration),
}

/// How a change goes where it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// As it should.
    #[default]
    Good,
    /// Refused: something else is under way.
    Busy,
    /// Refused: a human must change something.
    Refused,
    /// It fails, and leaves nothing: a task by its end, anything else at once.
    Fails,
    /// It fails half-way, and what was done stays. Only of settings, firewalls and restores; everything else fails clean.
    HalfDone,
    /// It goes well, but how its task ended is not known any more.
    EndLost,
}

/// Why a look gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookFault {
    /// Nobody is reached.
    Unreachable,
    /// The right to see it is missing.
    Forbidden,
}

/// A script of faults: each change and each look takes the next of its list, and where a list is at its end all is well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// Of changes.
    pub changes: VecDeque<Fault>,
    /// Of looks at machines and tasks; `None` is a look that succeeds.
    pub looks: VecDeque<Option<LookFault>>,
}

impl Faults {
    /// A script for the first `length` changes and looks, of which about `percent` in a hundred go wrong. The same seed
    /// gives the same script.
    pub fn seeded(seed: u64, length: usize, percent: u8) -> Self {
        let mut random = SplitMix(seed);
        let mut hit = move || random.below(100) < u64::from(percent);
        let mut choice = SplitMix(seed ^ 0x5bd1_e995);
        let mut script = Self::default();
        for _ in 0..length {
            script.changes.push_back(if hit() { choice.fault() } else { Fault::default() });
            let look = [LookFault::Unreachable, LookFault::Forbidden][usize::from(choice.below(2) == 1)];
            script.looks.push_back(hit().then_some(look));
        }
        script
    }

    pub(super) fn next_change(&mut self) -> Fault {
        self.changes.pop_front().unwrap_or_default()
    }

    pub(super) fn next_look(&mut self) -> Option<LookFault> {
        self.looks.pop_front().flatten()
    }
}

/// Steele, Lea and Flood's generator: small, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn fault(&mut self) -> Fault {
        let delivery = match self.below(8) {
            0 => Delivery::NotSent,
            1 | 2 => Delivery::RequestLost,
            3 | 4 => Delivery::AnswerLost,
            5 => Delivery::Late(SignedDuration::from_secs(i64::try_from(self.below(50)).unwrap_or(0))),
            _ => Delivery::Answered,
        };
        let effect = match self.below(8) {
            0 => Effect::Busy,
            1 => Effect::Refused,
            2 | 3 => Effect::Fails,
            4 => Effect::HalfDone,
            5 => Effect::EndLost,
            _ => Effect::Good,
        };
        Fault { delivery, effect }
    }
}
