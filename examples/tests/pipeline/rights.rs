//! The rights that the documentation asks for are enough, and what is missing is said.

use super::{
    bench::{Bench, client, small, spec},
    create::everything,
    terminate::{backup, cluster_is_past},
};
use deploy_core::{Step, VmRecord};
use proxmox_sim::{ClusterConfig, Grant, Server, ServerOptions, Switch, TokenConfig};

const MACHINE: &str = "VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit \
                       VM.Config.Disk VM.Config.Memory VM.Config.Network VM.Config.Options VM.Migrate VM.PowerMgmt \
                       VM.Snapshot";

/// A bench whose engine has a token with the documented rights, and `agents` on top.
pub(super) async fn bench(agents: &str) -> Bench {
    let grant = |path: &str, privileges: &str| Grant {
        path: path.to_owned(),
        privileges: privileges.split_whitespace().map(str::to_owned).collect(),
    };
    let grants = vec![
        grant("/vms", &format!("{MACHINE} {agents}")),
        grant("/storage/shared", "Datastore.AllocateSpace Datastore.Audit"),
        grant("/sdn/zones/localnetwork/vmbr0", "SDN.Use"),
        grant("/sdn/zones/localnetwork/vmbr1", "SDN.Use"),
        grant("/pool/customers", "Pool.Audit Pool.Allocate"),
    ];
    let token = TokenConfig {
        id: "deploy@pve!panel".to_owned(),
        secret: "7b0c6a52-94d3-4b7e-8f11-0d2f5c9e6a48".to_owned(),
        grants: Some(grants),
    };
    let mut config = ClusterConfig::quick();
    config.pools.push("customers".to_owned());
    config.tokens.push(token.clone());
    let sim = Server::start(config, ServerOptions::default()).await.expect("simulator");
    let client = client(&sim, &[sim.url()], &token.credential());
    Bench::around(sim, client).await
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_a_whole_life() {
    let bench = bench("VM.GuestAgent.Audit").await;
    let key = bench.order("a_1", spec(everything())).await;
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
    cluster_is_past(&record).await;
    let backup = backup(record.numbered.vmid.get(), false, Some(&record.mark().to_string()));
    bench.sim.switch(Switch::AddBackup { backup }).expect("a storage");
    let record = bench.terminate(key).await;
    assert_eq!(record.step, Step::Terminated, "{}", bench.log_text(key).await);
    let content = bench.ask("/nodes/pve1/storage/shared/content").await.to_string();
    assert!(!content.contains(&format!("vzdump-qemu-{}-", record.numbered.vmid)), "{content}");
    let log = bench.log_text(key).await;
    assert!(!log.contains("Permission check failed"), "{log}");
}

#[tokio::test]
async fn who_may_not_ask_agents_is_told_so() {
    let bench = bench("").await;
    let key = bench.order("mute", spec(small())).await;
    let refused = |record: &VmRecord| record.step == Step::Starting && record.failures > 0;
    bench.run_until(key, refused).await;
    let log = bench.log_text(key).await;
    assert!(log.contains("VM.GuestAgent.Audit"), "{log}");
}
