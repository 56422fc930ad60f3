//! The whole life of a machine: after each command record and machine are, field by field, what was asked.

mod addresses;
mod anew;
mod another;
mod expected;
mod package;
mod power;
mod queue;
mod saved;
mod shown;
mod steps;
mod tale;

use examples::life::{self, Life, Told};
use expected::Expected;
use tale::Tale;

#[tokio::test]
async fn after_each_command_the_machine_is_what_was_asked() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut life = Life::begin().await.expect("a machine");
    life::play(&mut life).await.expect("every command");
    let told = life.told();
    let another = told.iter().position(|told| told.after.record.external_ref.as_str() == "web-2");
    let (first, others) = told.split_at(another.expect("another machine"));
    let old = others.iter().position(|told| told.after.record.external_ref.as_str() == "old-1");
    let (second, third) = others.split_at(old.expect("an adopted machine"));
    of_the_first(first);
    of_another(second);
    another::adopted(third);
    shown::every_command(told);
    assert_eq!(life.off_schema(), 0);
    life.end().await.expect("a good end");
}

fn of_the_first(told: &[Told]) {
    let mut tale = Tale::of(told, Expected::ordered("web-1", &told[0].after));
    tale.done("(ordered)", |_| {});
    power::power(&mut tale);
    power::suspension(&mut tale);
    package::hardware(&mut tale);
    package::credentials(&mut tale);
    addresses::addresses(&mut tale);
    saved::snapshots(&mut tale);
    saved::backups(&mut tale);
    package::disks(&mut tale);
    steps::while_it_runs(&mut tale);
    steps::while_it_is_stopped(&mut tale);
    queue::queue(&mut tale);
    anew::reinstalled(&mut tale);
    anew::removed(&mut tale);
    steps::one_after_the_other(&mut tale);
    anew::terminated(&mut tale);
    tale.ends();
}

fn of_another(told: &[Told]) {
    let mut tale = Tale::of(told, Expected::ordered("web-2", &told[0].after));
    another::suspended_in_the_middle(&mut tale);
    another::terminated_in_the_middle(&mut tale);
    tale.ends();
}
