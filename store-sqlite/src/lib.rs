//! The embedded default store: one SQLite file for one process.
//!
//! Nothing to install and nothing to run beside the panel: the records, the deploy log, the address pools and the outbox are
//! in one file. All seams of a store ([`LeaseStore`](deploy_core::LeaseStore), [`RecordStore`](deploy_core::RecordStore),
//! [`AddressStore`](deploy_core::AddressStore), [`DnsStore`](deploy_core::DnsStore)) are implemented by [`SqliteStore`]. Where several processes or machines shall
//! work together, PostgreSQL is the store to choose; a second process on the same file is refused.
//!
//! ```
//! use deploy_core::{Clock, ClusterSettings, RecordStore, VmidRange};
//! use jiff::{SignedDuration, Timestamp};
//! use std::sync::Arc;
//! use store_sqlite::SqliteStore;
//!
//! struct SystemClock; // deploy-worker has one
//!
//! impl Clock for SystemClock {
//!     fn now(&self) -> Timestamp {
//!         Timestamp::now()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("deploy.db");
//! let store = SqliteStore::open(&path, Arc::new(SystemClock)).await?;
//! let cluster = ClusterSettings {
//!     name: "prod".parse()?,
//!     vmids: VmidRange::new(100_000.try_into()?, 199_999.try_into()?)?,
//!     quarantine: SignedDuration::from_hours(24),
//! };
//! store.put_cluster(&cluster).await?;
//! assert_eq!(store.clusters().await?, [cluster]);
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it writes
//! One thread has the one connection that writes and checkpoints. It takes everything that waits at that moment, up to 64
//! writes, and commits it in one transaction with one `fsync`, each write under a savepoint of its own. There is no timer: an
//! idle store commits at once, a busy one groups by itself ([`SqliteStore::write_stats`] tells how well).
//!
//! # How it reads
//! Four connections that only read, on tokio's blocking threads, never in the way of the writer.
//!
//! # The file
//! Its schema is brought up to date when it is opened; a file of a newer version is refused. Names, times and JSON are readable
//! with the `sqlite3` shell. For a backup of a running store use `VACUUM INTO` or the shell's `.backup`, not a copy of
//! the file: what was written last is still in `-wal`. It must be on a local disk: SQLite's locks do not work on NFS.

mod column;
mod dns;
mod failure;
mod lock;
mod open;
mod pool;
mod reader;
mod schema;
mod seams;
mod store;
mod tick;
mod vm;
mod writer;

pub use open::OpenError;
pub use store::SqliteStore;
pub use writer::WriteStats;
