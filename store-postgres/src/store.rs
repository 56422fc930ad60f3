use crate::{
    ConnectError, Settings, WriteStats,
    clock::DatabaseClock,
    connect,
    db::Db,
    failure::{Failure, is_lost, words},
    link::{Link, no_answer},
    passed_over::PassedOver,
    reads::{self, Ask, Reads},
    vm::Item,
    writer::{Run, Writer},
};
use deploy_core::{Clock, CommitError, StoreError, StoreOutcome};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// A store in a PostgreSQL database, for any number of processes. Cheap to clone; the clones are one store.
///
/// # Guarantees
/// - What was answered is committed, as durably as the server's `synchronous_commit` says.
/// - Commits that wait at the same moment share one statement; where one of them fails, only that one fails.
/// - A write whose answer is lost with the connection is looked up, and done again where it proved not to have happened:
///   [`StoreOutcome::Unknown`] is left for a server that does not come back within ten seconds.
/// - Leases go by the database's clock. Times are kept to the microsecond.
///
/// # Assumptions
/// Its calls are made inside a tokio runtime. The server is PostgreSQL 13 or newer.
///
/// # Connections
/// Four for each process at most: one that writes, one for claims and heartbeats, one that reads (or the embedder's pool), one
/// that [listens](Self::listen). Each is made anew when it is gone.
///
/// # Cancel safety
/// A dropped write may have been carried out, a dropped read does nothing.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<Settings>,
    writer: Writer,
    /// Claims and heartbeats: they do not wait for writes, and nothing that takes long is asked here.
    desk: Link,
    reads: Reads,
    /// Machines and notices of a newer program.
    machines: PassedOver<Uuid>,
    notices: PassedOver<i64>,
    clock: Arc<DatabaseClock>,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date: of many processes that start at once, one does that.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropped, it has migrated the schema whole or not at all.
    pub async fn connect(settings: Settings) -> Result<Self, ConnectError> {
        let settings = Arc::new(settings);
        let clock = Arc::new(DatabaseClock::default());
        connect::prepare(&settings, &clock).await?;
        let inner = Inner {
            writer: Writer::start(Arc::clone(&settings)),
            desk: Link::new(Arc::clone(&settings)),
            reads: Reads::new(Arc::clone(&settings)),
            machines: PassedOver::default(),
            notices: PassedOver::default(),
            clock,
            settings,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The database's clock, as a clock for workers and front doors: machines whose own clocks differ then agree on what is
    /// due. It is set at each heartbeat. Whatever else goes by the worker's clock (a hypervisor that holds requests back) takes it
    /// too.
    pub fn clock(&self) -> Arc<dyn Clock> {
        match &self.inner.settings.clock {
            Some(clock) => Arc::clone(clock),
            None => Arc::clone(&self.inner.clock) as _,
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.inner.settings.place()
    }

    /// How much was written since the store was opened.
    pub fn write_stats(&self) -> WriteStats {
        self.inner.writer.stats()
    }

    /// Writes what waits and ends the connections; then every call of every clone is refused.
    ///
    /// Without it they end by themselves when the last clone is dropped.
    pub async fn close(&self) {
        self.inner.writer.close().await;
        self.inner.desk.close();
        self.inner.reads.close();
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.inner.settings
    }

    pub(crate) fn machines_passed_over(&self) -> &PassedOver<Uuid> {
        &self.inner.machines
    }

    pub(crate) fn notices_passed_over(&self) -> &PassedOver<i64> {
        &self.inner.notices
    }

    pub(crate) fn database_clock(&self) -> &DatabaseClock {
        &self.inner.clock
    }

    pub(crate) async fn commit(&self, item: Box<Item>) -> Result<(), CommitError> {
        self.inner.writer.commit(item).await
    }

    pub(crate) async fn write<A, T, E>(&self, args: A, run: Run<A, T, E>) -> Result<T, E>
    where
        A: Send + Sync + 'static,
        T: Send + Sync + 'static,
        E: From<StoreError> + Send + Sync + 'static,
    {
        self.inner.writer.write(args, run).await
    }

    pub(crate) async fn read<A, T, E: From<StoreError>>(&self, args: A, ask: Ask<A, T, E>) -> Result<T, E> {
        self.inner.reads.read(args, ask).await
    }

    /// A single statement on the desk's connection. Where its answer is lost, nobody knows what it did.
    pub(crate) async fn at_desk<T, E: From<StoreError>>(
        &self,
        ask: impl AsyncFnOnce(&Db<'_>) -> Result<T, Failure<E>>,
    ) -> Result<T, E> {
        let Inner { desk, settings, .. } = &*self.inner;
        let client = desk.client().await?;
        let db = Db { client: &client, schema: &settings.schema, now: reads::now(settings) };
        let message = match desk.answered(ask(&db)).await {
            Some(Err(Failure::Sql(error))) if is_lost(&error) => words(&error),
            Some(answer) => return answer.map_err(Failure::into_error),
            None => no_answer(),
        };
        desk.drop_client();
        Err(StoreError { message, outcome: StoreOutcome::Unknown }.into())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.place()).finish_non_exhaustive()
    }
}
