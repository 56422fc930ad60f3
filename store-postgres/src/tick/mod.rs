//! What is done now and then: jobs, traffic, locks of machines, addresses that nobody holds.

mod address_audit;
mod job;
mod lock;
mod traffic;
