use crate::{
    Error, port,
    process::{Process, Start},
    program,
};
use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
};
use tempfile::TempDir;

/// Debian's package.
const PACKAGES: &str = "bind9";

/// BIND with zones that are updated by keys.
#[derive(Debug)]
pub struct Bind {
    folder: TempDir,
    start: Start,
    process: Option<Process>,
    address: SocketAddr,
    keys: [Key; 3],
}

/// A TSIG key (hmac-sha256).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its secret, in base 64.
    pub secret: String,
}

impl Bind {
    /// A server that is the primary of these zones. Each has its SOA, an NS record and, at the label `alias`, a CNAME.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start(zones: &[&str]) -> Result<Self, Error> {
        let program = program::find("named", PACKAGES)?;
        port::until_up(|| Self::try_start(&program, zones))
    }

    fn try_start(program: &Path, zones: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("a folder for BIND"))?;
        let port = port::free();
        let keys = ["deploy", "somebody", "reader"].map(|name| Key { name, secret: secret() });
        let path = folder.path();
        let write = |name: &str, text: String| {
            fs::write(path.join(name), text).map_err(Error::io(format!("BIND's file {name}")))
        };
        write("named.conf", configuration(path, port, &keys, zones))?;
        for zone in zones {
            let records = "@ 3600 IN SOA ns1.throwaway.test. hostmaster.throwaway.test. 1 3600 600 604800 60\n\
                 @ 3600 IN NS ns1.throwaway.test.\nalias 3600 IN CNAME www.throwaway.test.\n";
            write(&format!("{zone}.zone"), format!("$ORIGIN {zone}.\n{records}"))?;
        }
        let configuration = path.join("named.conf").display().to_string();
        let start = Start {
            name: "BIND",
            program: program.to_owned(),
            args: vec!["-g".to_owned(), "-n".to_owned(), "1".to_owned(), "-c".to_owned(), configuration],
            log: path.join("log"),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { folder, start, process: None, address, keys };
        server.start_again()?;
        Ok(server)
    }

    /// Where it answers, by UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that may update every zone.
    pub fn key(&self) -> &Key {
        &self.keys[0]
    }

    /// Another key that may update every zone: somebody else's.
    pub fn other_key(&self) -> &Key {
        &self.keys[1]
    }

    /// A key that it knows and that may update nothing.
    pub fn reader_key(&self) -> &Key {
        &self.keys[2]
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again after [`stop`](Self::stop), on the same port and with the same records.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start_again(&mut self) -> Result<(), Error> {
        let address = self.address;
        let log = self.folder.path().join("log");
        // It listens before its zones are loaded.
        let is_up = || {
            let is_loaded = fs::read_to_string(&log).is_ok_and(|log| log.contains("all zones loaded"));
            is_loaded && TcpStream::connect(address).is_ok()
        };
        self.process = Some(self.start.start(is_up)?);
        let said = fs::read_to_string(&log).unwrap_or_default();
        if said.contains("not loaded due to errors") {
            let reason = "it does not take a zone".to_owned();
            return Err(Error::NotUp { program: "BIND", reason, log: said });
        }
        Ok(())
    }
}

fn secret() -> String {
    let mut bytes = [0; 32];
    // A key of zeros is as good for a server of a test.
    let _ = getrandom::fill(&mut bytes);
    data_encoding::BASE64.encode(&bytes)
}

fn configuration(folder: &Path, port: u16, keys: &[Key; 3], zones: &[&str]) -> String {
    let folder = folder.display();
    let mut text = format!(
        "options {{
    directory \"{folder}\";
    pid-file none;
    session-keyfile none;
    lock-file none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
}};
controls {{ }};
"
    );
    for Key { name, secret } in keys {
        let _ = writeln!(text, "key \"{name}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};");
    }
    for zone in zones {
        let _ = writeln!(
            text,
            "zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; \
             allow-update {{ key \"deploy\"; key \"somebody\"; }}; }};"
        );
    }
    text
}
