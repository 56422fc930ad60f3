//! How often a machine's owner hears of it.

use crate::bench::{Bench, CONTACT, read};
use async_trait::async_trait;
use deploy_core::{NoticeKind, Notifier, NotifyError, QueuedNotice, Step};
use deploy_notify::{Fanout, Mail};
use std::{future::pending, sync::Arc};
use tokio::sync::Semaphore;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_told_of_once_when_it_is_ready_and_once_when_it_is_gone() {
    let bench = Bench::new().await;
    let worker = bench.worker(Arc::new(bench.mail()));
    let key = bench.order("web-1").await;
    bench.at(key, Step::Ready).await;
    bench.smtp.wait_for(CONTACT, 1).unwrap();
    bench.terminate(key).await;
    bench.at(key, Step::Terminated).await;
    let mails = bench.smtp.wait_for(CONTACT, 2).unwrap();
    worker.drain().await.unwrap();
    // Whoever comes next has nothing to tell.
    let next = bench.worker(Arc::new(bench.mail()));
    let other = bench.order("web-2").await;
    bench.at(other, Step::Ready).await;
    bench.smtp.wait_for(CONTACT, 3).unwrap();
    next.drain().await.unwrap();
    let [subject, _, text] = read(&mails[0]);
    assert_eq!(subject, "web-1.example.net is ready");
    assert!(text.contains("ssh admin@203.0.113.2"), "{text}");
    let [subject, _, text] = read(&mails[1]);
    assert_eq!(subject, "web-1.example.net was deleted");
    assert!(text.contains("203.0.113.2"), "{text}");
}

/// Mail whose worker never learns that it was sent.
struct Unanswered {
    mail: Mail,
    sent: Arc<Semaphore>,
}

#[async_trait]
impl Notifier for Unanswered {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        self.mail.notify(notice).await?;
        self.sent.add_permits(1);
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_between_sending_and_noting_leaves_one_message_id() {
    let bench = Bench::new().await;
    let sent = Arc::new(Semaphore::new(0));
    let dying = bench.worker(Arc::new(Unanswered { mail: bench.mail(), sent: Arc::clone(&sent) }));
    let key = bench.order("web-1").await;
    sent.acquire().await.unwrap().forget();
    drop(dying);
    let first = bench.smtp.wait_for(CONTACT, 1).unwrap();
    let next = bench.worker(Arc::new(bench.mail()));
    let both = bench.smtp.wait_for(CONTACT, 2).unwrap();
    let [subject, id, text] = read(&first[0]);
    assert_eq!(subject, "web-1.example.net is ready");
    assert_eq!(read(&both[1]), [subject, id, text]);
    // And no third time.
    bench.terminate(key).await;
    bench.at(key, Step::Terminated).await;
    let all = bench.smtp.wait_for(CONTACT, 3).unwrap();
    assert_eq!(read(&all[2])[0], "web-1.example.net was deleted");
    next.drain().await.unwrap();
}

/// A target that is away for good.
struct Away;

#[async_trait]
impl Notifier for Away {
    async fn notify(&self, _: &QueuedNotice) -> Result<(), NotifyError> {
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_holds_back_no_mail() {
    let bench = Bench::new().await;
    let both = Fanout::new().with("away", NoticeKind::ALL, Away).with("mail", NoticeKind::ALL, bench.mail());
    let worker = bench.worker(Arc::new(both));
    let key = bench.order("web-1").await;
    bench.at(key, Step::Ready).await;
    bench.terminate(key).await;
    bench.at(key, Step::Terminated).await;
    // The second notice of one machine, while the first is not delivered everywhere.
    let mails = bench.smtp.wait_for(CONTACT, 2).unwrap();
    assert_eq!(read(&mails[1])[0], "web-1.example.net was deleted");
    drop(worker);
}
