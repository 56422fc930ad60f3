//! What record and machine must be.

use deploy_core::{MacAddr, PasswordHash, Step, Vmid};
use examples::life::{Scene, Told};
use std::collections::BTreeMap;

/// What record and machine must be.
pub(super) struct Expected {
    pub(super) power: Option<&'static str>,
    pub(super) node: &'static str,
    /// The template that its system disk lies over.
    pub(super) template: Option<&'static str>,
    pub(super) step: Step,
    pub(super) held: bool,
    pub(super) cores: &'static str,
    pub(super) memory: &'static str,
    pub(super) disk: &'static str,
    /// What its system disk may write, MiB/s.
    pub(super) limit: Option<&'static str>,
    /// Its additional disk: size, and what may be written.
    pub(super) more: Option<(&'static str, Option<&'static str>)>,
    pub(super) onboot: &'static str,
    pub(super) tags: &'static str,
    pub(super) user: &'static str,
    /// Of its NIC; `None` where that is the template's.
    pub(super) rate: Option<&'static str>,
    /// Whether its firewall is on; `None` where it has none yet.
    pub(super) firewall: Option<&'static str>,
    /// An address that it may send from, and that is not its own.
    pub(super) foreign: Option<&'static str>,
    /// Whether cloud-init has been told anything yet.
    pub(super) is_told: bool,
    /// Whether a name server knows its addresses.
    pub(super) is_named: bool,
    /// What is set at its next start.
    pub(super) waiting: &'static [(&'static str, &'static str)],
    pub(super) v4: Vec<String>,
    pub(super) v6: Vec<String>,
    pub(super) free_v4: u128,
    pub(super) free_v6: u128,
    pub(super) snapshots: &'static [&'static str],
    pub(super) backups: usize,
    name: String,
    vmid: Vmid,
    mac: MacAddr,
    /// Of the machine that is there: another one has another.
    identity: Option<String>,
}

impl Expected {
    /// What was ordered. What was drawn for it is as it is, and must stay so.
    pub(super) fn ordered(reference: &str, seen: &Scene) -> Self {
        let (v4, v6) = held(seen);
        Self {
            power: Some("running"),
            node: "pve2",
            template: Some("9000"),
            step: Step::Ready,
            held: false,
            cores: "1",
            memory: "1024",
            disk: "8G",
            limit: None,
            more: None,
            onboot: "1",
            tags: "demo",
            user: "admin",
            rate: Some("12.5"),
            firewall: Some("1"),
            foreign: None,
            is_told: true,
            is_named: true,
            waiting: &[],
            v4,
            v6,
            free_v4: seen.free["public-v4"],
            free_v6: seen.free["public-v6"],
            snapshots: &[],
            backups: 0,
            name: format!("{reference}.example.net"),
            vmid: seen.record.numbered.vmid,
            mac: seen.record.macs[0],
            identity: seen.config.get("smbios1").cloned(),
        }
    }

    /// It is another machine under the same number.
    pub(super) fn made_anew(&mut self) {
        self.identity = None;
    }

    /// A clone that nothing was set of.
    pub(super) fn as_the_template(&mut self) {
        (self.cores, self.memory, self.disk, self.limit, self.more) = ("1", "512", "2G", None, None);
        (self.onboot, self.tags, self.user) = ("0", "", "");
        (self.rate, self.firewall, self.is_told) = (None, None, false);
    }

    pub(super) fn assert(&mut self, told: &Told) {
        let (command, scene) = (&told.command, &told.after);
        self.assert_record(command, scene);
        assert_eq!(scene.power.as_deref(), self.power, "{command}: power");
        assert_eq!(scene.snapshots, self.snapshots, "{command}: snapshots");
        assert_eq!(scene.backups.len(), self.backups, "{command}: backups");
        let own: Vec<String> = self.v4.iter().chain(&self.v6).cloned().collect();
        let named = if self.is_named { own } else { Vec::new() };
        assert_eq!(scene.names, named, "{command}: its name");
        if self.power.is_some() {
            assert_eq!(scene.node.as_deref(), Some(self.node), "{command}: the node");
            self.assert_config(command, scene);
            self.assert_disks(command, scene);
            self.assert_guest(command, scene);
            self.assert_firewall(command, scene);
        } else {
            assert!(scene.config.is_empty(), "{command}: {:?}", scene.config);
            assert!(scene.firewall.is_empty() && scene.allowed.is_empty(), "{command}: {:?}", scene.firewall);
        }
    }

    fn assert_record(&self, command: &str, scene: &Scene) {
        let record = &scene.record;
        assert_eq!((record.step, record.life.held), (self.step, self.held), "{command}: the record");
        let drawn = (record.numbered.vmid, &record.macs[..]);
        assert_eq!(drawn, (self.vmid, &[self.mac][..]), "{command}: the record");
        assert_eq!((record.failures, &record.attention), (0, &None), "{command}: the record");
        // A termination supersedes what waits, and what is told later is told of the same record.
        let waiting = (&record.pending, &record.life.queue, &record.life.asked, &record.life.wanted);
        assert_eq!(waiting, (&vec![], &vec![], &None, &None), "{command}: the queue");
        assert_eq!(record.life.retiring, [], "{command}: nothing is held beside its addresses");
        let suspended = record.life.suspended.is_some();
        assert_eq!(suspended, self.step == Step::Suspended, "{command}: the suspension");
        assert_eq!(held(scene), (self.v4.clone(), self.v6.clone()), "{command}: the record's addresses");
        let free = (scene.free["public-v4"], scene.free["public-v6"]);
        assert_eq!(free, (self.free_v4, self.free_v6), "{command}: the pools");
    }

    fn assert_config(&mut self, command: &str, scene: &Scene) {
        let is = |name: &str| scene.config.get(name).map(String::as_str).unwrap_or_default();
        for (name, wanted) in [
            ("name", self.name.as_str()),
            ("cores", self.cores),
            ("memory", self.memory),
            ("tags", self.tags),
        ] {
            assert_eq!(is(name), wanted, "{command}: {name}");
        }
        assert_eq!(is("onboot") == "1", self.onboot == "1", "{command}: onboot");
        if let Some(rate) = self.rate {
            let nic = format!("virtio={},bridge=vmbr0,firewall=1,rate={rate}", self.mac);
            assert_eq!(is("net0"), nic, "{command}: net0");
            assert_eq!(scene.config.get("net1"), None, "{command}: net1");
        }
        for option in ["unused0", "net2", "lock"] {
            assert_eq!(scene.config.get(option), None, "{command}: {option}");
        }
        let waiting: BTreeMap<&str, &str> =
            scene.pending.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(waiting, self.waiting.iter().copied().collect(), "{command}: what waits for a start");
        let identity = is("smbios1").to_owned();
        match &self.identity {
            Some(known) => assert_eq!(identity, *known, "{command}: it is another machine"),
            None => self.identity = Some(identity),
        }
    }

    fn assert_disks(&self, command: &str, scene: &Scene) {
        let shown = |slot: &str| {
            let disk = scene.config.get(slot)?;
            let option = |name: &str| disk.split(',').find_map(|option| option.strip_prefix(name));
            Some((option("size=").unwrap_or_default(), option("mbps_wr=")))
        };
        assert_eq!(shown("scsi0"), Some((self.disk, self.limit)), "{command}: scsi0");
        assert_eq!(shown("scsi1"), self.more, "{command}: scsi1");
        assert_eq!(shown("scsi2"), None, "{command}: scsi2");
        let over = self.template.map(|template| format!("shared:{template}/base-{template}-disk-0"));
        let volume = &scene.config["scsi0"];
        match over {
            Some(base) => assert!(volume.starts_with(&base), "{command}: {volume}"),
            None => assert!(!volume.contains("base-"), "{command}: {volume}"),
        }
    }

    /// What cloud-init tells the guest. It knows one address of each family.
    fn assert_guest(&self, command: &str, scene: &Scene) {
        let is = |name: &str| scene.config.get(name).map(String::as_str).unwrap_or_default();
        if !self.is_told {
            assert_eq!((is("ciuser"), is("ipconfig0")), ("", ""), "{command}: cloud-init");
            return;
        }
        let ipconfig = format!("ip={}/24,gw=203.0.113.1,ip6={}/64,gw6=fe80::1", self.v4[0], self.v6[0]);
        let told = scene.record.spec.cloud_init.as_ref();
        let password = told.and_then(|told| told.password.as_ref()).map(PasswordHash::expose);
        for (name, wanted) in [
            ("ciuser", self.user),
            ("cipassword", password.unwrap_or_default()),
            ("searchdomain", "example.net"),
            ("nameserver", "192.0.2.53 192.0.2.54 2001:db8:53::53"),
            ("ipconfig0", &ipconfig),
        ] {
            assert_eq!(is(name), wanted, "{command}: {name}");
        }
        assert!(is("sshkeys").contains("ann%40example.net"), "{command}: {}", is("sshkeys"));
    }

    /// What is let in, and what it may send from.
    fn assert_firewall(&self, command: &str, scene: &Scene) {
        let option = |name: &str| scene.firewall.get(name).map(String::as_str);
        let Some(on) = self.firewall else {
            assert_eq!((option("enable"), &scene.allowed[..]), (None, &[][..]), "{command}: the firewall");
            return;
        };
        for (name, wanted) in [
            ("enable", on),
            ("ipfilter", "1"),
            ("macfilter", "1"),
            ("policy_in", "DROP"),
            ("policy_out", "ACCEPT"),
        ] {
            assert_eq!(option(name), Some(wanted), "{command}: {name} of the firewall");
        }
        let [rule] = &scene.rules[..] else { panic!("{command}: {:?}", scene.rules) };
        let shown = (&rule["type"], &rule["action"], &rule["macro"]);
        assert_eq!(shown, (&"in".into(), &"ACCEPT".into(), &"SSH".into()), "{command}: {rule}");
        let own = self.v4.iter().chain(&self.v6).map(String::as_str);
        let mut allowed: Vec<&str> = own.chain(self.foreign).collect();
        allowed.sort_unstable();
        assert_eq!(scene.allowed, allowed, "{command}: what it may send from");
    }
}

/// The record's addresses of both families.
fn held(scene: &Scene) -> (Vec<String>, Vec<String>) {
    let held = scene.record.addresses.iter().map(|held| held.address.to_string());
    held.partition(|address| address.contains('.'))
}
