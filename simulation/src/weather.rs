use crate::{
    dice::Dice,
    flag::Flag,
    plan::{Plan, Trouble},
};

/// How bad it is, until it is calm.
pub(crate) struct Weather {
    slow_wire: f64,
    store_trouble: f64,
    calm: Flag,
}

impl Weather {
    pub(crate) fn of(plan: &Plan) -> Self {
        let dice = Dice::of(plan.seed, "weather", 0);
        let share = |trouble, most: u64| {
            let share = dice.within(0..most + 1);
            if plan.has(trouble) { f64::from(u32::try_from(share).unwrap_or(0)) / 1000.0 } else { 0.0 }
        };
        Self {
            slow_wire: share(Trouble::SlowWire, 60),
            store_trouble: share(Trouble::Store, 40),
            calm: Flag::default(),
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm_down(&self) {
        self.calm.set(true);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.is_set()
    }

    /// Returns when it is calm.
    pub(crate) async fn calm(&self) {
        self.calm.until(true).await;
    }

    /// The share of requests that are long under way.
    pub(crate) fn slow_wire(&self) -> f64 {
        if self.is_calm() { 0.0 } else { self.slow_wire }
    }

    /// The share of the store's calls that fail.
    pub(crate) fn store_trouble(&self) -> f64 {
        if self.is_calm() { 0.0 } else { self.store_trouble }
    }
}
