//! What the guest is told.

use super::*;

fn told(spec: VmSpec, cloud_init: CloudInit) -> (VmRecord, Machine) {
    let record = at(Step::SetCloudinit, VmSpec { cloud_init: Some(cloud_init), ..spec });
    let mut machine = plain_machine(&record);
    machine.config.cloud_init.drive = Some(p("ide2"));
    machine.config.cloud_init.upgrade = Some(false);
    (record, machine)
}

#[test]
fn a_password_is_written_once_though_nobody_can_read_it() {
    let (mut record, mut machine) =
        told(plain(), CloudInit { password: Some(hash()), ..CloudInit::default() });
    machine.config.cloud_init.has_password = true;
    let wanted = settings(seen(&record, &machine));
    assert_eq!(wanted.cloud_init.password, Some(hash()), "what is there may be the template's");
    let written = Change::Configure(Box::new(wanted)).remembered();
    assert_eq!(written, BTreeSet::from([Remembered::PasswordWritten]));
    record.remembered = written;
    assert!(is_done(&seen(&record, &machine)));
    machine.config.cloud_init.has_password = false;
    assert_eq!(settings(seen(&record, &machine)).cloud_init.password, Some(hash()), "somebody removed it");
}

#[test]
fn several_addresses_of_both_families_give_one_of_each_and_one_route() {
    let spec = VmSpec { nics: vec![nic(from_pools(2, 2)), nic(from_pools(1, 1))], ..plain() };
    let (record, machine) = told(spec, CloudInit::default());
    let goal = settings(seen(&record, &machine)).cloud_init;
    let first = &goal.networks[&slot(0)];
    let (address, gateway) = ("198.51.100.10/24".parse().unwrap(), Some("198.51.100.1".parse().unwrap()));
    assert_eq!(first.v4, Some(GuestV4::Static { address, gateway }));
    let (address, gateway) = ("2001:db8::10/64".parse().unwrap(), Some("2001:db8::1".parse().unwrap()));
    assert_eq!(first.v6, Some(GuestV6::Static { address, gateway }));
    let second = &goal.networks[&slot(1)];
    let address = "198.51.101.10/24".parse().unwrap();
    assert_eq!(second.v4, Some(GuestV4::Static { address, gateway: None }));
    assert_eq!(goal.resolvers, Some(vec!["192.0.2.53".parse().unwrap()]), "the pools', each once");
}

#[test]
fn dhcp_is_told_and_what_is_not_ordered_is_taken_away() {
    let spec = VmSpec { nics: vec![nic(Addressing::Dhcp), nic(Addressing::Unmanaged)], ..plain() };
    let (record, mut machine) = told(spec, CloudInit::default());
    machine.config.cloud_init.networks.insert(slot(1), GuestNetwork::default());
    let goal = settings(seen(&record, &machine)).cloud_init;
    let dhcp = GuestNetwork { v4: Some(GuestV4::Dhcp), v6: Some(GuestV6::Auto) };
    assert_eq!(goal.networks, BTreeMap::from([(slot(0), dhcp)]));
    assert_eq!(goal.remove_networks, BTreeSet::from([slot(1)]));
}

#[test]
fn a_drive_is_made_where_the_template_has_none() {
    let (record, mut machine) = told(plain(), CloudInit { ssh_keys: vec![p(KEY)], ..CloudInit::default() });
    machine.config.cloud_init.drive = None;
    machine.config.drives = [p("ide2"), p("ide0")].into();
    let goal = settings(seen(&record, &machine)).cloud_init;
    assert_eq!(goal.drive, Some((p("ide3"), p("local"))), "a free slot, beside the system disk");
    assert_eq!(goal.ssh_keys, Some(vec![p(KEY)]));
    machine.config.drives.extend([p::<DiskSlot>("ide3"), p("sata5"), p("scsi30")]);
    assert!(impossible(seen(&record, &machine)).contains("no slot is free"));
}

/// Its guest would keep addresses that are given back next, and nothing would show it.
#[test]
fn a_machine_that_was_started_meanwhile_is_stopped_before_it_is_told_otherwise() {
    let told_otherwise = CloudInit { user: Some(p("ann")), ..CloudInit::default() };
    for operation in [Operation::ChangePackage, Operation::RollBack, Operation::RestoreBackup] {
        let (record, mut machine) = told(plain(), told_otherwise.clone());
        let mut record = VmRecord { step: Step::CpCloudinit, operation, ..record };
        assert_eq!(settings(seen(&record, &machine)).cloud_init.user, Some(p("ann")));
        machine.power = Some(Power::Running);
        assert_eq!(seen(&record, &machine), Decision::Note(NoteDown::Ran));
        record.life.ran = true;
        assert!(matches!(change(seen(&record, &machine)), Change::Stop(_)));
        // Nor is it left to its node.
        machine.config.autostart = Autostart::On;
        for power in [Power::Running, Power::Stopped] {
            machine.power = Some(power);
            let off = Configure { autostart: Some(Autostart::Off), ..Configure::default() };
            assert_eq!(settings(seen(&record, &machine)), off);
        }
        machine.power = Some(Power::Running);
        machine.config.cloud_init.user = Some(p("ann"));
        assert!(is_done(&seen(&record, &machine)), "{operation}: {:?}", seen(&record, &machine));
    }
}
