//! What somebody does to the machine behind our back, and what befalls its cluster.

use super::{Life, Outcome, PATIENCE};
use anyhow::Context as _;
use deploy_core::{CommandOutcome, Progress, Step};
use deploy_worker::sleep;
use jiff::SignedDuration;
use proxmox_api::Params;
use proxmox_sim::Switch;
use serde_json::Value;
use std::time::Instant;

impl Life {
    /// An option of the machine, as it was told last.
    pub(super) fn option(&self, name: &str) -> String {
        self.before.config.get(name).cloned().unwrap_or_default()
    }

    /// Somebody sets options of the machine, or deletes them.
    pub(super) async fn somebody(
        &mut self,
        does: &str,
        options: &[(&'static str, &str)],
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.configure(options).await?;
        self.was_changed(does, begun).await
    }

    /// Somebody switches its firewall off, and lets it send from an address that is not its own.
    pub(super) async fn somebody_opens_the_firewall(&mut self) -> anyhow::Result<()> {
        let (begun, firewall) = (Instant::now(), format!("{}/firewall", self.path()?));
        let off = Params::new().set("enable", 0);
        let _: Value = self.client.put(&format!("{firewall}/options"), &off).await?;
        let foreign = Params::new().set("cidr", "203.0.113.99");
        let _: Value = self.client.post(&format!("{firewall}/ipset/ipfilter-net0"), &foreign).await?;
        self.was_changed("opens the firewall", begun).await
    }

    /// Somebody moves it to another node while it runs.
    pub(super) async fn somebody_moves_it(&mut self, node: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        let there = Params::new().set("target", node).set("online", 1);
        let _: Value = self.client.post(&format!("{}/migrate", self.path()?), &there).await?;
        let moved = async {
            while self.scene().await?.node.as_deref() != Some(node) || self.scene().await?.is_locked() {
                sleep(SignedDuration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, moved).await.context("it is not moved")??;
        self.was_changed(&format!("moves it to {node}"), begun).await
    }

    /// Somebody takes a disk away, and puts one of 2 GiB without limits in its place.
    pub(super) async fn somebody_puts_a_smaller_disk(&mut self, slot: &'static str) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.configure(&[("delete", slot)]).await?;
        self.configure(&[("delete", "unused0")]).await?;
        self.configure(&[(slot, "shared:2")]).await?;
        self.was_changed("puts a smaller disk", begun).await
    }

    /// Somebody deletes all that the name server has of its name.
    pub(super) async fn somebody_forgets_its_name(&mut self) -> anyhow::Result<()> {
        self.server.forget(&self.before.record.numbered.fqdn);
        self.was_changed("forgets its name", Instant::now()).await
    }

    async fn configure(&self, options: &[(&'static str, &str)]) -> anyhow::Result<()> {
        let params = options.iter().fold(Params::new(), |params, (name, value)| params.set(*name, value));
        let _: Value = self.client.put(&format!("{}/config", self.path()?), &params).await?;
        Ok(())
    }

    async fn was_changed(&mut self, does: &str, begun: Instant) -> anyhow::Result<()> {
        let done = Outcome::Settled(CommandOutcome::Done);
        self.tell(format!("(somebody {does})"), done, begun.elapsed()).await
    }

    /// The machine in PVE's API.
    fn path(&self) -> anyhow::Result<String> {
        let node = self.before.node.as_ref().context("there is no machine")?;
        Ok(format!("/nodes/{node}/qemu/{}", self.before.record.numbered.vmid))
    }

    /// Its guest does not listen any more when it is asked to shut down.
    pub(super) fn deaf_guest(&self) -> anyhow::Result<()> {
        let deaf = Switch::Deaf { vmid: self.before.record.numbered.vmid.get() };
        self.cluster.switch(deaf).map_err(anyhow::Error::msg)
    }

    /// Lets the storage run full, or have space again.
    pub(super) fn storage_full(&self, full: bool) -> anyhow::Result<()> {
        let switch = Switch::StorageFull { storage: "shared".to_owned(), full };
        self.cluster.switch(switch).map_err(anyhow::Error::msg)
    }

    /// Waits until the machine has failed at what is due.
    pub(super) async fn failed(&self) -> anyhow::Result<()> {
        self.until("nothing fails", |record| record.failures > 0).await
    }

    /// Waits until its clone is being made.
    pub(super) async fn is_cloned(&self) -> anyhow::Result<()> {
        let is_made = |progress: &Progress| matches!(progress, Progress::Submitted { .. });
        self.until("it is not cloned", |record| record.step == Step::Clone && is_made(&record.progress)).await
    }
}
