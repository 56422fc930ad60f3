//! A database of a server, by SQL.

use super::{Line, Picture, Pool, Row};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};
use tokio_postgres::{Error, IsolationLevel, NoTls, Transaction};

/// How long a server that was stopped is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is there, as soon as the server answers.
pub(super) async fn look(url: &str) -> Picture {
    let until = Instant::now() + PATIENCE;
    loop {
        match try_look(url).await {
            Ok(picture) => return picture,
            Err(error) => assert!(Instant::now() < until, "no look into the database: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn try_look(url: &str) -> Result<Picture, Error> {
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    // All is of one moment.
    let read = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let picture = picture(&read.start().await?).await;
    connection.abort();
    picture
}

async fn picture(read: &Transaction<'_>) -> Result<Picture, Error> {
    read.batch_execute("SET LOCAL search_path = pve_deploy").await?;
    let numbers = "SELECT vmid, vm::text, until IS NOT NULL FROM vmid_reservation";
    let numbers = read.query(numbers, &[]).await?;
    let numbers = numbers.iter().map(|row| (number(row.get::<_, i32>(0)), row.get(1), row.get(2)));
    let mut picture = Picture {
        machines: machines(read).await?,
        pools: pools(read).await?,
        numbers: numbers.collect(),
        notices_left: count(read, "SELECT count(*) FROM outbox").await?,
        leased: count(read, "SELECT count(*) FROM vm_state WHERE owner IS NOT NULL").await?,
    };
    picture.furnish(logs(read).await?, held(read).await?);
    Ok(picture)
}

async fn count(read: &Transaction<'_>, sql: &str) -> Result<u32, Error> {
    Ok(number(read.query_one(sql, &[]).await?.get::<_, i64>(0)))
}

async fn machines(read: &Transaction<'_>) -> Result<BTreeMap<String, Row>, Error> {
    let sql = "SELECT external_ref, key::text, vmid, node, step, progress, attention ->> 'message', macs, smbios::text
         FROM vm JOIN vm_state USING (key)";
    let mut machines = BTreeMap::new();
    for row in read.query(sql, &[]).await? {
        let machine = Row {
            key: row.get(1),
            vmid: number(row.get::<_, i32>(2)),
            node: row.get(3),
            step: row.get(4),
            progress: row.get(5),
            attention: row.get(6),
            macs: serde_json::from_value(row.get(7)).expect("a list of texts"),
            smbios: row.get(8),
            addresses: Vec::new(),
            log: Vec::new(),
        };
        assert!(machines.insert(row.get(0), machine).is_none(), "a reference was ordered twice");
    }
    Ok(machines)
}

async fn logs(read: &Transaction<'_>) -> Result<BTreeMap<String, Vec<Line>>, Error> {
    let sql = "SELECT vm::text, operation, step, event, times FROM deploy_log ORDER BY id";
    let mut logs: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for row in read.query(sql, &[]).await? {
        logs.entry(row.get(0)).or_default().push(Line {
            operation: row.get(1),
            step: row.get(2),
            event: row.get(3),
            times: number(row.get::<_, i64>(4)),
        });
    }
    Ok(logs)
}

async fn held(read: &Transaction<'_>) -> Result<BTreeMap<String, Vec<(usize, IpAddr)>>, Error> {
    let sql = "SELECT vm::text, nic, host(address) FROM address WHERE until IS NULL ORDER BY id";
    let mut held: BTreeMap<String, Vec<(usize, IpAddr)>> = BTreeMap::new();
    for row in read.query(sql, &[]).await? {
        let nic = usize::try_from(row.get::<_, i16>(1)).expect("a NIC");
        held.entry(row.get(0)).or_default().push((nic, address(row.get(2))));
    }
    Ok(held)
}

async fn pools(read: &Transaction<'_>) -> Result<Vec<Pool>, Error> {
    let sql = "SELECT name, count(address) FILTER (WHERE until IS NULL), count(until)
         FROM pool LEFT JOIN address ON address.pool = name GROUP BY name ORDER BY name";
    let rows = read.query(sql, &[]).await?;
    let (usable, free) = (sizes(read, "usable_range").await?, sizes(read, "free_range").await?);
    let size = |sizes: &BTreeMap<String, u128>, name: &str| sizes.get(name).copied().unwrap_or_default();
    let pool = |row: &tokio_postgres::Row| {
        let name: String = row.get(0);
        Pool {
            usable: size(&usable, &name),
            free: size(&free, &name),
            held: number::<u128, i64>(row.get(1)),
            resting: number::<u128, i64>(row.get(2)),
            name,
        }
    };
    Ok(rows.iter().map(pool).collect())
}

/// The number of addresses in the intervals of each pool.
async fn sizes(read: &Transaction<'_>, table: &str) -> Result<BTreeMap<String, u128>, Error> {
    let mut sizes = BTreeMap::new();
    for row in read.query(&format!("SELECT pool, host(first), host(last) FROM {table}"), &[]).await? {
        let (first, last) = (address(row.get(1)), address(row.get(2)));
        *sizes.entry(row.get(0)).or_default() += as_number(last) - as_number(first) + 1;
    }
    Ok(sizes)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn as_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// What cannot be negative, nor too large.
fn number<T: TryFrom<N>, N>(counted: N) -> T {
    T::try_from(counted).ok().expect("a count")
}
