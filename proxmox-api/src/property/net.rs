use std::fmt;
use std::str::FromStr;

use super::drive::take_rate;
use super::{MacAddr, PropertyError, PropertyString};
use crate::lenient::boolean;

/// The cards that QEMU knows. `virtio=BC:24:11:..` gives the model and the address in one option.
const MODELS: [&str; 14] = [
    "virtio",
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "vmxnet3",
];

/// A network card: the value of `netN`.
///
/// PVE replaces the whole value, and makes up a new address when none is given; so read, change, and write back.
#[derive(Clone, Debug, PartialEq)]
pub struct NetConfig {
    /// The card, such as `virtio`.
    pub model: String,
    /// Its address.
    pub macaddr: Option<MacAddr>,
    /// The bridge or virtual network; `None` is NAT by QEMU.
    pub bridge: Option<String>,
    /// The VLAN, 1 to 4094.
    pub tag: Option<u16>,
    /// The limit in MiB/s, for each direction; `None` is unlimited, and 0 is read as that.
    pub rate: Option<f64>,
    /// True if the firewall works on this card. PVE's default is false.
    pub firewall: bool,
    /// All other options.
    pub others: PropertyString,
}

impl NetConfig {
    /// A virtio card at a bridge.
    pub fn virtio(bridge: impl Into<String>) -> Self {
        Self {
            model: "virtio".to_owned(),
            macaddr: None,
            bridge: Some(bridge.into()),
            tag: None,
            rate: None,
            firewall: false,
            others: PropertyString::new("model"),
        }
    }
}

impl FromStr for NetConfig {
    type Err = PropertyError;

    fn from_str(text: &str) -> Result<Self, PropertyError> {
        let mut rest = PropertyString::parse(text, "model")?;
        let mut model: Option<String> = rest.take("model")?;
        let mut macaddr = rest.take("macaddr")?;
        for name in MODELS {
            if let Some(address) = rest.take(name)?
                && (model.replace(name.to_owned()).is_some() || macaddr.replace(address).is_some())
            {
                return Err(PropertyError::Duplicate("model".to_owned()));
            }
        }
        let firewall = match rest.remove("firewall") {
            Some(text) => boolean(&text).ok_or_else(|| PropertyError::value("firewall", &text))?,
            None => false,
        };
        Ok(Self {
            model: model.ok_or(PropertyError::Missing("model"))?,
            macaddr,
            bridge: rest.take("bridge")?,
            tag: rest.take("tag")?,
            rate: take_rate(&mut rest, "rate")?,
            firewall,
            others: rest,
        })
    }
}

impl fmt::Display for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.others.clone();
        match self.macaddr {
            // The short form is PVE's own, but only for the models that it knows.
            Some(address) if MODELS.contains(&self.model.as_str()) => write!(f, "{}={address}", self.model)?,
            Some(address) => write!(f, "model={},macaddr={address}", self.model)?,
            None => write!(f, "model={}", self.model)?,
        }
        if let Some(bridge) = &self.bridge {
            all.put("bridge", bridge);
        }
        if let Some(tag) = self.tag {
            all.put("tag", tag);
        }
        if let Some(rate) = self.rate {
            all.put("rate", rate);
        }
        if self.firewall {
            all.put("firewall", 1);
        }
        all.iter().try_for_each(|(key, value)| write!(f, ",{key}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_card_is_read_changed_and_written_back() {
        let mut card: NetConfig =
            "virtio=bc:24:11:3D:F2:9A,bridge=vmbr0,firewall=0,mtu=1,trunks=1;2-4".parse().unwrap();
        assert_eq!(card.model, "virtio");
        assert_eq!(card.macaddr, "BC:24:11:3D:F2:9A".parse().ok());
        card.tag = Some(100);
        card.rate = Some(12.5);
        card.firewall = true;
        let expected =
            "virtio=BC:24:11:3D:F2:9A,bridge=vmbr0,firewall=1,mtu=1,rate=12.5,tag=100,trunks=1;2-4";
        assert_eq!(card.to_string(), expected);
    }

    #[test]
    fn all_forms_mean_the_same() {
        let short: NetConfig = "e1000=BC:24:11:00:00:01".parse().unwrap();
        assert_eq!("e1000,macaddr=BC:24:11:00:00:01".parse(), Ok(short.clone()));
        assert_eq!("macaddr=BC:24:11:00:00:01,model=e1000".parse(), Ok(short));
        for wrong in [
            "",
            "bridge=vmbr0",
            "virtio,e1000=BC:24:11:00:00:01",
            "virtio=x",
            "virtio,tag=x",
            "virtio,firewall=x",
        ] {
            assert!(wrong.parse::<NetConfig>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(
            model in "virtio|e1000|[a-z]{9}",
            mac: Option<[u8; 6]>,
            tag in proptest::option::of(1_u16..4095),
            rate in proptest::option::of(0.001_f64..1e6),
            firewall: bool,
        ) {
            let mut card = NetConfig::virtio("vmbr0");
            card.model = model;
            card.macaddr = mac.map(MacAddr::new);
            card.tag = tag;
            card.rate = rate;
            card.firewall = firewall;
            card.others.set("queues", 4).unwrap();
            prop_assert_eq!(card.to_string().parse(), Ok(card));
        }

        #[test]
        fn any_text_is_survived(text in "(virtio|e1000)(=[0-9A-F:]{17})?(,(tag|rate|bridge|firewall)=[0-9.a-z]{1,5}){0,3}|.{0,30}") {
            if let Ok(card) = text.parse::<NetConfig>() {
                prop_assert_eq!(card.to_string().parse(), Ok(card));
            }
        }
    }
}
