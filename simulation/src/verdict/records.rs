use crate::{customer::Wish, expected::Expected, people::People, stage::Stage};
use deploy_core::{
    Command, CommandState, LogEntry, LogEvent, LogId, Notice, Operation, RecordStore, Step, VmRecord,
};

/// What is wrong with a record, its log and its notices.
pub(super) async fn problems(
    stage: &Stage,
    people: &People,
    record: &VmRecord,
    wish: Option<&Wish>,
) -> Vec<String> {
    let mut found = Vec::new();
    let Some(wish) = wish else { return vec!["nobody ordered it".to_owned()] };
    let wanted = Expected::of(record, wish).rest();
    let stands = !wish.takes_back && people.may_stand(record);
    if !stands {
        found.extend(unsettled(record, wish));
    }
    // A machine that vanished is made anew, whatever else it was to be.
    let is_anew = people.replaced(record.numbered.vmid.get()) && record.step == Step::Ready;
    if record.step != wanted && !stands && !is_anew {
        found.push(format!("is {} and should be {wanted}", record.step));
    }
    let log = stage.store.log(record.key, LogId::default(), usize::MAX).await.expect("a log");
    found.extend(out_of_order(&log, record.step.is_rest()));
    let ready = stage.inbox.count(record.key, |notice| *notice == Notice::Ready);
    let gone = stage.inbox.count(record.key, |notice| matches!(notice, Notice::Terminated { .. }));
    let starts = log
        .iter()
        .filter_map(done)
        .filter(|(operation, step)| operation.deploys() && *step == Step::Starting)
        .count();
    // Whoever is suspended is told so instead.
    let suspended = wish.given.iter().any(|given| given.command == Command::Suspend);
    let is_told = ready == starts || suspended && ready < starts;
    if !is_told || gone != usize::from(record.step == Step::Terminated) {
        found.push(format!(
            "{ready} notices of a ready machine that was started {starts} times, {gone} that it is gone"
        ));
    }
    found
}

fn done(entry: &LogEntry) -> Option<(Operation, Step)> {
    let is_done = matches!(entry.line.event, LogEvent::Done { .. });
    is_done.then_some((entry.line.operation, entry.line.step))
}

fn is_redeployed(entry: &LogEntry) -> bool {
    matches!(&entry.line.event, LogEvent::Noted { what } if what.ends_with("it is deployed anew"))
}

/// Commands that are not over.
fn unsettled(record: &VmRecord, wish: &Wish) -> Vec<String> {
    let states = wish.given.iter().map(|given| (given, record.command_state(given.id)));
    states
        .filter(|(_, state)| !matches!(state, CommandState::Settled(_)))
        .map(|(given, state)| format!("{} {} is {state:?}", given.command, given.id))
        .collect()
}

/// The steps that are done are those of each operation's table, in its order, each once; a machine that vanished begins once more
/// with its clone.
fn out_of_order(log: &[LogEntry], rests: bool) -> Option<String> {
    let (mut operation, mut next) = (Operation::Create, 0);
    let table = |operation: Operation| -> Vec<Step> {
        operation.steps().iter().copied().filter(|step| !step.is_rest()).collect()
    };
    let end = |operation: Operation| table(operation).len();
    let at = |operation, step| table(operation).iter().position(|of| *of == step);
    for entry in log {
        let line = &entry.line;
        match &line.event {
            _ if is_redeployed(entry) => {
                operation = if operation.deploys() { operation } else { Operation::Create };
                next = at(operation, Step::Clone).unwrap_or(0);
            }
            LogEvent::Began => {
                operation = line.operation;
                next = at(operation, line.step).unwrap_or(0);
            }
            LogEvent::Refused { .. } | LogEvent::GaveUp { .. } => next = end(operation),
            LogEvent::Done { .. } => {
                // What a change of package left, which ended by its machine's being made anew.
                if operation.deploys() && next == end(operation) && line.step == Step::CpReleaseIp {
                    operation = Operation::ChangePackage;
                    next = at(operation, line.step).unwrap_or(0);
                }
                let due = table(operation).get(next).copied();
                if (line.operation, Some(line.step), entry.times) != (operation, due, 1) {
                    return Some(format!(
                        "{}: {} done {} times, after {next} steps of {operation}",
                        line.operation, line.step, entry.times
                    ));
                }
                next = if operation == Operation::SingleStep { end(operation) } else { next + 1 };
            }
            _ => {}
        }
    }
    (rests && next != end(operation)).then(|| format!("{operation}: only {next} steps done"))
}
