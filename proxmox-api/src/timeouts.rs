use std::time::Duration;

/// How long to wait for what.
///
/// A time-out after the request was sent leaves its outcome unknown, so the limits lie beyond those at which the server
/// itself gives up and says more: PVE gives a forwarded request 30 s and then answers 596.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the name, the connection and the TLS handshake together. Default 5 s: time for two lost packets; then the
    /// next node is tried, because nothing was sent.
    pub connect: Duration,
    /// For the complete answer of a call that changes nothing. Default 35 s: just beyond the 30 s of the server, whose
    /// three worker processes may be held up by somebody's slow call for 10 to 20 s.
    pub read: Duration,
    /// For the answer of a call that starts a task or writes a few lines. Default 35 s: such a call waits up to 10 s for
    /// a lock, and for the same worker processes.
    pub short_write: Duration,
    /// For the answer of a call that does its work before it answers: a synchronous change of a configuration, which
    /// may allocate disks, or a call that was given a delay of up to 30 s. Default 75 s: work under a cluster-wide
    /// lock is aborted after 60 s.
    pub long_write: Duration,
    /// How long an idle connection is kept. Default 3 s: the server closes after 5 s, and a request that meets the
    /// closing has an unknown outcome for nothing.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(35),
            short_write: Duration::from_secs(35),
            long_write: Duration::from_secs(75),
            idle: Duration::from_secs(3),
        }
    }
}

impl Timeouts {
    pub(crate) fn of(&self, pace: Pace) -> Duration {
        match pace {
            Pace::Read => self.read,
            Pace::ShortWrite => self.short_write,
            Pace::LongWrite => self.long_write,
        }
    }
}

/// Which of the [`Timeouts`] is the right one for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Changes nothing.
    Read,
    /// Starts a task, or writes a few lines.
    ShortWrite,
    /// Does its work before it answers.
    LongWrite,
}
