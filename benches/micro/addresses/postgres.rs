//! On PostgreSQL.

use super::{Filled, Filling, Site};
use deploy_core::Span;
use std::net::IpAddr;
use store_postgres::{PostgresStore, Settings, Sharing};
use throwaway_postgres::{Database, Server};
use tokio_postgres::{Error, NoTls};
use uuid::Uuid;

/// A pool of its own in a database of its own.
pub(crate) async fn site<'a>(server: &'a Server, filling: &Filling) -> (Database<'a>, Site<PostgresStore>) {
    let database = server.fresh_database().expect("a database");
    let settings = Settings::parse(&database.url()).expect("settings").with_sharing(Sharing::Equal);
    let store = PostgresStore::connect(settings).await.expect("a store");
    let site = Site::new(store, filling).await;
    let filled = filling.filled();
    fill(&database.url(), &filled).await.expect("a full pool");
    // What the server does by itself once there is that much.
    database.psql("VACUUM (ANALYZE)").expect("statistics");
    database.psql("CHECKPOINT").expect("a checkpoint");
    site.check(&filled).await;
    (database, site)
}

async fn fill(url: &str, filled: &Filled) -> Result<(), Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("SET search_path = pve_deploy; DELETE FROM free_range").await?;
    let (pool, cluster) = (filled.pool.name.as_str(), filled.pool.cluster.as_str());
    let (addresses, holders): (Vec<IpAddr>, Vec<Uuid>) =
        filled.held().map(|(number, holder)| (Span::address(number), holder.0)).unzip();
    let text = "INSERT INTO address (cluster, address, pool, vm, nic)
         SELECT $1, taken.address, $2, taken.vm, 0 FROM unnest($3::inet[], $4::uuid[]) AS taken (address, vm)";
    client.execute(text, &[&cluster, &pool, &addresses, &holders]).await?;
    let (firsts, lasts): (Vec<IpAddr>, Vec<IpAddr>) =
        filled.free.iter().map(|span| (Span::address(span.first), Span::address(span.last))).unzip();
    let text = "INSERT INTO free_range (pool, first, last) SELECT $1, * FROM unnest($2::inet[], $3::inet[])";
    client.execute(text, &[&pool, &firsts, &lasts]).await?;
    Ok(())
}
