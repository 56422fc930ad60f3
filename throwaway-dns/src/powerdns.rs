use crate::{
    Error, port,
    process::{Process, Start},
    program,
};
use rusqlite::{Connection, params};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Debian's packages.
const PACKAGES: &str = "pdns-server pdns-backend-sqlite3";

/// Where the backend's package has the form of its database.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// PowerDNS with its SQLite backend and its HTTP API.
///
/// Its records can be read and written past the API, in its database: for records of somebody else, and to see what stands
/// without asking those who are tested.
#[derive(Debug)]
pub struct PowerDns {
    folder: TempDir,
    start: Start,
    process: Option<Process>,
    api: SocketAddr,
    dns: SocketAddr,
}

/// A row of its table of records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The name, without a dot at its end.
    pub name: String,
    /// The type.
    pub kind: String,
    /// What it says, as the API has it.
    pub content: String,
    /// Its time to live, in seconds.
    pub ttl: u32,
    /// Whether it is kept and not served.
    pub disabled: bool,
}

impl PowerDns {
    /// A server that is the primary of these zones. Each has its SOA and an NS record.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start(zones: &[&str]) -> Result<Self, Error> {
        let program = program::find("pdns_server", PACKAGES)?;
        port::until_up(|| Self::try_start(&program, zones))
    }

    fn try_start(program: &Path, zones: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("a folder for PowerDNS"))?;
        let (api, dns) = (port::free(), port::free());
        make_database(&folder.path().join("records.db"), zones)?;
        fs::write(folder.path().join("pdns.conf"), configuration(folder.path(), api, dns))
            .map_err(Error::io("the configuration of PowerDNS"))?;
        let start = Start {
            name: "PowerDNS",
            program: program.to_owned(),
            args: vec![format!("--config-dir={}", folder.path().display())],
            log: folder.path().join("log"),
        };
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { folder, start, process: None, api: here(api), dns: here(dns) };
        server.start_again()?;
        Ok(server)
    }

    /// Where its API is.
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The key of its API.
    pub fn key(&self) -> &'static str {
        "s3cret-of-the-api"
    }

    /// Where it answers queries.
    pub fn address(&self) -> SocketAddr {
        self.dns
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again after [`stop`](Self::stop), on the same ports and with the same records.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start_again(&mut self) -> Result<(), Error> {
        let (api, dns) = (self.api, self.dns);
        let is_up = || TcpStream::connect(api).is_ok() && TcpStream::connect(dns).is_ok();
        self.process = Some(self.start.start(is_up)?);
        Ok(())
    }

    /// Every record of every zone but SOA and NS, sorted.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn rows(&self) -> Result<Vec<Row>, Error> {
        let database = self.database()?;
        let text = "SELECT name, type, content, ttl, disabled FROM records WHERE type NOT IN ('SOA', 'NS')";
        let mut statement = database.prepare(text)?;
        let rows = statement.query_map([], |row| {
            Ok(Row {
                name: row.get(0)?,
                kind: row.get(1)?,
                content: row.get(2)?,
                ttl: row.get(3)?,
                disabled: row.get(4)?,
            })
        })?;
        let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
        rows.sort();
        Ok(rows)
    }

    /// Writes a record past the API, as somebody else would.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn insert(&self, zone: &str, row: &Row) -> Result<(), Error> {
        let text = "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth)
             SELECT id, ?2, ?3, ?4, ?5, 0, ?6, 1 FROM domains WHERE name = ?1";
        let Row { name, kind, content, ttl, disabled } = row;
        self.database()?.execute(text, params![zone, name, kind, content, ttl, disabled])?;
        Ok(())
    }

    /// Takes a record away past the API.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn delete(&self, name: &str, content: &str) -> Result<(), Error> {
        let text = "DELETE FROM records WHERE name = ? AND content = ?";
        self.database()?.execute(text, [name, content])?;
        Ok(())
    }

    /// Makes a zone another kind (`NATIVE`, `SLAVE`).
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn set_kind(&self, zone: &str, kind: &str) -> Result<(), Error> {
        self.database()?.execute("UPDATE domains SET type = ?2 WHERE name = ?1", [zone, kind])?;
        Ok(())
    }

    fn database(&self) -> Result<Connection, Error> {
        let database = Connection::open(self.folder.path().join("records.db"))?;
        database.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(database)
    }
}

fn configuration(folder: &Path, api: u16, dns: u16) -> String {
    let folder = folder.display();
    format!(
        "launch=gsqlite3
gsqlite3-database={folder}/records.db
local-address=127.0.0.1
local-port={dns}
socket-dir={folder}
api=yes
api-key=s3cret-of-the-api
webserver=yes
webserver-address=127.0.0.1
webserver-port={api}
webserver-allow-from=127.0.0.1
daemon=no
guardian=no
disable-syslog=yes
zone-cache-refresh-interval=0
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
"
    )
}

fn make_database(path: &PathBuf, zones: &[&str]) -> Result<(), Error> {
    let schema = fs::read_to_string(SCHEMA).map_err(|_| Error::Missing {
        what: "the SQLite backend of PowerDNS",
        packages: PACKAGES,
        looked: vec![SCHEMA.into()],
    })?;
    let database = Connection::open(path)?;
    database.execute_batch(&schema)?;
    for zone in zones {
        database.execute("INSERT INTO domains (name, type) VALUES (?, 'NATIVE')", [zone])?;
        let soa = "ns1.throwaway.test. hostmaster.throwaway.test. 1 3600 600 604800 60";
        for (kind, content) in [("SOA", soa), ("NS", "ns1.throwaway.test")] {
            let text = "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth)
                 SELECT id, name, ?2, ?3, 3600, 0, 0, 1 FROM domains WHERE name = ?1";
            database.execute(text, [zone, kind, content])?;
        }
    }
    Ok(())
}
