use super::work::Reply;
use deploy_core::CommitError;

/// Answers to commits, held back until the next statement is on its way: so the server does not stand still while those who are
/// answered wake up, and they do while nothing else is to be done.
#[derive(Default)]
pub(super) struct Answers {
    held: Vec<(Reply, Result<(), CommitError>)>,
}

impl Answers {
    pub(super) fn hold(&mut self, reply: Reply, answer: Result<(), CommitError>) {
        self.held.push((reply, answer));
    }

    pub(super) fn send(&mut self) {
        for (reply, answer) in self.held.drain(..) {
            // Whoever does not wait any more will reload.
            let _ = reply.send(answer);
        }
    }
}
