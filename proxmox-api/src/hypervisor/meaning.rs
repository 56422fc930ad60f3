//! What failures mean to the deployment engine.

use crate::{ApiError, Cause, Failure, Sent, Started};
use deploy_core::{ErrorClass, Obscured, SubmitError, Submitted, TaskId};
use std::future::Future;

/// The class of a failure.
pub(super) fn class(failure: Failure) -> ErrorClass {
    match failure {
        Failure::Transient => ErrorClass::Unreachable,
        Failure::Busy(_) | Failure::Guest => ErrorClass::Busy,
        // The world is not as the decision assumed: look again before anything else.
        Failure::UnknownOutcome
        | Failure::Changed
        | Failure::Gone
        | Failure::Taken
        | Failure::Already(_)
        | Failure::WrongState => ErrorClass::Unknown,
        Failure::Unauthorized | Failure::Forbidden => ErrorClass::Unauthorized,
        Failure::Refused | Failure::Untrusted => ErrorClass::Refused,
        Failure::Full => ErrorClass::Exhausted,
        Failure::Other => ErrorClass::Failed,
    }
}

/// What happened, in words.
pub(super) fn words(error: &ApiError) -> String {
    format!("{} {}: {}", error.method(), error.path(), error.cause())
}

/// Why a look gave no answer.
pub(super) fn obscured(error: &ApiError) -> Obscured {
    Obscured { class: class(error.class()), message: words(error) }
}

/// Why a change was not accepted.
pub(super) fn not_submitted(error: &ApiError) -> SubmitError {
    SubmitError {
        class: class(error.class()),
        sent: match error.sent() {
            Sent::No => deploy_core::Sent::No,
            Sent::Refused | Sent::Yes => deploy_core::Sent::Answered,
            Sent::Unknown => deploy_core::Sent::Unknown,
        },
        message: words(error),
    }
}

/// The outcome of a call that may start a task.
pub(super) fn submitted(result: Result<Started, ApiError>) -> Result<Submitted, SubmitError> {
    match result {
        Ok(Started::Done) => Ok(Submitted::Applied),
        Ok(Started::Task(upid)) => match upid.as_str().parse::<TaskId>() {
            Ok(task) => Ok(Submitted::Task(task)),
            // A task without a name is followed by its effect.
            Err(_) => Ok(Submitted::Applied),
        },
        // The goal is reached; the next look decides whether it is what was ordered.
        Err(error) if matches!(error.class(), Failure::Already(_)) => Ok(Submitted::Applied),
        Err(error) => Err(not_submitted(&error)),
    }
}

/// Reads, and reads again where an answer was lost on the way: a read changes nothing, so that asking twice is free. Not
/// after a time-out, which has cost time enough.
pub(super) async fn read<T, F>(call: impl Fn() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    const TRIES: usize = 3;
    let mut tries = 1;
    loop {
        match call().await {
            Err(error) if tries < TRIES && is_lost(&error) => tries += 1,
            result => return result,
        }
    }
}

fn is_lost(error: &ApiError) -> bool {
    match error.cause() {
        Cause::Broken(_) | Cause::Connect(_) => true,
        // A node that does not answer another one is given up after 30 s, in the words of the system.
        Cause::Answer(answer) => {
            (595..=599).contains(&answer.status) && !answer.message.to_lowercase().contains("timed out")
        }
        _ => false,
    }
}
