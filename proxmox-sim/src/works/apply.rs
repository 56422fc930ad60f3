//! Applying pending changes of a machine.

use crate::schema::{Schema, parse_properties};
use crate::world::{Drive, World, is_drive};

impl World {
    /// Makes pending values current: all of a stopped machine's, of a running one only those that
    /// can be changed while it runs.
    ///
    /// Returns the option that could not be changed, and why.
    pub(crate) fn apply_pending(&mut self, vmid: u32) -> Option<(String, String)> {
        self.apply_selected(vmid, None)
    }

    /// The same for some options only, as far as the machine runs: what an earlier call left
    /// waiting goes on waiting.
    pub(crate) fn apply_selected(
        &mut self,
        vmid: u32,
        selected: Option<&[String]>,
    ) -> Option<(String, String)> {
        let machine = self.machines.get_mut(&vmid)?;
        machine.config.tidy();
        let stuck = machine.running.as_ref().map(|running| running.stuck.clone()).unwrap_or_default();
        let mut failure = None;
        let (node, running) = (machine.node.clone(), machine.running.is_some());
        // A guest that is deaf does not let go of its devices.
        let busy = machine.running.as_ref().is_some_and(|running| running.deaf);
        let (deleted, pending) = (machine.config.deleted.clone(), machine.config.pending.clone());
        let current = machine.config.current.clone();
        let left = |key: &String| running && selected.is_some_and(|selected| !selected.contains(key));
        for (key, force) in deleted.into_iter().filter(|(key, _)| !left(key)) {
            if running && !hot(&key, current.get(&key).map(String::as_str), None) {
                continue;
            }
            self.drop_option(&node, vmid, &key, force);
            if let Some(machine) = self.machines.get_mut(&vmid) {
                machine.config.deleted.remove(&key);
            }
        }
        for (key, value) in pending.into_iter().filter(|(key, _)| !left(key)) {
            let old = current.get(&key).map(String::as_str);
            if running && !hot(&key, old, Some(&value)) {
                continue;
            }
            if busy && replugs(&key, old, &value) {
                let text = format!("error on hot-unplugging device '{key}' - still busy in guest?");
                failure = Some((key, text));
                continue;
            }
            if let Some(text) = stuck.get(&key) {
                if let Some(running) = self.machines.get_mut(&vmid).and_then(|m| m.running.as_mut()) {
                    running.stuck.remove(&key);
                }
                failure = Some((key, text.clone()));
                continue;
            }
            self.set_option(&node, vmid, &key, &value);
        }
        failure
    }

    fn set_option(&mut self, node: &str, vmid: u32, key: &str, value: &str) {
        let Some(machine) = self.machines.get_mut(&vmid) else {
            return;
        };
        let old = machine.config.get(key).map(str::to_owned);
        machine.config.pending.remove(key);
        machine.config.set(key, value);
        let volume = |text: &str| Drive::parse(key, text).and_then(|d| d.volume().map(str::to_owned));
        if !is_drive(key) {
            return;
        }
        let new = volume(value);
        // A volume that comes back is no longer unused.
        machine.config.current.retain(|k, v| !(k.starts_with("unused") && Some(&*v) == new.as_ref()));
        if let Some(old) = old.as_deref().filter(|old| volume(old) != new) {
            self.detach(node, vmid, key, old, false);
        }
    }

    fn drop_option(&mut self, node: &str, vmid: u32, key: &str, force: bool) {
        let Some(machine) = self.machines.get_mut(&vmid) else {
            return;
        };
        let Some(old) = machine.config.current.remove(key) else {
            return;
        };
        if key.starts_with("unused") {
            // A volume that cannot be freed is only warned about.
            let _ = self.free(node, &old);
        } else if is_drive(key) {
            self.detach(node, vmid, key, &old, force);
        }
    }

    /// Keeps the volume of a drive that is taken away as `unusedN`. Cloud-init volumes are freed.
    fn detach(&mut self, node: &str, vmid: u32, key: &str, value: &str, force: bool) {
        let Some(drive) = Drive::parse(key, value) else {
            return;
        };
        let Some(volid) = drive.volume().map(str::to_owned) else {
            return;
        };
        if force || drive.is_cloud_init() {
            let _ = self.free(node, &volid);
        } else if let Some(machine) = self.machines.get_mut(&vmid).filter(|_| !drive.is_cdrom()) {
            let slot = machine.config.free_unused();
            machine.config.set(&slot, volid);
        }
    }
}

/// Whether a change of a network device takes the device out and puts another one in.
fn replugs(key: &str, old: Option<&str>, new: &str) -> bool {
    let keys = Schema::get().properties("net").unwrap_or_default();
    let parse = |text: &str| parse_properties(keys, text).ok();
    let (Some(old), Some(new)) = (old.and_then(parse), parse(new)) else {
        return false;
    };
    let replaced = |name: &&str| matches!(*name, "model" | "macaddr" | "queues" | "mtu");
    key.starts_with("net") && old.differing(&new).iter().any(replaced)
}

/// Whether an option can be changed on a running machine.
fn hot(key: &str, old: Option<&str>, new: Option<&str>) -> bool {
    let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
    if is_drive(key) {
        return hot_drive(family, key, old, new);
    }
    match family {
        "description" | "name" | "tags" | "onboot" | "protection" | "hookscript" | "shares" | "startup"
        | "vmstatestorage" | "lock" | "cpulimit" | "cpuunits" | "balloon" | "ciuser" | "cipassword"
        | "sshkeys" | "ipconfig" | "nameserver" | "searchdomain" | "citype" | "ciupgrade" | "cicustom"
        | "net" | "unused" => true,
        _ => key.starts_with("migrate_"),
    }
}

fn hot_drive(family: &str, slot: &str, old: Option<&str>, new: Option<&str>) -> bool {
    let parse = |text: Option<&str>| text.and_then(|text| Drive::parse(slot, text));
    match (parse(old), parse(new)) {
        (Some(old), Some(new)) if old.file() == new.file() => {
            old.properties.differing(&new.properties).iter().all(|key| {
                key.starts_with("mbps")
                    || key.starts_with("iops")
                    || matches!(*key, "size" | "backup" | "replicate")
            })
        }
        _ => matches!(family, "scsi" | "virtio"),
    }
}
