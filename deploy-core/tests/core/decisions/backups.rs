//! Whose backups are.

use super::*;

const OTHERS: SmbiosUuid = SmbiosUuid(uuid::Uuid::from_u128(98));

fn backup(volume: &str, protected: bool) -> Backup {
    Backup {
        node: p("n1"),
        storage: p("nas"),
        volume: volume.to_owned(),
        protected,
        size: None,
        made_at: Some(jiff::Timestamp::from_second(4_000_000_000).unwrap()),
        notes: None,
    }
}

fn shown(mark: Option<OwnerMark>, smbios: SmbiosUuid) -> Shown {
    Shown { mark, smbios: Some(smbios), unfinished: false, husk: false }
}

/// What is decided where this backup is there, and shows this.
fn looked_into(record: &VmRecord, shown: Result<Shown, LookError>) -> Decision {
    let mut machine = plain_machine(record);
    machine.backups = Some(Backups { found: vec![backup("nas:one", false)], unread: vec![] });
    let observation = Observation {
        machine: Some(Sighting::Seen(Box::new(machine))),
        archived: Some(Archived { volume: "nas:one".to_owned(), shown }),
        ..Observation::default()
    };
    decide(record, &observation, &RetryPolicy::default())
}

fn asked(step: Step, operation: Operation, command: Command) -> VmRecord {
    let mut record = at(step, plain());
    record.operation = operation;
    let queued = QueuedCommand { id: CommandId(uuid::Uuid::from_u128(1)), command };
    record.life.asked = Some(Asked { queued, rest: Step::Ready });
    record
}

/// Its mark says whose it is, however new it is.
#[test]
fn a_backup_is_ours_by_what_it_holds() {
    let leaving = leaving(Step::DeletingBackups);
    let deleting =
        asked(Step::DeletingBackup, Operation::DeleteBackup, Command::DeleteBackup("nas:one".to_owned()));
    let restoring =
        asked(Step::RestoreBackup, Operation::RestoreBackup, Command::RestoreBackup("nas:one".to_owned()));
    let (ours, theirs) = (leaving.mark(), OwnerMark(VmKey(uuid::Uuid::from_u128(77))));
    for (mark, smbios, is_ours) in [
        (Some(ours), OURS, true),
        (Some(ours), OTHERS, true),
        (None, OURS, false),
        (None, OTHERS, false),
        (Some(theirs), OURS, false),
        (Some(theirs), OTHERS, false),
    ] {
        let shown = || Ok(shown(mark, smbios));
        let gone = Change::DeleteBackup(backup("nas:one", false));
        if is_ours {
            assert_eq!(change(looked_into(&leaving, shown())), gone, "{mark:?} {smbios}");
            assert_eq!(change(looked_into(&deleting, shown())), gone, "{mark:?} {smbios}");
            // Of an earlier machine under the number: refused before anything is stopped.
            match looked_into(&restoring, shown()) {
                Decision::Refuse(why) => {
                    assert!(smbios == OTHERS && why.contains("before the machine was made anew"), "{why}");
                }
                done => assert!(smbios == OURS && is_done(&done), "{mark:?} {smbios}"),
            }
            continue;
        }
        let why = if mark.is_none() { Kept::Unproven } else { Kept::Foreign };
        let kept = vec![(backup_line("nas:one"), Fate::Kept(why))];
        assert_eq!(looked_into(&leaving, shown()), Decision::Note(NoteDown::Receipt(kept)));
        // Of the time before it was adopted: not ours to delete, but it is this machine's.
        let before = mark.is_none() && smbios == OURS;
        assert_eq!(is_done(&looked_into(&restoring, shown())), before);
        for record in [&deleting, &restoring].into_iter().take(if before { 1 } else { 2 }) {
            let Decision::Refuse(why) = looked_into(record, shown()) else { panic!("{mark:?} {smbios}") };
            let said = ["nas:one was made of somebody else's machine", "nas:one shows nothing that proves"];
            assert!(why.contains(said[usize::from(mark.is_none())]), "{why}");
        }
    }
}

fn backup_line(volume: &str) -> Resource {
    Resource::Backup { volume: volume.to_owned(), storage: p("nas") }
}

/// It is tried for a while, and then left and named.
#[test]
fn a_backup_that_cannot_be_looked_into_is_kept() {
    for class in [ErrorClass::Failed, ErrorClass::Unauthorized] {
        let broken = || Err(LookError { class, message: "it is broken".to_owned() });
        let record = leaving(Step::DeletingBackups);
        assert!(matches!(looked_into(&record, broken()), Decision::Blind(_)));
        let record = VmRecord { failures: 10, ..record };
        let why = "whose it is cannot be read: it is broken".to_owned();
        let left = vec![(backup_line("nas:one"), Fate::NotKnown(why))];
        let Decision::Note(note) = looked_into(&record, broken()) else { panic!() };
        assert_eq!(note, NoteDown::Receipt(left));
        // It is not asked about again, and what comes next has tries of its own.
        let record = settled(&record, Outcome::Noted(note));
        assert_eq!(record.failures, 0);
        assert!(is_done(&looked_into(&record, broken())));
        let command = Command::RestoreBackup("nas:one".to_owned());
        let record = asked(Step::RestoreBackup, Operation::RestoreBackup, command);
        let record = VmRecord { failures: 10, ..record };
        let Decision::Refuse(why) = looked_into(&record, broken()) else { panic!() };
        assert!(why.contains("it is broken"), "{why}");
    }
}

/// Nothing is looked into that is not to go, and nothing before nothing works on the machine any more.
#[test]
fn what_is_protected_is_written_down_unseen_and_a_lock_is_waited_for() {
    let record = leaving(Step::DeletingBackups);
    let mut machine = plain_machine(&record);
    machine.backups = Some(Backups { found: vec![backup("nas:one", true)], unread: vec![] });
    let kept = vec![(backup_line("nas:one"), Fate::Kept(Kept::Protected))];
    assert_eq!(seen(&record, &machine), Decision::Note(NoteDown::Receipt(kept)));
    machine.backups = Some(Backups { found: vec![backup("nas:one", false)], unread: vec![] });
    machine.lock = Some("backup".to_owned());
    assert!(waits(seen(&record, &machine)).contains("backup"));
}

/// Also where there is no machine any more, or somebody else's.
#[test]
fn backups_of_a_machine_that_is_gone_are_deleted() {
    let record = VmRecord { smbios: None, ..leaving(Step::DeletingBackups) };
    let found = Backups { found: vec![backup("nas:one", false)], unread: vec![] };
    let mut strangers = plain_machine(&record);
    "theirs".clone_into(&mut strangers.config.description);
    (strangers.config.smbios, strangers.backups) = (Some(OTHERS), Some(found.clone()));
    for machine in [Sighting::ProvenAbsent, Sighting::Seen(Box::new(strangers))] {
        let decided = |record: &VmRecord, mark| {
            let archived = Archived { volume: "nas:one".to_owned(), shown: Ok(shown(mark, OTHERS)) };
            let observation = Observation {
                machine: Some(machine.clone()),
                backups: Some(Ok(found.clone())),
                archived: Some(archived),
                ..Observation::default()
            };
            decide(record, &observation, &RetryPolicy::default())
        };
        assert_eq!(
            change(decided(&record, Some(record.mark()))),
            Change::DeleteBackup(backup("nas:one", false))
        );
        let Decision::Note(note) = decided(&record, None) else { panic!("{machine:?}") };
        assert!(is_done(&decided(&settled(&record, Outcome::Noted(note)), None)));
    }
}
