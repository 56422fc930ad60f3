//! Whether a machine may be given up for a new one.

use super::{Decision, Observation};
use crate::{ErrorClass, Obscured, Sighting, VmRecord, goal, rules::Verdict};

/// The machine may be given up for a new one: the template that it is made from is there, and fits. Nothing is stopped or
/// destroyed before.
pub(super) fn reinstallable(record: &VmRecord, observation: &Observation) -> Decision {
    match &observation.template {
        Some(Sighting::Seen(template)) => match goal::fits(record, template) {
            Verdict::Met => Decision::Done("the template is there".to_owned()),
            Verdict::Note(note) => Decision::Note(note),
            Verdict::Refused(why) => Decision::Refuse(why),
            _ => Decision::Blind(Obscured {
                class: ErrorClass::Unknown,
                message: "the template was not looked at".to_owned(),
            }),
        },
        Some(Sighting::ProvenAbsent) => Decision::Refuse(format!(
            "template.vmid: there is no template {} in this cluster; nothing was changed",
            goal::template(record).vmid
        )),
        Some(Sighting::Unknown(obscured)) => Decision::Blind(obscured.clone()),
        None => Decision::Blind(Obscured {
            class: ErrorClass::Unknown,
            message: "the template was not looked at".to_owned(),
        }),
    }
}
