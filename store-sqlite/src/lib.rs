//! The embedded default store: SQLite, one writer thread, group commit
