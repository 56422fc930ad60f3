//! The whole pipeline against the simulator, over HTTPS, with SQLite and address pools: step by step, and field by field.

mod adopt;
mod bench;
mod create;
mod life;
mod reinstall;
mod remote;
mod rights;
mod terminate;
mod trouble;
