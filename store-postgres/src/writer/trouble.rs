use crate::failure::{Failure, Unreadable, words};
use deploy_core::{CommitError, StoreError, StoreOutcome};

/// Why a transaction did not succeed.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) message: String,
    outcome: StoreOutcome,
    /// One of the writes that shared it is to blame, and the others would succeed without it.
    pub(super) is_of_one: bool,
}

impl Trouble {
    pub(super) fn not_written(message: String) -> Self {
        Self { message, outcome: StoreOutcome::NotWritten, is_of_one: false }
    }

    pub(super) fn unknown(message: String) -> Self {
        Self { message, outcome: StoreOutcome::Unknown, is_of_one: false }
    }

    /// It was tried again and again, and each time did not happen.
    pub(super) fn tried(why: &str) -> Self {
        Self::not_written(format!("the database took the write back again and again: {why}"))
    }

    /// The failure of a statement that carried several writes.
    pub(super) fn of(failure: Failure<CommitError>) -> Self {
        match failure {
            Failure::Refused(error) => Self::not_written(error.to_string()),
            Failure::Unreadable(Unreadable(message)) => {
                Self { is_of_one: true, ..Self::not_written(message) }
            }
            Failure::Sql(error) => {
                // PostgreSQL, Appendix A: 22 data exception, 23 integrity constraint violation, 54 program limit exceeded, 55
                // a lock that somebody else holds.
                let class = error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned());
                let is_of_one = class.is_none_or(|class| ["22", "23", "54", "55"].contains(&class.as_str()));
                Self { is_of_one, ..Self::not_written(words(&error)) }
            }
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self { message: trouble.message, outcome: trouble.outcome }
    }
}
