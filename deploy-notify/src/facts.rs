use deploy_core::{Notice, QueuedNotice, RecordStore, StoreError, VmRecord};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use std::net::IpAddr;

/// What can be said about a notice: its own particulars, and what the machine's record says of the machine.
///
/// These are the variables of a mail's [`Templates`](crate::Templates) and the `data` of a [`Webhook`](crate::Webhook); the
/// names are the same in both, and none is ever taken away. What is not known is empty (`none` for a template, `null` in
/// JSON), which a template can ask for: `{% if message %}`.
///
/// The record is read when the notice is delivered, so that nothing is kept twice: what a notice must say as it was at the time
/// is in the notice itself (the addresses of a machine that is gone, what was wrong); its name, place and owner are what they
/// are now. A record outlives its machine, and so do they.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Facts {
    /// What this event is called, the same at every repetition and for no other event: see [`event_id`](Self::event_id).
    pub event: String,
    /// What the notice is about: `ready`, `suspended`... ([`NoticeKind::name`](deploy_core::NoticeKind::name)).
    pub kind: &'static str,
    /// When it came to pass, such as `2026-03-01T12:00:00Z`.
    pub at: Timestamp,
    /// The same for people, such as `2026-03-01 12:00 UTC`.
    pub time: String,
    /// The embedder's reference of the order.
    pub reference: String,
    /// The machine's key.
    pub key: String,
    /// Whom the order names.
    pub contact: Option<String>,
    /// The machine's fully qualified domain name.
    pub name: Option<String>,
    /// Its addresses; of a terminated machine those that it had.
    pub addresses: Vec<IpAddr>,
    /// The user whom cloud-init made in the guest.
    pub user: Option<String>,
    /// Its cluster.
    pub cluster: Option<String>,
    /// The node it was last seen on.
    pub node: Option<String>,
    /// Its number.
    pub vmid: Option<u32>,
    /// What is the matter, in words: of `needs_attention`, `vanished` and `left_behind`.
    pub message: Option<String>,
    /// At which step: of `needs_attention`.
    pub step: Option<String>,
    /// Whether it is deployed anew: of `vanished`.
    pub redeployed: Option<bool>,
    /// The backup that it was restored from: of `backup_restored`.
    pub backup: Option<String>,
    /// The embedder's own data of the order, of whatever form.
    pub metadata: serde_json::Value,
}

impl Facts {
    /// The facts of a notice, with its machine's record from `store`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gather(notice: &QueuedNotice, store: &dyn RecordStore) -> Result<Self, StoreError> {
        Ok(Self::of(notice, store.get(notice.key).await?.as_ref()))
    }

    /// The facts of a notice, and of this record of its machine, if there is one.
    pub fn of(notice: &QueuedNotice, record: Option<&VmRecord>) -> Self {
        let numbered = record.map(|record| &record.numbered);
        let cloud_init = record.and_then(|record| record.spec.cloud_init.as_ref());
        let mut facts = Self {
            event: Self::event_id(notice),
            kind: notice.notice.kind().name(),
            at: notice.at,
            time: notice.at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string(),
            reference: notice.external_ref.to_string(),
            key: notice.key.to_string(),
            contact: notice.contact.as_ref().map(ToString::to_string),
            name: numbered.map(|numbered| numbered.fqdn.to_string()),
            addresses: record.into_iter().flat_map(|it| &it.addresses).map(|held| held.address).collect(),
            user: cloud_init.and_then(|it| it.user.as_ref()).map(ToString::to_string),
            cluster: record.map(|record| record.spec.cluster.to_string()),
            node: record.map(|record| record.node.to_string()),
            vmid: numbered.map(|numbered| numbered.vmid.get()),
            message: None,
            step: None,
            redeployed: None,
            backup: None,
            metadata: record.map_or(serde_json::Value::Null, |record| record.metadata.clone()),
        };
        facts.add_particulars(&notice.notice);
        facts
    }

    fn add_particulars(&mut self, notice: &Notice) {
        match notice {
            Notice::NeedsAttention(attention) => {
                self.message = Some(attention.message.clone());
                self.step = Some(attention.step.to_string());
            }
            Notice::Vanished { message, redeployed } => {
                self.message = Some(message.clone());
                self.redeployed = Some(*redeployed);
            }
            Notice::LeftBehind { message } => self.message = Some(message.clone()),
            Notice::BackupRestored { backup } => self.backup = Some(backup.clone()),
            Notice::Terminated { addresses } => self.addresses.clone_from(addresses),
            // Ready, suspended, unsuspended: that they came to pass is all. What a newer core adds is told by its name.
            _ => {}
        }
    }

    /// What the event of a notice is called, the same at every repetition: `<id>-<machine>`, both numbers of the store's. A
    /// notice's id alone would be another store's as well, whose notices may go to the same receiver.
    pub fn event_id(notice: &QueuedNotice) -> String {
        format!("{}-{}", notice.id.0, notice.key)
    }
}
