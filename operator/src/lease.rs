//! Which of several operators writes: the one that holds the Lease. The others keep their caches warm.

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::{sync::watch, task::JoinHandle};

/// Name of the Lease.
pub const NAME: &str = "isthmus-operator";
/// Seconds after which a silent holder has lost it.
const DURATION: u64 = 15;
/// Seconds before that in which the holder renews.
const GRACE: u64 = 5;
/// How long giving it back may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Takes part in the election.
#[derive(Debug)]
pub struct Election {
    /// Whether the Lease is ours.
    pub leading: watch::Receiver<bool>,
    task: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
}

impl Election {
    /// Joins the election in `namespace` as `identity`.
    pub async fn join(client: Client, namespace: &str, identity: &str) -> Result<Self, LeaseManagerError> {
        let manager = LeaseManagerBuilder::new(client, NAME)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await?;
        let (leading, task) = manager.watch().await;
        Ok(Self { leading, task })
    }

    /// Gives the Lease back, so that another operator can go on at once.
    pub async fn leave(self) {
        drop(self.leading);
        match tokio::time::timeout(FAREWELL, self.task).await {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the lease could not be given back; it will run out"),
            Ok(Err(error)) => tracing::warn!(%error, "the election ended badly"),
            Err(_) => tracing::warn!("the lease could not be given back in time; it will run out"),
        }
    }
}
