//! What is parsed is what was written, what is wrong is refused with a word about what would be right, and secrets are
//! told to nobody.

use crate::{
    bench::tried,
    machines::{at, networked},
    orders::{HASH, KEY, hash, p, plain, rule, specs, vmid},
};
use deploy_core::*;
use jiff::Timestamp;
use proptest::{prelude::*, sample::select};
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

/// Text, serde and value agree.
fn assert_round_trip<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
}

fn assert_text<T>(text: &str)
where
    T: FromStr<Err = Invalid> + Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let value: T = p(text);
    assert_eq!(value.to_string().parse::<T>().unwrap(), value);
    assert_round_trip(&value);
}

/// Refused by name, with the value and what would be right.
fn assert_refused<T: FromStr<Err = Invalid> + DeserializeOwned + Debug>(text: &str) {
    let invalid = text.parse::<T>().expect_err(text);
    assert!(!invalid.field.is_empty() && !invalid.expected.is_empty());
    assert_eq!(invalid.value, text);
    serde_json::from_value::<T>(serde_json::Value::from(text)).expect_err("by serde too");
}

proptest! {
    #![proptest_config(tried(300))]

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<DnsName>();
        let _ = text.parse::<NamePattern>();
        let _ = text.parse::<DiskSlot>();
        let _ = text.parse::<MacAddr>();
        let _ = text.parse::<MiBps>();
        let _ = text.parse::<SshKey>();
        let _ = text.parse::<EmailAddress>();
        let _ = text.parse::<PvePool>();
        let _ = text.parse::<Tag>();
        let _ = PasswordHash::try_from(text.clone());
        let _ = RuleKey::in_comment(&text);
        let _ = OwnerMark::find(&text);
    }

    #[test]
    fn names_are_labels_in_lower_case(labels in proptest::collection::vec("[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?", 1..5)) {
        let text = labels.join(".");
        assert_text::<DnsName>(&text);
        prop_assert_eq!(p::<DnsName>(&text).to_string(), text.to_ascii_lowercase());
        for wrong in [format!("-{text}"), format!("{text}."), format!("{text}-"), format!("{text}..a")] {
            prop_assert!(wrong.parse::<DnsName>().is_err(), "{}", wrong);
        }
    }

    #[test]
    fn patterns_give_names_for_every_number(number in 100..=999_999_999_u32, prefix in "[a-z]{1,20}") {
        let pattern: NamePattern = p(&format!("{prefix}-{{vmid}}.{{cluster}}.{{node}}.{{reference}}.net"));
        let name = pattern.resolve(NameParts {
            vmid: vmid(number),
            reference: &p("Order #7/b"),
            cluster: &p("main_1"),
            node: &p("n1"),
        });
        prop_assert_eq!(name.unwrap().to_string(), format!("{prefix}-{number}.main-1.n1.order--7-b.net"));
        assert_round_trip(&pattern);
    }

    #[test]
    fn numbers_are_numbers_of_the_hypervisor(number in any::<u32>()) {
        let fits = (100..=999_999_999).contains(&number);
        prop_assert_eq!(Vmid::try_from(number).is_ok(), fits);
        prop_assert_eq!(serde_json::from_value::<Vmid>(number.into()).is_ok(), fits);
    }

    #[test]
    fn rates_are_exact_to_a_thousandth(thousandths in 1..=1_000_000_000_u64) {
        let rate = MiBps::from_thousandths(thousandths).unwrap();
        prop_assert_eq!(rate.to_string().parse::<MiBps>().unwrap(), rate);
        assert_round_trip(&rate);
        assert_round_trip(&Limit::At(rate));
        #[allow(clippy::cast_precision_loss)] // below 2^53
        let number = thousandths as f64 / 1000.0;
        prop_assert_eq!(MiBps::try_from(number).unwrap(), rate);
        prop_assert_eq!(serde_json::from_value::<MiBps>(number.into()).unwrap(), rate);
    }

    #[test]
    fn slots_have_one_spelling(bus in select(DiskBus::ALL.to_vec()), index in any::<u8>()) {
        let (bus, name, slots) = bus;
        let text = format!("{name}{index}");
        prop_assert_eq!(text.parse::<DiskSlot>().is_ok(), index < slots);
        if let Some(slot) = DiskSlot::new(bus, index) {
            prop_assert_eq!(slot.to_string(), &*text);
            assert_text::<DiskSlot>(&text);
            for wrong in [format!("{name}0{index}"), format!("{name}+{index}"), format!(" {text}")] {
                prop_assert!(wrong.parse::<DiskSlot>().is_err(), "{}", wrong);
            }
        }
    }

    #[test]
    fn macs_are_unicast(octets in any::<[u8; 6]>()) {
        let ours = MacAddr::local(octets);
        prop_assert_eq!(ours.octets()[0] & 3, 2, "local and unicast");
        assert_text::<MacAddr>(&ours.to_string());
        assert_text::<MacAddr>(&ours.to_string().to_lowercase());
        let text = octets.map(|octet| format!("{octet:02X}")).join(":");
        prop_assert_eq!(text.parse::<MacAddr>().is_ok(), octets[0] & 1 == 0);
    }

    #[test]
    fn a_mark_is_found_where_it_was_put_and_only_once(
        mine in any::<u128>(),
        other in any::<u128>(),
        before in "[a-z :\n]{0,30}",
        after in "[a-z :\n]{0,30}",
    ) {
        let (mine, other) = (uuid::Uuid::from_u128(mine), uuid::Uuid::from_u128(other));
        let (mine, other) = (OwnerMark(VmKey(mine)), OwnerMark(VmKey(other)));
        let description = format!("{before}\n {other} \n{after}");
        prop_assert_eq!(OwnerMark::find(&description), Some(other));
        let marked = mine.put_into(&description);
        prop_assert_eq!(OwnerMark::find(&marked), Some(mine));
        prop_assert_eq!(&mine.put_into(&marked), &marked, "putting it in twice is once");
        prop_assert_eq!(marked.matches("pve-deploy: ").count(), 1);
        for line in before.lines().chain(after.lines()).filter(|line| !line.trim().is_empty()) {
            prop_assert!(marked.contains(line.trim_end()), "{:?} lost {:?}", marked, line);
        }
    }

    #[test]
    fn a_rule_is_found_by_the_key_in_its_comment(port in any::<u16>(), comment in "[ a-z]{0,20}") {
        let key = rule(port).key();
        prop_assert_eq!(RuleKey::in_comment(&format!("{key}{comment}")).is_some(), !comment.starts_with(|c| c != ' '));
        prop_assert_eq!(RuleKey::in_comment(&format!("{key} {comment}")), Some(key));
        prop_assert_eq!(RuleKey::in_comment(&format!("x{key}")), None);
        prop_assert_eq!(rule(port).key(), key);
        prop_assert_ne!(rule(port.wrapping_add(1)).key(), key);
    }

    #[test]
    fn orders_survive_being_stored(spec in specs()) {
        assert_round_trip(&spec);
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_name() {
    for wrong in ["", "a..b", "a_b", "ä", "-a"] {
        assert_refused::<DnsName>(wrong);
    }
    assert_refused::<DnsName>(&"a".repeat(64));
    assert_refused::<DnsName>(&["a".repeat(60).as_str(); 5].join("."));
    for wrong in ["", "scsi", "scsi31", "ide4", "nvme0"] {
        assert_refused::<DiskSlot>(wrong);
    }
    for wrong in ["", "01:00:00:00:00:00", "02:00:00:00:00", "02:00:00:00:00:00:00", "02-00-00-00-00-00"] {
        assert_refused::<MacAddr>(wrong);
    }
    for wrong in ["", "0", "-1", "1e99", "nan", "inf", "0.0001", "1.2345", "1000000.001"] {
        assert_refused::<MiBps>(wrong);
    }
    let two_lines = format!("{KEY}\n{KEY}");
    for wrong in ["", "ssh-ed25519 AAAA", "hello", two_lines.as_str()] {
        assert_refused::<SshKey>(wrong);
    }
    for wrong in ["", "{", "{name}", "{vmid", "a b", "vm{vmid}-"] {
        let invalid = wrong.parse::<NamePattern>().expect_err(wrong);
        assert!(!invalid.expected.is_empty());
    }
    let nested = Invalid::new("vlan", 5000, "less").at("nics[0]").at("order");
    assert_eq!(nested.field, "order.nics[0].vlan");
}

#[test]
fn keys_are_one_line_as_they_were_given() {
    assert_eq!(p::<SshKey>(&format!("  {KEY}\n")).as_str(), KEY);
    assert_text::<SshKey>(KEY);
}

/// Against `openssl passwd -6 -salt <salt> <password>`.
#[test]
fn passwords_are_hashed_as_crypt_does() {
    // These bytes are the digits of "saltsaltsalt" in crypt's alphabet, plus a multiple of 64 that does not count.
    let digit = |c: u8| match c {
        b'.' => 0,
        b'/' => 1,
        b'0'..=b'9' => c - b'0' + 2,
        b'A'..=b'Z' => c - b'A' + 12,
        _ => c - b'a' + 38,
    };
    let salt = b"saltsaltsalt".map(|c| digit(c) + 64);
    let hash = PasswordHash::of(&SecretString::from("Hello world!"), salt).unwrap();
    assert_eq!(hash.expose(), OPENSSL);
    assert_round_trip(&hash);
    for wrong in ["", "a\nb", "a\0b", &"x".repeat(257)] {
        let invalid = PasswordHash::of(&SecretString::from(wrong), salt).expect_err("it is refused");
        assert_eq!(invalid.value, "(hidden)");
    }
    for wrong in ["plain", "$5$salt$hash", "$6$$", &HASH[..HASH.len() - 1], &format!("{HASH}x")] {
        let invalid = PasswordHash::try_from(wrong.to_owned()).expect_err("it is no hash");
        assert!(wrong.is_empty() || !invalid.to_string().contains(wrong), "{invalid}");
    }
}

const OPENSSL: &str =
    "$6$saltsaltsalt$tkbLZz7Hck/vcrBc30bv/5J/1xR2fqjVgMpauCGvIigQGVNK.Hlcie4EHK4STimwRJaotjZJQZagaP9iPBIa//";

#[test]
fn nobody_is_told_a_secret() {
    let cloud_init = CloudInit { password: Some(hash()), ..CloudInit::default() };
    let record = at(Step::SetCloudinit, VmSpec { cloud_init: Some(cloud_init), ..networked() });
    let goal = CloudInitGoal { password: Some(hash()), ..CloudInitGoal::default() };
    let change = Change::Configure(Box::new(Configure { cloud_init: goal, ..Configure::default() }));
    let now = Timestamp::UNIX_EPOCH;
    let policy = RetryPolicy::default();
    let settled = |outcome| settle(&record, Report { outcome, seen_on: None }, now, &policy);
    let error = SubmitError { class: ErrorClass::Failed, sent: Sent::Answered, message: "no".to_owned() };
    let told = [
        format!("{record:?}"),
        format!("{change:?} {change}"),
        format!("{:?}", settled(Outcome::Intending(&change))),
        format!("{:?}", settled(Outcome::Sent(&change, Submitted::Applied))),
        format!("{:?}", settled(Outcome::NotSent(&change, error))),
        format!("{:?}", hash()),
    ];
    let secret = &HASH[HASH.len() - 40..];
    for text in told {
        assert!(!text.contains(secret) && !text.contains("saltstring"), "{text}");
    }
}

#[test]
fn what_a_store_keeps_survives_it() {
    let sending = Sending::from(&Change::Start);
    let at = Timestamp::UNIX_EPOCH;
    for progress in [
        Progress::Untried,
        Progress::Intended { change: sending.clone(), at },
        Progress::Submitted { task: p("UPID:n1:1"), change: sending },
        Progress::Applied { fingerprint: u64::MAX },
    ] {
        assert_round_trip(&progress);
    }
    // Written by a version that knew of no doubts.
    let old = r#"{"kind":"start","fingerprint":1,"remember":[]}"#;
    assert_eq!(serde_json::from_str::<Sending>(old).unwrap().doubt, None);
    let attention = Attention { since: at, step: Step::Clone, message: "full".to_owned() };
    assert_round_trip(&attention);
    let vanished = Notice::Vanished { message: "gone".to_owned(), redeployed: true };
    let notices = [
        Notice::Ready,
        Notice::NeedsAttention(attention),
        vanished,
        Notice::LeftBehind { message: "pvesm free".to_owned() },
        Notice::Suspended,
        Notice::Unsuspended,
        Notice::BackupRestored { backup: "nfs:backup/vzdump-qemu-100.vma.zst".to_owned() },
        Notice::Terminated { addresses: vec!["2001:db8::1".parse().unwrap()] },
    ];
    assert_eq!(notices.each_ref().map(Notice::kind), NoticeKind::ALL);
    for notice in notices {
        assert_round_trip(&notice);
        // By its name a kind is found again in what a store keeps.
        let (written, kind) = (serde_json::to_value(&notice).unwrap(), notice.kind());
        assert_eq!(written["notice"], kind.name());
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    for event in [
        LogEvent::Ordered,
        LogEvent::Began,
        LogEvent::Done { how: "as ordered".to_owned() },
        LogEvent::Sent { change: "start".to_owned(), task: Some(p("UPID:1")) },
        LogEvent::Noted { what: "x".to_owned() },
        LogEvent::Waiting { why: "x".to_owned() },
        LogEvent::Failed { class: ErrorClass::Busy, message: "x".to_owned() },
        LogEvent::Attention { message: "x".to_owned() },
    ] {
        assert_round_trip(&LogLine { at, operation: Operation::Create, step: Step::Clone, event });
    }
    assert_round_trip(&crate::machines::at(Step::Ready, networked()).addresses);
    assert_round_trip(&crate::machines::at(Step::Ready, plain()).numbered);
    let remembered = [
        Remembered::PasswordWritten,
        Remembered::PoolJoined,
        Remembered::RulesInDoubt,
        Remembered::RulesAwaited,
        Remembered::Vanished,
        Remembered::FirewallInDoubt,
        Remembered::SettingsInDoubt,
        Remembered::CloneInDoubt,
        Remembered::CloneAwaited,
    ];
    assert_round_trip(&remembered.to_vec());
}

/// What an order cannot be is refused by the path of the field.
#[test]
fn orders_are_judged_by_field() {
    let mut spec = networked();
    spec.nics[0].addressing = Addressing::Pools(FromPools::default());
    assert_eq!(spec.check().unwrap_err().field, "nics[0].addressing.pools");
    spec.nics[0].addressing = crate::orders::from_pools(65, 0);
    assert_eq!(spec.check().unwrap_err().field, "nics[0].addressing.v4.count");
    let spec = VmSpec { ready_when: ReadyWhen::AddressSeen, ..plain() };
    assert_eq!(spec.check().unwrap_err().field, "ready_when");
    let spec = VmSpec { nics: vec![networked().nics[0].clone(); 33], ..plain() };
    assert_eq!(spec.check().unwrap_err().field, "nics");
    let mut json = serde_json::to_value(plain()).unwrap();
    json["colour"] = "red".into();
    let unknown = serde_json::from_value::<VmSpec>(json).unwrap_err();
    assert!(unknown.to_string().contains("colour"));
}

fn judged(change: impl FnOnce(&mut VmSpec)) -> String {
    let nic = crate::orders::nic(Addressing::Dhcp);
    let mut spec = VmSpec { nics: vec![nic], ..crate::orders::plain() };
    change(&mut spec);
    spec.check().map_or_else(|invalid| invalid.to_string(), |()| "fine".to_owned())
}

#[test]
fn a_firewall_is_judged_before_anything_is_made() {
    let rule = |value: serde_json::Value| -> FirewallRule { serde_json::from_value(value).unwrap() };
    let with = |value: serde_json::Value| {
        let rules = vec![rule(value)];
        judged(|spec| {
            spec.nics[0].filtering = Filtering::On;
            spec.firewall = Some(crate::orders::firewall(rules));
        })
    };
    let base = serde_json::json!({ "direction": "in", "action": "ACCEPT" });
    let rule_of = |extra: serde_json::Value| {
        let mut rule = base.clone();
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        with(rule)
    };
    for fine in [
        serde_json::json!({ "protocol": "tcp", "dest_port": "22,80,8000:8010,https" }),
        serde_json::json!({ "macro": "SSH", "source": "198.51.100.0/24,203.0.113.5-203.0.113.9,2001:db8::/32" }),
        serde_json::json!({ "protocol": "icmp", "source": "+office", "dest": "mailhost" }),
        serde_json::json!({}),
    ] {
        assert_eq!(rule_of(fine.clone()), "fine", "{fine}");
    }
    for (wrong, field) in [
        (serde_json::json!({ "source": "198.51.100.0/33" }), "firewall.rules[0].source"),
        (serde_json::json!({ "dest": "203.0.113.9-203.0.113.5" }), "firewall.rules[0].dest"),
        (serde_json::json!({ "protocol": "tcp", "dest_port": "99999" }), "firewall.rules[0].dest_port"),
        (serde_json::json!({ "protocol": "tcp", "source_port": "90:80" }), "firewall.rules[0].source_port"),
        (serde_json::json!({ "dest_port": "80" }), "firewall.rules[0].protocol"),
        (serde_json::json!({ "protocol": "icmp", "dest_port": "80" }), "firewall.rules[0].protocol"),
        (serde_json::json!({ "macro": "SSH", "protocol": "tcp" }), "firewall.rules[0].macro"),
    ] {
        let told = rule_of(wrong.clone());
        assert!(told.starts_with(&format!("{field}: ")), "{wrong}: {told}");
    }
    let idle = judged(|spec| {
        spec.nics[0].filtering = Filtering::Off;
        spec.firewall = Some(crate::orders::firewall(vec![]));
    });
    assert!(idle.contains("no effect"), "{idle}");
}

#[test]
fn a_linked_clone_has_no_other_storage_and_a_guest_no_other_name() {
    let told = judged(|spec| {
        spec.clone = CloneMode::Linked;
        spec.migration_storage = Some(p("tank"));
    });
    assert!(told.starts_with("migration_storage: \"tank\""), "{told}");
    let mut spec = crate::orders::plain();
    spec.cloud_init = Some(CloudInit::default());
    spec.pve_name = p("customer-{vmid}");
    let vmid = Vmid::try_from(1001).unwrap();
    let told = Numbered::resolve(&spec, &p("order-1"), vmid).unwrap_err().to_string();
    assert!(
        told.starts_with("pve_name: \"customer-1001\"") && told.contains("vps-1001.example.net"),
        "{told}"
    );
    spec.pve_name = p("vps-{vmid}");
    Numbered::resolve(&spec, &p("order-1"), vmid).unwrap();
}

#[test]
fn the_keys_of_rules_that_are_live_never_change() {
    let rule: FirewallRule = serde_json::from_value(
        serde_json::json!({ "direction": "in", "action": "ACCEPT", "protocol": "tcp", "dest_port": "22" }),
    )
    .unwrap();
    assert_eq!(rule.key().to_string(), "pvd:06e80cd1929a22cd");
}
