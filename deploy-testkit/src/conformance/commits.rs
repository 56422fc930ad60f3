//! Commits: only what they name, all of it or nothing.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    AddressStore, Asked, Assignment, Attention, Change, ChangeKind, Command, CommandId, CommandOutcome,
    Commit, CommitError, DestroyMode, Due, Family, Fate, Kept, LeaseStore, Life, LogEvent, MacAddr, Notice,
    Numbered, Operation, Order, Package, Progress, QueuedCommand, Receipt, RecordStore, Remembered,
    Replacing, Resource, Sending, Settled, SmbiosUuid, Step, StopHow, Suspension, VmRecord, VmSpec, Waiting,
    Wanted, WhenVanished,
};
use jiff::SignedDuration;
use std::collections::BTreeSet;

fn waiting() -> Waiting {
    Waiting {
        since: sample::epoch(),
        why: "the guest agent does not answer yet".to_owned(),
        idle_since: Some(sample::epoch()),
    }
}

fn attention() -> Attention {
    Attention { since: sample::epoch(), step: Step::Clone, message: "no permission: VM.Clone".to_owned() }
}

/// One commit for each field, each with a value that the record does not have.
pub(crate) fn one_field_each(record: &VmRecord) -> Vec<Commit> {
    let assignment = Assignment {
        nic: 0.try_into().expect("a slot"),
        address: sample::parsed("192.0.2.10"),
        prefix_len: 24,
        gateway: Some(sample::parsed("192.0.2.1")),
        resolvers: vec![sample::parsed("2001:db8::53")],
        pool: sample::parsed("public"),
    };
    let sending = Sending {
        remember: BTreeSet::from([Remembered::PoolJoined]),
        ..Sending::from(&Change::Destroy(DestroyMode::Purge))
    };
    assert_eq!(sending.kind, ChangeKind::Destroy);
    let numbered = Numbered { pve_name: sample::parsed("renamed"), ..record.numbered.clone() };
    let later = sample::epoch() + SignedDuration::from_micros(90_000_001);
    vec![
        Commit { operation: Some(Operation::Terminate), ..Commit::default() },
        Commit { step: Some(Step::SetNetwork), ..Commit::default() },
        Commit {
            progress: Some(Progress::Intended { change: sending, at: sample::epoch() }),
            ..Commit::default()
        },
        Commit { failures: Some(7), ..Commit::default() },
        Commit { due: Some(Due::At(later)), ..Commit::default() },
        Commit { attention: Some(Some(attention())), ..Commit::default() },
        Commit { waiting: Some(Some(waiting())), ..Commit::default() },
        Commit { numbered: Some(numbered), ..Commit::default() },
        Commit { node: Some(sample::parsed("node7")), ..Commit::default() },
        Commit { smbios: Some(Some(SmbiosUuid(sample::key(9).0))), ..Commit::default() },
        Commit { smbios: Some(None), ..Commit::default() },
        Commit { slots: Some(vec![sample::parsed("scsi1"), sample::parsed("scsi2")]), ..Commit::default() },
        Commit { addresses: Some(vec![assignment]), ..Commit::default() },
        Commit { remembered: Some(BTreeSet::from([Remembered::PasswordWritten])), ..Commit::default() },
        Commit { due: Some(Due::OnCommand), ..Commit::default() },
        Commit { order: Some(Box::new(another_order(record))), ..Commit::default() },
        Commit { life: Some(Box::new(life())), ..Commit::default() },
        Commit { life: Some(Box::default()), ..Commit::default() },
    ]
}

fn another_order(record: &VmRecord) -> Order {
    let mut macs = record.macs.clone();
    macs.push(MacAddr::local([7; 6]));
    Order { spec: VmSpec { when_vanished: WhenVanished::Redeploy, ..record.spec.clone() }, macs }
}

/// With something in each of its parts.
fn life() -> Life {
    let queued = |n: u32, command| QueuedCommand { id: CommandId(sample::key(n).0), command };
    let spec = sample::full_spec();
    let package = Package { spec: spec.clone(), macs: vec![MacAddr::local([1; 6])] };
    let retiring = Assignment {
        nic: 1.try_into().expect("a slot"),
        address: sample::parsed("2001:db8::7"),
        prefix_len: 64,
        gateway: None,
        resolvers: Vec::new(),
        pool: sample::parsed("six"),
    };
    Life {
        asked: Some(Asked { queued: queued(1, Command::Stop(StopHow::Within(5))), rest: Step::Ready }),
        queue: vec![
            queued(2, Command::ChangePackage(Box::new(package))),
            queued(3, Command::Step(Step::SetFirewall)),
        ],
        settled: vec![
            Settled { id: CommandId(sample::key(4).0), at: sample::epoch(), outcome: CommandOutcome::Done },
            Settled {
                id: CommandId(sample::key(5).0),
                at: sample::epoch(),
                outcome: CommandOutcome::Refused("no \"such\" thing".to_owned()),
            },
        ],
        suspended: Some(Suspension { since: sample::epoch(), ran: true }),
        held: true,
        stopped: true,
        wanted: Some(Box::new(Wanted {
            spec,
            macs: vec![MacAddr::local([2; 6])],
            retiring: vec![retiring.clone()],
        })),
        ran: true,
        restoring: true,
        replacing: Some(Replacing {
            image: "local-zfs:base-9000-disk-0".to_owned(),
            slot: sample::parsed("scsi0"),
            old: Some("local-zfs:vm-100-disk-0".to_owned()),
        }),
        made_at: Some(sample::epoch()),
        dns_mark: Some(7),
        adopts: Some(sample::adopted(7)),
        not_before: Some(sample::epoch() + SignedDuration::from_micros(1)),
        retiring: vec![retiring],
        receipt: vec![
            Receipt::Words("removing: there is no machine 100".to_owned()),
            Receipt::Resource {
                resource: Resource::Backup {
                    volume: "nas:backup/one".to_owned(),
                    storage: sample::parsed("nas"),
                },
                fate: Fate::Kept(Kept::Protected),
            },
        ],
    }
}

/// What commands made of a machine is written under the lease's fence, like everything else, and read by whoever claims it.
pub async fn an_order_and_a_life_are_fenced_and_found_again<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let old = rig.leased(1).await;
    let commit = Commit {
        order: Some(Box::new(another_order(&old.record))),
        life: Some(Box::new(life())),
        ..Commit::default()
    };
    rig.store.release(&old.lease).await.expect("release");
    let new = rig.claim().await.remove(0);
    assert_eq!(rig.store.commit(&old.lease, commit.clone()).await, Err(CommitError::Fenced));
    assert_eq!(rig.record(old.lease.key).await, old.record);
    rig.commit(&new.lease, commit.clone()).await;
    let mut expected = old.record;
    commit.apply(&mut expected);
    assert_eq!(rig.record(new.lease.key).await, expected);
    assert_eq!(rig.store.reload(&new.lease).await.expect("reload"), expected);
    rig.store.release(&new.lease).await.expect("release");
    assert_eq!(rig.claim().await.remove(0).record, expected);
}

/// The store's record is what [`Commit::apply`] makes of it, field by field.
pub async fn each_named_field_is_changed_and_no_other<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    let mut expected = leased.record.clone();
    for commit in one_field_each(&leased.record) {
        let before = expected.clone();
        commit.apply(&mut expected);
        assert_ne!(expected, before, "this commit changes nothing: {commit:?}");
        rig.commit(&leased.lease, commit).await;
        assert_eq!(rig.record(leased.lease.key).await, expected);
    }
    rig.commit(&leased.lease, Commit::default()).await;
    assert_eq!(rig.record(leased.lease.key).await, expected, "an empty commit changes nothing");
}

/// A commit that is refused for its number leaves neither fields nor log nor notice, and its command waits on.
pub async fn a_commit_is_all_or_nothing<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    let id = CommandId(sample::key(5).0);
    rig.store.command(leased.lease.key, id, Command::Terminate).await.expect("command");
    let before = rig.record(leased.lease.key).await;
    let numbered = Numbered { vmid: sample::vmid(177), ..before.numbered.clone() };
    let mut commit = Commit {
        step: Some(Step::Stopping),
        consume: Some(id),
        log: Some(rig.line(LogEvent::Began)),
        notice: Some(Notice::Ready),
        numbered: Some(numbered),
        ..Commit::default()
    };
    let refused = rig.store.commit(&leased.lease, commit.clone()).await;
    assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
    assert_eq!(rig.record(leased.lease.key).await, before);
    assert_eq!(rig.log(leased.lease.key).await.len(), 1);
    assert_eq!(rig.store.notices(rig.worker.id, 10).await.expect("notices"), []);

    commit.numbered = None;
    rig.commit(&leased.lease, commit).await;
    let after = rig.record(leased.lease.key).await;
    assert_eq!((after.step, after.pending), (Step::Stopping, vec![]));
    assert_eq!(rig.log(leased.lease.key).await.len(), 2);
    assert_eq!(rig.store.notices(rig.worker.id, 10).await.expect("notices").len(), 1);
}

/// "Cleared" and "not named" are two things.
pub async fn attention_is_raised_and_cleared<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    rig.commit(&lease, Commit { attention: Some(Some(attention())), ..Commit::default() }).await;
    rig.commit(&lease, Commit { failures: Some(2), ..Commit::default() }).await;
    assert_eq!(rig.record(lease.key).await.attention, Some(attention()));
    rig.commit(&lease, Commit { attention: Some(None), ..Commit::default() }).await;
    assert_eq!(rig.record(lease.key).await.attention, None);
    rig.commit(&lease, Commit { waiting: Some(Some(waiting())), ..Commit::default() }).await;
    rig.commit(&lease, Commit { failures: Some(1), ..Commit::default() }).await;
    assert_eq!(rig.record(lease.key).await.waiting, Some(waiting()));
    rig.commit(&lease, Commit { waiting: Some(None), ..Commit::default() }).await;
    assert_eq!(rig.record(lease.key).await.waiting, None);
}

/// More than share one transaction, several for each machine.
pub async fn many_commits_at_once_all_count<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in 1..=40 {
        rig.ordered(n).await;
    }
    let leases: Vec<_> = rig.claim().await.iter().map(|leased| leased.lease).collect();
    let writes = leases.iter().flat_map(|lease| (0..5).map(|nth| (*lease, nth)));
    let at = sample::epoch();
    let answers = rig
        .at_once(writes, move |store, (lease, nth)| async move {
            let what = format!("write {nth}");
            let (operation, step) = (Operation::Create, Step::SetIp);
            let line = deploy_core::LogLine { at, operation, step, event: LogEvent::Noted { what } };
            store.commit(&lease, Commit { log: Some(line), ..Commit::default() }).await
        })
        .await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    for lease in leases {
        let log = rig.log(lease.key).await;
        let texts: BTreeSet<String> = log.iter().map(|entry| entry.line.event.to_string()).collect();
        assert_eq!(texts.len(), 6, "the order and five writes: {texts:?}");
    }
}

/// It rests for ever; what it held stays until its own step gives it back.
pub async fn a_terminated_machine_is_not_due<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let ranges = [sample::range("192.0.2.10", "192.0.2.20")];
    rig.store.put_pool(&sample::pool("public", 24, &ranges), &ranges).await.expect("put a pool");
    let lease = rig.leased(1).await.lease;
    let want = sample::want(Family::V4, 1, &["public"]);
    rig.store.take(&lease, &[want]).await.expect("take");
    rig.come_to_rest(&lease, Step::Terminated).await;
    assert_eq!(rig.store.held(lease.key).await.expect("held").len(), 1);
    rig.clock.advance(SignedDuration::from_secs(30));
    assert_eq!(rig.claim().await, []);
    assert_eq!(rig.store.next_due().await.expect("next due"), None);
}
