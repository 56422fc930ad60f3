//! Names of snapshots, when they expire, and what a restore leaves.

use crate::{
    machines::{OURS, at, plain_machine},
    orders::{p, plain},
};
use deploy_core::*;

#[test]
fn a_snapshot_has_a_name_that_pve_takes() {
    for good in ["ab", "before-update_2", "Z9", &"a".repeat(40)] {
        assert_eq!(good.parse::<SnapshotName>().unwrap().to_string(), good);
    }
    let long = "a".repeat(41);
    for bad in ["", "a", "1st", "-a", "a b", "ümlaut", "a.b", "current", "pending", &long] {
        assert!(bad.parse::<SnapshotName>().is_err(), "{bad:?}");
        assert!(serde_json::from_value::<SnapshotName>(bad.into()).is_err(), "{bad:?}");
    }
}

#[test]
fn an_expiry_is_found_wherever_it_was_put() {
    let mark = ExpiryMark("2026-01-31T12:00:00Z".parse().unwrap());
    assert_eq!(mark.to_string(), "pvd-expires:2026-01-31T12:00:00Z");
    for text in ["", "before the update", "two\nlines", "old pvd-expires:2025-01-01T00:00:00Z"] {
        let marked = mark.put_into(text);
        assert_eq!(ExpiryMark::find(&marked), Some(mark), "{marked:?}");
        assert_eq!(mark.put_into(&marked), marked, "once");
    }
    assert_eq!(mark.put_into("before it"), "before it pvd-expires:2026-01-31T12:00:00Z");
    // Another way to write the same time, and more than one time.
    let other = "a pvd-expires:2026-01-31T14:00:00+02:00 pvd-expires:2026-01-30T00:00:00Z b";
    assert_eq!(ExpiryMark::find(other), Some(mark));
    for none in ["", "pvd-expires:", "pvd-expires:soon", "xpvd-expires:2026-01-31T12:00:00Z"] {
        assert_eq!(ExpiryMark::find(none), None, "{none:?}");
    }
}

/// What a restore works on, or left, is not taken for somebody else's machine; what somebody made is.
#[test]
fn a_husk_is_not_judged_and_is_nothing_but_a_husk() {
    let record = at(Step::SetCpuRam, plain());
    let ours = plain_machine(&record);
    let husk = Machine {
        config: MachineConfig {
            memory: Some(p_mib(128)),
            revision: Some(p("r9")),
            ..MachineConfig::default()
        },
        ..ours.clone()
    };
    let judge = |machine: &Machine, smbios| Ownership::judge(record.mark(), smbios, machine.shown());
    assert_eq!(judge(&ours, Some(OURS)), Ownership::Ours);
    assert_eq!(judge(&husk, Some(OURS)), Ownership::TooEarly);
    // Before there was a machine of ours there was nothing to restore over.
    assert_eq!(judge(&husk, None), Ownership::Stranger);
    let somebodys = [
        MachineConfig { name: Some(p("other")), ..husk.config.clone() },
        MachineConfig { disks: ours.config.disks.clone(), ..husk.config.clone() },
        MachineConfig { memory: Some(p_mib(512)), ..husk.config.clone() },
        // A container shows nothing at all.
        MachineConfig::default(),
    ];
    for config in somebodys {
        let machine = Machine { config, ..husk.clone() };
        assert_eq!(judge(&machine, Some(OURS)), Ownership::Stranger, "{:?}", machine.config);
    }
}

fn p_mib(count: u64) -> MiB {
    count.try_into().unwrap()
}
