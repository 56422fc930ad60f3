//! What to write down about volumes that are left behind.

use super::Settling;
use crate::{ChangeKind, Commit, Leftover, LogEvent, Notice, Remembered};
use std::collections::BTreeSet;

impl Settling<'_> {
    /// What is remembered once a worker may have died amidst its volumes.
    pub(super) fn doubting_volumes(&self, kind: ChangeKind) -> Option<BTreeSet<Remembered>> {
        let mut remembered = self.record.remembered.clone();
        (kind.moves_volumes() && remembered.insert(Remembered::VolumesInDoubt)).then_some(remembered)
    }

    /// They are told and left: a number proves nothing, and freeing a volume that somebody uses destroys it without a question.
    pub(super) fn leftovers(&self, found: Result<Vec<Leftover>, String>) -> Commit {
        let commit = Commit { remembered: self.without(&[Remembered::VolumesInDoubt]), ..Commit::default() };
        let what = match found {
            // What is older than the order, by the second that storages know, is somebody else's.
            Ok(mut found) => {
                let ordered = self.record.created_at.as_second();
                found.retain(|volume| volume.made_at.is_none_or(|made_at| made_at.as_second() >= ordered));
                if found.is_empty() {
                    return commit;
                }
                let commands: Vec<String> = found.iter().map(command).collect();
                let vmid = self.record.numbered.vmid;
                format!("volumes of number {vmid} are left behind; to free them: {}", commands.join("; "))
            }
            Err(why) => {
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
