use async_trait::async_trait;
use deploy_core::{Notice, NoticeId, Notifier, NotifyError, QueuedNotice, VmKey};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Where notices arrive, once each: a notice told twice has one number.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<BTreeMap<NoticeId, (VmKey, Notice)>>);

impl Inbox {
    /// How many different notices of this kind a machine's owner got.
    pub(crate) fn count(&self, key: VmKey, is: impl Fn(&Notice) -> bool) -> usize {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.values().filter(|(of, notice)| *of == key && is(notice)).count()
    }

    /// The volumes that somebody was told to free: the node, and the volume.
    pub(crate) fn left_behind(&self) -> Vec<(String, String)> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = told.values().filter_map(|(_, notice)| match notice {
            Notice::LeftBehind { message } => Some(message),
            _ => None,
        });
        let commands = messages.flat_map(|message| message.split("pvesm free ").skip(1));
        commands
            .filter_map(|command| {
                let (volume, rest) = command.split_once(" (as root on ")?;
                Some((rest.split([',', ')']).next()?.to_owned(), volume.to_owned()))
            })
            .collect()
    }
}

#[async_trait]
impl Notifier for Inbox {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(notice.id, (notice.key, notice.notice.clone()));
        Ok(())
    }
}
