//! What commands do, in words. Exhaustive, so that a new command brings its words with it.

use crate::{Command, DataDisks};

/// What it does.
pub(super) fn about(command: &Command) -> &'static str {
    match command {
        Command::Retry => {
            "tries the due step now, whatever its delay after failures. What was never answered keeps its time to arrive"
        }
        Command::Terminate => {
            "takes everything away: HA, protection, the guest, backups on all storages, snapshots, disks, and gives the addresses \
             back; `life.receipt` says of each resource whether it was deleted, kept and why, or is not known"
        }
        Command::LetGo => {
            "gives up an adoption: the record ends, its addresses go back, and nothing is done to the machine"
        }
        Command::Start => "starts it",
        Command::Stop(_) => {
            "asks the guest, and stops it hard if it does not follow in time; or hard at once"
        }
        Command::Restart(_) => "stops it as `stop` does, and starts it: what waits in PVE is put in force",
        Command::Reset => "resets the guest, as by the button",
        Command::Suspend => {
            "stops it and takes autostart off. It is in force from the moment in which it is taken: a deployment that is under way \
             goes on, and does not start the machine"
        }
        Command::Unsuspend(_) => {
            "gives it back, with autostart as ordered: started, or as it was before (`as_before`)"
        }
        Command::ChangePackage(_) => {
            "makes it what another order says, up or down, whole or one option; restarts it only where something needs that and \
             only if it ran"
        }
        Command::SetCredentials(_) => {
            "gives the guest another user, password or keys by cloud-init, with a restart if it runs"
        }
        Command::SetDedicatedIp(..) => {
            "takes another address in the place of the first one of this NIC and family; the old one rests in its pool"
        }
        Command::AddAddress(..) => "takes one address more for this NIC",
        Command::RemoveAddress(_) => "takes this address away; it rests in its pool",
        Command::Reinstall(new) if new.additional_disks == DataDisks::Keep => {
            "puts a full copy of a template's system disk in the place of the machine's, on the same storage, and frees the old \
             one; everything else stays: identity, number, additional disks, hardware, addresses and MACs, HA, backups"
        }
        Command::Reinstall(_) => {
            "destroys the machine and makes it anew, from its template or another one, with number, addresses and MACs; all its \
             disks are new, its backups stay"
        }
        Command::SetDnsRecords => {
            "has its DNS records looked at and set now, whatever delay they wait for; `failed` says which are not set and why, and those \
             are tried on"
        }
        Command::Remove => "destroys the machine; record, number, addresses and backups stay",
        Command::Step(_) => "takes one step of a deployment, and no other",
        Command::RunOn(_) => "goes on with the deployment from this step, to `ready`",
        Command::CreateSnapshot(_) => "takes a snapshot of the disks, without memory",
        Command::DeleteSnapshot(_) => "deletes a snapshot; one that is not there is deleted",
        Command::RollBack(_) => {
            "takes disks and settings back to a snapshot, then sets what the order says and starts it if it ran"
        }
        Command::Backup(_) => "makes a backup; its notes carry the command's id",
        Command::DeleteBackup(_) => "deletes a backup; one that is not there is deleted",
        Command::RestoreBackup(_) => {
            "stops it, takes disks and settings from a backup, then sets what the order says and starts it if it ran"
        }
        Command::Hold => "takes the machine out of the workers' hands: nothing is done to it",
        Command::Release => {
            "gives it back to the workers, who go on where they were, or terminate it where that was asked for meanwhile"
        }
        Command::Withdraw(_) => "takes a command back that waits",
    }
}

/// What it needs of order and machine beyond the phase. What the record shows is refused when it is given, what only the machine
/// shows when its turn comes; either way nothing was changed.
pub(super) fn needs(command: &Command) -> &'static str {
    match command {
        Command::Start | Command::Restart(_) => "a guest that is not paused",
        Command::Reset => "a machine that runs",
        Command::ChangePackage(_) => {
            "the same cluster, node and template; no disk smaller or less; free SCSI slots for new ones"
        }
        Command::SetCredentials(_) => "an order that is valid with them",
        Command::SetDedicatedIp(..) => "an address of this family on this NIC, and a free one in its pools",
        Command::AddAddress(..) => "a NIC with addresses from pools, and a free one there",
        Command::RemoveAddress(_) => "an address of this machine, and not the last of its NIC",
        Command::Reinstall(new) if new.additional_disks == DataDisks::Keep => {
            "the machine itself, without snapshots or protection; a template with a system disk that is not larger than ordered, \
             of the same firmware, bus and SCSI controller; one on another node only where storages have the same names there"
        }
        Command::Reinstall(_) => "a template with a system disk that is not larger than ordered",
        Command::SetDnsRecords => "a worker with DNS",
        Command::Remove => "a machine that is stopped",
        Command::Step(_) => {
            "`set_cpu_ram` and `set_cloudinit`: a machine that is stopped, where they change something"
        }
        Command::CreateSnapshot(_) => "no snapshot of this name, storages that can",
        Command::RollBack(_) => "the snapshot",
        Command::Backup(_) => "a storage for backups",
        Command::DeleteBackup(_) => "a backup that is not protected, and holds this machine's mark",
        Command::RestoreBackup(_) => "the backup, of this machine; no protection",
        Command::LetGo => "a machine that is not adopted yet",
        Command::Withdraw(_) => "a command that was not begun",
        Command::Retry
        | Command::Terminate
        | Command::Stop(_)
        | Command::Suspend
        | Command::Unsuspend(_)
        | Command::RunOn(_)
        | Command::DeleteSnapshot(_)
        | Command::Hold
        | Command::Release => "-",
    }
}
