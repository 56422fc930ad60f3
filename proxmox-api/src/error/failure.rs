/// What a failure means, whichever way it was reported.
///
/// PVE answers nearly every failure with status 500 and a sentence, and reports the failures of tasks as the same
/// sentences in the exit status. [`classify`](crate::classify) sorts the sentences; [`ApiError::class`] adds what the
/// status code and the transport know.
///
/// [`ApiError::class`]: crate::ApiError::class
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing is wrong with the request: a node could not be reached or could not fork a worker. Again in seconds.
    Transient,
    /// Something else holds what we need. Waiting, not failure.
    Busy(Busy),
    /// The outcome is not known: the answer was lost, the worker was killed, the log is gone. Look, then decide.
    UnknownOutcome,
    /// The digest did not match: somebody, often our own earlier request, has changed the file. Read it again.
    Changed,
    /// The configuration is not on the node that was asked: moved, destroyed, or not made yet.
    Gone,
    /// The VMID that was to be made exists: ours (running or done), or a stranger's.
    Taken,
    /// The wish is fulfilled already. Compare what is there with what was wanted.
    Already(Already),
    /// The machine is in a state that does not allow this: running, stopped, paused. Look at it first.
    WrongState,
    /// The guest has not done its part: no agent answers (yet), or it ignores the shutdown.
    Guest,
    /// Not authenticated: wrong, expired or deleted token or password.
    Unauthorized,
    /// A privilege is missing. Also what PVE answers for a machine whose rights vanished together with it.
    Forbidden,
    /// The parameters or the configuration do not allow this. Repeating it changes nothing.
    Refused,
    /// The storage has no room.
    Full,
    /// The server's certificate is not the one that we trust. Needs a person; never a reason to check less.
    Untrusted,
    /// A failure without a known meaning. Look, then try again slowly and tell a person.
    Other,
}

/// What is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Busy {
    /// `VM is locked (X)`: the persistent lock in the configuration. Which one: [`locked_by`](crate::locked_by).
    /// It survives crashes, so a lock that nothing holds needs a person.
    Locked,
    /// The short lock on the configuration file of one machine; another operation on it is running.
    File,
    /// A lock of the whole cluster, such as that on a shared storage or on the firewall of a machine.
    Cluster,
    /// The cluster has no quorum and is read-only.
    NoQuorum,
    /// A storage is not online at the moment.
    Storage,
    /// A device could not be plugged or unplugged while the machine runs; the change stays pending.
    Hotplug,
}

/// Which wish is fulfilled already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Already {
    /// The machine runs.
    Running,
    /// The object exists: IP set, address, alias, pool, pool member, HA resource, snapshot, template.
    Exists,
    /// The object does not exist: IP set, firewall rule, pool member, HA resource, snapshot.
    Absent,
    /// The machine is on the target node.
    OnTarget,
    /// The disk is larger than what was asked for (PVE never shrinks). Done only if that is what was wanted.
    Larger,
}

impl Failure {
    /// True where the same request may succeed in a moment without anybody's doing.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Transient | Self::Busy(_) | Self::Guest)
    }
}
