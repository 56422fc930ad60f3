use std::sync::Arc;

use tokio::task::JoinSet;

use super::core::Core;
use crate::cluster::Cluster;
use crate::config::ClusterConfig;
use crate::reply::Answer;
use crate::request::Request;

/// A cluster that is served without a network, to whoever is in the same process.
///
/// Time is tokio's, so that in a runtime whose time is paused (`tokio::time::pause`) hours of a cluster pass in a moment.
///
/// ```
/// use proxmox_sim::{ClusterConfig, InProcess, Request};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let config = ClusterConfig::demo();
/// let token = config.tokens[0].credential();
/// let sim = InProcess::start(config);
/// let clone = Request::new("POST", "/nodes/pve1/qemu/9000/clone").param("newid", 100).token(&token);
/// sim.handle(clone).await.reply.expect("an answer");
/// tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
/// assert_eq!(sim.with_cluster(|cluster| cluster.counters().clones[&100]), 1);
/// # }
/// ```
#[derive(Debug)]
pub struct InProcess {
    core: Arc<Core>,
    /// Lets time pass in the cluster; ends with this.
    _driver: JoinSet<()>,
}

impl InProcess {
    /// Starts a cluster on the current runtime.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(config: ClusterConfig) -> Self {
        let core = Arc::new(Core::new(Cluster::new(config), false));
        let mut driver = JoinSet::new();
        driver.spawn(Arc::clone(&core).drive());
        Self { core, _driver: driver }
    }

    /// Carries out a request, which arrives at once, and waits for its answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, the request is carried out all the same.
    pub async fn handle(&self, request: Request) -> Answer {
        let answer = self.core.handle(request).await;
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        answer
    }

    /// Looks at the cluster, or changes it, as of now.
    pub fn with_cluster<T>(&self, look: impl FnOnce(&mut Cluster) -> T) -> T {
        let result = self.core.with_cluster(look);
        // What was changed may be due before whatever was waited for.
        self.core.wake();
        result
    }
}
