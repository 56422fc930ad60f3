use crate::{customer::Wish, people::People, stage::Stage};
use deploy_core::{LogEntry, LogEvent, LogId, Notice, Operation, RecordStore, Step, VmRecord};

/// What is wrong with a record, its log and its notices.
pub(super) async fn problems(
    stage: &Stage,
    people: &People,
    record: &VmRecord,
    wish: Option<Wish>,
) -> Vec<String> {
    let mut found = Vec::new();
    let wanted = match wish {
        Some(Wish::Keep) => Step::Ready,
        Some(Wish::TakeBack) => Step::Terminated,
        None => return vec!["nobody ordered it".to_owned()],
    };
    let stands = wish == Some(Wish::Keep) && people.may_stand(record);
    if record.step != wanted && !stands {
        found.push(format!("is {} and should be {wanted}", record.step));
    }
    let log = stage.store.log(record.key, LogId::default(), usize::MAX).await.expect("a log");
    for operation in [Operation::Create, Operation::Terminate] {
        let complete = record.operation == operation && record.step.is_rest();
        found.extend(out_of_order(&log, operation, complete));
    }
    let ready = stage.inbox.count(record.key, |notice| *notice == Notice::Ready);
    let gone = stage.inbox.count(record.key, |notice| matches!(notice, Notice::Terminated { .. }));
    let starts = log.iter().filter(|entry| done(entry) == Some((Operation::Create, Step::Starting))).count();
    if (ready, gone) != (starts, usize::from(record.step == Step::Terminated)) {
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

/// The steps that are done are those of the table, in its order, each once; a machine that vanished begins once more with its
/// clone.
fn out_of_order(log: &[LogEntry], operation: Operation, complete: bool) -> Option<String> {
    let table: Vec<Step> = operation.steps().iter().copied().filter(|step| !step.is_rest()).collect();
    let mut next = 0;
    for entry in log {
        if is_redeployed(entry) && operation == Operation::Create {
            next = table.iter().position(|step| *step == Step::Clone).unwrap_or(0);
        }
        match done(entry) {
            Some((of, step)) if of == operation && (table.get(next), entry.times) == (Some(&step), 1) => {
                next += 1;
            }
            Some((of, step)) if of == operation => {
                return Some(format!("{operation:?}: {step} done {} times, after {next} steps", entry.times));
            }
            _ => {}
        }
    }
    (complete && next != table.len()).then(|| format!("{operation:?}: only {next} steps done"))
}
