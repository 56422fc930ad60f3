//! DNS records of deployed machines: A and AAAA for each machine's name, and PTR for each address that it holds.
//!
//! It is a queue of its own beside the deployment: a [`DnsWorker`] keeps the records of every machine of a store as they shall
//! be, and what is wrong with DNS never holds a machine back. What a machine shall have is a pure function of its record
//! ([`wanted`]); whatever changes the record marks the machine as due, in the same transaction.
//!
//! # Providers
//!
//! | | | |
//! |---|---|---|
//! | [`PowerDns`] | PowerDNS Authoritative Server | HTTP API with a key |
//! | [`Cloudflare`] | Cloudflare | HTTP API with a token |
//! | [`Rfc2136`] | BIND, Knot and all others that take dynamic updates | DNS over TCP with a TSIG key |
//!
//! Or your own: a [`DnsProvider`]. Several may be configured, each with [zones](Zones) of its own: a name goes into the zone with
//! the longest name that it is in, or into [every one](Matching::All).
//!
//! # What makes it safe
//!
//! - **Only ours is changed.** A record is ours where it was written down that it is asked for before it stood. One that stood before
//!   is somebody else's, also where it says the same; it is left alone, and the name is told as a
//!   [conflict](deploy_core::DnsState::Conflict). Others' records in the same set survive.
//! - **Written ahead.** The intent is in the store before a request goes out. Who finds it after a crash looks first.
//! - **Late requests.** Where an answer was lost, the request may still arrive. Absence is believed, and a record forgotten, once
//!   none can any more.
//! - **One machine for a name.** A machine that wants a name that another one's records still have waits for their end.
//! - **One worker for a machine**, for a time; its writes carry a token, and half of the time before the end it sends nothing more.
//! - **Without end.** Errors pick a delay. A zone that fails does not hold another up; a provider that does not answer, or that says
//!   how long to wait, is left alone for a while by all.
//!
//! What remains: PowerDNS's API writes whole sets of records, so that a change of somebody else between our look and our request,
//! milliseconds apart, is written over. With RFC 2136 what was seen is the prerequisite of the update, and Cloudflare's records have ids.
//!
//! # Example
//!
//! ```
//! use deploy_core::{Clock, DnsStore};
//! use deploy_dns::{Dns, DnsWorker, Matching, PowerDns, Providers, RunningDns, Zone, Zones};
//! use std::sync::Arc;
//!
//! fn start(
//!     store: Arc<dyn DnsStore>, // SqliteStore, PostgresStore
//!     clock: Arc<dyn Clock>,
//! ) -> Result<(RunningDns, Dns), deploy_core::Invalid> {
//!     let server = PowerDns::new("http://ns1.example.net:8081", "the API's key".into())?;
//!     // At most four machines at once.
//!     let providers = Providers::new().with("ns1".parse()?, Arc::new(server), 4);
//!     let zone = |name: &str| Ok(Zone { provider: "ns1".parse()?, name: name.parse()?, ttl: 3600 });
//!     let zones = Zones::new([zone("example.net")?, zone("113.0.203.in-addr.arpa")?], Matching::Longest);
//!
//!     let worker = DnsWorker::new(Arc::clone(&store), providers, zones, clock).start();
//!     let panel = Dns::new(store).with_doorbell(worker.doorbell());
//!     Ok((worker, panel))
//! }
//!
//! async fn name(panel: &Dns, machine: deploy_core::VmKey) -> Result<(), Box<dyn std::error::Error>> {
//!     panel.set_ptr(machine, "203.0.113.17".parse()?, "mail.example.org".parse()?).await?;
//!     for entry in panel.set_dns_records(machine).await? {
//!         println!("{}: {}", entry.record, entry.state);
//!     }
//!     Ok(())
//! }
//! ```

mod cloudflare;
mod front;
mod http;
mod lanes;
mod powerdns;
mod provider;
mod rfc2136;
mod running;
mod task;
mod turn;
mod verdict;
mod wanted;
mod worker;
mod zones;

pub use cloudflare::Cloudflare;
pub use front::{Dns, SetDnsError};
pub use lanes::{Providers, ZoneCheck};
pub use powerdns::PowerDns;
pub use provider::{DnsError, DnsProvider, PROBE, Standing, StandingData};
pub use rfc2136::{Rfc2136, TsigAlgorithm, TsigKey};
pub use running::RunningDns;
pub use wanted::wanted;
pub use worker::DnsWorker;
pub use zones::{Matching, Zone, Zones};
