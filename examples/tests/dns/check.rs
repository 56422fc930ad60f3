use crate::desk::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn zones_are_checked_and_what_is_missing_is_shown() {
    let mut desk = Desk::new().await;
    let checked = desk.check();
    let table = String::from_utf8(checked.stdout).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(checked.status.success(), "{table}{}", String::from_utf8_lossy(&checked.stderr));
    assert!(lines.contains(&vec!["names", "example.net", "yes"]), "{table}");
    assert!(lines.contains(&vec!["addresses", "113.0.203.in-addr.arpa", "yes"]), "{table}");
    assert_eq!(desk.powerdns.rows().unwrap(), [], "nothing is left behind");

    desk.powerdns.stop();
    desk.write("tsig-secret", "c2VjcmV0");
    let checked = desk.check();
    let table = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{table}");
    assert!(table.contains("no: the server has another secret for the key of this name"), "{table}");
    assert!(table.contains("no: 127.0.0.1: no answer"), "{table}");
    assert!(!table.contains("c2VjcmV0"), "{table}");
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains("error: 2 of 2 zones cannot be written"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_file_is_told_with_its_place() {
    let desk = Desk::new().await;
    desk.write("tsig-secret", "not base 64!");
    let refused = desk.check();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("dns.provider[1]: rfc2136: secret: \"(hidden)\" is not valid"), "{said}");
    assert!(!said.contains("not base 64!"), "{said}");
    assert!(said.contains("worker.toml:"), "{said}");
}
