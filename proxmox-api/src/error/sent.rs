use std::fmt;

/// How far a failed request got.
///
/// What went wrong and whether the server may have acted are two questions: "connection refused" and "no answer
/// within the time-out" are both temporary, but only the first may be repeated blindly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// The request never reached the daemon that would have carried it out: the name did not resolve, the connection
    /// or the TLS handshake failed, the request was not valid in the first place, or a forwarding node answered 595.
    /// Nothing has changed; any request may be sent again, anywhere.
    No,
    /// The server looked at the request and refused it before acting (400, 401, 403, 501...). Nothing has changed.
    Refused,
    /// The handler ran and reported a failure (500). A call that starts a task has then started none; a synchronous
    /// call may have done a part of its work. PVE's update of a configuration leaves an arbitrary subset behind.
    Yes,
    /// It is not known: the answer was lost (reset, time-out, 596, 597, 599). The handler, or a task it started, may be
    /// running or done. Look before anything is repeated.
    Unknown,
}

impl Sent {
    /// True where nothing can have changed on the server.
    pub const fn is_harmless(self) -> bool {
        matches!(self, Self::No | Self::Refused)
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "not sent",
            Self::Refused => "refused before anything was done",
            Self::Yes => "carried out, at least in part",
            Self::Unknown => "unknown whether it was carried out",
        })
    }
}
