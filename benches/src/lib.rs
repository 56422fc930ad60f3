//! What the benches share: a deployment to write down, machines to write it of, and how two ways are compared.
//!
//! Machines that are benched on are noisy, so that nothing here is a matter of seconds: whatever is compared is run in turn,
//! round after round, and what counts is the ratio within the same run.

mod cpu_time;
mod fleet;
mod measure;
mod series;
mod settled;
mod watched;

pub use cpu_time::CpuTime;
pub use fleet::Fleet;
pub use measure::{Compared, Sample, measured, median, process_cpu};
pub use series::{Moment, deployment, moments};
pub use settled::settle_copies;
