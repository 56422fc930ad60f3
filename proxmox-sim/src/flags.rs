//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use proxmox_sim::{
    ClusterConfig, Durations, Faults, ServerOptions, StorageConfig, StorageKind, TemplateConfig, TokenConfig,
    Version,
};

/// Simulates a Proxmox VE cluster on 127.0.0.1.
///
/// Without flags it is a cluster of three nodes with local and shared storage and three templates.
#[derive(Debug, Parser)]
#[command(name = "proxmox-sim", version)]
pub(crate) struct Flags {
    /// Cluster as a TOML file; the other flags change what it says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Node names
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    nodes: Vec<String>,
    /// Bridges of every node
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    bridges: Vec<String>,
    /// Storage, as NAME:dir|lvmthin[/shared][:GIB]
    #[arg(long = "storage", value_name = "SPEC")]
    storages: Vec<Storage>,
    /// Template, as VMID:NODE:STORAGE:GIB[:agent]
    #[arg(long = "template", value_name = "SPEC")]
    templates: Vec<Template>,
    /// Release to imitate, 7.4, 8.4 or 9.2
    #[arg(long, value_name = "VERSION")]
    pve: Option<Version>,
    /// API token, as USER@REALM!NAME=SECRET
    #[arg(long, value_name = "TOKEN")]
    token: Option<Token>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8006)]
    port: u16,
    /// Plain HTTP instead of HTTPS
    #[arg(long)]
    http: bool,
    /// Factor for all durations of tasks; 0 makes them instant
    #[arg(long, value_name = "FACTOR")]
    scale: Option<f64>,
    /// One duration in seconds, as `clone_full=5`; the names are those of the TOML file
    #[arg(long = "duration", value_name = "NAME=SECONDS", value_parser = duration)]
    durations: Vec<(String, f64)>,
    /// Seconds that answers to requests that read take on the way
    #[arg(long, value_name = "SECONDS")]
    read_latency: Option<f64>,
    /// Seconds that answers to requests that write take on the way
    #[arg(long, value_name = "SECONDS")]
    write_latency: Option<f64>,
    /// Seconds by which a 401 is delayed
    #[arg(long, value_name = "SECONDS")]
    unauthorized_delay: Option<f64>,
    /// Share of requests that meet a fault, from 0 to 1: those that cost less than a second
    #[arg(long, value_name = "RATE")]
    faults: Option<f64>,
    /// With --faults: every kind of fault, also those that leave something behind
    #[arg(long, requires = "faults")]
    all_faults: bool,
    /// Mean number of seconds between two mishaps: nodes go down, people change machines
    #[arg(long, value_name = "SECONDS")]
    mishaps: Option<f64>,
    /// Machines that people change in mishaps, and numbers that strangers take
    #[arg(long, value_name = "FIRST-LAST", value_parser = vmids)]
    mishap_vmids: Option<[u32; 2]>,
    /// Seed of everything random
    #[arg(long)]
    seed: Option<u64>,
    /// Print every request
    #[arg(long)]
    log_requests: bool,
    /// Where to write url, fingerprint, token and pid as JSON, once listening
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Where to write the certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_out: Option<PathBuf>,
}

impl Flags {
    pub(crate) fn cluster(&self) -> Result<ClusterConfig, Box<dyn std::error::Error>> {
        let mut config = match &self.config {
            Some(file) => toml::from_str(&std::fs::read_to_string(file)?)?,
            None => ClusterConfig::demo(),
        };
        if !self.nodes.is_empty() {
            config.nodes.clone_from(&self.nodes);
            config.templates.retain(|template| self.nodes.contains(&template.node));
        }
        if !self.bridges.is_empty() {
            config.bridges.clone_from(&self.bridges);
        }
        if !self.storages.is_empty() {
            config.storages = self.storages.iter().map(|storage| storage.0.clone()).collect();
        }
        if !self.templates.is_empty() {
            config.templates = self.templates.iter().map(|template| template.0.clone()).collect();
        }
        if let Some(token) = &self.token {
            config.tokens.insert(0, token.0.clone());
        }
        config.version = self.pve.unwrap_or(config.version);
        config.seed = self.seed.unwrap_or(config.seed);
        config.durations.scale = self.scale.unwrap_or(config.durations.scale);
        config.durations = self.with_durations(&config.durations)?;
        config.read_latency = self.read_latency.unwrap_or(config.read_latency);
        config.write_latency = self.write_latency.unwrap_or(config.write_latency);
        config.unauthorized_delay = self.unauthorized_delay.unwrap_or(config.unauthorized_delay);
        self.put_faults(&mut config.faults);
        Ok(config)
    }

    fn put_faults(&self, faults: &mut Faults) {
        if let Some(rate) = self.faults {
            let mishaps = faults.mishaps.clone();
            let kinds = if self.all_faults { Faults::everything(rate) } else { faults.clone() };
            *faults = Faults { rate, mishaps, ..kinds };
        }
        faults.mishaps.interval = self.mishaps.unwrap_or(faults.mishaps.interval);
        faults.mishaps.vmids = self.mishap_vmids.or(faults.mishaps.vmids);
    }

    fn with_durations(&self, durations: &Durations) -> Result<Durations, Box<dyn std::error::Error>> {
        let mut table = toml::Table::try_from(durations)?;
        for (name, seconds) in &self.durations {
            if !table.contains_key(name) {
                let names: Vec<&String> = table.keys().collect();
                return Err(format!("no duration is called '{name}', only {names:?}").into());
            }
            table.insert(name.clone(), (*seconds).into());
        }
        Ok(table.try_into()?)
    }

    pub(crate) fn options(&self) -> ServerOptions {
        ServerOptions {
            port: self.port,
            tls: !self.http,
            log_requests: self.log_requests,
            ..ServerOptions::default()
        }
    }
}

fn vmids(text: &str) -> Result<[u32; 2], String> {
    let (first, last) = text.split_once('-').ok_or("a range is FIRST-LAST")?;
    let number = |text: &str| text.parse().map_err(|_| format!("'{text}' is no VMID"));
    Ok([number(first)?, number(last)?])
}

fn duration(text: &str) -> Result<(String, f64), String> {
    let (name, seconds) = text.split_once('=').ok_or("a duration is NAME=SECONDS")?;
    let seconds = seconds.parse().map_err(|_| format!("'{seconds}' is no number of seconds"))?;
    Ok((name.to_owned(), seconds))
}

#[derive(Debug, Clone)]
struct Storage(StorageConfig);

impl FromStr for Storage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let name = parts.next().filter(|name| !name.is_empty()).ok_or("a storage needs a name")?;
        let kind = parts.next().unwrap_or("dir");
        let (kind, shared) = kind.strip_suffix("/shared").map_or((kind, false), |kind| (kind, true));
        let kind = match kind {
            "dir" => StorageKind::Dir,
            "lvmthin" => StorageKind::LvmThin,
            other => return Err(format!("unknown kind of storage '{other}', use dir or lvmthin")),
        };
        let mut storage = StorageConfig::new(name, kind, shared, &["images", "backup"]);
        if let Some(size) = parts.next() {
            storage.size_gib = size.parse().map_err(|_| format!("'{size}' is no size in GiB"))?;
        }
        Ok(Self(storage))
    }
}

#[derive(Debug, Clone)]
struct Template(TemplateConfig);

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [vmid, node, storage, size, rest @ ..] = parts.as_slice() else {
            return Err("a template is VMID:NODE:STORAGE:GIB[:agent]".to_owned());
        };
        Ok(Self(TemplateConfig {
            vmid: vmid.parse().map_err(|_| format!("'{vmid}' is no VMID"))?,
            name: format!("template-{vmid}"),
            node: (*node).to_owned(),
            storage: (*storage).to_owned(),
            size_gib: size.parse().map_err(|_| format!("'{size}' is no size in GiB"))?,
            agent: rest.contains(&"agent"),
            nics: vec!["vmbr0".to_owned()],
            cloud_init: true,
        }))
    }
}

#[derive(Debug, Clone)]
struct Token(TokenConfig);

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, secret) = text.split_once('=').ok_or("a token is USER@REALM!NAME=SECRET")?;
        if !id.contains('!') {
            return Err("a token is USER@REALM!NAME=SECRET".to_owned());
        }
        Ok(Self(TokenConfig { id: id.to_owned(), secret: secret.to_owned(), grants: None }))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use proxmox_sim::StorageKind;

    use super::*;

    #[test]
    fn the_flags_fit_together() {
        Flags::command().debug_assert();
    }

    #[test]
    fn flags_change_what_the_demo_says() {
        let line = "sim --nodes a,b --bridges br0 --storage ceph:dir/shared:100 --template 900:a:ceph:4:agent \
                    --pve 8.4 --token root@pam!x=y --scale 0.5 --duration clone_full=9 --faults 0.1 --all-faults --mishaps 30 --mishap-vmids 100-199 --seed 3 \
                    --read-latency 0.02 --write-latency 0.1";
        let flags = Flags::try_parse_from(line.split_whitespace()).expect("flags");
        let config = flags.cluster().expect("a cluster");
        assert_eq!((config.nodes.as_slice(), config.version), (&["a".into(), "b".into()][..], Version::V8_4));
        let storage = &config.storages[0];
        assert_eq!((storage.kind, storage.shared, storage.size_gib), (StorageKind::Dir, true, 100));
        assert!(config.templates[0].agent && config.templates[0].size_gib == 4);
        assert_eq!(config.tokens[0].credential(), "root@pam!x=y");
        assert!((config.durations.clone_full - 9.0).abs() < f64::EPSILON);
        assert!((config.faults.rate - 0.1).abs() < f64::EPSILON && config.faults.killed > 0);
        let mishaps = &config.faults.mishaps;
        assert_eq!((mishaps.interval, mishaps.vmids), (30.0, Some([100, 199])));
        assert_eq!((config.read_latency, config.write_latency), (0.02, 0.1));
        let wrong = Flags::try_parse_from(["sim", "--duration", "nap=1"]).expect("flags");
        assert!(wrong.cluster().is_err());
    }

    #[test]
    fn faults_and_mishaps_are_written_as_toml() {
        let text = "[faults]\nrate = 0.2\nkilled = 5\n\
            [faults.mishaps]\ninterval = 30.0\nuntil = 600.0\nvmids = [100, 199]\nlasting = [1.0, 9.0]\ndelete = 0";
        let faults = toml::from_str::<ClusterConfig>(text).expect("a cluster").faults;
        assert_eq!((faults.killed, faults.lose_request, faults.partial), (5, 3, 0));
        let mishaps = &faults.mishaps;
        assert_eq!((mishaps.until, mishaps.vmids, mishaps.delete), (Some(600.0), Some([100, 199]), 0));
        assert_eq!(mishaps.node_down, 2, "what is left out is as usual");
        let config = ClusterConfig { faults, ..ClusterConfig::demo() };
        let written = toml::to_string(&config).expect("TOML");
        assert_eq!(toml::from_str::<ClusterConfig>(&written).expect("a cluster"), config);
        assert!(toml::from_str::<ClusterConfig>("[faults.mishaps]\nearthquake = 1").is_err());
    }

    #[test]
    fn a_configuration_survives_toml() {
        let demo = ClusterConfig::demo();
        let text = toml::to_string(&demo).expect("TOML");
        assert_eq!(toml::from_str::<ClusterConfig>(&text).expect("a cluster"), demo);
        let small: ClusterConfig = toml::from_str("nodes = ['x']\ntemplates = []").expect("a cluster");
        assert_eq!(small.bridges, demo.bridges, "what is left out is the demo's");
    }
}
