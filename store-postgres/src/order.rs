use crate::{Settings, column::kept, vm};
use deploy_core::{Invalid, NewRecord, Vmid};

/// An order as SQL, for those who want to write it inside a transaction of their own, together with their own rows: the
/// machine is ordered if, and only if, that transaction is committed. With any client: there is one statement with one parameter,
/// a text.
///
/// The statement answers one row: `outcome` (text), `key` (uuid) and `vmid` (integer). The outcome is `ordered`; `exists`,
/// where a machine that is not terminated has this reference (its key and number); `unknown_cluster`, `no_number`,
/// `key_taken` and, of a machine that is to be adopted, `reserved`, where its number is that of another one (its key and number);
/// after these no machine was ordered.
///
/// In a transaction that is `REPEATABLE READ` or `SERIALIZABLE` an order of somebody else at the same moment makes it fail with
/// 40001, as such transactions do; it is to be tried again from its beginning.
///
/// Until the transaction ends, other orders of the same cluster wait for it: order last, and commit soon.
///
/// ```no_run
/// # async fn f(mut client: tokio_postgres::Client, settings: store_postgres::Settings, order: deploy_core::NewRecord)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let order = store_postgres::Order::new(&settings, &order)?;
/// let transaction = client.transaction().await?;
/// transaction.execute("INSERT INTO invoice (reference) VALUES ($1)", &[&"order-4711"]).await?;
/// let row = transaction.query_one(order.sql(), &[&order.parameter()]).await?;
/// assert_eq!(row.get::<_, &str>("outcome"), "ordered");
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Order {
    sql: String,
    parameter: String,
}

impl Order {
    /// The statement for this order. `deploy_core::Deployments::prepare` makes the order, with its key and MACs.
    ///
    /// # Errors
    /// [`Invalid`] where its names are none with every number, or where it has what PostgreSQL cannot keep.
    pub fn new(settings: &Settings, order: &NewRecord) -> Result<Self, Invalid> {
        for vmid in [Vmid::MIN, Vmid::MAX] {
            order.numbered(vmid)?;
        }
        let order = NewRecord { created_at: kept(order.created_at), ..order.clone() };
        Ok(Self { sql: settings.schema.fill(SQL), parameter: vm::describe(&order)? })
    }

    /// The statement.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its parameter `$1`, a text.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }
}

const SQL: &str = "SELECT outcome, key, vmid FROM $schema.order_machine($1::text::json)";

impl Settings {
    /// All statements that bring an empty database to the version of this program, for those who let no program change their
    /// schemas. The store then finds nothing to do. Where its user is not the one who ran them, it needs `USAGE` on the schema,
    /// `SELECT, INSERT, UPDATE, DELETE` on all tables in it and `SELECT` on all sequences; so does whoever uses an [`Order`].
    pub fn migration_sql(&self) -> String {
        self.schema.script()
    }
}
