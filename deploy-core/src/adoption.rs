//! Adopting: a machine that exists on a cluster becomes a record of ours.

use crate::{
    Addressing, CreateError, Created, Deployments, ExternalRef, Family, FromPools, Invalid, NewRecord,
    NicSlot, NodeName, SmbiosUuid, VmSpec, Vmid,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};

/// A machine that was made by somebody else, and what it was sold as.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    /// The embedder's reference.
    pub reference: ExternalRef,
    /// What was sold. The machine need not be so: what differs is shown as [`drift`](crate::drift()) once it is adopted. Its NICs
    /// and disks must be there, as many as are ordered; and its template is what a reinstallation would be made from.
    pub spec: VmSpec,
    /// Which machine it is.
    pub machine: Adopted,
    /// The embedder's own data.
    pub metadata: serde_json::Value,
}

/// The machine that is to be adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Its number, also one that is not of the cluster's range.
    pub vmid: Vmid,
    /// Its SMBIOS UUID (PVE: `smbios1`, `uuid`), by which it is known: a number may have been given to another one between the look
    /// at the machine and its adoption.
    pub smbios: SmbiosUuid,
    /// The node it is on; a hint, machines move.
    pub node: NodeName,
    /// Its own addresses, the main one of each NIC first: as many of each family as the order draws for that NIC. Each must be
    /// one that the pools of the NIC give, and that no other machine holds.
    pub addresses: Vec<(NicSlot, IpAddr)>,
}

impl Adopted {
    /// Those of its addresses that are of this NIC and family.
    pub(crate) fn addresses_of(&self, nic: NicSlot, family: Family) -> Vec<IpAddr> {
        let of = |(slot, address): &&(NicSlot, IpAddr)| *slot == nic && Family::of(*address) == family;
        self.addresses.iter().filter(of).map(|(_, address)| *address).collect()
    }

    /// Judges its addresses against the order.
    fn check(&self, spec: &VmSpec) -> Result<(), Invalid> {
        let mut seen = BTreeSet::new();
        for (nic, address) in &self.addresses {
            let canonical = address.to_canonical();
            if *address != canonical || !seen.insert(address) {
                return Err(Invalid::new("addresses", address, "each address once, and IPv4 as IPv4"));
            }
            if usize::from(nic.get()) >= spec.nics.len() {
                let expected = format!("a NIC of the order, which has {}", spec.nics.len());
                return Err(Invalid::new("addresses", format!("{nic} {address}"), expected));
            }
        }
        for (slot, nic) in NicSlot::in_order().zip(&spec.nics) {
            let none = FromPools::default();
            let from = match &nic.addressing {
                Addressing::Pools(from) => from,
                Addressing::Dhcp | Addressing::Unmanaged => &none,
            };
            for (family, draw) in [(Family::V4, &from.v4), (Family::V6, &from.v6)] {
                let ordered = draw.as_ref().map_or(0, |draw| usize::from(draw.count));
                let named = self.addresses_of(slot, family).len();
                if named != ordered {
                    let expected =
                        format!("as many {family} addresses for {slot} as the order draws ({ordered})");
                    return Err(Invalid::new("addresses", named, expected));
                }
            }
        }
        Ok(())
    }
}

impl Deployments {
    /// Adopts a machine that exists on its cluster and that somebody else made: from then on it is a record like others, and takes
    /// every command. Like an order it is only written down here, and a worker does the rest: it looks whether the machine is that
    /// which is meant and fits the order, takes its addresses out of their pools, and writes our mark into its notes. Nothing
    /// else of the machine is changed, not even its power. What differs from the order is then shown as drift;
    /// [`RunOn`](crate::Command::RunOn) or [`change_package`](Self::change_package) bring it there.
    ///
    /// What cannot be adopted is told to a human ([`VmRecord::attention`](crate::VmRecord::attention)) and tried again without
    /// end. [`LetGo`](crate::Command::LetGo) gives it up: the record ends, and nothing is done to the machine. Until it is adopted
    /// [`Terminate`](crate::Command::Terminate) is refused; afterwards it destroys the machine, as any other, and keeps backups that
    /// are older than the adoption.
    ///
    /// Idempotent on the reference, like an [order](Self::create).
    ///
    /// ```
    /// # use deploy_core::{Adopted, Adoption, Created, Deployments, VmSpec};
    /// # async fn adopt(deployments: &Deployments, spec: VmSpec) -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = Adopted {
    ///     vmid: 104.try_into()?,
    ///     smbios: "6f1a7b96-f972-408c-bacc-c708cd962268".parse()?,
    ///     node: "pve1".parse()?,
    ///     addresses: vec![(0.try_into()?, "203.0.113.10".parse()?)],
    /// };
    /// let metadata = serde_json::Value::Null;
    /// match deployments.adopt(Adoption { reference: "old-17".parse()?, spec, machine, metadata }).await? {
    ///     Created::New(record) => println!("machine {} is being adopted", record.numbered.vmid),
    ///     Created::Existing(record) => println!("machine {} is at {}", record.numbered.vmid, record.step),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CreateError`]; nothing was written. [`CreateError::Reserved`] where another record has the number.
    pub async fn adopt(&self, adoption: Adoption) -> Result<Created, CreateError> {
        let order = self.prepare_adoption(adoption)?;
        self.write_down(&order).await
    }

    /// An adoption, checked and complete with key, that is not written down: for stores that let it be written inside a transaction of
    /// the caller's.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn prepare_adoption(&self, adoption: Adoption) -> Result<NewRecord, Invalid> {
        let Adoption { reference, spec, machine, metadata } = adoption;
        // Its MACs are the machine's, once that was looked at; until then nothing is done with them.
        let order = self.prepare(reference, spec, metadata)?;
        machine.check(&order.spec)?;
        Ok(NewRecord { adopts: Some(machine), ..order })
    }
}
