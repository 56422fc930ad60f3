use crate::{
    Builder, Certificates, Database, ServerError,
    cluster::{Cluster, Stop},
    database::{Name, with_database},
    process::run,
    programs::Places,
};
use std::process::{Command, Stdio};

/// A PostgreSQL server: one of ours in a temporary folder, or one that was given by its URL and is only used.
#[derive(Debug)]
pub struct Server {
    whose: Whose,
}

#[derive(Debug)]
enum Whose {
    Ours(Box<Cluster>),
    Given(String),
}

impl Server {
    /// Makes and starts a server of ours. See [`Builder`] for what else it can be.
    ///
    /// # Errors
    /// [`ServerError::Missing`] where the machine has no PostgreSQL; any other where it does not start.
    pub fn start() -> Result<Self, ServerError> {
        Self::builder().start()
    }

    /// Begins a server that shall be special.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Uses a server that runs already, as a user who may create databases. What stops or changes a server is refused with
    /// [`ServerError::Given`].
    ///
    /// # Errors
    /// [`ServerError::Unusable`] where it is not the URL of a PostgreSQL server.
    pub fn given(url: &str) -> Result<Self, ServerError> {
        with_database(url, "postgres")?;
        Ok(Self { whose: Whose::Given(url.to_owned()) })
    }

    pub(crate) fn of(cluster: Cluster) -> Self {
        Self { whose: Whose::Ours(Box::new(cluster)) }
    }

    /// The server, if it is ours.
    pub(crate) fn own(&self) -> Result<&Cluster, ServerError> {
        match &self.whose {
            Whose::Ours(cluster) => Ok(cluster),
            Whose::Given(_) => Err(ServerError::Given),
        }
    }

    /// The URL of `database`. Of a server of ours: by its loopback port, as its superuser, with the password.
    pub fn url(&self, database: &str) -> String {
        match &self.whose {
            Whose::Ours(cluster) => cluster.url(database),
            // Looked at when it was given.
            Whose::Given(url) => with_database(url, database).unwrap_or_default(),
        }
    }

    /// The URL of `database` by the server's socket, where no password is asked for.
    ///
    /// # Errors
    /// [`ServerError::Given`].
    pub fn socket_url(&self, database: &str) -> Result<String, ServerError> {
        Ok(self.own()?.socket_url(database))
    }

    /// Creates a database and answers with its URL.
    ///
    /// # Errors
    /// Where the name is not plain (a-z, 0-9, _) or is taken, or the server refuses.
    pub fn create_database(&self, name: &str) -> Result<String, ServerError> {
        let name = Name::parse(name)?;
        self.create(&name)?;
        Ok(self.url(name.as_str()))
    }

    pub(crate) fn create(&self, name: &Name) -> Result<(), ServerError> {
        self.psql("postgres", &format!("CREATE DATABASE {}", name.as_str())).map(drop)
    }

    /// Creates a database with a name of its own.
    ///
    /// # Errors
    /// Where the server refuses.
    pub fn fresh_database(&self) -> Result<Database<'_>, ServerError> {
        Database::create(self)
    }

    /// Runs `sql` in `database` with psql, as the superuser, and answers with what it printed: a line a row, `|` between
    /// columns. Several statements are one transaction, as psql's `--command` has it.
    ///
    /// # Errors
    /// Where a statement fails, with the server's words.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        let mut psql = match &self.whose {
            Whose::Ours(cluster) => cluster.psql(database),
            Whose::Given(_) => {
                let mut psql = Command::new(Places::of_this_machine().psql()?);
                psql.args(["--dbname", &self.url(database)]).stdin(Stdio::null());
                psql
            }
        };
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]);
        run("psql", psql.args(["--command", sql]))
    }

    /// Stops the server as a crash does: connections are cut, and the next start has to recover.
    ///
    /// # Errors
    /// [`ServerError::Given`], or where it does not stop.
    pub fn stop_immediately(&self) -> Result<(), ServerError> {
        self.own()?.stop(Stop::Immediate)
    }

    /// Stops the server in good order. Connections are ended, transactions rolled back.
    ///
    /// # Errors
    /// [`ServerError::Given`], or where it does not stop.
    pub fn stop_fast(&self) -> Result<(), ServerError> {
        self.own()?.stop(Stop::Fast)
    }

    /// Starts a server that was stopped, with the same data on the same port, and waits until it takes connections.
    ///
    /// # Errors
    /// [`ServerError::Given`], or where it does not start.
    pub fn start_again(&self) -> Result<(), ServerError> {
        self.own()?.start_again()
    }

    /// Stops the server in good order and starts it again.
    ///
    /// # Errors
    /// As [`Server::stop_fast`] and [`Server::start_again`].
    pub fn restart(&self) -> Result<(), ServerError> {
        self.stop_fast()?;
        self.start_again()
    }

    /// Makes a [standby](Builder::standby_of) a primary, as somebody does whose primary is lost.
    ///
    /// # Errors
    /// [`ServerError::Given`], or where it is none.
    pub fn promote(&self) -> Result<(), ServerError> {
        self.own()?.promote()
    }

    /// Ends the shortage that [`Builder::largest_file`] began, while the server runs, as somebody does who makes the disk
    /// larger; or for its next start.
    ///
    /// # Errors
    /// [`ServerError::Given`], or where the limit of a process cannot be raised.
    pub fn enlarge_disk(&self) -> Result<(), ServerError> {
        self.own()?.enlarge_disk()
    }

    /// The server's process. `None` while it is stopped, and for one that was given.
    pub fn pid(&self) -> Option<u32> {
        self.own().ok()?.pid()
    }

    /// What the server has written into its log.
    ///
    /// # Errors
    /// [`ServerError::Given`].
    pub fn log(&self) -> Result<String, ServerError> {
        self.own()?.log()
    }

    /// The certificates of a server that speaks TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.own().ok()?.certificates()
    }
}
