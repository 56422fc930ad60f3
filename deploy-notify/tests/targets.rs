//! Several targets of one notice, and the channel.
#![allow(clippy::unwrap_used)] // a test that cannot go on should say so at once

use async_trait::async_trait;
use deploy_core::{Notice, NoticeId, NoticeKind, Notifier, NotifyError, QueuedNotice};
use deploy_notify::{Fanout, channel};
use deploy_testkit::sample;
use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A target that does what is next in its script, and then delivers.
#[derive(Clone, Default)]
struct Target(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    script: VecDeque<Outcome>,
    told: Vec<i64>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Fails,
    Hangs,
}

impl Target {
    fn that(script: impl IntoIterator<Item = Outcome>) -> Self {
        let target = Self::default();
        target.0.lock().unwrap().script.extend(script);
        target
    }

    fn told(&self) -> Vec<i64> {
        self.0.lock().unwrap().told.clone()
    }
}

#[async_trait]
impl Notifier for Target {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let next = self.0.lock().unwrap().script.pop_front();
        match next {
            None => {
                self.0.lock().unwrap().told.push(notice.id.0);
                Ok(())
            }
            Some(Outcome::Fails) => Err(NotifyError("no".to_owned())),
            Some(Outcome::Hangs) => pending().await,
        }
    }
}

fn of(id: i64, notice: Notice) -> QueuedNotice {
    QueuedNotice {
        id: NoticeId(id),
        key: sample::key(1),
        external_ref: sample::parsed("order-1"),
        contact: None,
        at: sample::epoch(),
        notice,
    }
}

fn ready(id: i64) -> QueuedNotice {
    of(id, Notice::Ready)
}

#[tokio::test]
async fn a_target_that_was_told_is_left_in_peace_while_another_one_fails() {
    let (mail, hook) = (Target::default(), Target::that([Outcome::Fails, Outcome::Fails]));
    let both =
        Fanout::new().with("mail", NoticeKind::ALL, mail.clone()).with("hook", NoticeKind::ALL, hook.clone());
    for _ in 0..2 {
        let error = both.notify(&ready(1)).await.unwrap_err();
        assert_eq!(error.0, "hook: no");
        assert_eq!((mail.told(), hook.told()), (vec![1], vec![]));
    }
    both.notify(&ready(1)).await.unwrap();
    assert_eq!((mail.told(), hook.told()), (vec![1], vec![1]));
    // Delivered is delivered: if it comes again, nobody noted that, and the receivers go by its id.
    both.notify(&ready(1)).await.unwrap();
    assert_eq!((mail.told(), hook.told()), (vec![1, 1], vec![1, 1]));
}

#[tokio::test]
async fn all_that_failed_say_why() {
    let (one, two) = (Target::that([Outcome::Fails]), Target::that([Outcome::Fails]));
    let both =
        Fanout::new().with("one", NoticeKind::ALL, one.clone()).with("two", NoticeKind::ALL, two.clone());
    assert_eq!(both.notify(&ready(1)).await.unwrap_err().0, "one: no; two: no");
    both.notify(&ready(1)).await.unwrap();
    assert_eq!((one.told(), two.told()), (vec![1], vec![1]));
}

#[tokio::test]
async fn each_is_told_of_what_concerns_it() {
    let (customer, operator) = (Target::default(), Target::default());
    let both = Fanout::new()
        .with("customer", [NoticeKind::Ready, NoticeKind::Terminated], customer.clone())
        .with("operator", [NoticeKind::LeftBehind, NoticeKind::Terminated], operator.clone());
    let notices = [
        Notice::Ready,
        Notice::LeftBehind { message: String::new() },
        Notice::Suspended,
        Notice::Terminated { addresses: Vec::new() },
    ];
    for (id, notice) in (1..).zip(notices) {
        both.notify(&of(id, notice)).await.unwrap();
    }
    assert_eq!((customer.told(), operator.told()), (vec![1, 4], vec![2, 4]));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_holds_nobody_back_and_costs_nobody_a_repetition() {
    let (mail, hook) = (Target::default(), Target::that([Outcome::Hangs]));
    // The one that hangs comes first.
    let both =
        Fanout::new().with("hook", NoticeKind::ALL, hook.clone()).with("mail", NoticeKind::ALL, mail.clone());
    let patience = Duration::from_secs(60);
    assert!(tokio::time::timeout(patience, both.notify(&ready(1))).await.is_err());
    assert_eq!((mail.told(), hook.told()), (vec![1], vec![]));
    both.notify(&ready(1)).await.unwrap();
    assert_eq!((mail.told(), hook.told()), (vec![1], vec![1]));
}

/// By these a worker goes.
#[tokio::test]
async fn each_target_can_be_told_by_itself() {
    let (customer, operator) = (Target::default(), Target::that([Outcome::Fails]));
    let both = Fanout::new().with("customer", [NoticeKind::Ready], customer.clone()).with(
        "operator",
        [NoticeKind::LeftBehind],
        operator.clone(),
    );
    let targets = both.targets();
    assert_eq!(targets.len(), 2);
    let left = of(2, Notice::LeftBehind { message: String::new() });
    for target in &targets {
        target.notify(&ready(1)).await.unwrap();
    }
    targets[0].notify(&left).await.unwrap();
    assert_eq!(targets[1].notify(&left).await.unwrap_err().0, "operator: no");
    targets[1].notify(&left).await.unwrap();
    assert_eq!((customer.told(), operator.told()), (vec![1], vec![2]));
}

#[tokio::test]
async fn what_is_handed_over_counts_once_it_is_dealt_with() {
    let (notifier, mut notices) = channel(1);
    let telling = tokio::spawn({
        let notifier = notifier.clone();
        async move { notifier.notify(&ready(1)).await }
    });
    let told = notices.recv().await.unwrap();
    assert_eq!(told.notice, ready(1));
    assert!(!telling.is_finished());
    told.done();
    assert_eq!(telling.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_full_channel_loses_nothing() {
    let (notifier, mut notices) = channel(1);
    let first = tokio::spawn({
        let notifier = notifier.clone();
        async move { notifier.notify(&ready(1)).await }
    });
    while notices.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(notifier.notify(&ready(2)).await.unwrap_err().0, "the channel is full");
    drop(notices.recv().await.unwrap());
    assert_eq!(first.await.unwrap().unwrap_err().0, "the listener dropped the notice");
    let again = tokio::spawn({
        let notifier = notifier.clone();
        async move { notifier.notify(&ready(1)).await }
    });
    notices.recv().await.unwrap().done();
    assert_eq!(again.await.unwrap(), Ok(()));
    drop(notices);
    assert_eq!(notifier.notify(&ready(2)).await.unwrap_err().0, "nobody listens to the channel");
}
