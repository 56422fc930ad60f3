use super::*;
use deploy_core::{ErrorClass, StoreOutcome, Summary};
use deploy_testkit::{
    mocks::{MockHypervisor, MockLeaseStore},
    sample,
};

fn at_rest(n: u32, node: &str) -> Resting {
    Resting {
        key: sample::key(n),
        cluster: sample::cluster_name(),
        vmid: sample::vmid(100 + n),
        name: sample::parsed(&format!("vps-{n}")),
        node: sample::parsed(node),
    }
}

fn listed(n: u32, node: &str) -> Summary {
    let (vmid, node) = (sample::vmid(100 + n), sample::parsed(node));
    // A fresh machine has no name in the list yet.
    let name = (n > 1).then(|| format!("vps-{n}"));
    Summary { vmid, node, name, power: None, lock: None, template: false }
}

/// A store of these machines, which expects that exactly these are checked.
fn store(machines: Vec<Resting>, checked: &[u32]) -> MockLeaseStore {
    let mut store = MockLeaseStore::new();
    store.expect_resting().returning(move |after, limit| {
        let later = machines.iter().filter(|machine| after.is_none_or(|after| machine.key > after));
        Ok(later.take(limit).cloned().collect())
    });
    for n in checked {
        let key_of = sample::key(*n);
        store.expect_check().withf(move |key| *key == key_of).times(1).returning(|_| Ok(()));
    }
    store
}

fn hypervisor(list: Result<Vec<Summary>, LookError>) -> MockHypervisor {
    let mut hypervisor = MockHypervisor::new();
    hypervisor.expect_inventory().times(1).return_once(move |_| list);
    hypervisor
}

/// One call for the whole cluster, and none for a machine.
#[tokio::test]
async fn where_all_is_well_one_list_is_all_that_is_asked() {
    let store = store((1..2500).map(|n| at_rest(n, "node1")).collect(), &[]);
    let hypervisor = hypervisor(Ok((1..2500).map(|n| listed(n, "node1")).collect()));
    let report = round(&store, &hypervisor, &mut Cursors::default()).await.unwrap();
    assert_eq!(report, AuditReport { machines: 2499, ..AuditReport::default() });
}

#[tokio::test]
async fn what_is_not_where_it_should_be_is_made_due_for_a_look() {
    let store = store((1..=4).map(|n| at_rest(n, "node1")).collect(), &[2, 4]);
    let hypervisor = hypervisor(Ok(vec![listed(1, "node1"), listed(3, "node1"), listed(4, "node2")]));
    let report = round(&store, &hypervisor, &mut Cursors::default()).await.unwrap();
    assert_eq!((report.missing, report.checked), (2, vec![sample::key(2), sample::key(4)]));
}

/// Somebody else's machine under our number, on the very node.
#[tokio::test]
async fn what_has_another_name_is_made_due_for_a_look() {
    let store = store((1..=3).map(|n| at_rest(n, "node1")).collect(), &[2]);
    let theirs = Summary { name: Some("theirs".to_owned()), ..listed(2, "node1") };
    let hypervisor = hypervisor(Ok(vec![listed(1, "node1"), theirs, listed(3, "node1")]));
    let report = round(&store, &hypervisor, &mut Cursors::default()).await.unwrap();
    assert_eq!(report.checked, [sample::key(2)]);
}

/// A list that could not be read says nothing about anybody.
#[tokio::test]
async fn a_cluster_that_cannot_be_listed_is_left_for_the_next_round() {
    let other = Resting { cluster: sample::parsed("other"), ..at_rest(2, "node1") };
    let store = store(vec![at_rest(1, "node1"), other], &[1]);
    let mut hypervisor = MockHypervisor::new();
    let away = LookError { class: ErrorClass::Unreachable, message: "no route".to_owned() };
    hypervisor
        .expect_inventory()
        .withf(|cluster| *cluster == sample::cluster_name())
        .return_once(|_| Ok(Vec::new()));
    hypervisor.expect_inventory().withf(|cluster| cluster.as_str() == "other").return_once(|_| Err(away));
    let report = round(&store, &hypervisor, &mut Cursors::default()).await.unwrap();
    assert_eq!(report.unread, [(sample::parsed("other"), "no route".to_owned())]);
    assert_eq!(report.checked, [sample::key(1)]);
}

/// A right that was taken away hides all machines at once: they are not all looked at at once, and each has its turn.
#[tokio::test]
async fn a_list_that_lacks_everybody_makes_few_due_at_a_time() {
    let mut cursors = Cursors::default();
    let mut looked_at = Vec::new();
    for _ in 0..3 {
        let mut store = store((1..=120).map(|n| at_rest(n, "node1")).collect(), &[]);
        store.expect_check().returning(|_| Ok(()));
        let report = round(&store, &hypervisor(Ok(Vec::new())), &mut cursors).await.unwrap();
        assert_eq!((report.missing, report.checked.len()), (120, LOOKS));
        looked_at.extend(report.checked);
    }
    looked_at.sort_unstable();
    looked_at.dedup();
    assert_eq!(looked_at.len(), 120);
}

#[tokio::test]
async fn a_store_that_fails_ends_the_round() {
    let mut store = MockLeaseStore::new();
    let lost = StoreError { message: "disk".to_owned(), outcome: StoreOutcome::NotWritten };
    store.expect_resting().return_once(|_, _| Err(lost));
    assert!(round(&store, &MockHypervisor::new(), &mut Cursors::default()).await.is_err());
}
