use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{PropertyError, PropertyString};

/// What a machine's firmware says of it: the value of `smbios1`.
///
/// PVE makes a new UUID with every clone and every new machine, so it tells one machine from another that was given
/// the same VMID later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smbios {
    /// The machine's UUID.
    pub uuid: Option<Uuid>,
    /// All other options.
    pub others: PropertyString,
}

impl FromStr for Smbios {
    type Err = PropertyError;

    fn from_str(text: &str) -> Result<Self, PropertyError> {
        let mut rest = PropertyString::parse(text, "")?;
        Ok(Self { uuid: rest.take("uuid")?, others: rest })
    }
}

impl fmt::Display for Smbios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.others.clone();
        if let Some(uuid) = self.uuid {
            all.put("uuid", uuid);
        }
        write!(f, "{all}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_options_are_kept() {
        let text = "base64=1,serial=YQ==,uuid=e6948eb7-ee2a-4996-8892-1f22dfaf2cb4";
        let smbios: Smbios = text.parse().unwrap();
        assert_eq!(smbios.to_string(), text);
        assert_eq!(smbios.others.get("serial"), Some("YQ=="));
        assert!("uuid=x".parse::<Smbios>().is_err());
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(uuid: Option<u128>, serial in "[A-Za-z0-9=]{1,9}") {
            let mut others = PropertyString::new("");
            others.set("serial", serial).unwrap();
            let smbios = Smbios { uuid: uuid.map(Uuid::from_u128), others };
            prop_assert_eq!(smbios.to_string().parse(), Ok(smbios));
        }

        #[test]
        fn any_text_is_survived(text in "(uuid=[0-9a-f-]{0,40},?)?.{0,20}") {
            if let Ok(smbios) = text.parse::<Smbios>() {
                prop_assert_eq!(smbios.to_string().parse(), Ok(smbios));
            }
        }
    }
}
