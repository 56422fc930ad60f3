//! Whose a machine is, and what it means that there is none.

use super::*;

const STRANGERS: SmbiosUuid = SmbiosUuid(uuid::Uuid::from_u128(99));

#[test]
fn a_lost_mark_is_put_back_beside_what_people_wrote() {
    let record = at(Step::SetCpuRam, plain());
    let mut machine = plain_machine(&record);
    machine.config.description = "do not reboot\nann".to_owned();
    let description = settings(seen(&record, &machine)).description.unwrap();
    assert_eq!(description, format!("{}\ndo not reboot\nann", record.mark()));
}

#[test]
fn another_identity_is_not_touched_whatever_its_mark_says() {
    for step in [Step::Clone, Step::SetNetwork, Step::Starting] {
        let record = at(step, plain());
        let mut machine = plain_machine(&record);
        machine.config.smbios = Some(STRANGERS);
        machine.config.tags = [p("theirs")].into();
        assert!(vanished(seen(&record, &machine)).contains("1001"), "{step}");
    }
}

#[test]
fn before_the_clone_a_stranger_makes_us_take_another_number() {
    let record = order(plain());
    let record = VmRecord { step: Step::Clone, ..record };
    let mut machine = plain_machine(&record);
    machine.config.description = "theirs".to_owned();
    assert_eq!(seen(&record, &machine), Decision::Renumber);
    machine.config.description = OwnerMark(VmKey(uuid::Uuid::from_u128(5))).to_string();
    machine.lock = Some("clone".to_owned());
    assert_eq!(seen(&record, &machine), Decision::Renumber, "busy, but marked as another's");
}

#[test]
fn a_clone_that_came_out_without_our_mark_is_not_made_again_under_another_number() {
    let record = VmRecord { step: Step::Clone, ..order(plain()) };
    let absent = Observation { machine: Some(Sighting::ProvenAbsent), ..Observation::default() };
    let Decision::Submit(_, clone) = decide(&record, &absent, &RetryPolicy::default()) else {
        panic!("no clone")
    };
    let mut machine = plain_machine(&record);
    machine.config.description = "rewritten by somebody's hook".to_owned();
    let done =
        VmRecord { progress: Progress::Applied { fingerprint: clone.fingerprint() }, ..record.clone() };
    let why = impossible(seen(&done, &machine));
    assert!(why.contains(&record.mark().to_string()), "{why}");
    // It stays so, however often it is looked at.
    let report = Report { outcome: Outcome::Impossible(why), seen_on: None };
    let commit = settle(&done, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default());
    let mut later = done.clone();
    commit.apply(&mut later);
    impossible(seen(&later, &machine));
    // With the mark put there by hand it goes on.
    machine.config.description = record.mark().to_string();
    assert!(matches!(seen(&later, &machine), Decision::Note(NoteDown::Identity { .. })));
    // Of a clone in doubt: another number once, not for ever.
    let doubt = VmRecord { remembered: [Remembered::CloneInDoubt].into(), ..record.clone() };
    machine.config.description = "theirs".to_owned();
    assert_eq!(seen(&doubt, &machine), Decision::Renumber);
    let twice = [Remembered::CloneInDoubt, Remembered::Renumbered].into();
    impossible(seen(&VmRecord { remembered: twice, ..record }, &machine));
}

#[test]
fn a_busy_machine_without_a_mark_is_waited_for() {
    let record = VmRecord { step: Step::Clone, ..order(plain()) };
    let mut machine = plain_machine(&record);
    machine.config = MachineConfig::default();
    machine.lock = Some("clone".to_owned());
    assert!(waits(seen(&record, &machine)).contains("lock: clone"));
}

#[test]
fn the_clone_s_identity_is_noted_when_it_is_complete() {
    let spec = VmSpec { additional_disks: vec![additional(8), additional(9)], ..plain() };
    let record = VmRecord { step: Step::Clone, ..order(spec) };
    let mut machine = plain_machine(&record);
    machine.lock = Some("clone".to_owned());
    assert!(waits(seen(&record, &machine)).contains("under way"));
    machine.lock = None;
    machine.config.drives.insert(p("scsi1"));
    machine.config.disks.insert(p("scsi3"), disk("local:templates-own", 1));
    let slots = vec![p("scsi2"), p("scsi4")];
    let noted = Decision::Note(NoteDown::Identity { smbios: OURS, slots });
    assert_eq!(seen(&record, &machine), noted);
}

#[test]
fn terminating_leaves_a_stranger_alone() {
    let record = leaving(Step::Removing);
    let mut machine = plain_machine(&record);
    machine.config.smbios = Some(STRANGERS);
    assert!(is_done(&seen(&record, &machine)));
}

/// The machine was taken away, and another clone of it arrived whose request nobody answered.
#[test]
fn terminating_takes_a_clone_that_arrived_late_too() {
    for doubt in [Remembered::CloneInDoubt, Remembered::CloneAwaited] {
        let mut record = leaving(Step::Removing);
        record.remembered.insert(doubt);
        let mut machine = plain_machine(&record);
        machine.config.smbios = Some(STRANGERS);
        let Decision::Submit(target, change) = seen_with_receipt(&record, &machine) else {
            panic!("it is left")
        };
        assert_eq!((*change, target.smbios), (Change::Destroy(DestroyMode::Purge), None));
        machine.config.description = "theirs".to_owned();
        // Without our mark it is somebody else's; and ours may still come, as soon as that is gone.
        match doubt {
            Remembered::CloneInDoubt => {
                assert_eq!(seen(&record, &machine), Decision::Note(NoteDown::AwaitClone));
            }
            _ => assert!(is_done(&seen(&record, &machine))),
        }
    }
}

#[test]
fn absence_is_three_different_things() {
    let unknown = || Sighting::Unknown(Obscured { class: ErrorClass::Unauthorized, message: "403".into() });
    let before = VmRecord { step: Step::Clone, ..order(plain()) };
    assert!(matches!(change(decided(&before, Sighting::ProvenAbsent)), Change::Clone { .. }));
    let after = at(Step::SetNetwork, plain());
    assert!(vanished(decided(&after, Sighting::ProvenAbsent)).contains("vanished"));
    let cloned = at(Step::Clone, plain());
    assert!(vanished(decided(&cloned, Sighting::ProvenAbsent)).contains("vanished"), "never cloned twice");
    for step in [Step::Stopping, Step::DeletingBackups, Step::Removing] {
        // Backups are looked for by themselves.
        let ends = is_done(&decided(&leaving(step), Sighting::ProvenAbsent));
        assert_eq!(ends, step != Step::DeletingBackups);
        assert!(matches!(decided(&leaving(step), unknown()), Decision::Blind(_)), "{step}");
    }
    for record in [before, after] {
        assert!(matches!(decided(&record, unknown()), Decision::Blind(_)));
    }
}

#[test]
fn absence_is_not_believed_while_a_clone_may_arrive() {
    let mut record = leaving(Step::Stopping);
    record.remembered.insert(Remembered::CloneInDoubt);
    assert_eq!(decided(&record, Sighting::ProvenAbsent), Decision::Note(NoteDown::AwaitClone));
}

#[test]
fn a_change_names_what_it_was_decided_on() {
    let record = at(Step::SetCpuRam, plain());
    let mut machine = plain_machine(&record);
    machine.config.cores = None;
    machine.node = p("n2");
    let Decision::Submit(target, _) = seen(&record, &machine) else { panic!("no change") };
    assert_eq!(target.revision, machine.config.revision);
    assert_eq!((target.smbios, target.mark), (Some(OURS), record.mark()));
    assert_eq!(target.machine.node, p("n2"), "where it was seen");
}

#[test]
fn a_locked_machine_is_waited_for() {
    let record = at(Step::SetCpuRam, plain());
    let mut machine = plain_machine(&record);
    machine.lock = Some("backup".to_owned());
    assert!(is_done(&seen(&record, &machine)), "nothing to change");
    machine.config.cores = None;
    assert!(waits(seen(&record, &machine)).contains("backup"));
}
