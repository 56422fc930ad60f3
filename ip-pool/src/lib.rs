//! IP address pools: from "203.0.113.0/24 without the first ten" to the addresses that a machine holds.
//!
//! A hosting panel thinks of addresses in networks, ranges and exceptions; a store keeps free intervals and held rows. This
//! crate is what lies between: it judges a pool as people write it, computes exactly which addresses may be given, chooses
//! the pools that fit a NIC, and turns what a store took into what a guest must be told. It keeps nothing itself: the
//! addresses are in the [`AddressStore`](deploy_core::AddressStore), taken and given back under the machine's lease.
//!
//! Nothing here ever lists addresses, so a `/8` or an IPv6 `/64` costs no more than a `/29`.
//!
//! ```
//! use ip_pool::PoolDefinition;
//!
//! let definition = PoolDefinition {
//!     gateway: Some("203.0.113.1".parse()?),
//!     exclusions: vec!["203.0.113.2-203.0.113.9".parse()?],
//!     ..PoolDefinition::new("public-v4".parse()?, "prod".parse()?, "vmbr0".parse()?, ["203.0.113.0/24".parse()?])
//! };
//! let plan = definition.plan()?;
//! assert_eq!(plan.pool.prefix_len, 24);
//! // What is left: .10 to .254, without network, gateway and broadcast address.
//! assert_eq!(plan.usable.len(), 1);
//! assert_eq!(plan.size(), 245);
//!
//! // A definition that contradicts itself says where and what would be right.
//! let wrong = PoolDefinition { gateway: Some("203.0.114.1".parse()?), ..definition };
//! assert_eq!(
//!     wrong.plan().unwrap_err().to_string(),
//!     "gateway: \"203.0.114.1\" is not valid: a host address inside 203.0.113.0/24",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Pools`] is the front door for panels and, as [`IpPool`](deploy_core::IpPool), the backend for workers.

mod choose;
mod definition;
mod interval;
mod network;
mod plan;
mod pools;
mod range;

pub use choose::fitting;
pub use definition::PoolDefinition;
pub use plan::PoolPlan;
pub use pools::Pools;
pub use range::PoolRange;
