use crate::stage::Stage;
use deploy_core::{LogId, RecordStore};
use deploy_testkit::sample;
use jiff::Timestamp;
use proxmox_sim::Entry;

/// Everything that happened in a run, in order: what was written into the deploy logs, what befell the cluster, and its
/// latest requests.
pub(crate) async fn tell(stage: &Stage) -> Vec<String> {
    let mut lines = logged(stage).await;
    stage.sim.with_cluster(|cluster| {
        let mishaps = cluster.mishaps().iter();
        lines.extend(mishaps.map(|mishap| (mishap.at.as_secs_f64(), format!("MISHAP   {:?}", mishap.kind))));
        lines.extend(cluster.requests().iter().map(|entry| (entry.at, asked(entry))));
    });
    lines.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    lines.into_iter().map(|(at, line)| format!("{at:10.3} {line}")).collect()
}

async fn logged(stage: &Stage) -> Vec<(f64, String)> {
    let entries = stage.store.events(LogId::default(), usize::MAX).await.expect("a log");
    let mut lines = Vec::new();
    for entry in entries {
        let record = stage.store.get(entry.key).await.expect("a record");
        let (name, vmid) = record.map_or_else(Default::default, |record| {
            (record.external_ref.as_str().to_owned(), record.numbered.vmid.to_string())
        });
        let times = if entry.times > 1 { format!(" ({} times)", entry.times) } else { String::new() };
        let line = format!("{name} ({vmid}) {}: {}{times}", entry.line.step, entry.line.event);
        lines.push((seconds(entry.line.at), line));
    }
    lines
}

fn seconds(at: Timestamp) -> f64 {
    at.duration_since(sample::epoch()).as_secs_f64()
}

fn asked(entry: &Entry) -> String {
    let params: Vec<String> = entry.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let status = match entry.status {
        None => "none yet".to_owned(),
        Some(0) => "lost".to_owned(),
        Some(status) => status.to_string(),
    };
    format!("REQUEST  {} {} {} -> {status}", entry.method, entry.path, params.join("&"))
}
