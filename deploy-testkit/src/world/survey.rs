use super::{Cluster, ModelMachine, World, Yield};
use async_trait::async_trait;
use deploy_core::{
    Bytes, ClusterName, GuestKind, Inspected, Inspection, Look, LookError, MachineId, NodeState, Sighting,
    Survey, Surveyed, Surveyor, Traffic, Vmid,
};

#[async_trait]
impl Surveyor for World {
    async fn survey(&self, _cluster: &ClusterName) -> Result<Survey, LookError> {
        Yield::default().await;
        let survey = self.with(Cluster::survey);
        Yield::default().await;
        survey
    }

    async fn inspect(&self, id: &MachineId) -> Inspection {
        Yield::default().await;
        let inspection = self.with(|cluster| cluster.inspect(id.vmid));
        Yield::default().await;
        inspection
    }
}

impl Cluster {
    /// A list that is not late.
    fn survey(&mut self) -> Result<Survey, LookError> {
        self.list_fault()?;
        let offline = self.nodes_down.iter().map(|node| (node.clone(), NodeState::Offline));
        let nodes =
            self.machines.values().map(|machine| (machine.node.clone(), NodeState::Online)).chain(offline);
        let nodes = nodes.collect();
        let seen = self.machines.iter().filter(|(vmid, _)| !self.unlisted.contains(vmid));
        Ok(Survey { guests: seen.map(|(vmid, machine)| (*vmid, self.surveyed(machine))).collect(), nodes })
    }

    fn surveyed(&self, machine: &ModelMachine) -> Surveyed {
        let config = &machine.config;
        let cpus = config.sockets.zip(config.cores);
        Surveyed {
            kind: if machine.template { GuestKind::Template } else { GuestKind::Machine },
            node: machine.node.clone(),
            name: config.name.as_ref().map(ToString::to_string),
            power: Some(machine.power.clone()),
            uptime: Some(self.uptime(machine)),
            lock: machine.lock.clone().map(Into::into),
            tags: config.tags.clone(),
            cpus: cpus.map(|(sockets, cores)| u32::from(sockets.get()) * u32::from(cores.get())),
            memory: config.memory.map(|memory| Bytes(u64::from(memory.get()) << 20)),
            counted: Some(machine.running_since.map_or(Traffic::default(), |_| machine.counted)),
        }
    }

    fn uptime(&self, machine: &ModelMachine) -> u64 {
        let since = machine.running_since.map_or(0, |since| self.now.duration_since(since).as_secs());
        u64::try_from(since).unwrap_or(0)
    }

    fn inspect(&mut self, vmid: Vmid) -> Inspection {
        let look = Look::CONFIG.and(Look::PENDING).and(Look::POWER).and(Look::FIREWALL).and(Look::AGENT);
        match self.sight(vmid, look) {
            Sighting::Seen(machine) => {
                let uptime = self.machines.get(&vmid).map(|machine| self.uptime(machine));
                Inspection::Seen(Box::new(Inspected {
                    machine: *machine,
                    uptime,
                    tasks: Vec::new(),
                    hidden: Vec::new(),
                }))
            }
            Sighting::ProvenAbsent => Inspection::ProvenAbsent,
            Sighting::Unknown(why) => Inspection::Unknown(why),
        }
    }
}
