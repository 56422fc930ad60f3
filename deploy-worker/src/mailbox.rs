use crate::MachineActivity;
use deploy_core::{Doorbell, VmKey};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, oneshot};

/// What others want of a dispatcher. Sending never waits, and a thousand rings for one machine are one.
#[derive(Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
    arrived: Notify,
}

#[derive(Default)]
pub(crate) struct Mail {
    /// Nobody reads it any more.
    closed: bool,
    /// Machines with an order or a command.
    pub(crate) rung: BTreeSet<VmKey>,
    /// Something may be due, nobody says which machine.
    pub(crate) woken: bool,
    /// Machines for which a slot may be free now.
    pub(crate) called: Vec<VmKey>,
    /// Whether it is to end.
    pub(crate) ending: Ending,
    /// Who wants to know what every machine does.
    pub(crate) asked: Vec<oneshot::Sender<Vec<MachineActivity>>>,
}

/// Whether a dispatcher is to end, and how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Ending {
    /// It is to work.
    #[default]
    NotYet,
    /// No new turns from now on.
    Drain,
    /// No turns at all.
    BreakOff,
}

impl Mailbox {
    pub(crate) fn call(&self, key: VmKey) {
        self.lock().called.push(key);
        self.arrived.notify_one();
    }

    pub(crate) fn end(&self, how: Ending) {
        self.lock().ending = how;
        self.arrived.notify_one();
    }

    pub(crate) fn ask(&self) -> oneshot::Receiver<Vec<MachineActivity>> {
        let (answer, answered) = oneshot::channel();
        let mut mail = self.lock();
        if !mail.closed {
            mail.asked.push(answer);
            self.arrived.notify_one();
        }
        answered
    }

    /// Nobody reads it any more: whoever asked gets no answer, instead of waiting for one.
    pub(crate) fn close(&self) {
        *self.lock() = Mail { closed: true, ..Mail::default() };
    }

    pub(crate) fn take(&self) -> Mail {
        std::mem::take(&mut *self.lock())
    }

    /// Waits until something was sent since the last wait; cancel-safe.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doorbell for Mailbox {
    fn ring(&self, key: VmKey) {
        self.lock().rung.insert(key);
        self.arrived.notify_one();
    }

    fn wake(&self) {
        self.lock().woken = true;
        self.arrived.notify_one();
    }
}
