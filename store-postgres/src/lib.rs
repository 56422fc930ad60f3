//! A store in PostgreSQL: any number of workers and panels, on any number of machines, share one database.
//!
//! All seams of a store ([`LeaseStore`](deploy_core::LeaseStore), [`RecordStore`](deploy_core::RecordStore),
//! [`AddressStore`](deploy_core::AddressStore), [`DnsStore`](deploy_core::DnsStore)) are implemented by [`PostgresStore`]. It lives in a schema of its own beside
//! whatever else the database holds, and [`Order`] orders a machine inside a transaction of the embedder's.
//!
//! ```no_run
//! # async fn f(
//! #     doorbell: std::sync::Arc<dyn deploy_core::Doorbell>,
//! #     entropy: std::sync::Arc<dyn deploy_core::Entropy>,
//! #     spec: deploy_core::VmSpec,
//! #     mut client: sqlx::PgConnection,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use deploy_core::Deployments;
//! use serde_json::json;
//! use sqlx::Connection;
//! use std::sync::Arc;
//! use store_postgres::{Order, PostgresStore, Settings};
//!
//! let settings = Settings::parse("postgres://deploy@db1.example.net/panel?sslmode=verify-full")?;
//! let store = Arc::new(PostgresStore::connect(settings.clone()).await?);
//! let listening = store.listen(doorbell); // orders of other processes ring this worker's bell
//!
//! // A panel may order inside a transaction of its own, with whichever client.
//! let panel = Deployments::new(store.clone(), store.clock(), entropy);
//! let order = Order::new(&settings, &panel.prepare("order-4711".parse()?, spec, json!({ "customer": 12 }))?)?;
//! let mut transaction = client.begin().await?;
//! let row = sqlx::query(order.sql()).bind(order.parameter()).fetch_one(&mut *transaction).await?;
//! transaction.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it writes
//! One connection writes. Its task takes everything that waits at that moment: commits of workers, up to 64, are one statement
//! and one transaction; everything else has a transaction of its own. There is no timer: an idle store commits at once, a busy
//! one groups by itself ([`PostgresStore::write_stats`] tells how well). A transaction whose answer is lost with the
//! connection is looked up after the next one is made.
//!
//! # How workers share
//! Claiming locks what nobody else is just claiming and leaves the rest; [`Sharing`] says how much. Leases, due times and rests
//! go by the database's clock ([`PostgresStore::clock`] gives it to workers). Notifications are hints, polling finds
//! everything.
//!
//! # The schema
//! It is brought up to date by [`PostgresStore::connect`], or by a person with [`Settings::migration_sql`]. A schema of a newer
//! version is refused. It can be read with `psql`: names, times, JSON and addresses are PostgreSQL's own types.
//!
//! # Behind pgbouncer
//! In transaction mode everything but [`PostgresStore::listen`] works: statements are not prepared by name, and locks are
//! those of transactions.

mod clock;
mod column;
mod connect;
mod db;
mod dns;
mod failure;
mod link;
mod listen;
mod order;
mod passed_over;
mod pool;
mod reads;
mod schema;
mod seams;
mod settings;
mod store;
mod tick;
mod tls;
mod vm;
mod writer;

pub use connect::ConnectError;
pub use listen::Listening;
pub use order::Order;
pub use settings::{Settings, SettingsError, Sharing};
pub use store::PostgresStore;
pub use writer::WriteStats;
