//! What the tests have in common: a store with a cluster and a worker, and what the program says in its log.

use crate::wire::Wire;
use deploy_core::{
    Commit, CommitError, Created, Lease, LeaseStore, Leased, LogEntry, LogEvent, LogId, LogLine, Operation,
    RecordStore, Step, StoreError, StoreOutcome, VmKey,
};
use deploy_testkit::sample;
use jiff::SignedDuration;
use std::{
    cell::RefCell,
    io,
    sync::{Arc, LazyLock, Mutex, Once},
    time::Duration,
};
use store_postgres::{PostgresStore, Settings, Sharing};
use throwaway_postgres::{Database, Server};
use tracing_subscriber::fmt::MakeWriter;

/// So long the tests' workers live: longer than any test.
pub(crate) const ALIVE: SignedDuration = SignedDuration::from_mins(10);

/// Longer than anything here takes, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server of our own, also where one was given: roles are a whole server's, and who must give which password is, too.
pub(crate) fn own_server() -> &'static Server {
    static OWN: LazyLock<Server> = LazyLock::new(|| Server::start().unwrap());
    &OWN
}

/// The URL of `database`, of [`own_server`], for an ordinary user who may do what `grants` say.
pub(crate) fn as_role(database: &Database<'_>, grants: &str) -> String {
    let role = format!("role_of_{}", database.name());
    let grants = grants.replace("$role", &role).replace("$database", database.name());
    database.psql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'; {grants}")).unwrap();
    let url = database.url();
    let (_, host) = url.split_once('@').unwrap();
    format!("postgres://{role}:secret@{host}")
}

/// Settings for a worker that takes all there is.
pub(crate) fn settings(url: &str) -> Settings {
    Settings::parse(url).unwrap().with_sharing(Sharing::Greedy)
}

pub(crate) async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(settings(url)).await.unwrap()
}

/// A store with the sample cluster (numbers 100 to 9999), whose first worker lives.
pub(crate) async fn begun(url: &str) -> PostgresStore {
    let store = connect(url).await;
    store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
    store.heartbeat(&sample::worker(1), ALIVE).await.unwrap();
    store
}

/// A wire to the server of `url`, and the URL by it.
pub(crate) async fn wired(url: &str) -> (Wire, String) {
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let wire = Wire::to(port.parse().unwrap()).await;
    let url = url.replace(&format!(":{port}/"), &format!(":{}/", wire.port));
    (wire, url)
}

/// Writes down the n-th sample order, which must be new.
pub(crate) async fn order(store: &PostgresStore, n: u32) {
    assert!(matches!(store.create(&sample::order(n)).await.unwrap(), Created::New(_)), "order {n}");
}

/// Leases all that is due to the first worker.
pub(crate) async fn claim(store: &PostgresStore) -> Vec<Leased> {
    store.claim(sample::worker(1).id, 1000).await.unwrap()
}

/// Orders the n-th machine and leases it; nothing else may be due.
pub(crate) async fn leased(store: &PostgresStore, n: u32) -> Leased {
    order(store, n).await;
    let mut leased = claim(store).await;
    assert_eq!(leased.len(), 1, "only the order {n} is due");
    leased.remove(0)
}

/// A commit that writes one line.
pub(crate) fn noted(what: impl Into<String>) -> Commit {
    let event = LogEvent::Noted { what: what.into() };
    let line = LogLine { at: sample::epoch(), operation: Operation::Create, step: Step::SetIp, event };
    Commit { log: Some(line), ..Commit::default() }
}

/// What was noted about a machine, each line as often as it was written.
pub(crate) async fn notes(store: &PostgresStore, key: VmKey) -> Vec<String> {
    let log: Vec<LogEntry> = store.log(key, LogId(0), 10_000).await.unwrap();
    let mut notes = Vec::new();
    for entry in log {
        if let LogEvent::Noted { what } = entry.line.event {
            notes.extend((0..entry.times).map(|_| what.clone()));
        }
    }
    notes
}

/// Asks again and again until there is an answer, for what other processes do in their own time.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, asking).await;
    waited.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}

/// Writes a line as soon as it can be written; up to then every refusal has these words.
pub(crate) async fn note_at_last(store: &PostgresStore, lease: &Lease, what: &str, words: &str) {
    until("it is written", async || match store.commit(lease, noted(what)).await {
        Ok(()) => Some(()),
        refused => {
            let said = not_written(refused);
            assert!(said.contains(words), "{words:?} in: {said}");
            None
        }
    })
    .await;
}

/// What was said about a write that did not happen.
pub(crate) fn not_written<T: std::fmt::Debug, E: Refused + std::fmt::Debug>(answer: Result<T, E>) -> String {
    match answer.map_err(Refused::store) {
        Err(Ok(StoreError { message, outcome: StoreOutcome::NotWritten })) => message,
        other => panic!("{other:?}"),
    }
}

/// An error that may be the store's.
pub(crate) trait Refused: Sized {
    /// The store's error, or this one again.
    fn store(self) -> Result<StoreError, Self>;
}

impl Refused for StoreError {
    fn store(self) -> Result<StoreError, Self> {
        Ok(self)
    }
}

impl Refused for CommitError {
    fn store(self) -> Result<StoreError, Self> {
        match self {
            Self::Store(error) => Ok(error),
            Self::Fenced => Err(self),
        }
    }
}

impl Refused for deploy_core::CreateError {
    fn store(self) -> Result<StoreError, Self> {
        match self {
            Self::Store(error) => Ok(error),
            other => Err(other),
        }
    }
}

/// What the program has logged on this thread while this was there.
///
/// There is one subscriber for all tests, which asks each thread who listens: `tracing` remembers what a thread without any
/// was not interested in, for all threads.
#[derive(Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static LISTENS: RefCell<Option<Logged>> = const { RefCell::new(None) };
}

impl Logged {
    /// Begins to listen. A test whose runtime is its own thread hears the store's tasks, too.
    pub(crate) fn listen() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(EachThread).init());
        let logged = Self::default();
        LISTENS.set(Some(logged.clone()));
        logged
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Asserts that a line of `level` has `words`.
    pub(crate) fn must_have(&self, level: &str, words: &str) {
        let text = self.text();
        assert!(
            text.lines().any(|line| line.contains(level) && line.contains(words)),
            "{words:?} in:\n{text}"
        );
    }
}

/// Writes to whoever listens on this thread.
struct EachThread;

impl MakeWriter<'_> for EachThread {
    type Writer = Listener;

    fn make_writer(&self) -> Listener {
        Listener(LISTENS.with_borrow(Clone::clone))
    }
}

struct Listener(Option<Logged>);

impl io::Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(logged) => logged.0.lock().unwrap().write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
