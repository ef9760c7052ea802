//! What the public is served follows the store: at once for an act of this process, within a second for that of another.

use super::{Fault, Office};
use crate::steps::publish::Release;
use crate::steps::seal;
use crate::store::Served;
use std::time::Duration;

/// How often the store is asked what is served: one short row of an index, so a second costs nothing that shows.
const POLL: Duration = Duration::from_secs(1);

/// What the public is to be served.
pub enum Shown {
    /// This release.
    Release(Box<Release>),
    /// No release any more: the last one was taken back.
    Withdrawn {
        /// Its name.
        release: String,
        /// When it was.
        at: String,
        /// Why.
        reason: String,
    },
}

/// Who is told, and what they were told last.
pub(super) struct Board {
    show: Box<dyn Fn(Shown) + Send + Sync>,
    /// Held while the store is read, so that an older answer never follows a newer one.
    told: tokio::sync::Mutex<Served>,
}

impl Board {
    pub(super) fn new(show: impl Fn(Shown) + Send + Sync + 'static) -> Self {
        Self { show: Box::new(show), told: tokio::sync::Mutex::new(Served::Nothing) }
    }
}

impl Office {
    /// Shows what the store says is served, if that changed.
    ///
    /// # Errors
    /// The store's, or a damaged release; what was shown stays.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let board = &self.0.shown;
        let mut told = board.told.lock().await;
        let served = self.desk().served().await?;
        if *told == served {
            return Ok(());
        }
        match &served {
            Served::Nothing => {}
            Served::Release(id) => {
                let missing = || Fault::broken(format!("release {id} is served and is not in the store"));
                let kept = self.desk().release(id).await?.ok_or_else(missing)?;
                let release = seal::unseal(&kept.bytes).map_err(|e| Fault::broken(format!("release {id}: {e}")))?;
                (board.show)(Shown::Release(Box::new(release)));
            }
            Served::Withdrawn(w) => (board.show)(Shown::Withdrawn {
                release: w.release.clone(),
                at: w.at.clone(),
                reason: w.reason.clone(),
            }),
        }
        *told = served;
        Ok(())
    }

    /// Follows what other processes publish in the same store, for as long as this one runs.
    pub async fn follow(self) {
        loop {
            tokio::time::sleep(POLL).await;
            if let Err(fault) = self.refresh().await {
                tracing::error!("what is served could not be read again: {fault}");
            }
        }
    }
}
