use std::fmt;
use std::str::FromStr;

use super::{PropertyError, PropertyString};

/// From what a machine boots: the value of `boot`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootOrder {
    /// The devices in order, such as `scsi0`, `net0`.
    pub devices: Vec<String>,
    /// The letters of older configurations (`cdn`), where `c` is the disk that `bootdisk` names.
    pub legacy: Option<String>,
}

impl FromStr for BootOrder {
    type Err = PropertyError;

    fn from_str(text: &str) -> Result<Self, PropertyError> {
        let mut rest = PropertyString::parse(text, "legacy")?;
        let order = rest.remove("order").unwrap_or_default();
        let devices = order.split(';').filter(|device| !device.is_empty()).map(str::to_owned).collect();
        Ok(Self { devices, legacy: rest.take("legacy")? })
    }
}

impl fmt::Display for BootOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = PropertyString::new("legacy");
        if !self.devices.is_empty() {
            all.put("order", self.devices.join(";"));
        }
        if let Some(legacy) = &self.legacy {
            all.put("legacy", legacy);
        }
        write!(f, "{all}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read() {
        let order: BootOrder = "order=scsi0;ide2;net0".parse().unwrap();
        assert_eq!(order.devices, ["scsi0", "ide2", "net0"]);
        assert_eq!(order.to_string(), "order=scsi0;ide2;net0");
        let legacy: BootOrder = "cdn".parse().unwrap();
        assert_eq!(legacy.legacy.as_deref(), Some("cdn"));
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(devices in proptest::collection::vec("[a-z]{2,4}[0-9]", 0..4)) {
            let order = BootOrder { devices, legacy: None };
            prop_assert_eq!(order.to_string().parse(), Ok(order));
        }

        #[test]
        fn any_text_is_survived(text in "(order=)?[a-z0-9;,=]{0,20}|.{0,20}") {
            if let Ok(order) = text.parse::<BootOrder>() {
                prop_assert_eq!(order.to_string().parse(), Ok(order));
            }
        }
    }
}
