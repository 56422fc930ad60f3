/// What one pass of [`Worker::tick`](crate::Worker::tick) came to. Counts machines, except where it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TickReport {
    /// That were due, and leased.
    pub machines: usize,
    /// For which something was done.
    pub advanced: usize,
    /// That are ready.
    pub ready: usize,
    /// Of which nothing is left.
    pub terminated: usize,
    /// That are still on their way: they wait for a task, a slot or a time, or the pass's time was over.
    pub waiting: usize,
    /// That need a human.
    pub attention: usize,
    /// Notices that were delivered.
    pub notices: usize,
    /// Whether everything that was due went as far as it could; otherwise the time was over first.
    pub complete: bool,
}
