//! Clusters and orders.

use super::row;
use crate::{
    column::{self, Columns, find_nul, kept},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{
    ClusterName, ClusterSettings, CreateError, Created, Invalid, Life, LogEvent, NameParts, NewRecord,
    Operation, Progress, SPEC_VERSION, StoreError, VmKey, VmSpec, Vmid, VmidRange,
};
use jiff::SignedDuration;
use serde_json::json;
use tokio_postgres::{Row, types::Type};

/// Writes down a cluster's settings. Where numbers are given next stays as it is.
pub(crate) async fn put_cluster(db: &Db<'_>, settings: &ClusterSettings) -> Result<(), Failure<StoreError>> {
    let text = "INSERT INTO $schema.cluster (name, first_vmid, last_vmid, quarantine, next_vmid)
         VALUES ($1, $2, $3, $4, $2)
         ON CONFLICT (name) DO UPDATE SET first_vmid = $2, last_vmid = $3, quarantine = $4";
    db.execute(
        text,
        &[
            (&settings.name.as_str(), Type::TEXT),
            (&row::number(settings.vmids.first()), Type::INT4),
            (&row::number(settings.vmids.last()), Type::INT4),
            (&column::micros(settings.quarantine), Type::INT8),
        ],
    )
    .await?;
    Ok(())
}

/// All clusters by name.
pub(crate) async fn clusters(db: &Db<'_>) -> Result<Vec<ClusterSettings>, Failure<StoreError>> {
    let rows = db.query("SELECT * FROM $schema.cluster ORDER BY name COLLATE \"C\"", &[]).await?;
    Ok(rows.iter().map(decode).collect::<Result<_, _>>()?)
}

/// The cluster of this name.
pub(crate) async fn cluster<E>(db: &Db<'_>, name: &str) -> Result<Option<ClusterSettings>, Failure<E>> {
    let row = db.optional("SELECT * FROM $schema.cluster WHERE name = $1", &[(&name, Type::TEXT)]).await?;
    Ok(row.as_ref().map(decode).transpose()?)
}

fn decode(row: &Row) -> Result<ClusterSettings, Unreadable> {
    let name: String = Columns::new(row, "a cluster").raw("name")?;
    let what = format!("cluster {name}");
    let columns = Columns::new(row, &what);
    let invalid = |error: Invalid| Unreadable(format!("{what}: {error}"));
    let vmid = |column: &str| Vmid::try_from(columns.number::<i32, u32>(column)?).map_err(invalid);
    Ok(ClusterSettings {
        name: columns.parsed("name")?,
        vmids: VmidRange::new(vmid("first_vmid")?, vmid("last_vmid")?).map_err(invalid)?,
        quarantine: SignedDuration::from_micros(columns.raw("quarantine")?),
    })
}

/// Orders a machine; `$1` is what [`describe`] makes, `$2` a test's time. The same function is there for embedders
/// ([`Order`](crate::Order)).
const ORDER: &str =
    "SELECT outcome, key, vmid FROM $schema.order_machine($1::text::json, coalesce($2, now()))";

/// An order as the database's function takes it: names with `{vmid}` left in them, because only there the number is known.
///
/// # Errors
/// [`Invalid`] for what PostgreSQL cannot keep.
pub(crate) fn describe(order: &NewRecord) -> Result<String, Invalid> {
    let unkept = |field: &str, at: String| {
        Invalid::new(field, at, "text without the character NUL, which PostgreSQL cannot keep")
    };
    if let Some(at) = find_nul(&order.metadata) {
        return Err(unkept("metadata", at));
    }
    // What is nested deeper than a hundred-odd levels could be written and never be read back.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&order.metadata.to_string()) {
        return Err(Invalid::new("metadata", error, "JSON that can be read back"));
    }
    let json_of = |value: serde_json::Result<serde_json::Value>| {
        value.map_err(|error| Invalid::new("order", error, "what has a form in JSON"))
    };
    let spec = json_of(serde_json::to_value(&order.spec))?;
    if let Some(at) = find_nul(&spec) {
        return Err(unkept("spec", at));
    }
    let VmSpec { domain, pve_name, cluster, node, template, .. } = &order.spec;
    let parts = NameParts { vmid: Vmid::MIN, reference: &order.external_ref, cluster, node };
    let (operation, node) = match &order.adopts {
        Some(adopts) => (Operation::Adopt, &adopts.node),
        None => (Operation::Create, &template.node),
    };
    let life = Life { adopts: order.adopts.clone(), ..Life::default() };
    Ok(json!({
        "vmid": order.adopts.as_ref().map(|adopts| adopts.vmid),
        "smbios": order.adopts.as_ref().map(|adopts| adopts.smbios),
        "life": life,
        "key": order.key.0,
        "external_ref": order.external_ref.as_str(),
        "cluster": cluster.as_str(),
        "fqdn": domain.resolve_but_vmid(parts)?,
        "pve_name": pve_name.resolve_but_vmid(parts)?,
        "spec_version": SPEC_VERSION,
        "spec": spec,
        "macs": order.macs,
        "metadata": order.metadata,
        "created_at": kept(order.created_at).to_string(),
        "operation": operation.as_str(),
        "step": operation.first().as_str(),
        "progress": Progress::Untried,
        "node": node.as_str(),
        "event": LogEvent::Ordered,
    })
    .to_string())
}

/// Writes down an order, if its reference is not taken.
pub(crate) async fn create(db: &Db<'_>, order: &NewRecord) -> Result<Created, Failure<CreateError>> {
    let described = describe(order).map_err(|invalid| Failure::Refused(CreateError::Invalid(invalid)))?;
    let answer = db.one(ORDER, &[(&described, Type::TEXT), db.clock()]).await?;
    let columns = Columns::new(&answer, "the answer to an order");
    let name = &order.spec.cluster;
    match columns.raw::<&str>("outcome")? {
        "ordered" => ordered(db, order, row::vmid(&columns)?).await,
        "exists" => existing(db, VmKey(columns.raw("key")?)).await,
        "key_taken" => Err(key_taken(db, order.key).await?),
        "reserved" => Err(reserved(db, name, row::vmid(&columns)?).await?),
        "no_number" => {
            let range = in_cluster(db, name).await?.vmids;
            Err(Failure::Refused(CreateError::NoNumber { cluster: name.clone(), range }))
        }
        _ => Err(Failure::Refused(CreateError::UnknownCluster(name.clone()))),
    }
}

/// The names that the database made are those that the core makes; where it makes none, the order is taken back.
async fn ordered(db: &Db<'_>, order: &NewRecord, vmid: Vmid) -> Result<Created, Failure<CreateError>> {
    order.numbered(vmid).map_err(|invalid| Failure::Refused(CreateError::Invalid(invalid)))?;
    existing(db, order.key).await.map(|created| match created {
        Created::New(record) | Created::Existing(record) => Created::New(record),
    })
}

/// For whom the number of a machine that was to be adopted is reserved.
async fn reserved(
    db: &Db<'_>,
    name: &ClusterName,
    vmid: Vmid,
) -> Result<Failure<CreateError>, Failure<CreateError>> {
    let text = "SELECT external_ref, until FROM $schema.vmid_reservation AS reserved JOIN $schema.vm ON vm.key = reserved.vm
         WHERE reserved.cluster = $1 AND reserved.vmid = $2";
    let row = db.one(text, &[(&name.as_str(), Type::TEXT), (&row::number(vmid), Type::INT4)]).await?;
    let what = format!("number {vmid}");
    let columns = Columns::new(&row, &what);
    Ok(Failure::Refused(CreateError::Reserved {
        cluster: name.clone(),
        vmid,
        reference: columns.parsed("external_ref")?,
        until: columns.raw("until")?,
    }))
}

/// Keys are random; one that is there already means that the source of randomness repeats itself.
async fn key_taken(db: &Db<'_>, key: VmKey) -> Result<Failure<CreateError>, Failure<CreateError>> {
    let text = "SELECT external_ref FROM $schema.vm WHERE key = $1";
    let row = db.one(text, &[(&key.0, Type::UUID)]).await?;
    let reference: &str = row.try_get(0)?;
    let why = format!("the key {key} is that of another order already (reference {reference:?})");
    Ok(Failure::Refused(CreateError::Store(StoreError::not_written(why))))
}

async fn existing(db: &Db<'_>, key: VmKey) -> Result<Created, Failure<CreateError>> {
    let record = row::by_key(db, key).await?.ok_or_else(|| Unreadable(format!("machine {key} is gone")))?;
    Ok(Created::Existing(record))
}

async fn in_cluster(db: &Db<'_>, name: &ClusterName) -> Result<ClusterSettings, Failure<CreateError>> {
    cluster(db, name.as_str())
        .await?
        .ok_or_else(|| Failure::Refused(CreateError::UnknownCluster(name.clone())))
}
