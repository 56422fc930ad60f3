//! Checking the values of options and bringing them into the form in which they are stored.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Call;
use crate::Version;
use crate::reply::Refusal;
use crate::schema::{Schema, parse_properties};
use crate::world::{Drive, Machine, World, is_drive};

/// The options among a call's arguments.
pub(super) fn given(call: &Call) -> impl Iterator<Item = (&str, &str)> {
    call.arguments.iter().filter(|(name, _)| {
        Schema::get().option(name).is_some() && !call.endpoint.fields.iter().any(|field| field.covers(name))
    })
}

/// Every option that is set, in stored form. Nothing is changed yet.
///
/// The right to change a drive is looked at last, so it comes back beside the values.
pub(super) fn prepare(world: &mut World, call: &Call, machine: &Machine) -> Result<Prepared, Refusal> {
    let mut set = Vec::new();
    let mut refused = BTreeMap::new();
    for (name, value) in given(call) {
        match need_privilege(call, name) {
            Err(refusal) if is_drive(name) => {
                refused.insert(name.to_owned(), refusal);
            }
            other => other?,
        }
        let stored = stored(world, call, machine, name, value)?;
        set.push((name.to_owned(), stored));
    }
    check_together(machine, &set)?;
    Ok(Prepared { set, refused })
}

/// Options in stored form, and what is to be refused when it is their turn.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) set: Vec<(String, String)>,
    pub(super) refused: BTreeMap<String, Refusal>,
}

fn stored(
    world: &mut World,
    call: &Call,
    machine: &Machine,
    name: &str,
    value: &str,
) -> Result<String, Refusal> {
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit());
    Ok(match family {
        "net" => net(world, call, machine, name, value)?,
        "tags" => tags(value),
        "cipassword" => password(world, value),
        "sshkeys" => ssh_keys(value)?,
        "description" => value.trim_end_matches('\n').to_owned(),
        // There are no snippets that a hook could be.
        "hookscript" => {
            return Err(Refusal::parameter(name, format!("script '{value}' does not exist\n")));
        }
        _ if is_drive(name) => drive(world, call, machine, name, value)?,
        _ => value.to_owned(),
    })
}

fn net(
    world: &mut World,
    call: &Call,
    machine: &Machine,
    name: &str,
    value: &str,
) -> Result<String, Refusal> {
    let keys = Schema::get().properties("net").unwrap_or_default();
    let mut net = parse_properties(keys, value).map_err(|text| Refusal::parameter(name, text))?;
    need_bridge(world, call, value)?;
    if let Some(old) = machine.config.get(name) {
        need_bridge(world, call, old)?;
    }
    if net.get("macaddr").is_none() {
        net.set("macaddr", world.random.mac());
    }
    Ok(net.print("model"))
}

/// The right to use the bridge of a network device.
pub(super) fn need_bridge(world: &World, call: &Call, net: &str) -> Result<(), Refusal> {
    let part = |key: &str| net.split(',').find_map(|p| p.strip_prefix(key));
    let Some(bridge) = part("bridge=") else {
        return Ok(());
    };
    let path = format!("/sdn/zones/localnetwork/{bridge}");
    // With a VLAN the right to it is enough, which the right to the bridge includes.
    let path = part("tag=").map_or(path.clone(), |tag| format!("{path}/{tag}"));
    // The oldest line has no rights to bridges.
    if world.version < Version::V8_4 { Ok(()) } else { call.caller.need(&path, &["SDN.Use"]) }
}

fn drive(world: &World, call: &Call, machine: &Machine, name: &str, value: &str) -> Result<String, Refusal> {
    let drive =
        Drive::parse(name, value).ok_or_else(|| Refusal::parameter(name, "unable to parse drive options"))?;
    let path = |text: &str| text.starts_with('/');
    let from = drive.properties.get("import-from");
    if (path(drive.file()) || from.is_some_and(path)) && !call.caller.is_root() {
        return Err(Refusal::Die(
            "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 569."
                .to_owned(),
        ));
    }
    if let Some((storage, _)) = drive.file().split_once(':') {
        world.storage(storage)?;
        let new = drive.allocation().is_some() || drive.file().ends_with(":cloudinit");
        if new && world.image_storage(storage).is_err() {
            let text = format!("storage '{storage}' does not support vm images");
            return Err(Refusal::parameter("storage", text));
        }
        if new {
            call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        }
    }
    if let Some(image) = from.filter(|from| !path(from)) {
        need_image(world, call, image)?;
    }
    if drive.file().ends_with(":cloudinit") {
        let other = machine.drives().find(|(slot, drive)| drive.is_cloud_init() && *slot != name);
        if let Some((slot, _)) = other {
            let text = format!("{name} - cloud-init drive is already attached at '{slot}'");
            return Err(Refusal::Die(text));
        }
    }
    Ok(drive.print())
}

/// The right to copy another machine's volume, which must be on the same node.
fn need_image(world: &World, call: &Call, volid: &str) -> Result<(), Refusal> {
    let Some(owner) = owner(volid) else {
        return Ok(());
    };
    call.caller.need(&format!("/vms/{owner}"), &["VM.Clone"])?;
    // One that is gone is not missed before its volume is.
    if world.machines.contains_key(&owner) {
        world.machine_on(call.node(), owner)?;
    }
    Ok(())
}

/// The machine that a volume is named after.
fn owner(volid: &str) -> Option<u32> {
    let file = volid.rsplit([':', '/']).next()?;
    let named = file.strip_prefix("base-").or_else(|| file.strip_prefix("vm-"))?;
    named.split('-').next()?.parse().ok()
}

/// Lower case, sorted, each once.
fn tags(value: &str) -> String {
    let mut tags: Vec<String> = value
        .split(|c: char| matches!(c, ',' | ';') || c.is_whitespace())
        .filter(|tag| !tag.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags.join(";")
}

/// A hash is stored as given, anything else is hashed with a new salt.
fn password(world: &mut World, value: &str) -> String {
    let hashed = ["$1$", "$5$", "$6$", "$2a$", "$2y$"].iter().any(|prefix| value.starts_with(prefix));
    if hashed || value.is_empty() {
        return value.to_owned();
    }
    let salt = world.random.salt();
    let hash = crate::access::hex(&Sha256::digest(format!("{salt}{value}")));
    format!("$5${salt}${hash}")
}

fn ssh_keys(value: &str) -> Result<String, Refusal> {
    let text = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
    let valid = |line: &str| {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default();
        ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| kind.starts_with(prefix))
            && words.next().is_some_and(|blob| blob.len() > 30)
    };
    if text.lines().filter(|line| !line.trim().is_empty()).all(valid) {
        return Ok(value.to_owned());
    }
    Err(Refusal::Die("SSH public key validation error".to_owned()))
}

/// Checks that need more than one option.
fn check_together(machine: &Machine, set: &[(String, String)]) -> Result<(), Refusal> {
    let value = |name: &str| {
        let new = set.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        new.or_else(|| machine.config.view().get(name).cloned())
    };
    if let Some(boot) = set.iter().find(|(key, _)| key == "boot") {
        let order = boot.1.split(',').find_map(|part| part.strip_prefix("order=")).unwrap_or_default();
        for slot in order.split(';').filter(|slot| !slot.is_empty()) {
            if value(slot).is_none() {
                return Err(Refusal::Die(format!("invalid bootorder: device '{slot}' does not exist'")));
            }
        }
    }
    let number = |name: &str| value(name).and_then(|v| v.trim_start_matches("current=").parse::<u64>().ok());
    let changed = set.iter().any(|(key, _)| matches!(key.as_str(), "balloon" | "memory"));
    if changed && number("balloon").is_some_and(|balloon| balloon > number("memory").unwrap_or(512)) {
        let text = "balloon value too large (must be smaller than assigned memory)";
        return Err(Refusal::Die(text.to_owned()));
    }
    Ok(())
}

/// The right to change one option.
pub(super) fn need_privilege(call: &Call, name: &str) -> Result<(), Refusal> {
    let path = format!("/vms/{}", call.vmid());
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let need = |privileges: &[&str]| call.caller.need(&path, privileges);
    let cloud_init_drive = call.text(name).is_some_and(|value| value.contains("cloudinit"));
    match family {
        _ if is_drive(name) && cloud_init_drive => {
            need(&["VM.Config.Cloudinit"])?;
            need(&["VM.Config.CDROM"])
        }
        _ if is_drive(name) => need(&["VM.Config.Disk"]),
        "unused" | "boot" | "bootdisk" | "vmstatestorage" => need(&["VM.Config.Disk"]),
        "cores" | "sockets" | "vcpus" | "cpu" | "cpulimit" | "cpuunits" | "numa" => need(&["VM.Config.CPU"]),
        "memory" | "balloon" | "shares" => need(&["VM.Config.Memory"]),
        "net" => need(&["VM.Config.Network"]),
        "ciuser" | "cipassword" | "sshkeys" | "nameserver" | "searchdomain" | "citype" | "ciupgrade"
        | "cicustom" | "ipconfig" => need(&["VM.Config.Cloudinit", "VM.Config.Network"]),
        "scsihw" | "machine" | "vga" | "hotplug" | "tablet" | "serial" | "smbios" | "arch" => {
            need(&["VM.Config.HWType"])
        }
        "args" | "lock" | "affinity" | "vmgenid" if !call.caller.is_root() => {
            Err(Refusal::Die(format!("only root can set '{name}' config")))
        }
        _ => need(&["VM.Config.Options"]),
    }
}
