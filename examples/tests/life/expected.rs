//! What record and machine must be.

use deploy_core::{MacAddr, Step, Vmid};
use examples::life::{Scene, Told};

/// What record and machine must be.
pub(super) struct Expected {
    pub(super) power: Option<&'static str>,
    pub(super) step: Step,
    pub(super) held: bool,
    pub(super) cores: &'static str,
    pub(super) memory: &'static str,
    pub(super) disk: &'static str,
    pub(super) onboot: &'static str,
    pub(super) tags: &'static str,
    pub(super) user: &'static str,
    pub(super) v4: Vec<String>,
    pub(super) v6: Vec<String>,
    pub(super) free_v4: u128,
    pub(super) snapshots: &'static [&'static str],
    pub(super) backups: usize,
    vmid: Vmid,
    mac: MacAddr,
    /// Of the machine that is there: another one has another.
    identity: Option<String>,
}

impl Expected {
    /// What was ordered. What was drawn for it is as it is, and must stay so.
    pub(super) fn ordered(seen: &Scene) -> Self {
        Self {
            power: Some("running"),
            step: Step::Ready,
            held: false,
            cores: "1",
            memory: "1024",
            disk: "8G",
            onboot: "1",
            tags: "demo",
            user: "admin",
            v4: vec!["203.0.113.10".to_owned()],
            v6: vec!["2001:db8:1::1000".to_owned()],
            free_v4: seen.free["public-v4"],
            snapshots: &[],
            backups: 0,
            vmid: seen.record.numbered.vmid,
            mac: seen.record.macs[0],
            identity: seen.config.get("smbios1").cloned(),
        }
    }

    /// It is another machine under the same number.
    pub(super) fn made_anew(&mut self) {
        self.identity = None;
    }

    pub(super) fn assert(&mut self, told: &Told) {
        let (command, scene) = (&told.command, &told.after);
        self.assert_record(command, scene);
        assert_eq!(scene.power.as_deref(), self.power, "{command}: power");
        assert_eq!(scene.snapshots, self.snapshots, "{command}: snapshots");
        assert_eq!(scene.backups.len(), self.backups, "{command}: backups");
        if self.power.is_some() {
            self.assert_config(command, scene);
            self.assert_addresses(command, scene);
        } else {
            assert!(scene.config.is_empty(), "{command}: {:?}", scene.config);
        }
    }

    fn assert_record(&self, command: &str, scene: &Scene) {
        let record = &scene.record;
        assert_eq!((record.step, record.life.held), (self.step, self.held), "{command}: the record");
        assert_eq!(
            (record.numbered.vmid, &record.macs[..]),
            (self.vmid, &[self.mac][..]),
            "{command}: the record"
        );
        assert_eq!((record.failures, &record.attention), (0, &None), "{command}: the record");
        let waiting = (&record.pending, &record.life.queue, &record.life.asked, &record.life.wanted);
        assert_eq!(waiting, (&vec![], &vec![], &None, &None), "{command}: the queue");
        assert_eq!(record.life.retiring, [], "{command}: nothing is held beside its addresses");
        assert_eq!(
            record.life.suspended.is_some(),
            self.step == Step::Suspended,
            "{command}: the suspension"
        );
        let held: Vec<String> = record.addresses.iter().map(|held| held.address.to_string()).collect();
        let (v4, v6): (Vec<_>, Vec<_>) = held.into_iter().partition(|address| address.contains('.'));
        assert_eq!((v4, v6), (self.v4.clone(), self.v6.clone()), "{command}: the record's addresses");
        assert_eq!(scene.free["public-v4"], self.free_v4, "{command}: the pool");
    }

    fn assert_config(&mut self, command: &str, scene: &Scene) {
        let is = |name: &str| scene.config.get(name).map(String::as_str).unwrap_or_default();
        let named = "web-1.example.net";
        for (name, wanted) in [
            ("name", named),
            ("cores", self.cores),
            ("memory", self.memory),
            ("onboot", self.onboot),
            ("tags", self.tags),
            ("ciuser", self.user),
            ("searchdomain", "example.net"),
            ("nameserver", "192.0.2.53 192.0.2.54 2001:db8:53::53"),
        ] {
            assert_eq!(is(name), wanted, "{command}: {name}");
        }
        assert_eq!(is("net0"), format!("virtio={},bridge=vmbr0,firewall=1,rate=12.5", self.mac), "{command}");
        assert!(
            is("scsi0").split(',').any(|option| option == format!("size={}", self.disk)),
            "{command}: scsi0: {}",
            is("scsi0")
        );
        assert!(is("cipassword").starts_with("**"), "{command}: cipassword");
        for drive in ["scsi1", "unused0", "net1", "lock"] {
            assert_eq!(scene.config.get(drive), None, "{command}: {drive}");
        }
        let identity = is("smbios1").to_owned();
        match &self.identity {
            Some(known) => assert_eq!(identity, *known, "{command}: it is another machine"),
            None => self.identity = Some(identity),
        }
    }

    /// What cloud-init tells the guest, and what the firewall lets it send from. Cloud-init knows one address of each family.
    fn assert_addresses(&self, command: &str, scene: &Scene) {
        let ipconfig = format!("ip={}/24,gw=203.0.113.1,ip6={}/64,gw6=fe80::1", self.v4[0], self.v6[0]);
        assert_eq!(scene.config["ipconfig0"], ipconfig, "{command}: ipconfig0");
        let mut allowed: Vec<&String> = self.v4.iter().chain(&self.v6).collect();
        allowed.sort();
        let own: Vec<&String> = scene.allowed.iter().filter(|address| !address.starts_with("fe80")).collect();
        assert_eq!(own, allowed, "{command}: what it may send from");
    }
}
