use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a task: `UPID:<node>:<pid>:<pstart>:<starttime>:<type>:<id>:<user>:`.
///
/// A UPID only proves that a worker was started; how it went, [`Client::task_status`](crate::Client::task_status)
/// says. Comparison and printing use the text as the server gave it.
///
/// ```
/// use proxmox_api::Upid;
///
/// let upid: Upid = "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1:".parse()?;
/// assert_eq!((upid.node(), upid.kind(), upid.id()), ("pve1", "qmclone", "9000"));
/// # Ok::<(), proxmox_api::UpidError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upid {
    text: String,
    starttime: u32,
}

/// Why a text is not a UPID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a UPID")]
pub struct UpidError(String);

impl Upid {
    /// The node on which the worker runs; its status is known there alone.
    pub fn node(&self) -> &str {
        self.field(1)
    }

    /// When it was started, in Unix seconds by that node's clock.
    pub fn starttime(&self) -> u32 {
        self.starttime
    }

    /// The type, such as `qmclone`.
    pub fn kind(&self) -> &str {
        self.field(5)
    }

    /// What it works on: the VMID in most cases, the *source's* VMID for `qmclone`, `VMID@STORAGE` for `imgdel`.
    pub fn id(&self) -> &str {
        self.field(6)
    }

    /// Who started it, `USER@REALM` or `USER@REALM!TOKENID`.
    pub fn user(&self) -> &str {
        self.field(7)
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn field(&self, index: usize) -> &str {
        self.text.split(':').nth(index).unwrap_or_default()
    }
}

impl FromStr for Upid {
    type Err = UpidError;

    fn from_str(text: &str) -> Result<Self, UpidError> {
        parse(text).ok_or_else(|| UpidError(text.chars().take(200).collect()))
    }
}

fn parse(text: &str) -> Option<Upid> {
    let fields: Vec<_> = text.split(':').collect();
    let ["UPID", node, pid, pstart, starttime, kind, id, user, ""] = fields[..] else {
        return None;
    };
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = |text: &str| !text.contains(|char: char| char == '/' || char.is_whitespace());
    let node_ok = !node.is_empty()
        && node.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !node.starts_with('-')
        && !node.ends_with('-');
    // A machine that is up for more than 497 days has nine digits of start time.
    let numbers_ok = pid.len() == 8 && matches!(pstart.len(), 8 | 9) && starttime.len() == 8;
    let names_ok = is_name(kind) && is_name(id) && is_name(user) && !kind.is_empty() && !user.is_empty();
    if !(node_ok && numbers_ok && names_ok && is_hex(pid) && is_hex(pstart) && is_hex(starttime)) {
        return None;
    }
    Some(Upid { text: text.to_owned(), starttime: u32::from_str_radix(starttime, 16).ok()? })
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Upid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Upid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_are_found() {
        let upid: Upid =
            "UPID:pve-2:0000083C:10A1B3140:6B020728:imgdel:5001@local:root@pam:".parse().unwrap();
        assert_eq!(upid.node(), "pve-2");
        assert_eq!(upid.starttime(), 0x6B02_0728);
        assert_eq!((upid.kind(), upid.id(), upid.user()), ("imgdel", "5001@local", "root@pam"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1",
            "UPID:-pve:0000083C:000A1B31:6B020728:qmclone:9000:root@pam:",
            "UPID:pve1:+000083C:000A1B31:6B020728:qmclone:9000:root@pam:",
            "UPID:pve1:83C:000A1B31:6B020728:qmclone:9000:root@pam:",
            "UPID:pve1:0000083C:000A1B31:6B020728:qm/clone:9000:root@pam:",
            "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000::",
        ] {
            assert!(text.parse::<Upid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(
            text in "UPID:[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[a-z]{1,9}:[0-9a-z@]{0,9}:[a-z]{1,5}@[a-z]{1,4}(![a-z]{1,5})?:"
        ) {
            let upid: Upid = text.parse().unwrap();
            prop_assert_eq!(upid.to_string(), text.clone());
            let json = serde_json::to_string(&upid).unwrap();
            prop_assert_eq!(serde_json::from_str::<Upid>(&json).unwrap(), upid);
        }

        #[test]
        fn any_text_is_survived(text in "(UPID:)?[:\\PC]{0,80}") {
            if let Ok(upid) = text.parse::<Upid>() {
                prop_assert_eq!(upid.to_string(), text);
            }
        }
    }
}
