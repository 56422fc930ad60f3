//! The core: what to look at, what to do, what to write down.

use benches::{CpuTime, Moment};
use criterion::{BatchSize, Criterion};
use deploy_core::{
    Change, ChangeKind, Commit, Decision, FirewallRule, Outcome, Report, RetryPolicy, Step, Submitted,
    TaskId, VmSpec, decide, query, settle,
};
use deploy_testkit::sample;
use std::hint::black_box;

pub(crate) fn run(criterion: &mut Criterion<CpuTime>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let moments = runtime.block_on(benches::moments(&spec()));
    let asks =
        |step, kind| find(&moments, step, |decision| change(decision).is_some_and(|c| c.kind() == kind));
    let cloning = asks(Step::Clone, ChangeKind::Clone);
    let configuring = asks(Step::SetCpuRam, ChangeKind::Configure);
    let configured = find(&moments, Step::SetNetwork, |decision| matches!(decision, Decision::Done(_)));
    let filtering = asks(Step::SetFirewall, ChangeKind::SetFirewall);
    let starting = asks(Step::Starting, ChangeKind::Start);

    let policy = RetryPolicy::default();
    let mut group = criterion.benchmark_group("decide");
    for (name, moment) in [
        ("clone, machine absent", cloning),
        ("configuration, goal unmet", configuring),
        ("configuration, goal met", configured),
        ("firewall", filtering),
        ("starting", starting),
    ] {
        let Moment { record, observation } = moment;
        group.bench_function(name, |b| b.iter(|| decide(black_box(record), black_box(observation), &policy)));
    }
    group.finish();

    let now = sample::epoch();
    let mut group = criterion.benchmark_group("query");
    for (name, moment) in [("clone", cloning), ("configuration", configuring), ("starting", starting)] {
        group.bench_function(name, |b| b.iter(|| query(black_box(&moment.record), now, &policy)));
    }
    group.finish();

    settling(criterion, configuring, configured);
}

/// Settling what became of a change and of a step, and making the commit in the record.
fn settling(criterion: &mut Criterion<CpuTime>, configuring: &Moment, configured: &Moment) {
    let (policy, now) = (RetryPolicy::default(), sample::epoch());
    let decision = decide(&configuring.record, &configuring.observation, &policy);
    let change = change(&decision).expect("the goal is unmet");
    let task: TaskId = sample::parsed("UPID:node2:0000083C:000A1B31:6B020728:qmconfig:100:deploy@pve!panel:");
    let report = |outcome| Report { outcome, seen_on: Some(configured.record.node.clone()) };
    let mut intended = configuring.record.clone();
    settle(&intended, report(Outcome::Intending(change)), now, &policy).apply(&mut intended);

    let mut group = criterion.benchmark_group("settle and apply");
    for (name, record, outcome) in [
        ("intending", &configuring.record, Outcome::Intending(change)),
        ("sent", &intended, Outcome::Sent(change, Submitted::Task(task))),
        ("done", &configured.record, Outcome::Done("as ordered".to_owned())),
        ("waiting", &configured.record, Outcome::Waiting("the machine is locked (backup)".to_owned())),
    ] {
        let settled = |outcome| settle(record, report(outcome), now, &policy);
        assert!(settled(outcome.clone()) != Commit::default(), "{name}: nothing is written down");
        group.bench_function(name, |b| {
            b.iter_batched(
                || (outcome.clone(), record.clone()),
                |(outcome, mut changed)| {
                    let commit = settled(outcome);
                    commit.apply(&mut changed);
                    (commit, changed)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// The full sample, with three rules.
fn spec() -> VmSpec {
    let mut spec = sample::full_spec();
    let firewall = spec.firewall.as_mut().expect("the sample has a firewall");
    let rule = firewall.rules[0].clone();
    let to = |port: &str| FirewallRule { dest_port: Some(port.to_owned()), ..rule.clone() };
    firewall.rules = vec![rule.clone(), to("22"), to("25")];
    spec
}

/// The first turn of a step that comes to such a decision.
fn find(moments: &[Moment], step: Step, is: impl Fn(&Decision) -> bool) -> &Moment {
    let decision = |moment: &Moment| decide(&moment.record, &moment.observation, &RetryPolicy::default());
    let found = moments.iter().find(|moment| moment.record.step == step && is(&decision(moment)));
    found.unwrap_or_else(|| panic!("no turn of the step {step} comes to that decision"))
}

fn change(decision: &Decision) -> Option<&Change> {
    match decision {
        Decision::Submit(_, change) => Some(change),
        _ => None,
    }
}
