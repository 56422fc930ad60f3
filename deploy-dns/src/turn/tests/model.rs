//! A provider that keeps its records in memory. A request that was sent arrives, whatever becomes of whoever sent it.

use crate::{DnsError, DnsProvider, Standing, StandingData};
use async_trait::async_trait;
use deploy_core::{DnsData, DnsName, ErrorClass};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use tokio::task::yield_now;

/// A change that was asked for.
#[derive(Debug, Clone)]
enum Asked {
    Upsert { zone: DnsName, name: DnsName, data: DnsData, ttl: u32 },
    Delete { zone: DnsName, name: DnsName, data: DnsData },
}

/// What goes wrong with each request, until it is told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Weather {
    #[default]
    Fair,
    /// Answered with an error before anything was done, or not even reached.
    Error(DnsError),
    /// Changes are carried out, and the answers are lost.
    AnswersLost,
    /// Changes do not arrive before they are told to, and are not answered.
    Slow,
}

#[derive(Default)]
struct State {
    zones: BTreeMap<DnsName, BTreeSet<(DnsName, Standing)>>,
    in_flight: BTreeMap<u64, Asked>,
    last: u64,
    weather: BTreeMap<DnsName, Weather>,
    requests: usize,
    changes: usize,
}

/// A provider in memory; clones are one.
#[derive(Clone, Default)]
pub(super) struct Model {
    state: Arc<Mutex<State>>,
}

impl Model {
    pub(super) fn with(zones: &[&str]) -> Self {
        let model = Self::default();
        for zone in zones {
            model.state.lock().unwrap().zones.insert(zone.parse().unwrap(), BTreeSet::new());
        }
        model
    }

    pub(super) fn set_weather(&self, zone: &str, weather: Weather) {
        self.state.lock().unwrap().weather.insert(zone.parse().unwrap(), weather);
    }

    /// Puts somebody else's record.
    pub(super) fn put(&self, zone: &str, name: &str, kind: &str, text: &str) {
        let standing = Standing { data: StandingData::read(kind, text), ttl: 3600 };
        let mut state = self.state.lock().unwrap();
        state.zones.get_mut(&zone.parse().unwrap()).unwrap().insert((name.parse().unwrap(), standing));
    }

    pub(super) fn take_away(&self, name: &str) {
        for records in self.state.lock().unwrap().zones.values_mut() {
            records.retain(|(other, _)| other.as_str() != name);
        }
    }

    /// All that stands, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let mut lines: Vec<String> = state
            .zones
            .values()
            .flatten()
            .map(|(name, standing)| format!("{name} {}", standing.data))
            .collect();
        lines.sort();
        lines
    }

    /// Every record with its time to live.
    pub(super) fn ttls(&self) -> BTreeSet<u32> {
        self.state.lock().unwrap().zones.values().flatten().map(|(_, standing)| standing.ttl).collect()
    }

    /// Lets arrive what is under way, in the order in which it was sent.
    pub(super) fn deliver(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        let arriving = std::mem::take(&mut state.in_flight);
        let count = arriving.len();
        for asked in arriving.into_values() {
            state.apply(asked);
        }
        count
    }

    /// How many requests there were, and how many of them were changes.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.requests, state.changes)
    }

    async fn change(&self, zone: &DnsName, asked: Asked) -> Result<(), DnsError> {
        // Before it is sent, while it is under way, and when it is answered: whoever asks may end at each of them.
        yield_now().await;
        let (id, weather) = {
            let mut state = self.state.lock().unwrap();
            state.requests += 1;
            let weather = state.weather.get(zone).cloned().unwrap_or_default();
            if let Weather::Error(error) = weather {
                return Err(error);
            }
            state.changes += 1;
            state.last += 1;
            let id = state.last;
            state.in_flight.insert(id, asked);
            (id, weather)
        };
        yield_now().await;
        let lost = || DnsError::unknown("the answer was lost");
        if weather == Weather::Slow {
            return Err(lost());
        }
        {
            let mut state = self.state.lock().unwrap();
            if let Some(asked) = state.in_flight.remove(&id) {
                state.apply(asked);
            }
        }
        yield_now().await;
        if weather == Weather::AnswersLost { Err(lost()) } else { Ok(()) }
    }
}

impl State {
    fn apply(&mut self, asked: Asked) {
        match asked {
            Asked::Upsert { zone, name, data, ttl } => {
                let records = self.zones.get_mut(&zone).unwrap();
                let known = StandingData::Known(data);
                records.retain(|(other, standing)| *other != name || standing.data != known);
                records.insert((name, Standing { data: known, ttl }));
            }
            Asked::Delete { zone, name, data } => {
                let known = StandingData::Known(data);
                let records = self.zones.get_mut(&zone).unwrap();
                records.retain(|(other, standing)| *other != name || standing.data != known);
            }
        }
    }
}

#[async_trait]
impl DnsProvider for Model {
    async fn list(&self, zone: &DnsName, name: &DnsName) -> Result<Vec<Standing>, DnsError> {
        yield_now().await;
        let seen = {
            let mut state = self.state.lock().unwrap();
            state.requests += 1;
            if let Some(Weather::Error(error)) = state.weather.get(zone).cloned() {
                return Err(error);
            }
            let Some(records) = state.zones.get(zone) else {
                return Err(DnsError::answered(ErrorClass::Refused, format!("no zone {zone}")));
            };
            let here = records.iter().filter(|(other, _)| other == name);
            here.map(|(_, standing)| standing.clone()).collect()
        };
        yield_now().await;
        Ok(seen)
    }

    async fn upsert(
        &self,
        zone: &DnsName,
        name: &DnsName,
        data: &DnsData,
        ttl: u32,
        _seen: &[Standing],
    ) -> Result<(), DnsError> {
        let (zone, name, data) = (zone.clone(), name.clone(), data.clone());
        self.change(&zone.clone(), Asked::Upsert { zone, name, data, ttl }).await
    }

    async fn delete(&self, zone: &DnsName, name: &DnsName, data: &DnsData) -> Result<(), DnsError> {
        let (zone, name, data) = (zone.clone(), name.clone(), data.clone());
        self.change(&zone.clone(), Asked::Delete { zone, name, data }).await
    }

    async fn check(&self, _zone: &DnsName) -> Result<(), DnsError> {
        Ok(())
    }
}
