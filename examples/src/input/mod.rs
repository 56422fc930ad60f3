//! Files in TOML: where something is wrong with one, it is told with its place and with what would be right.

mod hint;
mod problem;

pub use problem::{Problem, Rejected};

use serde::de::DeserializeOwned;

/// The tables of a file of this name and text. What they say is still to be judged.
///
/// # Errors
/// [`Rejected`].
pub fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Rejected> {
    toml::from_str(text).map_err(|error| Rejected::unreadable(name, text, &error))
}
