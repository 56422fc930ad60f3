//! On PostgreSQL.

use crate::{
    Targets, Work,
    by_hand::{self, Value},
};
use benches::Fleet;
use deploy_core::{Commit, Lease};
use deploy_testkit::sample;
use std::error::Error;
use store_postgres::{PostgresStore, Settings, Sharing};
use throwaway_postgres::Server;
use tokio_postgres::{
    Client, NoTls, Statement,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

const TARGETS: Targets = Targets { speed: 0.6, cpu: 2.0 };

pub(crate) async fn run(commits: &[Commit]) {
    let server = Server::builder().durable().start().expect("a server");
    let database = server.fresh_database().expect("a database");
    let settings = Settings::parse(&database.url()).expect("settings").with_sharing(Sharing::Greedy);
    let store = PostgresStore::connect(settings).await.expect("a store");
    let mut fleet = Fleet::new(store, sample::full_spec()).await;
    let by_hand = ByHand::new(&database.url(), commits).await;
    let write = async |work| by_hand.commit_all(work).await;
    crate::compare("PostgreSQL, fsync on", &TARGETS, &mut fleet, write, commits).await;
    fleet.store().close().await;
}

/// One connection, one statement for 64 commits, prepared for each commit of the deployment.
struct ByHand {
    client: Client,
    statements: Vec<Statement>,
}

impl ByHand {
    async fn new(url: &str, commits: &[Commit]) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let mut statements = Vec::new();
        for commit in commits {
            let text = statement(commit);
            statements.push(client.prepare(&text).await.unwrap_or_else(|error| panic!("{text}: {error:?}")));
        }
        Self { client, statements }
    }

    async fn commit_all(&self, work: Work) {
        for (place, group) in by_hand::groups(work) {
            let columns = columns(&group);
            let params: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| &**column).collect();
            let written =
                self.client.execute(&self.statements[place], &params).await.expect("commits by hand");
            assert_eq!(written, group.len() as u64, "the rows are there");
        }
    }
}

/// The statement that changes what the commit does and nothing else, of many machines.
fn statement(commit: &Commit) -> String {
    let changes = by_hand::changes(commit);
    let mut arrays = vec!["$1::uuid[]".to_owned(), "$2::uuid[]".to_owned(), "$3::bigint[]".to_owned()];
    let mut names = vec!["key", "owner", "epoch"];
    let mut array = |name, type_name: &str| {
        names.push(name);
        arrays.push(format!("${}::{type_name}[]", names.len()));
    };
    for (column, value) in &changes {
        array(column, type_name(value));
    }
    if commit.log.is_some() {
        for (name, type_name) in
            [("at", "timestamptz"), ("log_operation", "text"), ("log_step", "text"), ("event", "jsonb")]
        {
            array(name, type_name);
        }
    }
    if commit.notice.is_some() {
        array("notice", "jsonb");
    }
    let set: Vec<String> = changes.iter().map(|(column, _)| format!("{column} = item.{column}")).collect();
    let mut text = format!(
        "WITH item AS MATERIALIZED (SELECT * FROM unnest({}) AS item ({}))",
        arrays.join(", "),
        names.join(", ")
    );
    if commit.log.is_some() {
        text += ", logged AS (
            INSERT INTO pve_deploy.deploy_log (vm, at, operation, step, event, last_at)
            SELECT key, at, log_operation, log_step, event, at FROM item
        )";
    }
    if commit.notice.is_some() {
        text +=
            ", told AS (INSERT INTO pve_deploy.outbox (vm, at, notice) SELECT key, now(), notice FROM item)";
    }
    let update = format!(
        " UPDATE pve_deploy.vm_state AS state SET {} FROM item
          WHERE state.key = item.key AND state.owner = item.owner AND state.epoch = item.epoch",
        set.join(", ")
    );
    text + &update
}

fn type_name(value: &Value<'_>) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Json(_) => "jsonb",
        Value::Number(_) => "bigint",
        Value::Time(_) => "timestamptz",
        Value::Id(_) => "uuid",
    }
}

/// The parameters: an array for each column.
fn columns(group: &[(Lease, Commit)]) -> Vec<Box<dyn ToSql + Sync + '_>> {
    let mut columns: Vec<Box<dyn ToSql + Sync + '_>> = vec![
        Box::new(group.iter().map(|(lease, _)| lease.key.0).collect::<Vec<_>>()),
        Box::new(group.iter().map(|(lease, _)| lease.worker.0).collect::<Vec<_>>()),
        Box::new(group.iter().map(|(lease, _)| lease.epoch).collect::<Vec<_>>()),
    ];
    let mut values: Vec<Vec<Value<'_>>> = Vec::new();
    for (_, commit) in group {
        let changes = by_hand::changes(commit).into_iter().map(|(_, value)| value);
        let line = commit.log.iter().flat_map(|line| {
            [
                Value::Time(Some(line.at)),
                Value::Text(line.operation.as_str()),
                Value::Text(line.step.as_str()),
                Value::Json(Some(by_hand::written(&line.event))),
            ]
        });
        let notice = commit.notice.iter().map(|notice| Value::Json(Some(by_hand::written(notice))));
        for (place, value) in changes.chain(line).chain(notice).enumerate() {
            if values.len() == place {
                values.push(Vec::with_capacity(group.len()));
            }
            values[place].push(value);
        }
    }
    for column in values {
        columns.push(Box::new(column));
    }
    columns
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Text(text) => text.to_sql(ty, out),
            Self::Json(None) => Ok(IsNull::Yes),
            Self::Json(Some(json)) => {
                out.extend_from_slice(&[1]); // the version of the format
                json.as_str().to_sql(&Type::TEXT, out)
            }
            Self::Number(number) => i64::from(*number).to_sql(ty, out),
            Self::Time(at) => at.to_sql(ty, out),
            Self::Id(id) => id.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
