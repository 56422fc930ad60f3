use crate::{
    clock::minutes,
    commands::{self, Given},
    dice::Dice,
    orders,
    plan::Trouble,
    stage::Stage,
};
use deploy_core::{Admission, Command, Deployments, ExternalRef, RecordStore, VmKey, VmRecord, VmSpec};
use deploy_testkit::sample;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// What somebody who ordered a machine asked of it.
pub(crate) struct Wish {
    /// The order.
    pub(crate) spec: VmSpec,
    /// The commands that were queued.
    pub(crate) given: Vec<Given>,
    /// It shall be gone in the end.
    pub(crate) takes_back: bool,
}

/// Somebody who orders one machine.
pub(crate) struct Customer {
    stage: Arc<Stage>,
    panel: Deployments,
    n: usize,
    dice: Dice,
    given: Vec<Given>,
}

impl Customer {
    pub(crate) fn new(stage: Arc<Stage>, panel: Deployments, n: usize) -> Self {
        let dice = Dice::of(stage.plan.seed, "customer", n);
        Self { stage, panel, n, dice, given: Vec::new() }
    }

    /// Orders, asks again, gives commands, perhaps takes it back; says what was asked of which machine.
    pub(crate) async fn live(mut self) -> (VmKey, Wish) {
        let plan = self.stage.plan.clone();
        let spec = orders::order(&self.dice);
        let reference: ExternalRef = sample::parsed(&format!("order-{}", self.n));
        let third = u64::try_from(plan.chaos.as_millis()).unwrap_or(1) / 3;
        tokio::time::sleep(self.dice.millis(0..third)).await;
        let mut keys = Vec::new();
        // A panel whose page is loaded twice orders twice.
        for _ in 0..self.dice.within(1..3) {
            let created = self.panel.create(reference.clone(), spec.clone(), json!({ "n": self.n })).await;
            keys.push(created.expect("an order").record().key);
        }
        keys.dedup();
        let [key] = keys[..] else { panic!("one reference, more than one machine: {keys:?}") };
        let takes_back = self.dice.chance(0.4) && plan.has(Trouble::Terminations);
        for _ in 0..self.dice.within(0..3) {
            tokio::time::sleep(self.dice.about(minutes(3))).await;
            self.give(key, Command::Retry).await;
        }
        if plan.has(Trouble::Commands) {
            self.command(key).await;
        }
        if takes_back {
            // At once, in the middle, or when it is long ready.
            let patience = *self.dice.pick(&[1, 20, 120, 600]);
            tokio::time::sleep(self.dice.about(Duration::from_secs(patience))).await;
            let held = plan.has(Trouble::Commands) && self.dice.chance(0.3);
            if held {
                self.give(key, Command::Hold).await;
            }
            let taken = self.give(key, Command::Terminate).await;
            assert!(taken, "an order can be taken back");
            if held {
                tokio::time::sleep(self.dice.about(minutes(2))).await;
                self.give(key, Command::Release).await;
            }
        }
        (key, Wish { spec, given: self.given, takes_back })
    }

    /// Gives commands of every kind at any moment: one upon the other, or when the one before is long over.
    async fn command(&mut self, key: VmKey) {
        let dice = Dice::of(self.stage.plan.seed, "commands", self.n);
        for _ in 0..dice.within(0..10) {
            let pause = *dice.pick(&[1, 10, 60, 300]);
            tokio::time::sleep(dice.about(Duration::from_secs(pause))).await;
            let record = self.record(key).await;
            let command = commands::any(&dice, &record, &self.given);
            let holds = command == Command::Hold;
            self.give(key, command).await;
            if holds && dice.chance(0.5) {
                tokio::time::sleep(dice.about(minutes(2))).await;
                self.give(key, Command::Release).await;
            }
        }
        // Nobody else could give it back.
        self.give(key, Command::Release).await;
    }

    async fn record(&self, key: VmKey) -> VmRecord {
        self.stage.store.get(key).await.expect("an answer").expect("a record")
    }

    /// Whether it was admitted. Refused is what is not possible now, which is fine.
    async fn give(&mut self, key: VmKey, command: Command) -> bool {
        let record = self.record(key).await;
        let Ok(commanded) = self.panel.command(key, command.clone()).await else { return false };
        if let Admission::Queued(id) = commanded.admission() {
            self.given.push(Given::new(id, command, &record));
        }
        true
    }
}
