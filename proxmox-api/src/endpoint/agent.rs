use std::net::IpAddr;

use http::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::client::Client;
use crate::error::{ApiError, Cause, Sent};
use crate::params::Params;
use crate::path::{ApiPath, PathError};
use crate::property::MacAddr;
use crate::timeouts::Pace;

/// A network interface as the guest reports it. The guest may report anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentInterface {
    /// The guest's name for it.
    pub name: String,
    /// Its MAC address; some interfaces have none.
    pub mac: Option<MacAddr>,
    /// Its addresses with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

#[derive(Deserialize)]
struct Outer {
    result: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawInterface {
    name: String,
    hardware_address: Option<String>,
    #[serde(default)]
    ip_addresses: Option<Vec<RawAddress>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawAddress {
    ip_address: String,
    #[serde(default)]
    prefix: u8,
}

impl From<RawInterface> for AgentInterface {
    fn from(raw: RawInterface) -> Self {
        let addresses = raw.ip_addresses.unwrap_or_default().into_iter();
        // A link-local address may carry the name of its interface.
        let plain = |text: &str| text.split('%').next().and_then(|address| address.parse().ok());
        Self {
            name: raw.name,
            mac: raw.hardware_address.and_then(|text| text.parse().ok()),
            addresses: addresses.filter_map(|raw| Some((plain(&raw.ip_address)?, raw.prefix))).collect(),
        }
    }
}

impl Client {
    /// Asks the guest agent for a sign of life. The server waits 3 s for it, on one of its three workers: seldom, and
    /// never at the same time for one machine.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/agent/ping`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Failure::Guest`](crate::Failure::Guest) while the agent does not answer.
    pub async fn agent_ping(&self, node: &str, vmid: u32) -> Result<(), ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["agent", "ping"]);
        self.agent::<IgnoredAny>(Method::POST, path).await.map(|_| ())
    }

    /// The guest's network interfaces.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Failure::Guest`](crate::Failure::Guest) while the agent does not answer.
    pub async fn agent_interfaces(&self, node: &str, vmid: u32) -> Result<Vec<AgentInterface>, ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["agent", "network-get-interfaces"]);
        let raw: Vec<RawInterface> = self.agent(Method::GET, path).await?;
        Ok(raw.into_iter().map(AgentInterface::from).collect())
    }

    async fn agent<T: DeserializeOwned>(
        &self,
        method: Method,
        path: Result<ApiPath, PathError>,
    ) -> Result<T, ApiError> {
        let text = path.as_ref().map(ToString::to_string).unwrap_or_default();
        let outer: Outer = self.call(method.clone(), path, &Params::new(), Pace::Read).await?;
        // The failure of the agent itself comes as a success with an error inside.
        let cause = match outer.result.get("error") {
            Some(error) => {
                let problem = error["desc"].as_str().map_or_else(|| error.to_string(), str::to_owned);
                Cause::Agent(problem)
            }
            None => match serde_json::from_value(outer.result) {
                Ok(result) => return Ok(result),
                Err(error) => Cause::Undecodable { status: 200, problem: error.to_string() },
            },
        };
        Err(ApiError::new(method, text, Sent::Yes, cause))
    }
}
