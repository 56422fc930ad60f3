//! Who the rows are sent by: secrets are not in the recording, and some were wrong on purpose.

use std::collections::BTreeMap;

use proxmox_sim::{ClusterConfig, Grant, Reply, Request, StorageConfig, StorageKind, TokenConfig, Version};

use crate::rows::Row;

/// Secrets that the cluster gave out.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    tokens: BTreeMap<String, String>,
    ticket: Option<(String, String)>,
}

const SECRET: &str = "b6f7c0de-0000-4000-8000-000000000001";
/// Unix time at which the simulated cluster begins: 2026-11-21 20:11:00 UTC.
pub(crate) const EPOCH: u64 = 1_795_291_860;
pub(crate) const PASSWORD: &str = "testpass12";

impl Accounts {
    /// The accounts that exist before the first row.
    pub(crate) fn of(config: &ClusterConfig) -> Self {
        let tokens = config.tokens.iter().map(|token| (token.id.clone(), token.secret.clone()));
        Self { tokens: tokens.collect(), ticket: None }
    }

    /// Keeps what an answer gave out.
    pub(crate) fn learn(&mut self, row: &Row, reply: &Reply) {
        let data = reply.payload();
        let text = |key: &str| data[key].as_str().map(str::to_owned);
        if let (Some(id), Some(secret)) = (text("full-tokenid"), text("value")) {
            self.tokens.insert(id, secret);
        }
        if let (true, Some(ticket), Some(csrf)) =
            (row.path.ends_with("/access/ticket"), text("ticket"), text("CSRFPreventionToken"))
        {
            self.ticket = Some((ticket, csrf));
        }
    }

    /// The ticket in use.
    pub(crate) fn ticket(&self) -> &str {
        self.ticket.as_ref().map_or("", |(ticket, _)| ticket)
    }

    pub(crate) fn sign(&self, row: &Row, mut request: Request) -> Request {
        let auth = row.auth.as_deref().unwrap_or("none");
        let root = || self.secret("root@pam!t1");
        match auth {
            "none" => {}
            "raw" => request.authorization = Some(by_hand(&row.case, root())),
            "token" => request = request.token(&format!("root@pam!t1={}", root())),
            "ticket" => {
                let (ticket, csrf) = self.ticket.clone().unwrap_or_default();
                let (ticket, csrf) = spoiled(&row.case, ticket, csrf);
                request.cookie = Some(format!("PVEAuthCookie={ticket}"));
                request.csrf = csrf;
            }
            token => {
                let id = token.trim_start_matches("token:");
                let wrong = row.case.ends_with("wrong-secret");
                let secret = if wrong { "00000000-0000-4000-8000-00000000dead" } else { self.secret(id) };
                request = request.token(&format!("{id}={secret}"));
            }
        }
        request
    }

    /// The root token, whose rights know no limits.
    pub(crate) fn root(&self, request: Request) -> Request {
        request.token(&format!("root@pam!t1={}", self.secret("root@pam!t1")))
    }

    fn secret(&self, id: &str) -> &str {
        self.tokens.get(id).map_or(SECRET, String::as_str)
    }
}

/// Headers that were written by hand.
fn by_hand(case: &str, secret: &str) -> String {
    let name = case.rsplit('/').next().unwrap_or_default();
    match name {
        "token-malformed" => "PVEAPIToken=garbage".to_owned(),
        "token-no-secret" => "PVEAPIToken=root@pam!t1".to_owned(),
        "bearer-scheme" => format!("Bearer root@pam!t1={secret}"),
        "token-space-instead-of-equals" => format!("PVEAPIToken root@pam!t1={secret}"),
        "token-colon-separator" => format!("PVEAPIToken=root@pam!t1:{secret}"),
        other => panic!("no header is known for {other}"),
    }
}

/// Tickets that were broken by hand.
fn spoiled(case: &str, ticket: String, csrf: String) -> (String, Option<String>) {
    match case.rsplit('/').next().unwrap_or_default() {
        "ticket-post-no-csrf" => (ticket, None),
        "ticket-post-bad-csrf" => (ticket, Some("00000000:nonsense".to_owned())),
        "ticket-invalid" => ("PVE:root@pam:00000000::nonsense".to_owned(), Some(csrf)),
        _ => (ticket, Some(csrf)),
    }
}

/// The cluster on which the rows were recorded.
pub(crate) fn cluster(version: Version, lives: bool) -> ClusterConfig {
    let all = ["iso", "vztmpl", "backup", "images", "rootdir", "snippets"];
    let mut config = ClusterConfig {
        name: if version == Version::V8_4 { "testpve" } else { "testpve9" }.to_owned(),
        version,
        epoch: EPOCH,
        nodes: ["pve1", "pve2"].map(str::to_owned).to_vec(),
        storages: vec![
            StorageConfig::new("local", StorageKind::Dir, false, &all),
            StorageConfig::new("shared", StorageKind::Dir, true, &["images", "snippets", "iso"]),
        ],
        templates: Vec::new(),
        tokens: Vec::new(),
        root_password: PASSWORD.to_owned(),
        unauthorized_delay: 3.0,
        node_cpus: 2,
        ha_manager: false,
        daemon_workers: 3,
        firewall: false,
        bridges: vec!["vmbr0".to_owned()],
        ..ClusterConfig::demo()
    };
    config.durations.jitter = 0.0;
    if lives {
        config.pools = vec!["dep".to_owned()];
        config.tokens = lives_tokens(version);
    }
    config
}

/// Accounts of the whole lives, which were made by hand.
fn lives_tokens(version: Version) -> Vec<TokenConfig> {
    let token = |id: &str, grants: Option<Vec<Grant>>| TokenConfig {
        id: id.to_owned(),
        secret: SECRET.to_owned(),
        grants,
    };
    let agent = if version == Version::V8_4 { "VM.Monitor" } else { "VM.GuestAgent.Audit" };
    let machine = [
        "VM.Allocate",
        "VM.Audit",
        "VM.Clone",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Cloudinit",
        "VM.Config.Disk",
        "VM.Config.HWType",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.Options",
        "VM.Migrate",
        "VM.PowerMgmt",
        "VM.Snapshot",
        "VM.Backup",
        agent,
        "Pool.Audit",
    ];
    let storage = ["Datastore.AllocateSpace", "Datastore.Audit"];
    let grant = |path: &str, privileges: &[&str]| Grant {
        path: path.to_owned(),
        privileges: privileges.iter().map(|&p| p.to_owned()).collect(),
    };
    let role = vec![
        grant("/vms", &machine),
        grant("/storage", &storage),
        grant("/sdn/zones/localnetwork", &["SDN.Use"]),
        grant("/", &["Sys.Audit"]),
    ];
    let pool = vec![
        grant("/pool/dep", &machine),
        grant("/storage", &storage),
        grant("/sdn/zones/localnetwork", &["SDN.Use"]),
    ];
    vec![
        token("root@pam!t1", None),
        token("dep@pve!dep", Some(role)),
        token("pool@pve!dep", Some(pool)),
        token("lp@pve!dep", Some(Vec::new())),
        token("half@pve!dep", Some(Vec::new())),
    ]
}
