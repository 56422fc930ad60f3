//! The worker's database, looked at from outside while nobody or somebody has it: read-only, and never checkpointing.

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    path::Path,
    time::Duration,
};

/// Everything at one moment.
#[derive(Default)]
pub(crate) struct Picture {
    /// By reference.
    pub(crate) machines: BTreeMap<String, Row>,
    pub(crate) pools: Vec<Pool>,
    /// Numbers that are nobody else's: of machines, and (with `true`) resting ones.
    pub(crate) numbers: Vec<(u32, String, bool)>,
    pub(crate) notices_left: u32,
}

/// A machine.
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) vmid: u32,
    pub(crate) node: String,
    pub(crate) step: String,
    pub(crate) progress: Value,
    pub(crate) attention: Option<String>,
    pub(crate) macs: Vec<String>,
    pub(crate) smbios: Option<String>,
    /// In the order in which they were taken.
    pub(crate) addresses: Vec<(usize, IpAddr)>,
    pub(crate) log: Vec<Line>,
}

/// A line of the deploy log.
pub(crate) struct Line {
    pub(crate) operation: String,
    pub(crate) step: String,
    pub(crate) event: Value,
    pub(crate) times: u32,
}

/// The addresses of a pool, by what they are.
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) usable: u128,
    pub(crate) free: u128,
    pub(crate) resting: u128,
    pub(crate) held: u128,
}

impl Row {
    /// The steps of an operation that the log says are done, as often as it says so.
    pub(crate) fn done(&self, operation: &str) -> Vec<&str> {
        let done = |line: &&Line| line.operation == operation && line.event["event"] == "done";
        self.log.iter().filter(done).flat_map(|line| (0..line.times).map(|_| line.step.as_str())).collect()
    }

    /// The log, for people.
    pub(crate) fn story(&self) -> String {
        let lines =
            self.log.iter().map(|line| format!("    {:<30} {}x {}", line.step, line.times, line.event));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Picture {
    /// What is there; nothing before the first worker came to making its tables.
    pub(crate) fn of(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let Ok(mut conn) = Connection::open_with_flags(path, flags) else { return Self::default() };
        conn.busy_timeout(Duration::from_secs(20)).unwrap();
        conn.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON;").unwrap();
        // One transaction, so that all is of one moment.
        let read = conn.transaction().unwrap();
        let tables: u32 = read.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
        if tables == 0 { Self::default() } else { Self::read(&read).unwrap() }
    }

    fn read(conn: &Connection) -> rusqlite::Result<Self> {
        let mut machines = machines(conn)?;
        let (mut logs, mut held) = (logs(conn)?, held(conn)?);
        for row in machines.values_mut() {
            row.log = logs.remove(&row.key).unwrap_or_default();
            row.addresses = held.remove(&row.key).unwrap_or_default();
        }
        assert!(held.is_empty(), "addresses of nobody: {held:?}");
        let mut numbers = conn.prepare("SELECT vmid, vm, until IS NOT NULL FROM vmid_reservation")?;
        let numbers = numbers.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(Self {
            machines,
            pools: pools(conn)?,
            numbers: numbers.collect::<rusqlite::Result<_>>()?,
            notices_left: conn.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))?,
        })
    }
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
