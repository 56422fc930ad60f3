use crate::{clock::minutes, run::records, stage::Stage};
use proxmox_sim::Request;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How often somebody looks at the machines that need attention.
const ROUND: Duration = minutes(7);

/// A human with root's password, who does what the attention of a machine or a notice names, and nothing else.
pub(crate) struct Operator {
    stage: Arc<Stage>,
}

impl Operator {
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        Self { stage }
    }

    pub(crate) async fn live(self) {
        loop {
            tokio::time::sleep(ROUND).await;
            self.free().await;
            for record in records(&self.stage).await {
                let Some(attention) = &record.attention else { continue };
                let Some(command) = attention.message.split(": qm ").nth(1) else { continue };
                self.carry_out(record.node.as_str(), command).await;
            }
        }
    }

    /// `pvesm free`, of what still belongs to nobody: it frees a volume that is in use as well.
    async fn free(&self) {
        let state = self.stage.sim.with_cluster(|cluster| cluster.state());
        let volumes = state["volumes"].as_array().into_iter().flatten();
        let orphans = volumes
            .filter(|volume| volume["referenced"] == false)
            .filter_map(|volume| volume["volid"].as_str());
        let orphans: BTreeSet<&str> = orphans.collect();
        for (node, volume) in self.stage.inbox.left_behind() {
            let Some((storage, _)) = volume.split_once(':').filter(|_| orphans.contains(volume.as_str()))
            else {
                continue;
            };
            let path = format!("/nodes/{node}/storage/{storage}/content/{volume}");
            self.as_root(Request::new("DELETE", &path)).await;
        }
    }

    /// `unlock 1000` or `destroy 1000 --skiplock --purge ...`, as root on a node.
    async fn carry_out(&self, node: &str, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let machine = |vmid: &str| format!("/nodes/{node}/qemu/{vmid}");
        let request = match words[..] {
            ["unlock", vmid, ..] => Request::new("PUT", &format!("{}/config", machine(vmid)))
                .param("delete", "lock")
                .param("skiplock", 1),
            ["destroy", vmid, ref options @ ..] => {
                let destroy = Request::new("DELETE", &machine(vmid));
                let flags = options
                    .iter()
                    .filter_map(|option| option.trim_end_matches([',', ')']).strip_prefix("--"));
                flags.fold(destroy, |destroy, flag| destroy.param(flag, 1))
            }
            ["delsnapshot", vmid, snapshot, ..] => {
                Request::new("DELETE", &format!("{}/snapshot/{snapshot}", machine(vmid))).param("force", 1)
            }
            _ => return,
        };
        self.as_root(request).await;
    }

    /// With a ticket: a token of root is not root.
    async fn as_root(&self, request: Request) {
        let login = Request::new("POST", "/access/ticket")
            .param("username", "root@pam")
            .param("password", "simulated");
        let Some(login) = self.stage.sim.handle(login).await.reply else { return };
        let text = |key: &str| login.payload()[key].as_str().map(str::to_owned);
        let cookie = text("ticket").map(|ticket| format!("PVEAuthCookie={ticket}"));
        let request = Request { cookie, csrf: text("CSRFPreventionToken"), ..request };
        // If it was too early, the next round tries again.
        let _ = self.stage.sim.handle(request).await;
    }
}
