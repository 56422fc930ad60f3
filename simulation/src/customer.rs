use crate::{clock::minutes, dice::Dice, orders, plan::Trouble, stage::Stage};
use deploy_core::{Command, Deployments, ExternalRef, VmKey};
use deploy_testkit::sample;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// What somebody who ordered a machine wants of it in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It shall be ready.
    Keep,
    /// It shall be gone.
    TakeBack,
}

/// Somebody who orders one machine.
pub(crate) struct Customer {
    pub(crate) stage: Arc<Stage>,
    pub(crate) panel: Deployments,
    pub(crate) n: usize,
}

impl Customer {
    /// Orders, asks again, has it tried again, perhaps takes it back; says what was wanted of which machine.
    pub(crate) async fn live(self) -> (VmKey, Wish) {
        let plan = &self.stage.plan;
        let dice = Dice::of(plan.seed, "customer", self.n);
        let spec = orders::order(&dice);
        let reference: ExternalRef = sample::parsed(&format!("order-{}", self.n));
        tokio::time::sleep(dice.millis(0..u64::try_from(plan.chaos.as_millis()).unwrap_or(1) / 3)).await;
        let mut keys = Vec::new();
        // A panel whose page is loaded twice orders twice.
        for _ in 0..dice.within(1..3) {
            let created = self.panel.create(reference.clone(), spec.clone(), json!({ "n": self.n })).await;
            keys.push(created.expect("an order").record().key);
        }
        keys.dedup();
        let [key] = keys[..] else { panic!("one reference, more than one machine: {keys:?}") };
        let takes_back = dice.chance(0.4) && plan.has(Trouble::Terminations);
        for _ in 0..dice.within(0..3) {
            tokio::time::sleep(dice.about(minutes(3))).await;
            // Refused where there is nothing to try again, which is fine.
            let _ = self.panel.command(key, Command::Retry).await;
        }
        if !takes_back {
            return (key, Wish::Keep);
        }
        // At once, in the middle, or when it is long ready.
        let patience = *dice.pick(&[1, 20, 120, 600]);
        tokio::time::sleep(dice.about(Duration::from_secs(patience))).await;
        self.panel.command(key, Command::Terminate).await.expect("an order can be taken back");
        (key, Wish::TakeBack)
    }
}
