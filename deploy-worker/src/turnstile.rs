use crate::Limits;
use deploy_core::{Gate, Slot, VmKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The gate of a worker: lets in as many as its [`Limits`] say, first come, first served.
///
/// # Guarantees
/// - All or nothing: whoever waits holds nothing, so that two machines never wait for each other.
/// - In order: a machine keeps its place from its first refusal until it enters, whichever of its slots it waits for, and
///   a later one does not overtake it there. So nobody waits for ever while others come and go.
/// - Whoever is refused is called once it is worth asking again. As many are called as there are places, and when one of
///   them does not come (it waits elsewhere now, or left) the next is called.
pub struct Turnstile {
    limits: Limits,
    call: Box<dyn Fn(VmKey) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many hold a slot; never an entry with 0.
    taken: BTreeMap<Slot, u32>,
    held: BTreeMap<VmKey, BTreeSet<Slot>>,
    waiting: BTreeMap<VmKey, Waiter>,
    /// Who waits for a slot, in the order of their tickets; never an empty queue.
    queues: BTreeMap<Slot, BTreeMap<Ticket, VmKey>>,
    next_ticket: Ticket,
}

/// When a machine was refused first.
type Ticket = u64;

struct Waiter {
    ticket: Ticket,
    slot: Slot,
    /// It was called and has not asked since.
    called: bool,
}

impl Turnstile {
    /// An empty turnstile that calls waiting machines by `call`. No lock is held meanwhile; it may be called on any thread
    /// and should only pass the call on.
    pub fn new(limits: Limits, call: impl Fn(VmKey) + Send + Sync + 'static) -> Self {
        Self { limits, call: Box::new(call), state: Mutex::default() }
    }

    /// Takes slots for a machine whose change already runs, also where that is one too many: after a restart the changes
    /// of the process before are still under way.
    pub fn occupy(&self, key: VmKey, slots: &[Slot]) {
        self.change(|state, touched| {
            state.step_out(key, touched);
            state.give_back(key, touched);
            state.take(key, slots.iter().cloned().collect());
        });
    }

    /// Takes a machine out of the queue it waits in, if it does; what it holds stays.
    pub fn withdraw(&self, key: VmKey) {
        self.change(|state, touched| state.step_out(key, touched));
    }

    /// Changes the state, then calls those for whom that made a place.
    fn change<T>(&self, change: impl FnOnce(&mut State, &mut BTreeSet<Slot>) -> T) -> T {
        let mut touched = BTreeSet::new();
        let mut state = self.lock();
        let result = change(&mut state, &mut touched);
        let called: Vec<VmKey> = touched.iter().flat_map(|slot| state.call(&self.limits, slot)).collect();
        drop(state);
        for key in called {
            (self.call)(key);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can panic halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for Turnstile {
    fn enter(&self, key: VmKey, slots: &[Slot]) -> Result<(), Slot> {
        let wanted: BTreeSet<Slot> = slots.iter().cloned().collect();
        self.change(|state, touched| match state.full(&self.limits, key, &wanted) {
            None => {
                state.step_out(key, touched);
                state.give_back(key, touched);
                state.take(key, wanted);
                Ok(())
            }
            Some(slot) => {
                // What it held for its last change goes back too: to wait with something in hand is how deadlocks begin.
                state.give_back(key, touched);
                state.line_up(key, slot.clone(), touched);
                Err(slot)
            }
        })
    }

    fn leave(&self, key: VmKey) {
        self.change(|state, touched| {
            state.step_out(key, touched);
            state.give_back(key, touched);
        });
    }
}

impl fmt::Debug for Turnstile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Turnstile")
            .field("limits", &self.limits)
            .field("inside", &state.held.len())
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

impl State {
    /// The first of the slots that has no place for this machine; one it holds already has.
    fn full(&self, limits: &Limits, key: VmKey, wanted: &BTreeSet<Slot>) -> Option<Slot> {
        let held = self.held.get(&key);
        let ticket = self.waiting.get(&key).map_or(Ticket::MAX, |waiter| waiter.ticket);
        let is_full = |slot: &&Slot| {
            let free = self.free(limits, slot);
            // Free places belong to those who have waited longer.
            let before = self.queues.get(*slot).map_or(0, |queue| queue.range(..ticket).take(free).count());
            !held.is_some_and(|held| held.contains(*slot)) && before >= free
        };
        wanted.iter().find(is_full).cloned()
    }

    fn free(&self, limits: &Limits, slot: &Slot) -> usize {
        let taken = self.taken.get(slot).copied().unwrap_or(0);
        limits.of(slot).saturating_sub(taken) as usize
    }

    fn take(&mut self, key: VmKey, slots: BTreeSet<Slot>) {
        for slot in &slots {
            *self.taken.entry(slot.clone()).or_insert(0) += 1;
        }
        if !slots.is_empty() {
            self.held.insert(key, slots);
        }
    }

    fn give_back(&mut self, key: VmKey, touched: &mut BTreeSet<Slot>) {
        for slot in self.held.remove(&key).unwrap_or_default() {
            match self.taken.get_mut(&slot) {
                Some(taken) if *taken > 1 => *taken -= 1,
                _ => drop(self.taken.remove(&slot)),
            }
            touched.insert(slot);
        }
    }

    /// Puts a machine into the queue of a slot, at the place that its first refusal gave it.
    fn line_up(&mut self, key: VmKey, slot: Slot, touched: &mut BTreeSet<Slot>) {
        let ticket = self.waiting.get(&key).map_or(self.next_ticket, |waiter| waiter.ticket);
        self.step_out(key, touched);
        self.next_ticket = self.next_ticket.max(ticket + 1);
        self.queues.entry(slot.clone()).or_default().insert(ticket, key);
        self.waiting.insert(key, Waiter { ticket, slot, called: false });
    }

    fn step_out(&mut self, key: VmKey, touched: &mut BTreeSet<Slot>) {
        let Some(waiter) = self.waiting.remove(&key) else { return };
        if let Some(queue) = self.queues.get_mut(&waiter.slot) {
            queue.remove(&waiter.ticket);
            if queue.is_empty() {
                self.queues.remove(&waiter.slot);
            }
        }
        touched.insert(waiter.slot);
    }

    /// Marks those as called who wait for this slot and have a place now, and says who was not yet.
    fn call(&mut self, limits: &Limits, slot: &Slot) -> Vec<VmKey> {
        let free = self.free(limits, slot);
        let Some(queue) = self.queues.get(slot) else { return Vec::new() };
        let mut called = Vec::new();
        for key in queue.values().take(free) {
            if let Some(waiter) = self.waiting.get_mut(key).filter(|waiter| !waiter.called) {
                waiter.called = true;
                called.push(*key);
            }
        }
        called
    }
}

#[cfg(test)]
mod tests;
