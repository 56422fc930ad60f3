//! What the parts cost that every machine passes through many times: deciding, reading and writing configurations, picking
//! addresses. Times are CPU times but for PostgreSQL, whose server works in processes of its own.

mod addresses;
mod decisions;
mod properties;

use benches::CpuTime;
use criterion::{Criterion, measurement::Measurement};
use std::time::Duration;

fn main() {
    let mut criterion = set_up(Criterion::default().with_measurement(CpuTime));
    decisions::run(&mut criterion);
    properties::run(&mut criterion);
    addresses::on_sqlite(&mut criterion);
    addresses::on_postgres(&mut set_up(Criterion::default()));
    criterion.final_summary();
}

fn set_up<M: Measurement>(criterion: Criterion<M>) -> Criterion<M> {
    criterion
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args()
}
