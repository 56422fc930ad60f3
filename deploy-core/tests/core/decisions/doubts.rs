//! What was sent and not answered as it should, and what is done about it.

use super::*;
use crate::orders::{order, vmid};

fn cores() -> Change {
    let cores = Some(2.try_into().unwrap());
    Change::Configure(Box::new(Configure { cores, ..Configure::default() }))
}

fn refused(sent: Sent) -> SubmitError {
    SubmitError { class: ErrorClass::Failed, sent, message: "no".to_owned() }
}

fn is_doubted(record: &VmRecord) -> bool {
    record.remembered.contains(&Remembered::SettingsInDoubt)
}

#[test]
fn settings_are_in_doubt_until_they_are_accepted() {
    let change = cores();
    let intended = settled(&at(Step::SetCpuRam, plain()), Outcome::Intending(&change));
    assert!(is_doubted(&intended), "a crash here leaves it so");
    assert!(!is_doubted(&settled(&intended, Outcome::NotSent(&change, refused(Sent::No)))));
    assert!(!is_doubted(&settled(&intended, Outcome::Sent(&change, Submitted::Applied))));
    for sent in [Sent::Answered, Sent::Unknown] {
        assert!(is_doubted(&settled(&intended, Outcome::NotSent(&change, refused(sent)))), "{sent:?}");
    }
    let task = Submitted::Task("UPID:node1:1:2:3:qmconfig:100:root@pam:".parse().unwrap());
    let submitted = settled(&intended, Outcome::Sent(&change, task));
    assert!(is_doubted(&submitted), "a task may still fail in the middle");
    assert!(!is_doubted(&settled(&submitted, Outcome::TaskEnded(Ended::Ok))));
    assert!(is_doubted(&settled(&submitted, Outcome::TaskEnded(Ended::Lost("killed".to_owned())))));
}

#[test]
fn settings_that_wait_are_put_in_force_before_anything_is_believed() {
    let mut record = at(Step::SetSystemDiskSize, plain());
    let mut machine = plain_machine(&record);
    machine.config.disks.insert(p("scsi0"), disk("local:vm-disk-0", 10));
    record.remembered.insert(Remembered::SettingsInDoubt);
    assert!(
        query(&record, record.created_at, &RetryPolicy::default())
            .look
            .unwrap()
            .covers(Look::PENDING.and(Look::POWER))
    );
    machine.pending = Some(["scsi0".to_owned()].into());
    assert!(settings(seen(&record, &machine)).name.is_some(), "any call takes along what waits");
    machine.config.cores = None;
    record.step = Step::SetCpuRam;
    assert!(settings(seen(&record, &machine)).cores.is_some(), "and so does the step's own");
    record.step = Step::SetSystemDiskSize;
    machine.pending = Some(BTreeSet::new());
    let note = seen(&record, &machine);
    assert_eq!(note, Decision::Note(NoteDown::NothingWaits));
    let record = settled(&record, Outcome::Noted(NoteDown::NothingWaits));
    assert_eq!(change(seen(&record, &machine)), Change::Resize { slot: p("scsi0"), size: gib(20) });
}

#[test]
fn what_waits_on_a_running_machine_is_left_for_its_next_start() {
    let mut record = at(Step::SetNetwork, plain());
    record.remembered.insert(Remembered::SettingsInDoubt);
    let mut machine = plain_machine(&record);
    machine.power = Some(Power::Running);
    machine.pending = Some(["memory".to_owned()].into());
    assert_eq!(seen(&record, &machine), Decision::Note(NoteDown::NothingWaits));
}

/// PVE grew the volume and died before it wrote the size down: to resize again does nothing.
#[test]
fn a_size_that_stays_old_is_read_anew() {
    let mut record = at(Step::SetSystemDiskSize, plain());
    let mut machine = plain_machine(&record);
    let old = disk("local:vm-disk-0", 10);
    machine.config.disks.insert(p("scsi0"), old.clone());
    let grow = Change::Resize { slot: p("scsi0"), size: gib(20) };
    assert_eq!(change(seen(&record, &machine)), grow);
    record.failures = 1;
    let rewrite = change(seen(&record, &machine));
    let Change::Configure(configure) = &rewrite else { panic!("{rewrite:?}") };
    assert_eq!(configure.disks, [(p("scsi0"), DiskGoal::Keep(old))].into());
    record.progress = Progress::Applied { fingerprint: rewrite.fingerprint() };
    assert_eq!(change(seen(&record, &machine)), grow, "it was the old one indeed");
    record.progress = Progress::Applied { fingerprint: grow.fingerprint() };
    assert!(
        matches!(seen(&record, &machine), Decision::Ineffective(_)),
        "the two do not follow one another for ever"
    );
    record = VmRecord { failures: 2, progress: Progress::Untried, ..record };
    assert_eq!(change(seen(&record, &machine)), grow);
}

#[test]
fn a_firewall_in_doubt_has_its_time_to_arrive_before_the_machine_goes() {
    for doubt in [Remembered::FirewallInDoubt, Remembered::RulesInDoubt] {
        let mut record = leaving(Step::Removing);
        let machine = plain_machine(&record);
        assert_eq!(change(seen_with_receipt(&record, &machine)), Change::Destroy(DestroyMode::Purge));
        record.remembered.insert(doubt);
        assert_eq!(seen(&record, &machine), Decision::Note(NoteDown::AwaitFirewall));
        let record = settled(&record, Outcome::Noted(NoteDown::AwaitFirewall));
        assert_ne!(record.due, order(plain()).due);
        assert_eq!(change(seen_with_receipt(&record, &machine)), Change::Destroy(DestroyMode::Purge));
    }
}

/// Nobody took down whether there was an answer, nor the task that may have died since.
#[test]
fn volumes_are_in_doubt_after_an_intent_that_was_left_behind() {
    let is_doubted = |record: &VmRecord| record.remembered.contains(&Remembered::VolumesInDoubt);
    let change = cores();
    let intended = settled(&at(Step::SetCpuRam, plain()), Outcome::Intending(&change));
    let terminate = QueuedCommand { id: CommandId(uuid::Uuid::from_u128(1)), command: Command::Terminate };
    for left in [
        Outcome::Intending(&change),
        Outcome::Done("already as ordered".to_owned()),
        Outcome::Taken(Box::new(terminate)),
    ] {
        assert!(is_doubted(&settled(&intended, left.clone())), "{left:?}");
    }
    assert!(!is_doubted(&settled(&intended, Outcome::Sent(&change, Submitted::Applied))));
    let start = settled(&at(Step::Starting, plain()), Outcome::Intending(&Change::Start));
    assert!(!is_doubted(&settled(&start, Outcome::Done("as ordered".to_owned()))), "a start makes none");
}

#[test]
fn what_a_destroy_without_an_answer_left_is_looked_for_once() {
    let record = settled(&leaving(Step::Removing), Outcome::Intending(&Change::Destroy(DestroyMode::Purge)));
    let asks = |record: &VmRecord| query(record, record.created_at, &RetryPolicy::default()).leftovers;
    assert!(asks(&record));
    let record = settled(&record, Outcome::Noted(NoteDown::Leftovers(Ok(Vec::new()))));
    assert!(!asks(&record));
}

/// With a command a record becomes due at once.
#[test]
fn what_may_still_arrive_is_waited_for_after_a_command_too() {
    for command in [Command::Retry, Command::Suspend, Command::Reinstall(Box::default())] {
        for note in [NoteDown::AwaitClone, NoteDown::AwaitRules, NoteDown::AwaitFirewall, NoteDown::AwaitLate]
        {
            let mut record = at(Step::Starting, plain());
            record.remembered = [Remembered::CloneInDoubt, Remembered::RulesInDoubt].into();
            let mut waiting = settled(&record, Outcome::Noted(note.clone()));
            let until = waiting.due;
            assert_ne!(until, record.due);
            waiting.due = record.due;
            let queued = QueuedCommand { id: CommandId(uuid::Uuid::from_u128(1)), command: command.clone() };
            assert_eq!(settled(&waiting, Outcome::Taken(Box::new(queued))).due, until, "{command} {note:?}");
        }
    }
}

/// What he was told to remove is gone, and the next one has its number.
#[test]
fn nobody_is_told_to_remove_what_is_cloned_anew() {
    let clone = Change::Clone {
        template: vmid(9000),
        template_node: p("n1"),
        mode: CloneMode::Linked,
        name: p("vps-1001"),
    };
    for (message, stays) in [
        (
            "the clone is under way; remove it on n1 as root: qm destroy 1001 --skiplock --purge (and \
             --destroy-unreferenced-disks, unless another cluster shares its storages)",
            false,
        ),
        ("clone failed: no space left on device", true),
    ] {
        let mut record = order(plain());
        (record.step, record.failures) = (Step::Clone, 10);
        record.attention =
            Some(Attention { since: record.created_at, step: Step::Clone, message: message.to_owned() });
        let record = settled(&record, Outcome::Intending(&clone));
        assert_eq!(record.attention.is_some(), stays, "{message}");
    }
}
