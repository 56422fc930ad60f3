//! The quickstart: deploys machines on a simulated Proxmox VE cluster, or on yours.

mod orders;

fn main() -> anyhow::Result<()> {
    let orders = orders::load(None)?;
    let _ = (orders.cluster, orders.pools, orders.machines);
    Ok(())
}
