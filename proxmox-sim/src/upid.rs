//! Task identifiers.

use std::fmt;

/// `UPID:node:pid:pstart:starttime:type:id:user:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upid {
    pub(crate) node: String,
    pub(crate) pid: u32,
    pub(crate) pstart: u64,
    pub(crate) starttime: u64,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) user: String,
}

impl Upid {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [head, node, pid, pstart, starttime, kind, id, user, end] = parts.as_slice() else {
            return None;
        };
        if *head != "UPID" || !end.is_empty() || pid.len() != 8 || starttime.len() != 8 {
            return None;
        }
        Some(Self {
            node: (*node).to_owned(),
            pid: u32::from_str_radix(pid, 16).ok()?,
            pstart: u64::from_str_radix(pstart, 16).ok()?,
            starttime: u64::from_str_radix(starttime, 16).ok()?,
            kind: (*kind).to_owned(),
            id: (*id).to_owned(),
            user: (*user).to_owned(),
        })
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UPID:{}:{:08X}:{:08X}:{:08X}:{}:{}:{}:",
            self.node, self.pid, self.pstart, self.starttime, self.kind, self.id, self.user
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_one_survives() {
        let text = "UPID:pve1:00000942:000A1DD9:6B02072F:qmclone:9100:root@pam!t1:";
        let upid = Upid::parse(text).expect("it is one");
        assert_eq!((upid.pid, upid.id.as_str(), upid.user.as_str()), (2370, "9100", "root@pam!t1"));
        assert_eq!(upid.to_string(), text);
        assert_eq!(Upid::parse("garbage"), None);
    }
}
