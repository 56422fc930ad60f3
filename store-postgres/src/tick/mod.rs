//! What is done now and then: jobs, traffic, locks of machines, addresses that nobody holds, and how long the log is kept.

mod address_audit;
mod job;
mod lock;
mod retention;
mod traffic;
