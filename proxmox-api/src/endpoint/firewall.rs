use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::timeouts::Pace;

/// The firewall options of a machine. `None`: not set when read, left alone when written.
///
/// The firewall works where all three are on: the datacenter's `enable`, the machine's `enable`, and `firewall=1` on the
/// network card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FirewallOptions {
    /// On or off.
    #[serde(default, deserialize_with = "lenient::opt_flag")]
    pub enable: Option<bool>,
    /// Drops frames with another source MAC than the card's.
    #[serde(default, deserialize_with = "lenient::opt_flag")]
    pub macfilter: Option<bool>,
    /// Drops packets with a source address that is not in the card's `ipfilter-netN`.
    #[serde(default, deserialize_with = "lenient::opt_flag")]
    pub ipfilter: Option<bool>,
    /// Allows DHCP. Set it: unset is not what the API viewer says.
    #[serde(default, deserialize_with = "lenient::opt_flag")]
    pub dhcp: Option<bool>,
    /// Allows neighbour discovery.
    #[serde(default, deserialize_with = "lenient::opt_flag")]
    pub ndp: Option<bool>,
    /// Allows sending router advertisements.
    #[serde(default, deserialize_with = "lenient::opt_flag")]
    pub radv: Option<bool>,
    /// `ACCEPT`, `REJECT` or `DROP` for what no rule decides.
    #[serde(default)]
    pub policy_in: Option<String>,
    /// The same, outwards.
    #[serde(default)]
    pub policy_out: Option<String>,
    /// What to log inwards.
    #[serde(default)]
    pub log_level_in: Option<String>,
    /// What to log outwards.
    #[serde(default)]
    pub log_level_out: Option<String>,
    /// The digest of the options; when written, that which they must still have.
    #[serde(default)]
    pub digest: Option<String>,
}

/// A firewall rule, as it is read and as it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FirewallRule {
    /// Its place, 0 being the first. Not for making one.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub pos: Option<u32>,
    /// `in`, `out` or `group`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `ACCEPT`, `DROP`, `REJECT` or the name of a security group.
    pub action: String,
    /// True if it works. PVE's default is false.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub enable: bool,
    /// A name for protocol and ports, such as `HTTPS`.
    #[serde(default, rename = "macro")]
    pub macro_name: Option<String>,
    /// Where from.
    #[serde(default)]
    pub source: Option<String>,
    /// Where to.
    #[serde(default)]
    pub dest: Option<String>,
    /// The protocol.
    #[serde(default, deserialize_with = "lenient::opt_text")]
    pub proto: Option<String>,
    /// Destination ports.
    #[serde(default, deserialize_with = "lenient::opt_text")]
    pub dport: Option<String>,
    /// Source ports.
    #[serde(default, deserialize_with = "lenient::opt_text")]
    pub sport: Option<String>,
    /// The type of ICMP message.
    #[serde(default, rename = "icmp-type", deserialize_with = "lenient::opt_text")]
    pub icmp_type: Option<String>,
    /// The network card, `netN`.
    #[serde(default)]
    pub iface: Option<String>,
    /// What to log.
    #[serde(default)]
    pub log: Option<String>,
    /// The comment, which people see.
    #[serde(default)]
    pub comment: Option<String>,
    /// The digest of all rules of the machine. Not for making one.
    #[serde(default)]
    pub digest: Option<String>,
}

impl FirewallOptions {
    fn params(&self) -> Params {
        Params::new()
            .opt_flag("enable", self.enable)
            .opt_flag("macfilter", self.macfilter)
            .opt_flag("ipfilter", self.ipfilter)
            .opt_flag("dhcp", self.dhcp)
            .opt_flag("ndp", self.ndp)
            .opt_flag("radv", self.radv)
            .opt("policy_in", self.policy_in.as_ref())
            .opt("policy_out", self.policy_out.as_ref())
            .opt("log_level_in", self.log_level_in.as_ref())
            .opt("log_level_out", self.log_level_out.as_ref())
            .opt("digest", self.digest.as_ref())
    }
}

impl FirewallRule {
    fn params(&self) -> Params {
        Params::new()
            .set("type", &self.kind)
            .set("action", &self.action)
            .flag("enable", self.enable)
            .opt("macro", self.macro_name.as_ref())
            .opt("source", self.source.as_ref())
            .opt("dest", self.dest.as_ref())
            .opt("proto", self.proto.as_ref())
            .opt("dport", self.dport.as_ref())
            .opt("sport", self.sport.as_ref())
            .opt("icmp-type", self.icmp_type.as_ref())
            .opt("iface", self.iface.as_ref())
            .opt("log", self.log.as_ref())
            .opt("comment", self.comment.as_ref())
    }
}

impl Client {
    /// The options of the datacenter's firewall; without its `enable` no machine's works.
    ///
    /// PVE API viewer: `GET /cluster/firewall/options`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn cluster_firewall_options(&self) -> Result<FirewallOptions, ApiError> {
        let path = ApiPath::join(["cluster", "firewall", "options"]);
        self.call(Method::GET, path, &Params::new(), Pace::Read).await
    }

    /// The firewall options of a machine.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/firewall/options`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn firewall_options(&self, node: &str, vmid: u32) -> Result<FirewallOptions, ApiError> {
        self.call(
            Method::GET,
            ApiPath::of_vm(node, vmid, &["firewall", "options"]),
            &Params::new(),
            Pace::Read,
        )
        .await
    }

    /// Sets firewall options of a machine, and unsets those in `delete`. PVE does not check that the machine exists.
    ///
    /// PVE API viewer: `PUT /nodes/{node}/qemu/{vmid}/firewall/options`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn set_firewall_options(
        &self,
        node: &str,
        vmid: u32,
        options: &FirewallOptions,
        delete: &[&str],
    ) -> Result<(), ApiError> {
        let params = options.params().list("delete", delete);
        self.call(
            Method::PUT,
            ApiPath::of_vm(node, vmid, &["firewall", "options"]),
            &params,
            Pace::ShortWrite,
        )
        .await
    }

    /// The firewall rules of a machine, in order.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/firewall/rules`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn firewall_rules(&self, node: &str, vmid: u32) -> Result<Vec<FirewallRule>, ApiError> {
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["firewall", "rules"]), &Params::new(), Pace::Read)
            .await
    }

    /// Makes a rule *in front of* all others: PVE ignores a position. Repeating it makes a second one.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/firewall/rules`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn add_firewall_rule(
        &self,
        node: &str,
        vmid: u32,
        rule: &FirewallRule,
    ) -> Result<(), ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["firewall", "rules"]);
        self.call(Method::POST, path, &rule.params(), Pace::ShortWrite).await
    }

    /// Removes the rule at a position. Positions shift, so give the digest with which the position was read, and remove
    /// from the last one down.
    ///
    /// PVE API viewer: `DELETE /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Failure::Changed`](crate::Failure::Changed) for another digest.
    pub async fn delete_firewall_rule(
        &self,
        node: &str,
        vmid: u32,
        pos: u32,
        digest: Option<&str>,
    ) -> Result<(), ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["firewall", "rules", &pos.to_string()]);
        self.call(Method::DELETE, path, &Params::new().opt("digest", digest), Pace::ShortWrite).await
    }
}
