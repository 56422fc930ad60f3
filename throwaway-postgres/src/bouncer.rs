use crate::{
    Server, ServerError,
    cluster::USER,
    folder::Folder,
    port,
    process::{command, tail},
    programs::Places,
};
use std::{
    fs::OpenOptions,
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Child,
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(10);
const PORTS: usize = 5;

/// Debian's pgbouncer in front of a server of ours, in transaction mode: a connection of the server is the client's for one
/// transaction. Here it takes them in turn, so that the next transaction is sure to have another one, as in production it
/// now and then has. A server that was away it tries again after a second. It goes as a server goes.
#[derive(Debug)]
pub struct Bouncer {
    process: Child,
    port: u16,
    password: String,
    /// The last field: the process is stopped with it.
    _folder: Folder,
}

impl Bouncer {
    /// Starts one for all databases of `server`.
    ///
    /// # Errors
    /// [`ServerError::Missing`] where the machine has no pgbouncer, [`ServerError::Given`] for a server that is not ours, or
    /// where it does not start.
    pub fn start(server: &Server) -> Result<Self, ServerError> {
        let program = Places::of_this_machine().pgbouncer()?;
        let cluster = server.own()?;
        let folder = Folder::make("pid")?;
        let users = format!("\"{USER}\" \"{}\"\n", cluster.password());
        let users = folder.write("users", &users)?;
        let log = folder.write("log", "")?;
        let mut tries = 1;
        loop {
            let port = port::free();
            let settings = format!(
                "[databases]\n* = host={} port={}\n[pgbouncer]\npool_mode = transaction\nmax_client_conn = 1000\nmin_pool_size = 4\nserver_round_robin = 1\nserver_login_retry = 1\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npidfile = {}\n",
                cluster.sockets().display(),
                cluster.port(),
                users.display(),
                folder.path().join("pid").display(),
            );
            let settings = folder.write("pgbouncer.ini", &settings)?;
            match start(&program, &folder, &settings, &log, port) {
                Err(ServerError::NotUp { log: said, .. }) if said.contains("in use") && tries < PORTS => {
                    tries += 1;
                }
                Err(error) => return Err(error),
                Ok(process) => {
                    let password = cluster.password().to_owned();
                    return Ok(Self { process, port, password, _folder: folder });
                }
            }
        }
    }

    /// The URL of `database` through the bouncer.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }
}

fn start(
    program: &Path,
    folder: &Folder,
    settings: &Path,
    log: &Path,
    port: u16,
) -> Result<Child, ServerError> {
    let output = OpenOptions::new().append(true).open(log).map_err(ServerError::io("the log"))?;
    let mut start = command(program, folder.path(), folder.account());
    start.arg(settings).stderr(output).process_group(0);
    let mut process = start.spawn().map_err(ServerError::io("pgbouncer"))?;
    let until = Instant::now() + PATIENCE;
    let not_up = |reason: String| ServerError::NotUp { program: "pgbouncer", reason, log: tail(log) };
    loop {
        if let Some(status) = process.try_wait().map_err(ServerError::io("pgbouncer"))? {
            return Err(not_up(format!("it ended ({status})")));
        }
        if tail(log).contains("process up") && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(process);
        }
        if Instant::now() > until {
            let _ = process.kill();
            let _ = process.wait();
            return Err(not_up("it takes no connections".into()));
        }
        thread::sleep(GLANCE);
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
