//! What it takes to test a deployment: with it, around it, and instead of it.
//!
//! - [`MemoryStore`]: a store that keeps nothing, for an embedder's tests and for trying things out.
//! - [`ManualClock`] and [`SeededEntropy`]: time and randomness that a test decides.
//! - [`mocks`]: a mock of every seam, for tests that say call by call what is to happen.
//! - [`sample`]: orders, clusters, pools and workers, from the smallest to one with every option set.
//! - [`conformance`]: what every store must do, as a suite that a backend runs with one line.
//! - [`world`]: a model of a cluster that loses requests and answers, for property tests.
//!
//! ```
//! use deploy_core::{Deployments, RecordStore, Step};
//! use deploy_testkit::{ManualClock, MemoryStore, SeededEntropy, sample};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Arc::new(ManualClock::default());
//! let store = MemoryStore::new(clock.clone());
//! store.put_cluster(&sample::cluster(100, 199)).await?;
//!
//! let panel = Deployments::new(Arc::new(store), clock, Arc::new(SeededEntropy::default()));
//! let created = panel.create("order-4711".parse()?, sample::spec(), serde_json::json!({})).await?;
//! assert_eq!(created.record().step, Step::Creation);
//! assert_eq!(created.record().numbered.pve_name.as_str(), "vps-100");
//! # Ok(())
//! # }
//! ```
//!
//! Only ever a dev-dependency: what it does on a mistake is to panic, as tests do.

mod clock;
pub mod conformance;
mod entropy;
mod memory;
pub mod mocks;
pub mod sample;
pub mod world;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
pub use memory::MemoryStore;
