use deploy_core::{ChangeKind, CloneMode, ClusterName, NodeName, Progress, StorageId, VmRecord};

/// A node, which answers for its tasks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) cluster: ClusterName,
    pub(crate) node: NodeName,
}

/// What a task does, and on what: those that are equal take about as long.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    pub(crate) place: Place,
    pub(crate) kind: ChangeKind,
    pub(super) storage: Option<StorageId>,
    /// The template, or the node that is migrated to.
    pub(super) other: Option<String>,
}

impl Work {
    /// The work of the task that a record waits for.
    pub(crate) fn of(record: &VmRecord) -> Self {
        let spec = &record.spec;
        let kind = match &record.progress {
            Progress::Submitted { change, .. } => change.kind,
            // Of any kind, then.
            Progress::Untried | Progress::Intended { .. } | Progress::Applied { .. } => ChangeKind::Configure,
        };
        let (node, storage, other) = match kind {
            ChangeKind::Clone => {
                let mode = match &spec.clone {
                    CloneMode::Linked => "linked",
                    CloneMode::Full { .. } => "full",
                };
                (
                    &spec.template.node,
                    spec.clone.storage().cloned(),
                    Some(format!("template {} ({mode})", spec.template.vmid)),
                )
            }
            ChangeKind::Migrate => {
                (&record.node, spec.migration_storage.clone(), Some(record.bound_for().to_string()))
            }
            ChangeKind::Import => (&record.node, None, Some(format!("template {}", spec.template.vmid))),
            ChangeKind::JoinPool
            | ChangeKind::Configure
            | ChangeKind::Resize
            | ChangeKind::SetFirewall
            | ChangeKind::Start
            | ChangeKind::Stop
            | ChangeKind::Reset
            | ChangeKind::LeaveHa
            | ChangeKind::CreateSnapshot
            | ChangeKind::DeleteSnapshot
            | ChangeKind::RollBack
            | ChangeKind::Backup
            | ChangeKind::DeleteBackup
            | ChangeKind::RestoreBackup
            | ChangeKind::Destroy => (&record.node, None, None),
        };
        let place = Place { cluster: spec.cluster.clone(), node: node.clone() };
        Self { place, kind, storage, other }
    }
}
