use crate::{
    plan::Plan,
    run::{Outcome, run},
};

/// The simplest plan found that still fails, and what comes of it.
pub fn shrink(plan: &Plan, outcome: Outcome) -> (Plan, Outcome) {
    let mut simplest = (plan.clone(), outcome);
    // Every step leaves out a machine, a worker or a trouble, so that this ends.
    while let Some(simpler) = simplest.0.simpler().into_iter().find_map(|plan| {
        let outcome = run(&plan);
        (!outcome.is_sound()).then_some((plan, outcome))
    }) {
        simplest = simpler;
    }
    simplest
}
