use super::*;
use crate::fake::FakeStore;
use async_trait::async_trait;
use deploy_core::{CommitError, NotifyError};
use std::{cell::Cell, sync::Mutex};

/// Refuses notices by their number until told otherwise, and remembers what it was told.
#[derive(Default)]
struct Receiver {
    refuses: Mutex<BTreeSet<i64>>,
    told: Mutex<Vec<i64>>,
    panics: bool,
    at_once: Mutex<(usize, usize)>,
}

#[async_trait]
impl Notifier for Receiver {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        {
            let mut at_once = self.at_once.lock().unwrap();
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.at_once.lock().unwrap().0 -= 1;
        assert!(!self.panics, "a bug");
        if self.refuses.lock().unwrap().contains(&notice.id.0) {
            return Err(NotifyError("the mailbox is full".to_owned()));
        }
        self.told.lock().unwrap().push(notice.id.0);
        Ok(())
    }
}

struct Desk {
    store: Arc<FakeStore>,
    receiver: Arc<Receiver>,
    outbox: Outbox,
}

impl Desk {
    fn new(receiver: Receiver) -> Self {
        Self::all([receiver]).remove(0)
    }

    /// The desks of several targets of one store.
    fn all(receivers: impl IntoIterator<Item = Receiver>) -> Vec<Self> {
        let (store, receivers) = (FakeStore::with([]), receivers.into_iter().map(Arc::new));
        let receivers: Vec<Arc<Receiver>> = receivers.collect();
        let told = Arc::new(Told::new(receivers.len()));
        let desk = |(target, receiver): (usize, &Arc<Receiver>)| {
            let outbox =
                Outbox::new(Arc::clone(&store) as _, Arc::clone(receiver) as _, target, Arc::clone(&told));
            Self { store: Arc::clone(&store), receiver: Arc::clone(receiver), outbox }
        };
        receivers.iter().enumerate().map(desk).collect()
    }

    async fn round(&mut self) -> Round {
        self.outbox.round(WorkerId(uuid::Uuid::from_u128(1))).await.unwrap()
    }

    fn told(&self) -> Vec<i64> {
        self.receiver.told.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn each_machine_hears_its_notices_in_order() {
    let mut desk = Desk::new(Receiver::default());
    for (id, number) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
        desk.store.notice(id, number);
    }
    while desk.round().await.delivered > 0 {}
    let told = desk.told();
    let of_one: Vec<i64> = told.iter().copied().filter(|id| *id != 3).collect();
    assert_eq!((of_one, told.len()), (vec![1, 2, 4], 4));
    assert_eq!(desk.store.state().delivered.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_told_holds_up_only_its_own() {
    let mut desk = Desk::new(Receiver::default());
    desk.receiver.refuses.lock().unwrap().insert(1);
    for (id, number) in [(1, 1), (2, 1), (3, 2)] {
        desk.store.notice(id, number);
    }
    assert_eq!(desk.round().await.delivered, 1);
    assert_eq!(desk.told(), [3]);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let before = Instant::now();
        let next = desk.round().await.next.unwrap();
        tokio::time::sleep_until(next).await;
        pauses.push((next - before).as_secs());
    }
    assert_eq!(pauses[..5], [0, 2, 4, 8, 16], "it is tried again, less and less often");
    assert_eq!(pauses[9..], [300, 300, 300], "without limit");
    desk.receiver.refuses.lock().unwrap().clear();
    while desk.round().await.delivered > 0 {}
    assert_eq!(desk.told(), [3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_and_not_noted_is_not_told_again() {
    let mut desk = Desk::new(Receiver::default());
    desk.store.notice(1, 1);
    for _ in 0..3 {
        desk.store.fail("delivered", CommitError::Store(StoreError::not_written("gone")));
    }
    while desk.store.state().delivered.is_empty() {
        let next = desk.round().await.next.unwrap();
        tokio::time::sleep_until(next).await;
    }
    assert_eq!(desk.told(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_notifier_that_panics_is_tried_again() {
    let mut desk = Desk::new(Receiver { panics: true, ..Receiver::default() });
    desk.store.notice(1, 1);
    let round = desk.round().await;
    assert_eq!(round.delivered, 0);
    assert!(round.next.unwrap() > Instant::now());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_cannot_be_told_do_not_hide_the_others() {
    let mut desk = Desk::new(Receiver::default());
    for number in 0..1000 {
        desk.receiver.refuses.lock().unwrap().insert(number.into());
        desk.store.notice(number.into(), number);
    }
    desk.store.notice(5000, 5000);
    for _ in 0..100 {
        let Some(next) = desk.round().await.next else { break };
        tokio::time::sleep_until(next).await;
        if !desk.told().is_empty() {
            break;
        }
    }
    assert_eq!(desk.told(), [5000]);
    let most = desk.receiver.at_once.lock().unwrap().1;
    assert!(most <= AT_ONCE, "{most} at once");
}

/// Whoever fails is tried again; the other one hears everything in time, and nothing twice.
#[tokio::test(start_paused = true)]
async fn a_target_that_fails_holds_up_no_other() {
    let mut desks = Desk::all([Receiver::default(), Receiver::default()]);
    desks[1].receiver.refuses.lock().unwrap().insert(1);
    for (id, number) in [(1, 1), (2, 1), (3, 2)] {
        desks[0].store.notice(id, number);
    }
    // What only it has heard is no delivery, and a reason to go on with the next of the machine.
    let round = desks[0].round().await;
    assert_eq!((round.delivered, round.next), (0, Some(Instant::now())));
    for _ in 0..5 {
        for desk in &mut desks {
            desk.round().await;
        }
    }
    assert_eq!((desks[0].told(), desks[1].told()), (vec![1, 3, 2], vec![3]));
    // Only what all have heard is delivered.
    assert_eq!(desks[0].store.state().delivered, [NoticeId(3)]);
    desks[1].receiver.refuses.lock().unwrap().clear();
    while desks[0].store.state().delivered.len() < 3 {
        let next = desks[1].round().await.next.unwrap();
        tokio::time::sleep_until(next).await;
        desks[0].round().await;
    }
    assert_eq!((desks[0].told(), desks[1].told()), (vec![1, 3, 2], vec![3, 1, 2]));
    for desk in &mut desks {
        desk.round().await;
        assert_eq!((desk.outbox.told.count(0), desk.outbox.tries.len()), (0, 0), "nothing is kept for ever");
    }
}

/// A list that one target has read is old when another one has delivered what it names.
#[tokio::test(start_paused = true)]
async fn what_another_target_delivers_meanwhile_is_not_told_again() {
    let desks = Desk::all([Receiver::default(), Receiver::default()]);
    for id in 1..40 {
        desks[0].store.notice(id, u32::try_from(id).unwrap() % 7);
    }
    let [mut one, mut two]: [Desk; 2] = desks.try_into().ok().unwrap();
    let (store, counted) = (Arc::clone(&one.store), Cell::new(0));
    // Side by side, as the dispatcher has them.
    let run = async |desk: &mut Desk, pause| {
        while store.state().delivered.iter().collect::<BTreeSet<_>>().len() < 39 {
            let delivered = desk.round().await.delivered;
            counted.set(counted.get() + delivered);
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
    };
    tokio::join!(run(&mut one, 100), run(&mut two, 370));
    assert_eq!(counted.get(), 39, "each is counted once");
    for desk in [one, two] {
        let mut told = desk.told();
        told.sort_unstable();
        assert_eq!(told, (1..40).collect::<Vec<_>>());
    }
}

/// One that all have heard is noted by whoever looks, also after the outbox that told it last is gone.
#[tokio::test(start_paused = true)]
async fn what_all_have_heard_is_noted_by_anybody() {
    let mut desks = Desk::all([Receiver::default(), Receiver::default()]);
    desks[0].store.notice(1, 1);
    desks[0].round().await;
    desks[0].store.fail("delivered", CommitError::Store(StoreError::not_written("gone")));
    assert_eq!(desks[1].round().await.delivered, 0);
    drop(desks.remove(1));
    assert_eq!(desks[0].round().await.delivered, 1);
    assert_eq!(desks[0].told(), [1]);
}
