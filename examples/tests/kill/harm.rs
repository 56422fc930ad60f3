//! What is done to the workers and to their server.

use crate::{desk::LEASE, ordeal::Ordeal, pace::Life};
use rand::Rng;
use std::time::{Duration, Instant};

impl Ordeal {
    /// The server is stopped and started again, while a worker lives and dies as ever. Another one is frozen meanwhile: what it
    /// was about to write waits in it until its machines have gone to others.
    pub(crate) async fn break_down(&mut self, life: Life, freezes: bool) {
        let server = self.server.clone().expect("a server");
        let (after, half) = (self.up_to(1000), self.up_to(1000));
        if !self.crew.can_freeze() {
            self.crew.thaw_all();
        }
        let bystander = self.at_work().await;
        let hand = self.crew.set_aside(bystander);
        let outage = async {
            tokio::time::sleep(after).await;
            server.stop().await;
            tokio::time::sleep(half).await;
            hand.freeze();
            tokio::time::sleep(half).await;
            server.start_again().await;
        };
        tokio::join!(outage, self.live_and_die(life, freezes));
        self.freezes += 1;
        let until = Instant::now() + LEASE + self.up_to(1000);
        self.crew.thaws_at(bystander, until);
    }

    /// One of the workers lives for so long, and is killed or frozen.
    pub(crate) async fn live_and_die(&mut self, life: Life, freezes: bool) {
        let started = self.crew.fill(&self.desk);
        let started = self.checked(started);
        let slot = match life {
            Life::FromStart(time) => {
                tokio::time::sleep(time).await;
                started.first().copied().unwrap_or_else(|| self.crew.pick(&mut self.rng))
            }
            Life::AtWork(time) => {
                let slot = self.at_work().await;
                tokio::time::sleep(time).await;
                slot
            }
        };
        if freezes && self.crew.can_freeze() {
            let waited = self.crew.wait_for(slot, &self.desk).await;
            self.checked(waited);
            tokio::time::sleep(self.up_to(500)).await;
            self.freeze(slot).await;
        } else {
            self.kill(slot);
        }
    }

    /// One of the workers that has its database: before that another one would be let in, where only one may have it.
    async fn at_work(&mut self) -> usize {
        let slot = self.crew.pick(&mut self.rng);
        let waited = self.crew.wait_for(slot, &self.desk).await;
        self.checked(waited);
        slot
    }

    /// A worker stands still for longer than its lease. Beside others it is left to stand; a single one goes on after that or is
    /// killed as it stands.
    async fn freeze(&mut self, slot: usize) {
        self.freezes += 1;
        let time = LEASE + Duration::from_millis(100) + self.up_to(900);
        self.crew.set_aside(slot).freeze();
        self.crew.thaws_at(slot, Instant::now() + time);
        if self.crew.size() > 1 {
            return;
        }
        self.desk.assert_taken();
        tokio::time::sleep(time).await;
        self.wake_or_kill();
        tokio::time::sleep(self.up_to(800)).await;
        self.kill(slot);
    }

    /// Workers that stood still for long enough go on, as zombies: others have their machines. Some are killed as they stand.
    pub(crate) fn wake_or_kill(&mut self) {
        for slot in self.crew.due() {
            if self.rng.random_ratio(2, 3) {
                self.crew.thaw(slot);
            } else {
                self.kill(slot);
            }
        }
    }

    fn kill(&mut self, slot: usize) {
        let killed = self.crew.kill(slot, &self.desk);
        self.kills += u32::from(self.checked(killed));
    }

    /// A random time of so many milliseconds at most.
    fn up_to(&mut self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(0..milliseconds))
    }
}
