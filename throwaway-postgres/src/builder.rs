use crate::{Server, ServerError, cluster::Cluster};

/// How a server shall be. `Server::builder()` begins one.
#[derive(Debug, Default)]
pub struct Builder {
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) durable: bool,
    pub(crate) tls: bool,
    pub(crate) largest_file: Option<u32>,
    pub(crate) wal_segments: Option<u32>,
    pub(crate) primary: Option<Primary>,
}

/// The server that a standby follows.
#[derive(Debug)]
pub(crate) struct Primary {
    /// Where it is copied from.
    pub(crate) url: String,
    /// Its superuser's password, which is copied along.
    pub(crate) password: String,
}

impl Builder {
    /// Sets a parameter of `postgresql.conf`. What is set here wins over everything else.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes to the disk what is committed, as a server in production does: for measurements, and where the machine's
    /// power is cut. Without it `fsync` and `full_page_writes` are off, which survives every stop and kill of the server.
    /// `synchronous_commit` is on either way.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Speaks TLS on the loopback port, and nothing else there. See [`Server::certificates`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Lets no file grow over `blocks` of 512 bytes, as a full disk would: by the server's `ulimit -f`, which needs no rights
    /// and no mount. With an odd number the last page of a table is cut, which PostgreSQL reports as a full disk
    /// (SQLSTATE 53100). [`Server::enlarge_disk`] ends it.
    pub fn largest_file(mut self, blocks: u32) -> Self {
        self.largest_file = Some(blocks);
        self
    }

    /// Makes the write-ahead log of files of so many MiB: a power of two; 16 without this. Where [`largest_file`](Self::largest_file)
    /// leaves room for them, tables fill up; where it does not, the log does, and the server crashes.
    pub fn wal_segments(mut self, mebibytes: u32) -> Self {
        self.wal_segments = Some(mebibytes);
        self
    }

    /// A copy of `primary` that follows it: a server in recovery, which can only be read.
    ///
    /// # Errors
    /// [`ServerError::Given`] where `primary` was given by its URL.
    pub fn standby_of(mut self, primary: &Server) -> Result<Self, ServerError> {
        let primary = primary.own()?;
        let (url, password) = (primary.socket_url("postgres"), primary.password().to_owned());
        self.primary = Some(Primary { url, password });
        Ok(self)
    }

    /// Makes and starts it.
    ///
    /// # Errors
    /// [`ServerError::Missing`] where the machine has no PostgreSQL; any other where it does not start.
    pub fn start(self) -> Result<Server, ServerError> {
        Cluster::start(&self).map(Server::of)
    }
}
