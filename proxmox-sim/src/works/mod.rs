//! Workers: what runs behind a task, or under a lock behind a synchronous call.
//!
//! A worker is a small state machine. Each step changes the world and says what comes next, so that
//! everything between two steps is visible to others, as it is on a real server.

mod apply;
mod backup;
mod clone;
mod clone_check;
mod clone_copy;
mod configure;
mod create;
mod delete_volume;
mod destroy;
mod ha_wish;
mod hold;
mod import;
mod migrate;
mod migrate_log;
mod move_disk;
mod power;
mod power_check;
mod regenerate;
mod resize;
mod restore;
mod snapshot;
mod template;

use std::fmt::Debug;
use std::time::Duration;

use serde_json::Value;

pub(crate) use backup::{Backup, BackupMode};
pub(crate) use clone::CloneMachine;
pub(crate) use configure::Configure;
pub(crate) use create::CreateMachine;
pub(crate) use delete_volume::DeleteVolume;
pub(crate) use destroy::Destroy;
pub(crate) use ha_wish::HaWish;
pub(crate) use hold::Hold;
pub(crate) use import::Import;
pub(crate) use migrate::Migrate;
pub(crate) use move_disk::MoveDisk;
pub(crate) use power::Power;
pub(crate) use power_check::PowerAction;
pub(crate) use regenerate::{Regenerate, medium_of};
pub(crate) use resize::Resize;
pub(crate) use restore::Restore;
pub(crate) use snapshot::{SnapshotAction, SnapshotWork};
pub(crate) use template::MakeTemplate;

use crate::flock::Flock;
use crate::reply::Refusal;
use crate::task::TaskKey;
use crate::world::World;

/// What a worker does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Works on for that long.
    After(Duration),
    /// Needs another lock before the next step.
    Take(Flock),
    /// Ended well; the value answers a synchronous call.
    Done(Value),
    /// Ended well, with that many warnings.
    Warned(u32),
    /// Ended with this text.
    Failed(String),
    /// Refused in the middle, as a call would be at its beginning.
    Refused(Refusal),
}

/// What a worker works on.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) task: Option<TaskKey>,
    /// Keys of locks to give back after this step.
    pub(crate) released: Vec<String>,
    /// A task to be started when this one is done: kind, what it is about, worker.
    pub(crate) next: Option<(&'static str, String, Box<dyn Work>)>,
    /// The break that was asked for happened in this step.
    pub(crate) broken: bool,
    /// Tasks to be stopped after this step.
    pub(crate) interrupts: Vec<TaskKey>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(world: &'a mut World, task: Option<TaskKey>) -> Self {
        Self { world, task, released: Vec::new(), next: None, broken: false, interrupts: Vec::new() }
    }

    /// Writes a line into the task's log.
    pub(crate) fn log(&mut self, line: impl Into<String>) {
        if let Some(task) = self.task {
            self.world.tasks.log(task, line.into());
        }
    }

    pub(crate) fn release(&mut self, flock: &Flock) {
        self.released.push(flock.key.clone());
    }
}

/// How an injected fault breaks a worker off in the middle of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// It is killed.
    Killed,
    /// It fails.
    Failed,
    /// It is refused for a right that is missing.
    Forbidden,
}

/// A worker.
pub(crate) trait Work: Debug + Send {
    /// Locks taken before the first step, in this order.
    fn locks(&self, world: &World) -> Vec<Flock>;

    /// Does the next piece of work.
    fn step(&mut self, bench: &mut Bench<'_>) -> Step;

    /// Cleans up after a failure between two steps, and says what the task ends with.
    fn abandon(&mut self, _bench: &mut Bench<'_>, reason: &str) -> String {
        reason.to_owned()
    }

    /// Whether it takes too long to clean up when it is asked to stop, and is killed then.
    fn heedless(&self) -> bool {
        false
    }

    /// After how many steps an injected failure still makes sense.
    fn phases(&self) -> u32 {
        1
    }

    /// Asks for a break in the middle of a step, at a place that `roll`, from 0 to 1, says. False when
    /// there is no such place.
    fn break_off(&mut self, _how: Break, _roll: f64) -> bool {
        false
    }

    /// The machine it makes.
    fn makes(&self) -> Option<u32> {
        None
    }
}

/// The place that a number from 0 to 1 means among that many.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "there are few places, and the number is from 0 to 1"
)]
pub(crate) fn place(roll: f64, places: usize) -> usize {
    ((roll * places as f64) as usize).min(places.saturating_sub(1))
}

/// Turns an error into the end of a worker.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(text) => return crate::works::Step::Failed(text.into()),
        }
    };
}
pub(crate) use attempt;
