//! The pure core of a deployment engine for virtual machines on Proxmox VE.
//!
//! A machine is ordered, and a state machine takes it through fifteen steps to `ready`. This crate holds all that is
//! decided about it, and nothing that does it: no clock, no randomness, no database, no network. It is meant to be
//! embedded in a hosting panel together with a hypervisor backend, an address pool, a store and a worker, each of which
//! is a sibling crate or your own.
//!
//! # One turn
//!
//! A machine is brought forward in turns: **look → decide → do at most one thing → settle → commit**.
//!
//! ```text
//! query(&VmRecord, now, &RetryPolicy)           -> Query      what must be looked at
//! decide(&VmRecord, &Observation, &RetryPolicy) -> Decision   what to do about it
//! settle(&VmRecord, Report, now, &RetryPolicy)  -> Commit     what to write down
//! admit(&VmRecord, Command, id)                 -> Admission  whether a command is taken
//! ```
//!
//! All four are pure: the same arguments give the same answer, so that every way in which a cluster can misbehave is
//! tried in tests without a cluster. [`turn`] is the only place where they meet the [seams](Hypervisor): it looks through
//! [`Hypervisor`], writes the intent down through [`LeaseStore`] *before* it asks for a change, and writes the outcome
//! down after.
//!
//! # What makes it safe
//!
//! - **Goals, not deltas.** Each step compares the [order](VmSpec) with the [machine as it is](Machine). What is as
//!   ordered needs no call, so every step can be repeated, and lost answers are resolved by looking.
//! - **Written ahead.** Number, names, MACs, addresses and disk slots are fixed in the record before anybody is asked for
//!   anything.
//! - **Ownership.** A machine shows [whose it is](Ownership); a stranger's is never changed.
//! - **Absence is proven** or not believed: [`Sighting`] keeps "gone" and "cannot tell" apart.
//! - **Fenced.** A record is [leased](Lease) to one worker; whoever lost it can neither write nor take addresses.
//! - **Without end.** No count and no time-out ends the retrying; [`RetryPolicy`] only picks delays, and a human is told
//!   [once](Attention) what only a human can mend.
//!
//! # Example
//!
//! The steps and their names, which are the same on the wire, in the database and in the log:
//!
//! ```
//! use deploy_core::{Operation, Step};
//!
//! let steps = Operation::Create.steps();
//! assert_eq!(steps.len(), 15);
//! assert_eq!(steps[0].as_str(), "creation");
//! assert_eq!(Operation::Create.after(Step::SetIp), Some(Step::Clone));
//! assert_eq!("set_network".parse::<Step>()?, Step::SetNetwork);
//! # Ok::<(), deploy_core::Invalid>(())
//! ```
//!
//! Ordering a machine, given a store, a clock and a source of randomness:
//!
//! ```
//! # use deploy_core::{Deployments, Created, CreateError, VmSpec};
//! # async fn order(deployments: &Deployments, spec: VmSpec) -> Result<(), Box<dyn std::error::Error>> {
//! match deployments.create("order-4711".parse()?, spec, serde_json::Value::Null).await? {
//!     Created::New(record) => println!("machine {} is on its way", record.numbered.vmid),
//!     Created::Existing(record) => println!("machine {} is at {}", record.numbered.vmid, record.step),
//! }
//! # Ok(())
//! # }
//! ```

mod adoption;
mod backup;
mod change;
mod command;
mod commanded;
mod commit;
mod configure;
mod decide;
mod deployments;
mod drift;
mod error_class;
mod goal;
mod hardware;
mod ids;
mod invalid;
mod job;
mod left_by;
mod life;
mod lock;
mod log;
mod machine;
mod mark;
mod name;
mod notice;
mod operation;
mod query;
mod receipt;
mod record;
mod remote;
mod retry;
mod rules;
mod seam;
mod secret;
mod settle;
mod slots;
mod snapshot;
mod spec;
mod step;
mod text;
mod together;
mod traffic;
mod turn;
mod units;

pub use adoption::*;
pub use backup::*;
pub use change::*;
pub use command::*;
pub use commanded::*;
pub use commit::*;
pub use configure::*;
pub use decide::*;
pub use deployments::*;
pub use drift::*;
pub use error_class::*;
pub use hardware::*;
pub use ids::*;
pub use invalid::*;
pub use job::*;
pub use life::*;
pub use lock::*;
pub use log::*;
pub use machine::*;
pub use mark::*;
pub use name::*;
pub use notice::*;
pub use operation::*;
pub use query::{Query, query};
pub use receipt::*;
pub use record::*;
pub use remote::*;
pub use retry::*;
pub use seam::*;
pub use secret::*;
pub use settle::*;
pub use slots::*;
pub use snapshot::*;
pub use spec::*;
pub use step::*;
pub use traffic::*;
pub use turn::*;
pub use units::*;
