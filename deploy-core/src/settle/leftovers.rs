//! What to write down about volumes that are left behind.

use super::Settling;
use crate::query::is_unanswered_destroy;
use crate::{ChangeKind, Commit, Leftover, LogEvent, Notice, Progress, Remembered};
use std::collections::BTreeSet;

impl Settling<'_> {
    /// What is remembered once a worker may have died amidst its volumes.
    pub(super) fn doubting_volumes(&self, kind: ChangeKind) -> Option<BTreeSet<Remembered>> {
        let mut remembered = self.record.remembered.clone();
        (self.moves_volumes(kind) && remembered.insert(Remembered::VolumesInDoubt)).then_some(remembered)
    }

    /// Settings of a machine that is adopted are its notes, and make no volumes.
    fn moves_volumes(&self, kind: ChangeKind) -> bool {
        kind.moves_volumes() && self.record.life.adopts.is_none()
    }

    /// An intent is left behind whose answer nobody took down: its task, if there was one, is not known, nor how it ended.
    pub(super) fn doubt_what_was_made(&self, commit: &mut Commit) {
        let Progress::Intended { change, .. } = &self.record.progress else { return };
        if commit.progress.is_some() && self.moves_volumes(change.kind) {
            let mut remembered = commit.remembered.take().unwrap_or_else(|| self.record.remembered.clone());
            remembered.insert(Remembered::VolumesInDoubt);
            commit.remembered = Some(remembered).filter(|remembered| *remembered != self.record.remembered);
        }
    }

    /// They are told and left: a number proves nothing, and freeing a volume that somebody uses destroys it without a question.
    pub(super) fn leftovers(&self, found: Result<Vec<Leftover>, String>) -> Commit {
        let mut commit = Commit {
            remembered: self.without(&[Remembered::VolumesInDoubt]),
            // A destroy that was not answered asked for this look too; what it left is known now.
            progress: is_unanswered_destroy(self.record).then_some(Progress::Untried),
            ..Commit::default()
        };
        let what = match found {
            // What is older than the order, by the second that storages know, is somebody else's.
            Ok(mut found) => {
                self.receipt_of_disks_left(&found, &mut commit);
                let ordered = self.record.created_at.as_second();
                found.retain(|volume| volume.made_at.is_none_or(|made_at| made_at.as_second() >= ordered));
                if found.is_empty() {
                    return commit;
                }
                self.receipt_of_leftovers(&found, &mut commit);
                let commands: Vec<String> = found.iter().map(command).collect();
                let vmid = self.record.numbered.vmid;
                format!("volumes of number {vmid} are left behind; to free them: {}", commands.join("; "))
            }
            Err(why) => {
                self.receipt_of_unknown_leftovers(&why, &mut commit);
                let what = format!("it is not known whether volumes are left behind: {why}");
                return Commit { log: Some(self.line(LogEvent::Noted { what })), ..commit };
            }
        };
        Commit {
            log: Some(self.line(LogEvent::Noted { what: what.clone() })),
            notice: Some(Notice::LeftBehind { message: what }),
            ..commit
        }
    }
}

fn command(Leftover { node, volume, size, made_at }: &Leftover) -> String {
    let size = size.map_or(String::new(), |size| format!(", {size}"));
    let doubt = if made_at.is_none() { ", of unknown age: see first whose it is" } else { "" };
    format!("pvesm free {volume} (as root on {node}{size}{doubt})")
}
