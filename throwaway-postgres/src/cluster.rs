//! A server of our own: its folder, its programs, its process.

use crate::{
    Builder, ServerError,
    builder::Primary,
    folder::Folder,
    port,
    process::{command, run, tail},
    programs::Places,
    random::random,
    tls::Certificates,
};
use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The superuser of every server of ours.
pub(crate) const USER: &str = "postgres";

/// How long a server may take to come up: recovery after a hard stop included, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(10);

/// How many ports are tried.
const PORTS: usize = 5;

/// How a server is asked to stop (`pg_ctl stop -m`).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// Connections are ended, everything is written down.
    Fast,
    /// As a crash.
    Immediate,
}

/// A server of our own, which can be stopped and started.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
    certificates: Option<Certificates>,
    /// In blocks of 512 bytes, as `ulimit` has it.
    largest_file: Mutex<Option<u32>>,
    /// `None` while it is stopped.
    process: Mutex<Option<Child>>,
    /// The last field: the process is stopped with it.
    folder: Folder,
}

impl Cluster {
    pub(crate) fn start(wanted: &Builder) -> Result<Self, ServerError> {
        let programs = Places::of_this_machine().postgres()?;
        let folder = Folder::make("data/postmaster.pid")?;
        let certificates = wanted.tls.then(|| Certificates::make(&folder)).transpose()?;
        let mut cluster = Self {
            data: folder.subfolder("data")?,
            sockets: folder.subfolder("socket")?,
            log: folder.write("log", "")?,
            port: 0,
            password: wanted
                .primary
                .as_ref()
                .map_or_else(|| format!("{:016x}", random()), |it| it.password.clone()),
            largest_file: Mutex::new(wanted.largest_file),
            process: Mutex::new(None),
            programs,
            certificates,
            folder,
        };
        match &wanted.primary {
            None => cluster.init_data(wanted.wal_segments)?,
            Some(Primary { url, .. }) => cluster.copy_data(url)?,
        }
        cluster.append_settings(wanted)?;
        cluster.start_on_a_free_port()?;
        Ok(cluster)
    }

    /// A command of one of PostgreSQL's programs.
    fn command(&self, program: &str) -> Command {
        command(&self.programs.join(program), self.folder.path(), self.folder.account())
    }

    fn init_data(&self, wal_segments: Option<u32>) -> Result<(), ServerError> {
        let password = self.folder.write("password", &self.password)?;
        let mut initdb = self.command("initdb");
        initdb.arg("--pgdata").arg(&self.data).arg("--pwfile").arg(password);
        initdb.args(["--username", USER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--lc-messages", "C"]);
        initdb.args(["--auth-local", "trust", "--auth-host", "scram-sha-256", "--no-sync"]);
        if let Some(mebibytes) = wal_segments {
            initdb.args(["--wal-segsize", &mebibytes.to_string()]);
        }
        run("initdb", &mut initdb)?;
        let Some(certificates) = &self.certificates else { return Ok(()) };
        let rules =
            "local all all trust\nlocal replication all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        self.folder.write("data/pg_hba.conf", rules)?;
        self.append(&certificates.settings())
    }

    fn copy_data(&self, url: &str) -> Result<(), ServerError> {
        let mut copy = self.command("pg_basebackup");
        copy.arg("--pgdata").arg(&self.data).args(["--dbname", url]);
        copy.args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]);
        run("pg_basebackup", &mut copy).map(drop)
    }

    fn append_settings(&self, wanted: &Builder) -> Result<(), ServerError> {
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", self.sockets.to_str().unwrap_or_default()),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
        ];
        if !wanted.durable {
            settings.extend([("fsync", "off"), ("full_page_writes", "off")]);
        }
        let own = wanted.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.append(&settings.into_iter().chain(own).collect::<Vec<_>>())
    }

    /// Appends to `postgresql.conf`, where the last line about a parameter is the one that counts.
    fn append(&self, settings: &[(&str, &str)]) -> Result<(), ServerError> {
        let path = self.data.join("postgresql.conf");
        let mut text = fs::read_to_string(&path).map_err(ServerError::io("postgresql.conf"))?;
        for (name, value) in settings {
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        self.folder.write("data/postgresql.conf", &text).map(drop)
    }

    fn start_on_a_free_port(&mut self) -> Result<(), ServerError> {
        let mut tries = 1;
        loop {
            self.port = port::free();
            match self.start_again() {
                Err(ServerError::NotUp { log, .. })
                    if log.contains("Address already in use") && tries < PORTS =>
                {
                    tries += 1;
                    self.folder.write("log", "")?;
                }
                ended => return ended,
            }
        }
    }

    /// Starts the process and waits until it takes connections; for a standby, that it can be read.
    pub(crate) fn start_again(&self) -> Result<(), ServerError> {
        let mut process = self.process();
        if process.is_some() {
            return Err(ServerError::Unusable("the server is running already".into()));
        }
        let log = OpenOptions::new().append(true).open(&self.log);
        let log = log.map_err(ServerError::io(self.log.display().to_string()))?;
        let mut child = self.spawn(log)?;
        let up = self.wait_until_up(&mut child);
        if up.is_err() {
            // It might be of no use and run nevertheless.
            let _ = child.kill();
            let _ = child.wait();
        } else {
            *process = Some(child);
        }
        up
    }

    fn spawn(&self, log: File) -> Result<Child, ServerError> {
        let server = self.programs.join("postgres");
        let largest_file = *self.largest_file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut start = match largest_file {
            None => self.command("postgres"),
            Some(blocks) => {
                let mut shell = command(Path::new("/bin/sh"), self.folder.path(), self.folder.account());
                // The soft limit alone, so that it can be raised again without being root.
                shell
                    .args(["-c", "ulimit -S -f \"$1\" && shift && exec \"$@\"", "sh", &blocks.to_string()])
                    .arg(server);
                shell
            }
        };
        start.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]);
        let errors = log.try_clone().map_err(ServerError::io("the log"))?;
        // A group of its own, for Ctrl-C is not meant for it.
        start.stdout(log).stderr(errors).process_group(0).spawn().map_err(ServerError::io("postgres"))
    }

    fn wait_until_up(&self, child: &mut Child) -> Result<(), ServerError> {
        let not_up =
            |reason: String| ServerError::NotUp { program: "postgres", reason, log: tail(&self.log) };
        let until = Instant::now() + PATIENCE;
        while !self.says_ready(child.id()) {
            if let Some(status) = child.try_wait().map_err(ServerError::io("postgres"))? {
                return Err(not_up(format!("it ended ({status})")));
            }
            if Instant::now() > until {
                return Err(not_up(format!("not ready after {} s", PATIENCE.as_secs())));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Whether the server's own pid file says so, in its eighth line. The file of one that was killed still lies there.
    fn says_ready(&self, pid: u32) -> bool {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
    }

    /// Stops the process. Nothing is done where it stands already.
    pub(crate) fn stop(&self, how: Stop) -> Result<(), ServerError> {
        let mut process = self.process();
        let Some(mut child) = process.take() else { return Ok(()) };
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "--silent", "--wait", "--mode", mode, "--pgdata"]).arg(&self.data);
        let stopped = run("pg_ctl", &mut stop);
        if stopped.is_err() {
            *process = Some(child);
            return stopped.map(drop);
        }
        child.wait().map(drop).map_err(ServerError::io("postgres"))
    }

    /// Makes a standby a primary.
    pub(crate) fn promote(&self) -> Result<(), ServerError> {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "--silent", "--wait", "--pgdata"]).arg(&self.data);
        run("pg_ctl", &mut promote).map(drop)
    }

    /// Ends the limit of its files, also of every process that it has.
    pub(crate) fn enlarge_disk(&self) -> Result<(), ServerError> {
        *self.largest_file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let Some(pid) = self.pid() else { return Ok(()) };
        let script = include_str!("enlarge_disk.sh");
        let mut shell = command(Path::new("/bin/sh"), self.folder.path(), self.folder.account());
        run("prlimit", shell.args(["-c", script, "sh", &pid.to_string()])).map(drop)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Child::id)
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        // One that ended by itself is stopped.
        if process.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some())) {
            *process = None;
        }
        process
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    pub(crate) fn socket_url(&self, database: &str) -> String {
        let folder = self.sockets.to_string_lossy().replace('/', "%2F");
        format!("postgres://{USER}@{folder}:{}/{database}", self.port)
    }

    /// What is asked in `database` with psql, which connects by the socket.
    pub(crate) fn psql(&self, database: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["--dbname", &self.socket_url(database)]);
        psql
    }

    pub(crate) fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    pub(crate) fn log(&self) -> Result<String, ServerError> {
        let bytes = fs::read(&self.log).map_err(ServerError::io(self.log.display().to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn sockets(&self) -> &Path {
        &self.sockets
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Stopped here already, so that its memory and its port are free when this returns; the watchdog would do it, too.
        let _ = self.stop(Stop::Immediate);
    }
}
