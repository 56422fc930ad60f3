//! The differences that are meant, and why.

use proxmox_sim::Version;

use crate::rows::Row;

/// Cases (a star stands for any ending), the versions they concern, and the reason.
const MEANT: &[(&str, Option<Version>, &str)] = &[];

pub(crate) fn reason(version: Version, row: &Row) -> Option<&'static str> {
    let concerned = |case: &str, only: Option<Version>| {
        let fits = match case.strip_suffix('*') {
            Some(start) => row.case.starts_with(start),
            None => row.case == case,
        };
        fits && only.is_none_or(|only| only == version)
    };
    MEANT.iter().find(|(case, only, _)| concerned(case, *only)).map(|(_, _, reason)| *reason)
}
