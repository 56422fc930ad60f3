//! Starting, stopping and taking away.

use super::*;

#[test]
fn it_starts_only_as_ordered() {
    let record = at(Step::Starting, plain());
    let mut machine = plain_machine(&record);
    assert_eq!(change(seen(&record, &machine)), Change::Start);
    machine.config.cores = None;
    assert!(settings(seen(&record, &machine)).cores.is_some(), "drift is repaired first");
    machine.power = Some(Power::Suspended("io-error".to_owned()));
    assert!(impossible(seen(&record, &machine)).contains("io-error"));
}

#[test]
fn it_does_not_start_before_late_rules_have_had_their_time() {
    let spec = VmSpec { firewall: Some(firewall(vec![rule(22)])), ..networked() };
    let mut record = at(Step::Starting, spec);
    let mut machine = plain_machine(&record);
    for step in [Step::SetNetwork, Step::SetFirewall] {
        let asked = seen(&VmRecord { step, ..record.clone() }, &machine);
        apply(&mut machine, change(asked));
    }
    assert_eq!(change(seen(&record, &machine)), Change::Start);
    record.remembered.insert(Remembered::RulesInDoubt);
    assert_eq!(seen(&record, &machine), Decision::Note(NoteDown::AwaitRules));
    record.remembered = [Remembered::RulesAwaited].into();
    assert!(query(&record, record.created_at, &RetryPolicy::default()).look.unwrap().covers(Look::FIREWALL));
    assert_eq!(change(seen(&record, &machine)), Change::Start);
    let shown = machine.firewall.as_mut().unwrap();
    shown.rules.push(SeenRule { position: 1, key: rule(22).key() });
    assert!(matches!(change(seen(&record, &machine)), Change::SetFirewall(_)), "one came late");
}

fn apply(machine: &mut Machine, change: Change) {
    match change {
        Change::Configure(configure) => machine.config.nics.extend(configure.nics),
        Change::SetFirewall(set) => {
            let shown = machine.firewall.as_mut().unwrap();
            for (nic, net) in set.add_members {
                shown.filters.entry(nic).or_default().insert(net);
            }
            let rules = (0..).zip(&set.add_rules);
            shown.rules = rules.map(|(position, rule)| SeenRule { position, key: rule.key() }).collect();
            shown.options = set.options;
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn ready_is_what_the_order_calls_ready() {
    let address = "198.51.100.10".parse().unwrap();
    let mut machine = plain_machine(&at(Step::Starting, networked()));
    machine.power = Some(Power::Running);
    let mac = at(Step::Starting, networked()).macs[0];
    let ready = |machine: &Machine, ready_when| {
        is_done(&seen(&at(Step::Starting, VmSpec { ready_when, ..networked() }), machine))
    };
    let all = [ReadyWhen::Running, ReadyWhen::Auto, ReadyWhen::AgentAnswers, ReadyWhen::AddressSeen];
    let judge = |machine: &Machine| all.map(|when| ready(machine, when));
    assert_eq!(judge(&machine), [true, true, false, false], "no agent");
    machine.config.agent = true;
    assert_eq!(judge(&machine), [true, false, false, false], "the agent is silent");
    machine.agent = Some(Agent::Answers(vec![(MacAddr::local([7; 6]), address)]));
    assert_eq!(judge(&machine), [true, true, true, false], "the address is on another NIC");
    machine.agent = Some(Agent::Answers(vec![(mac, address)]));
    assert_eq!(judge(&machine), [true; 4]);
}

#[test]
fn a_guest_is_asked_once_and_then_stopped() {
    let mut record = leaving(Step::Stopping);
    let mut machine = plain_machine(&record);
    machine.power = Some(Power::Running);
    let patience = RetryPolicy::default().shutdown_patience;
    assert_eq!(change(seen(&record, &machine)), Change::Stop(StopMode::Graceful { patience }));
    // A look that failed has asked nobody.
    record.failures = 1;
    assert_eq!(change(seen(&record, &machine)), Change::Stop(StopMode::Graceful { patience }));
    record.remembered = [Remembered::Sent].into();
    assert_eq!(change(seen(&record, &machine)), Change::Stop(StopMode::Hard));
    (record.failures, record.remembered) = (0, [].into());
    machine.power = Some(Power::Suspended("paused".to_owned()));
    assert_eq!(change(seen(&record, &machine)), Change::Stop(StopMode::Hard));
    machine.power = Some(Power::Stopped);
    assert!(is_done(&seen(&record, &machine)));
}

#[test]
fn protection_goes_before_the_machine() {
    let record = leaving(Step::Removing);
    let mut machine = plain_machine(&record);
    machine.config.protected = true;
    assert_eq!(settings(seen(&record, &machine)).protected, Some(false));
    machine.config.protected = false;
    // First it is written down what goes with it.
    machine.snapshots = Some(vec![Snapshot {
        name: p("before"),
        description: String::new(),
        taken_at: None,
        parent: None,
        memory: false,
        incomplete: None,
    }]);
    let Decision::Note(NoteDown::Receipt(lines)) = seen(&record, &machine) else { panic!() };
    let disk = Resource::Disk { slot: Some(p("scsi0")), volume: "local:vm-disk-0".to_owned() };
    assert_eq!(lines, [Resource::Snapshot(p("before")), disk].map(|resource| (resource, Fate::Pending)));
    assert_eq!(change(seen_with_receipt(&record, &machine)), Change::Destroy(DestroyMode::Purge));
}

#[test]
fn settings_that_wait_on_a_stopped_machine_are_applied_by_another_call_and_not_waited_for() {
    let record = at(Step::Starting, plain());
    let mut machine = plain_machine(&record);
    machine.power = Some(Power::Stopped);
    machine.pending = Some(["memory".to_owned()].into());
    let rewritten = settings(seen(&record, &machine));
    assert_eq!(rewritten.name, Some(record.numbered.pve_name.clone()));
    // Where that does not help it counts as a failure.
    let Decision::Submit(_, change) = seen(&record, &machine) else { panic!("nothing is sent") };
    let applied =
        VmRecord { progress: Progress::Applied { fingerprint: change.fingerprint() }, ..record.clone() };
    assert!(matches!(seen(&applied, &machine), Decision::Ineffective(_)));
    machine.pending = Some([].into());
    assert!(matches!(seen(&record, &machine), Decision::Submit(_, change) if *change == Change::Start));
}

#[test]
fn the_agent_is_asked_only_where_something_hangs_on_it() {
    for (ready_when, asked) in
        [(ReadyWhen::Running, false), (ReadyWhen::Auto, true), (ReadyWhen::AgentAnswers, true)]
    {
        let record = VmRecord { failures: 1, ..at(Step::Starting, VmSpec { ready_when, ..plain() }) };
        assert_eq!(
            query(&record, record.created_at, &RetryPolicy::default()).look.unwrap().covers(Look::AGENT),
            asked,
            "{ready_when:?}"
        );
    }
}
