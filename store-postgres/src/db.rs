use crate::schema::Schema;
use jiff::Timestamp;
use tokio_postgres::{
    Client, Error, Row,
    types::{ToSql, Type},
};

/// A parameter with its type.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection, as one piece of work sees it.
///
/// Statements are never prepared by name: behind a pooler the next one may run on another of the server's processes.
pub(crate) struct Db<'a> {
    pub(crate) client: &'a Client,
    pub(crate) schema: &'a Schema,
    /// A test's time; otherwise it is the database's. Statements say `coalesce($n, now())`.
    pub(crate) now: Option<Timestamp>,
}

impl Db<'_> {
    pub(crate) async fn query(&self, text: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>, Error> {
        self.client.query_typed(&self.schema.text(text), params).await
    }

    pub(crate) async fn one(&self, text: &'static str, params: &[Param<'_>]) -> Result<Row, Error> {
        self.client.query_typed_one(&self.schema.text(text), params).await
    }

    pub(crate) async fn optional(
        &self,
        text: &'static str,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, Error> {
        self.client.query_typed_opt(&self.schema.text(text), params).await
    }

    pub(crate) async fn execute(&self, text: &'static str, params: &[Param<'_>]) -> Result<u64, Error> {
        self.client.execute_typed(&self.schema.text(text), params).await
    }

    /// The parameter for a statement's `coalesce($n, now())`.
    pub(crate) fn clock(&self) -> Param<'_> {
        (&self.now, Type::TIMESTAMPTZ)
    }
}
