//! The embedded default store: one SQLite file for one process.

mod column;
mod failure;
mod lock;
mod open;
mod pool;
mod reader;
mod schema;
mod seams;
mod store;
mod vm;
mod writer;

pub use open::OpenError;
pub use store::SqliteStore;
pub use writer::WriteStats;
