//! A machine that somebody else made.

use super::{Life, Outcome, PATIENCE, orders};
use anyhow::Context as _;
use deploy_core::{Adopted, Adoption, CommandOutcome, SmbiosUuid};
use deploy_worker::sleep;
use jiff::SignedDuration;
use proxmox_api::Params;
use serde_json::Value;
use std::time::Instant;

const UUID: &str = "7d444840-9dc0-11d1-b245-5ffdce74fad2";

impl Life {
    /// Adopts the machine with this number, which commands go to from now on.
    pub(super) async fn adopt(&mut self, reference: &str, number: u32) -> anyhow::Result<()> {
        let machines = orders(reference)?.machines;
        let order = machines.into_iter().next().context("an order")?;
        let net0 = 0.try_into()?;
        let machine = Adopted {
            vmid: number.try_into()?,
            smbios: UUID.parse::<SmbiosUuid>()?,
            node: order.spec.node.clone(),
            addresses: vec![(net0, "203.0.113.50".parse()?), (net0, "2001:db8:1::1050".parse()?)],
        };
        let adoption =
            Adoption { reference: order.reference, spec: order.spec, machine, metadata: Value::Null };
        self.key = self.panel.adopt(adoption).await?.record().key;
        self.before = self.scene().await?;
        Ok(())
    }

    /// It is adopted now.
    pub(super) async fn was_adopted(&mut self) -> anyhow::Result<()> {
        let done = Outcome::Settled(CommandOutcome::Done);
        self.tell("(adopted)".to_owned(), done, Instant::now().elapsed()).await
    }

    /// Somebody makes a machine by hand.
    pub(super) async fn somebody_makes(&mut self, name: &str, number: u32) -> anyhow::Result<()> {
        let begun = Instant::now();
        let machine = Params::new()
            .set("vmid", number)
            .set("name", name)
            .set("description", "made by hand")
            .set("memory", 512)
            .set("scsi0", "shared:8")
            .set("boot", "order=scsi0")
            .set("net0", "virtio=BC:24:11:00:04:00,bridge=vmbr0")
            .set("smbios1", format!("uuid={UUID}"));
        let _: Value = self.client.post("/nodes/pve2/qemu", &machine).await?;
        let made = async {
            while self.scene().await?.power.is_none() || self.scene().await?.is_locked() {
                sleep(SignedDuration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, made).await.context("it is not made")??;
        self.tell(
            "(somebody makes a machine)".to_owned(),
            Outcome::Settled(CommandOutcome::Done),
            begun.elapsed(),
        )
        .await
    }
}
