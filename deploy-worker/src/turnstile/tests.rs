use super::*;
use proptest::{collection::vec, prelude::*};
use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
};
use uuid::Uuid;

fn key(number: u8) -> VmKey {
    VmKey(Uuid::from_u128(u128::from(number) + 1))
}

fn node(name: &str) -> Slot {
    Slot::Node("c1".parse().unwrap(), name.parse().unwrap())
}

fn cluster() -> Slot {
    Slot::Cluster("c1".parse().unwrap())
}

fn migration(name: &str) -> Slot {
    Slot::Migration("c1".parse().unwrap(), name.parse().unwrap())
}

fn turnstile(limits: Limits) -> (Arc<Turnstile>, mpsc::Receiver<VmKey>) {
    let (calls, called) = mpsc::channel();
    (Arc::new(Turnstile::new(limits, move |key| calls.send(key).unwrap_or_default())), called)
}

fn limits(cluster: u32, node: u32) -> Limits {
    Limits { cluster, node, migration: 1, ..Limits::default() }
}

#[test]
fn who_leaves_makes_place_for_who_came_first() {
    let (gate, called) = turnstile(limits(9, 1));
    gate.enter(key(0), &[node("a")]).unwrap();
    assert_eq!(gate.enter(key(1), &[node("a")]), Err(node("a")));
    assert_eq!(gate.enter(key(2), &[node("a")]), Err(node("a")));
    gate.leave(key(0));
    assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(1)]);
    // Nobody slips in before the one who was called.
    assert_eq!(gate.enter(key(3), &[node("a")]), Err(node("a")));
    gate.enter(key(1), &[node("a")]).unwrap();
    assert_eq!(gate.enter(key(2), &[node("a")]), Err(node("a")));
}

#[test]
fn who_is_refused_holds_nothing() {
    let (gate, _called) = turnstile(limits(1, 1));
    gate.enter(key(0), &[node("b")]).unwrap();
    assert_eq!(gate.enter(key(1), &[cluster(), node("b")]), Err(node("b")));
    gate.enter(key(2), &[cluster()]).unwrap();
}

#[test]
fn to_wait_for_more_is_to_give_back_what_was_held() {
    let (gate, called) = turnstile(limits(1, 1));
    gate.enter(key(0), &[node("a")]).unwrap();
    gate.enter(key(1), &[node("b")]).unwrap();
    assert_eq!(gate.enter(key(2), &[node("a")]), Err(node("a")));
    assert_eq!(gate.enter(key(0), &[node("a"), node("b")]), Err(node("b")));
    assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(2)]);
}

#[test]
fn to_enter_again_for_the_same_is_never_refused() {
    let (gate, _called) = turnstile(limits(1, 1));
    gate.enter(key(0), &[cluster(), node("a")]).unwrap();
    assert_eq!(gate.enter(key(1), &[node("a")]), Err(node("a")));
    gate.enter(key(0), &[cluster(), node("a")]).unwrap();
}

#[test]
fn one_who_was_called_and_does_not_come_calls_the_next() {
    let (gate, called) = turnstile(limits(9, 1));
    for number in 0..4 {
        let _ = gate.enter(key(number), &[node("a")]);
    }
    gate.leave(key(0));
    gate.withdraw(key(1));
    gate.leave(key(2));
    assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(1), key(2), key(3)]);
}

#[test]
fn a_place_in_line_is_kept_from_one_slot_to_the_next() {
    let (gate, called) = turnstile(limits(9, 1));
    gate.enter(key(0), &[node("a")]).unwrap();
    gate.enter(key(1), &[node("b")]).unwrap();
    assert_eq!(gate.enter(key(2), &[node("a"), node("b")]), Err(node("a")));
    assert_eq!(gate.enter(key(3), &[node("b")]), Err(node("b")));
    gate.leave(key(0));
    assert_eq!(gate.enter(key(2), &[node("a"), node("b")]), Err(node("b")));
    gate.leave(key(1));
    assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(2), key(2)], "it came before the other one");
}

#[test]
fn what_runs_already_is_let_in_though_it_is_one_too_many() {
    let (gate, called) = turnstile(limits(9, 1));
    gate.occupy(key(0), &[node("a")]);
    gate.occupy(key(1), &[node("a")]);
    assert_eq!(gate.enter(key(2), &[node("a")]), Err(node("a")));
    gate.leave(key(0));
    assert_eq!(gate.enter(key(2), &[node("a")]), Err(node("a")));
    assert!(called.try_iter().next().is_none());
    gate.leave(key(1));
    assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(2)]);
}

#[test]
fn a_limit_of_nothing_lets_one_in() {
    let (gate, _called) = turnstile(limits(0, 0));
    gate.enter(key(0), &[cluster(), node("a")]).unwrap();
}

#[test]
fn many_threads_never_exceed_a_limit_and_all_get_through() {
    use std::sync::{
        Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    };
    let calls = Arc::new((Mutex::new(BTreeSet::new()), Condvar::new()));
    let told = Arc::clone(&calls);
    let gate = Arc::new(Turnstile::new(limits(3, 2), move |key| {
        told.0.lock().unwrap().insert(key);
        told.1.notify_all();
    }));
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (gate, inside, calls) = (Arc::clone(&gate), &inside, Arc::clone(&calls));
            scope.spawn(move || {
                let slots = [cluster(), node(if number % 2 == 0 { "a" } else { "b" })];
                for _ in 0..50 {
                    while gate.enter(key(number), &slots).is_err() {
                        let mut called = calls.0.lock().unwrap();
                        while !called.remove(&key(number)) {
                            called = calls.1.wait(called).unwrap();
                        }
                    }
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    gate.leave(key(number));
                }
            });
        }
    });
}

#[derive(Debug, Clone)]
enum Act {
    Enter(u8, Vec<Slot>),
    Leave(u8),
    Withdraw(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let slot = prop::sample::select(vec![cluster(), node("a"), node("b"), migration("a"), migration("b")]);
    let enter = (0..8_u8, vec(slot, 1..4)).prop_map(|(number, slots)| Act::Enter(number, slots));
    let act = prop_oneof![
        4 => enter,
        2 => (0..8_u8).prop_map(Act::Leave),
        1 => (0..8_u8).prop_map(Act::Withdraw),
    ];
    vec(act, 1..80)
}

/// What a user of the gate knows: who is inside with what, and who was refused at what and not called since.
#[derive(Default)]
struct Model {
    inside: BTreeMap<VmKey, BTreeSet<Slot>>,
    asleep: BTreeMap<VmKey, Slot>,
}

impl Model {
    fn inside(&self, slot: &Slot) -> usize {
        self.inside.values().filter(|slots| slots.contains(slot)).count()
    }

    fn apply(&mut self, gate: &Turnstile, act: &Act) {
        match act {
            Act::Enter(number, slots) => {
                self.inside.remove(&key(*number));
                self.asleep.remove(&key(*number));
                match gate.enter(key(*number), slots) {
                    Ok(()) => drop(self.inside.insert(key(*number), slots.iter().cloned().collect())),
                    Err(slot) => {
                        assert!(slots.contains(&slot), "refused at a slot it did not ask for");
                        self.asleep.insert(key(*number), slot);
                    }
                }
            }
            Act::Leave(number) => {
                gate.leave(key(*number));
                self.inside.remove(&key(*number));
                self.asleep.remove(&key(*number));
            }
            Act::Withdraw(number) => {
                gate.withdraw(key(*number));
                self.asleep.remove(&key(*number));
            }
        }
    }
}

proptest! {
    #[test]
    fn limits_hold_and_no_call_is_lost(acts in acts()) {
        let limits = limits(3, 2);
        let (gate, called) = turnstile(limits);
        let mut model = Model::default();
        let mut awake: BTreeSet<VmKey> = BTreeSet::new();
        for act in &acts {
            let (Act::Enter(number, _) | Act::Leave(number) | Act::Withdraw(number)) = act;
            awake.remove(&key(*number));
            model.apply(&gate, act);
            for key in called.try_iter() {
                prop_assert!(model.asleep.remove(&key).is_some(), "called one who did not wait");
                awake.insert(key);
            }
            for slots in model.inside.values() {
                for slot in slots {
                    prop_assert!(model.inside(slot) <= limits.of(slot) as usize, "{slot}: too many");
                }
            }
            // Whoever sleeps on a slot with a place sleeps because somebody awake may want it.
            for slot in model.asleep.values() {
                let free = limits.of(slot) as usize - model.inside(slot);
                prop_assert!(free <= awake.len(), "{slot} has {free} places, {} were called", awake.len());
            }
        }
    }

    /// With everybody following the calls, everybody gets through, and nothing is left behind.
    #[test]
    fn everybody_gets_through(wants in vec(vec(0..5_usize, 1..4), 1..20)) {
        let slots = [cluster(), node("a"), node("b"), migration("a"), migration("b")];
        let (gate, called) = turnstile(limits(3, 2));
        let wants: Vec<Vec<Slot>> =
            wants.iter().map(|want| want.iter().map(|at| slots[*at].clone()).collect()).collect();
        let number_of = |wanted: VmKey| (0..wants.len()).find(|n| key(u8::try_from(*n).unwrap()) == wanted).unwrap();
        let mut asking: Vec<usize> = (0..wants.len()).collect();
        let mut inside: Vec<VmKey> = Vec::new();
        let mut through = 0;
        while through < wants.len() {
            for number in std::mem::take(&mut asking) {
                let key = key(u8::try_from(number).unwrap());
                if gate.enter(key, &wants[number]).is_ok() {
                    inside.push(key);
                }
            }
            prop_assert!(!inside.is_empty() || !asking.is_empty(), "everybody waits for everybody");
            if let Some(key) = inside.pop() {
                gate.leave(key);
                through += 1;
            }
            asking.extend(called.try_iter().map(number_of));
        }
        let state = gate.lock();
        prop_assert!(state.taken.is_empty() && state.held.is_empty());
        prop_assert!(state.waiting.is_empty() && state.queues.is_empty());
    }
}
