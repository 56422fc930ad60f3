//! A file: read-only, and never checkpointing.

use super::{Line, Picture, Pool, Row};
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    path::Path,
    time::Duration,
};

/// What is there; nothing before the first worker came to making its tables.
pub(super) fn look(path: &Path) -> Picture {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(mut conn) = Connection::open_with_flags(path, flags) else { return Picture::default() };
    conn.busy_timeout(Duration::from_secs(20)).unwrap();
    conn.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON;").unwrap();
    // One transaction, so that all is of one moment.
    let read = conn.transaction().unwrap();
    let tables: u32 = read.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
    if tables == 0 { Picture::default() } else { picture(&read).unwrap() }
}

fn picture(conn: &Connection) -> rusqlite::Result<Picture> {
    let mut numbers = conn.prepare("SELECT vmid, vm, until IS NOT NULL FROM vmid_reservation")?;
    let numbers = numbers.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let count = |sql| conn.query_row(sql, [], |row| row.get(0));
    let mut picture = Picture {
        machines: machines(conn)?,
        pools: pools(conn)?,
        numbers: numbers.collect::<rusqlite::Result<_>>()?,
        notices_left: count("SELECT count(*) FROM outbox")?,
        leased: count("SELECT count(*) FROM vm WHERE owner IS NOT NULL")?,
    };
    picture.furnish(logs(conn)?, held(conn)?);
    Ok(picture)
}

fn machines(conn: &Connection) -> rusqlite::Result<BTreeMap<String, Row>> {
    let mut statement = conn.prepare(
        "SELECT external_ref, key, vmid, node, step, progress, json_extract(attention, '$.message') AS attention,
             macs, smbios FROM vm",
    )?;
    let rows = statement.query_map([], |row| {
        let (progress, macs): (String, String) = (row.get("progress")?, row.get("macs")?);
        let machine = Row {
            key: row.get("key")?,
            vmid: row.get("vmid")?,
            node: row.get("node")?,
            step: row.get("step")?,
            progress: serde_json::from_str(&progress).expect("JSON"),
            attention: row.get("attention")?,
            macs: serde_json::from_str(&macs).expect("JSON"),
            smbios: row.get("smbios")?,
            addresses: Vec::new(),
            log: Vec::new(),
        };
        Ok((row.get::<_, String>("external_ref")?, machine))
    })?;
    let mut machines = BTreeMap::new();
    for row in rows {
        let (reference, machine) = row?;
        assert!(machines.insert(reference, machine).is_none(), "a reference was ordered twice");
    }
    Ok(machines)
}

fn logs(conn: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<Line>>> {
    let mut statement =
        conn.prepare("SELECT vm, operation, step, event, times FROM deploy_log ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut logs: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let event: String = row.get("event")?;
        logs.entry(row.get("vm")?).or_default().push(Line {
            operation: row.get("operation")?,
            step: row.get("step")?,
            event: serde_json::from_str(&event).expect("JSON"),
            times: row.get("times")?,
        });
    }
    Ok(logs)
}

fn held(conn: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<(usize, IpAddr)>>> {
    let mut statement =
        conn.prepare("SELECT vm, nic, address FROM address WHERE until IS NULL ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut held: BTreeMap<String, Vec<(usize, IpAddr)>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let address = Ipv6Addr::from(row.get::<_, [u8; 16]>("address")?);
        let address = address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4);
        held.entry(row.get("vm")?).or_default().push((row.get::<_, u8>("nic")?.into(), address));
    }
    Ok(held)
}

fn pools(conn: &Connection) -> rusqlite::Result<Vec<Pool>> {
    let mut names = conn.prepare("SELECT name FROM pool ORDER BY name")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let count = |name: &str, which: &str| {
        let sql = format!("SELECT count(*) FROM address WHERE pool = ? AND until IS {which}");
        conn.query_row(&sql, [name], |row| row.get::<_, u32>(0)).map(u128::from)
    };
    let pool = |name: String| {
        Ok(Pool {
            usable: size(conn, &name, "usable_range")?,
            free: size(conn, &name, "free_range")?,
            resting: count(&name, "NOT NULL")?,
            held: count(&name, "NULL")?,
            name,
        })
    };
    names.into_iter().map(pool).collect()
}

/// The number of addresses in intervals.
fn size(conn: &Connection, pool: &str, table: &str) -> rusqlite::Result<u128> {
    let mut statement = conn.prepare(&format!("SELECT first, last FROM {table} WHERE pool = ?"))?;
    let number = |row: &rusqlite::Row<'_>, at| row.get::<_, [u8; 16]>(at).map(u128::from_be_bytes);
    let spans = statement.query_map([pool], |row| Ok(number(row, 1)? - number(row, 0)? + 1))?;
    spans.sum()
}
