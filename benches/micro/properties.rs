//! The little languages inside of PVE's answers.

use benches::CpuTime;
use criterion::Criterion;
use proxmox_api::{BootOrder, DriveConfig, IpConfig, NetConfig, Params, Tags, Upid, VmConfig};
use std::{fmt::Debug, hint::black_box, str::FromStr};

/// A machine's configuration as a server of PVE 9.2 answers it.
const CONFIG: &str = r#"{"data":{"serial0":"socket",
"scsi1":"shared:5001/vm-5001-disk-1.qcow2,discard=on,iops_rd=800,iops_wr=400,iothread=1,mbps_rd=160,mbps_wr=80,size=9G",
"net0":"virtio=02:AA:BB:00:50:01,bridge=vmbr0,firewall=1,rate=12.5,tag=100",
"description":"pve-deploy: 3b1f8a52-0c1e-4c55-9d0e-000000005001 v2","ostype":"l26","searchdomain":"example.test",
"cipassword":"**********","digest":"25f54c3881524d464f45b8fec3cf0aa6d3415e17","kvm":0,
"ipconfig0":"ip=203.0.113.20/24,gw=203.0.113.1,ip6=2001:db8:1::20/64,gw6=2001:db8:1::1","tags":"deploy;gold;web",
"boot":"order=scsi0","ciupgrade":0,"agent":"1","memory":"512","name":"renamed.example.test",
"scsihw":"virtio-scsi-single","cores":1,"ciuser":"ops","meta":"creation-qemu=10.0.2,ctime=1795295017",
"smbios1":"uuid=a27274ed-a492-417d-8a26-72e7c045c7af","nameserver":"9.9.9.9 2620:fe::fe",
"ide2":"shared:5001/vm-5001-cloudinit.qcow2,media=cdrom,size=4M","vmgenid":"322fe45d-a994-4235-a22f-01d3a8d89c77",
"onboot":1,
"sshkeys":"ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIHn8zz7cKYl6VvGSgXQPpWwTnvGYgF0uEl0F0l0sF5oM%20alice%40laptop%0A",
"scsi0":"shared:9100/base-9100-disk-0.qcow2/5001/vm-5001-disk-0.qcow2,discard=on,iops_rd=2000,iops_wr=1000,iothread=1,mbps_rd=200,mbps_wr=100,size=6G,ssd=1",
"unused0":"shared:5001/vm-5001-disk-2.qcow2"}}"#;
const UPID: &str = "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1:";

/// As every answer of PVE.
#[derive(serde::Deserialize)]
struct Answer {
    data: VmConfig,
}

pub(crate) fn run(criterion: &mut Criterion<CpuTime>) {
    let config = answered(CONFIG);
    let text = |option: &str| config.get(option).unwrap_or_else(|| panic!("no {option}"));
    let mut group = criterion.benchmark_group("parse");
    group.bench_function("configuration, options as text", |b| b.iter(|| answered(black_box(CONFIG))));
    group.bench_function("configuration, every reader", |b| b.iter(|| Read::of(black_box(&config))));
    group.bench_function("drive", |b| b.iter(|| parsed::<DriveConfig>(black_box(text("scsi0")))));
    group.bench_function("net", |b| b.iter(|| parsed::<NetConfig>(black_box(text("net0")))));
    group.bench_function("ipconfig", |b| b.iter(|| parsed::<IpConfig>(black_box(text("ipconfig0")))));
    group.bench_function("UPID", |b| b.iter(|| parsed::<Upid>(black_box(UPID))));
    group.finish();

    let read = Read::of(&config);
    let (drive, net, ip) = (&read.drives[1].1, &read.nets[0].1, &read.ips[0].1);
    assert_eq!(drive.limits.iops_rd, Some(2000), "the system disk");
    let mut group = criterion.benchmark_group("write");
    group.bench_function("configuration, as a form", |b| b.iter(|| black_box(&read).form()));
    group.bench_function("drive", |b| b.iter(|| black_box(drive).for_writing()));
    group.bench_function("net", |b| b.iter(|| black_box(net).to_string()));
    group.bench_function("ipconfig", |b| b.iter(|| black_box(ip).to_string()));
    group.finish();
}

fn answered(text: &str) -> VmConfig {
    serde_json::from_str::<Answer>(text).expect("a configuration").data
}

fn parsed<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// What has a language of its own in a configuration, read.
struct Read {
    drives: Vec<(String, DriveConfig)>,
    nets: Vec<(String, NetConfig)>,
    ips: Vec<(String, IpConfig)>,
    tags: Tags,
    boot: BootOrder,
    others: (Option<String>, Option<u64>, Option<u32>, Option<uuid::Uuid>),
}

impl Read {
    fn of(config: &VmConfig) -> Self {
        let read = Self {
            drives: config.drives().map(|(slot, text)| (slot.to_owned(), parsed(text))).collect(),
            nets: config
                .nets()
                .map(|n| (format!("net{n}"), config.net(n).expect("a card").expect("it is listed")))
                .collect(),
            ips: config
                .nets()
                .map(|n| {
                    (format!("ipconfig{n}"), config.ipconfig(n).expect("addresses").expect("as ordered"))
                })
                .collect(),
            tags: config.tags(),
            boot: config.boot_order().expect("a boot order"),
            others: (
                config.system_slot().map(ToOwned::to_owned),
                config.memory_mib(),
                config.cores(),
                config.smbios_uuid(),
            ),
        };
        assert_eq!(read.drives.len(), 3, "two disks and a cloud-init drive");
        read
    }

    /// The body of a request that writes it all.
    fn form(&self) -> String {
        let mut params = Params::new();
        for (slot, drive) in &self.drives {
            params = params.set(slot.clone(), drive.for_writing());
        }
        for (option, net) in &self.nets {
            params = params.set(option.clone(), net);
        }
        for (option, ip) in &self.ips {
            params = params.set(option.clone(), ip);
        }
        params = params.set("tags", &self.tags).set("boot", &self.boot);
        let (_, memory, cores, _) = &self.others;
        params.opt("memory", *memory).opt("cores", *cores).encoded()
    }
}
