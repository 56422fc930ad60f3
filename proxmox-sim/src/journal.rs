//! The latest requests.

use std::collections::VecDeque;

use serde::Serialize;

use crate::request::{Parameter, Request};
use crate::world::Time;

/// A request as it is remembered: secrets are hidden.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Number of the request, from 1.
    pub number: u64,
    /// Seconds since the start.
    pub at: f64,
    /// HTTP method.
    pub method: String,
    /// Path below `/api2/json`.
    pub path: String,
    /// Parameters, in alphabetical order.
    pub params: Vec<(String, String)>,
    /// Status of the answer: none while it is due, 0 when it was lost.
    pub status: Option<u16>,
}

/// Remembers the latest requests.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    count: u64,
    /// How many are remembered.
    length: usize,
}

impl Journal {
    pub(crate) fn remembering(length: usize) -> Self {
        Self { length, ..Self::default() }
    }

    pub(crate) fn add(&mut self, now: Time, request: &Request) -> u64 {
        self.count += 1;
        if self.length == 0 {
            return self.count;
        }
        let params = request.parameters().unwrap_or_default();
        self.entries.push_back(Entry {
            number: self.count,
            at: now.as_secs_f64(),
            method: request.method.clone(),
            path: request.api_path().unwrap_or_else(|| request.path.clone()),
            params: params.into_iter().map(|(name, value)| shown(name, value)).collect(),
            status: None,
        });
        if self.entries.len() > self.length {
            self.entries.pop_front();
        }
        self.count
    }

    pub(crate) fn answered(&mut self, number: u64, status: u16) {
        // They are numbered without gaps.
        let back = usize::try_from(self.count.saturating_sub(number)).unwrap_or(usize::MAX);
        let at = self.entries.len().checked_sub(back.saturating_add(1));
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.status = Some(status);
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

fn shown(name: String, value: Parameter) -> (String, String) {
    let text = match value {
        _ if matches!(name.as_str(), "password" | "cipassword" | "otp") => "<hidden>".to_owned(),
        Parameter::Text(text) => text,
        Parameter::Many(all) => all.join(","),
    };
    (name, text)
}
