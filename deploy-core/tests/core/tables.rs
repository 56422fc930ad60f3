//! The tables: names, orders, and which command is legal when.

use crate::orders::{order, plain};
use deploy_core::*;
use serde_json::json;

/// Pinned here as text: panels and databases hold them.
const PIPELINE: [&str; 15] = [
    "creation",
    "set_ip",
    "clone",
    "migrated",
    "set_cpu_ram",
    "set_system_disk_size",
    "set_system_disk_bandwidth",
    "set_created_additional_disk",
    "set_additional_disk_size",
    "set_additional_disk_bandwidth",
    "set_network",
    "set_firewall",
    "set_cloudinit",
    "starting",
    "ready",
];

#[test]
fn the_pipeline_has_these_steps_in_this_order() {
    let steps = Operation::Create.steps();
    assert_eq!(steps.iter().map(ToString::to_string).collect::<Vec<_>>(), PIPELINE);
    assert_eq!(serde_json::to_value(steps).unwrap(), json!(PIPELINE));
    let parsed: Vec<Step> = PIPELINE.iter().map(|name| name.parse().unwrap()).collect();
    assert_eq!(parsed, steps);
    assert_eq!(serde_json::from_value::<Vec<Step>>(json!(PIPELINE)).unwrap(), steps);
}

#[test]
fn taking_a_machine_away_has_these_steps() {
    let names: Vec<&str> = Operation::Terminate.steps().iter().map(|step| step.as_str()).collect();
    assert_eq!(names, ["stopping", "deleting_backups", "removing", "releasing_ip", "terminated"]);
}

#[test]
fn adopting_a_machine_has_these_steps() {
    let names: Vec<&str> = Operation::Adopt.steps().iter().map(|step| step.as_str()).collect();
    assert_eq!(names, ["adopting", "adopting_ip", "marking", "ready"]);
    assert_eq!(serde_json::to_value(Operation::Adopt).unwrap(), json!("adopt"));
}

#[test]
fn every_step_has_one_name() {
    for step in Step::ALL {
        assert_eq!(step.as_str().parse(), Ok(*step));
        assert_eq!(format!("{step:>30}").len(), 30, "padded, for tables");
    }
    for wrong in ["", "Ready", "ready ", "set-ip", "unknown"] {
        assert!(wrong.parse::<Step>().is_err(), "{wrong:?}");
        assert!(serde_json::from_value::<Step>(json!(wrong)).is_err());
    }
}

#[test]
fn what_was_completed_last_follows_from_the_table() {
    for operation in Operation::ALL {
        let steps = operation.steps();
        assert_eq!(steps[0].last_completed(*operation), None);
        for pair in steps.windows(2) {
            assert_eq!(pair[1].last_completed(*operation), Some(pair[0]));
            let next = if *operation == Operation::SingleStep { Step::Ready } else { pair[1] };
            assert_eq!(operation.after(pair[0]), Some(next));
            assert!(!pair[0].is_rest(), "only the last step is a rest");
        }
        let last = *steps.last().unwrap();
        assert!(last.is_rest() && operation.after(last).is_none());
        assert_eq!(operation.first(), steps[0]);
    }
    assert_eq!(Step::Ready.last_completed(Operation::Create), Some(Step::Starting));
    assert_eq!(Step::Ready.last_completed(Operation::Terminate), None);
}

#[test]
fn operations_and_commands_have_names() {
    for operation in Operation::ALL {
        assert_eq!(operation.to_string().parse(), Ok(*operation));
        assert_eq!(serde_json::to_value(operation).unwrap(), json!(operation.as_str()));
        assert_eq!(serde_json::from_value::<Operation>(json!(operation.as_str())).unwrap(), *operation);
    }
    for name in
        ["retry", "terminate", "start", "stop", "restart", "reset", "suspend", "unsuspend", "remove", "hold"]
    {
        let command: Command = name.parse().unwrap();
        assert_eq!(command.to_string(), name);
        let kept = serde_json::to_value(&command).unwrap();
        assert_eq!(serde_json::from_value::<Command>(kept).unwrap(), command);
    }
    // As earlier versions kept them.
    for command in [Command::Retry, Command::Terminate] {
        assert_eq!(serde_json::to_value(&command).unwrap(), json!(command.as_str()));
    }
    assert!("create ".parse::<Operation>().is_err() && "change_package".parse::<Command>().is_err());
}

#[test]
fn a_termination_and_a_retry_are_legal_by_step_and_queue() {
    let (old, new) = (CommandId(uuid::Uuid::from_u128(1)), CommandId(uuid::Uuid::from_u128(2)));
    let queued = Ok(Admission::Queued(new));
    let already = Ok(Admission::AlreadyQueued(old));
    let (retry, terminate) = (&Command::Retry, &Command::Terminate);
    for operation in Operation::ALL {
        for step in operation.steps() {
            let with = |waiting: &[&Command]| {
                let queued = |command: &&Command| QueuedCommand { id: old, command: (*command).clone() };
                let pending = waiting.iter().map(queued).collect();
                VmRecord { operation: *operation, step: *step, pending, ..order(plain()) }
            };
            let asked = |waiting: &[&Command], command: &Command| admit(&with(waiting), command, new);
            // What is not adopted yet is let go of instead, and its end is asked for twice all the same.
            let adopts = *operation == Operation::Adopt && !step.is_rest();
            let terminate = if adopts { &Command::LetGo } else { terminate };
            let ended =
                if *operation == Operation::Terminate { Ok(Admission::AlreadyDone) } else { queued.clone() };
            assert_eq!(asked(&[], terminate), ended, "{step}");
            let retried = match step {
                Step::Terminated => Err(Denied::Terminating),
                step if step.is_rest() => Err(Denied::AtRest(*step)),
                _ => queued.clone(),
            };
            assert_eq!(asked(&[], retry), retried, "{step}");
            assert_eq!(asked(&[retry], terminate), ended, "{step}");
            if *operation != Operation::Terminate {
                assert_eq!(asked(&[terminate], terminate), already, "{step}");
                // It is tried once more before the termination begins, which does no harm.
                let once_more = if adopts { Err(Denied::Terminating) } else { queued.clone() };
                assert_eq!(asked(&[terminate], retry), once_more, "{step}");
                assert_eq!(asked(&[terminate], &Command::Start), Err(Denied::Terminating), "{step}");
            }
            if !step.is_rest() {
                assert_eq!(asked(&[retry], retry), already, "{step}");
            }
        }
    }
}

/// Whoever holds a machine for a moment must not find it held for ever, because nobody had taken the hold yet.
#[test]
fn a_command_is_judged_after_the_hold_that_waits() {
    let (old, new) = (CommandId(uuid::Uuid::from_u128(1)), CommandId(uuid::Uuid::from_u128(2)));
    let asked = |held: bool, waiting: &[Command], command: &Command| {
        let mut record = VmRecord { step: Step::Ready, ..order(plain()) };
        record.life.held = held;
        let queued = |command: &Command| QueuedCommand { id: old, command: command.clone() };
        record.pending = waiting.iter().map(queued).collect();
        admit(&record, command, new)
    };
    let (hold, release) = (Command::Hold, Command::Release);
    let both = [hold.clone(), release.clone()];
    let queued = Ok(Admission::Queued(new));
    assert_eq!(asked(false, &[], &release), Ok(Admission::AlreadyDone));
    assert_eq!(asked(false, &both[..1], &release), queued);
    assert_eq!(asked(false, &both[..1], &hold), Ok(Admission::AlreadyQueued(old)));
    assert_eq!(asked(false, &both[..1], &Command::Start), Err(Denied::Held));
    assert_eq!(asked(false, &both, &hold), queued);
    assert_eq!(asked(false, &both, &release), Ok(Admission::AlreadyQueued(old)));
    assert_eq!(asked(true, &both[1..], &Command::Terminate), queued);
    assert_eq!(asked(true, &[], &Command::Terminate), queued);
    assert_eq!(asked(false, &both[..1], &Command::Terminate), queued);
}

/// A termination is not lost, and nothing comes after it but the release that it waits for.
#[test]
fn a_termination_waits_for_the_release_of_a_held_machine() {
    let (old, new) = (CommandId(uuid::Uuid::from_u128(1)), CommandId(uuid::Uuid::from_u128(2)));
    let (hold, release, terminate) = (Command::Hold, Command::Release, Command::Terminate);
    let asked = |pending: &[&Command], command: &Command| {
        let mut record = VmRecord { step: Step::Ready, ..order(plain()) };
        record.life.held = true;
        let queued = |command: &Command| QueuedCommand { id: old, command: command.clone() };
        record.life.queue = vec![queued(&terminate)];
        record.pending = pending.iter().map(|command| queued(command)).collect();
        admit(&record, command, new)
    };
    let already = Ok(Admission::AlreadyQueued(old));
    assert_eq!(asked(&[], &terminate), already);
    assert_eq!(asked(&[], &hold), Ok(Admission::AlreadyDone));
    assert_eq!(asked(&[], &release), Ok(Admission::Queued(new)));
    for other in [Command::Start, Command::Retry, Command::Withdraw(old)] {
        assert_eq!(asked(&[], &other), Err(Denied::Terminating), "{other}");
    }
    assert_eq!(asked(&[&release], &release), already);
    assert_eq!(asked(&[&release], &terminate), already);
    assert_eq!(asked(&[&release], &hold), Err(Denied::Terminating));
}

/// Backups wait for one another for hours, and must keep nobody from a start.
#[test]
fn a_backup_takes_none_of_its_nodes_slots() {
    let record = order(plain());
    let node = &record.node;
    let cluster = || record.spec.cluster.clone();
    for kind in [ChangeKind::Backup, ChangeKind::RestoreBackup] {
        let slots = slots(&record, kind, node);
        assert_eq!(slots, [Slot::Cluster(cluster()), Slot::Backup(cluster(), node.clone())]);
        assert_eq!(slots[1].to_string(), format!("a backup on node {node}"));
    }
    let start = slots(&record, ChangeKind::Start, node);
    assert_eq!(start, [Slot::Cluster(cluster()), Slot::Node(cluster(), node.clone())]);
}
