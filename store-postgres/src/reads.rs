//! Where reads go: a connection of the store's own, or a pool of the embedder's.

use crate::{
    Settings,
    db::Db,
    failure::{Failure, is_lost, words},
    link::{Link, no_answer},
};
use deploy_core::StoreError;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// A read: what it is given, and what it asks.
pub(crate) type Ask<A, T, E> = for<'a> fn(&'a Db<'a>, &'a A) -> BoxFuture<'a, Result<T, Failure<E>>>;

/// Has `ask` done on a connection, once more where that turned out to be gone: nothing is lost by asking twice.
///
/// # Errors
/// Where nothing was answered, `outcome` is what that means for the caller.
pub(crate) async fn on<A, T, E: From<StoreError>>(
    link: &Link,
    settings: &Settings,
    args: &A,
    ask: Ask<A, T, E>,
) -> Result<T, E> {
    let mut tried = false;
    loop {
        let client = link.client().await?;
        let db = Db { client: &client, schema: &settings.schema, now: now(settings) };
        let why = match link.answered(ask(&db, args)).await {
            Some(Ok(value)) => return Ok(value),
            Some(Err(Failure::Sql(error))) if is_lost(&error) => words(&error),
            Some(Err(failure)) => return Err(failure.into_error()),
            None => no_answer(),
        };
        link.drop_client();
        if tried {
            return Err(StoreError::not_written(why).into());
        }
        tried = true;
    }
}

/// A test's time.
pub(crate) fn now(settings: &Settings) -> Option<jiff::Timestamp> {
    settings.clock.as_ref().map(|clock| crate::column::kept(clock.now()))
}

/// Where reads go.
pub(crate) struct Reads {
    settings: Arc<Settings>,
    link: Link,
}

impl Reads {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { link: Link::new(Arc::clone(&settings)), settings }
    }

    /// Cancel safe: a dropped read ends unheard.
    pub(crate) async fn read<A, T, E: From<StoreError>>(&self, args: A, ask: Ask<A, T, E>) -> Result<T, E> {
        #[cfg(feature = "deadpool")]
        if let Some(pool) = &self.settings.pool {
            let unreachable =
                |error: deadpool_postgres::PoolError| StoreError::not_written(format!("read pool: {error}"));
            let client = pool.get().await.map_err(unreachable)?;
            let db = Db { client: &client, schema: &self.settings.schema, now: now(&self.settings) };
            return match crate::link::answered(ask(&db, &args)).await {
                Some(answer) => answer.map_err(Failure::into_error),
                None => Err(StoreError::not_written(no_answer()).into()),
            };
        }
        on(&self.link, &self.settings, &args, ask).await
    }

    pub(crate) fn close(&self) {
        self.link.close();
    }
}
