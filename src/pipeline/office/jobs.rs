//! Jobs: work done off the request threads, one heavy piece at a time, told step by step and remembered across restarts.

use super::{Fault, FaultKind, Office, Who, new_name, now, words};
use crate::store::{Job, JobState};
use serde_json::{Value, json};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Jobs and questions that may wait for their turn; more are asked to come back, since each may hold a file in memory.
const WAITING_MAX: usize = 16;

/// Uploads held in memory at once; others wait with their bytes in files without a name.
const UPLOADS_MAX: usize = 2;

/// Uploads on their way in at once: of half a gigabyte at most each, four gigabytes of disk in all.
const SENDING_MAX: usize = 8;

/// Questions of some seconds worked at at once: each holds a register or a zoning in memory.
const LOOKS_MAX: usize = 2;

/// Askers who wait for news of a job at once, each for minutes on a connection of its own.
const WATCHERS_MAX: usize = 64;

/// Jobs in a list.
const LISTED_MAX: u32 = 200;

/// Turns, places and the bell.
pub(super) struct Jobs {
    /// Placing and protecting take all cores and much memory: one at a time.
    turn: Arc<Semaphore>,
    /// Questions of some seconds, which need not wait for a publication.
    looks: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    sending: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    /// Acts begun and not ended.
    acts: watch::Sender<usize>,
    /// Rings when any job changes.
    bell: watch::Sender<u64>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            sending: Arc::new(Semaphore::new(SENDING_MAX)),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            acts: watch::Sender::new(0),
            bell: watch::Sender::new(0),
        }
    }
}

impl Jobs {
    /// Waits for its turn, as jobs do.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.turn.clone().acquire_owned().await.map_err(Fault::broken)
    }
}

/// The turn of a question, kept by the work on it also when the asker has left.
pub(super) struct Turn {
    _waiting: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

/// An act under way, until it is dropped.
pub struct UnderWay(Office);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.jobs.acts.send_modify(|acts| *acts -= 1);
    }
}

/// Work that takes all of a core, away from the threads that answer. What is held is held by the work too, which goes on
/// when the asker has left.
pub(super) async fn apart<T: Send + 'static>(
    held: impl Send + 'static,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(move || {
        let _held = held;
        work()
    });
    done.await.map_err(Fault::broken)?
}

/// A job begun.
pub struct Started {
    /// Its name.
    pub id: String,
    /// How it ends.
    pub outcome: oneshot::Receiver<Result<Value, Fault>>,
}

impl Started {
    /// Waits for the end of the job.
    ///
    /// # Errors
    /// Its own.
    pub async fn end(self) -> Result<Value, Fault> {
        self.outcome.await.unwrap_or_else(|_| Err(Fault::broken("a job ended without a word")))
    }
}

/// What a job says of its steps with.
#[derive(Clone)]
pub(super) struct Pen {
    office: Office,
    id: String,
}

impl Pen {
    /// Says which step the job is at.
    pub(super) async fn step(&self, step: &str) -> Result<(), Fault> {
        self.write(JobState::Running, &json!({ "step": step })).await
    }

    async fn write(&self, state: JobState, report: &Value) -> Result<(), Fault> {
        let report = report.to_string();
        self.office.desk().update_job(&self.id, state, &now(), &report).await?;
        self.office.0.jobs.bell.send_modify(|rung| *rung += 1);
        Ok(())
    }
}

impl Office {
    /// The turn of a question that takes as long as a publication. Nothing large is read before it comes.
    ///
    /// # Errors
    /// Too many who wait.
    pub(super) async fn long_turn(&self) -> Result<Turn, Fault> {
        let waiting = self.place_to_wait()?;
        Ok(Turn { _waiting: waiting, _turn: self.0.jobs.turn().await? })
    }

    /// The turn of a question of some seconds.
    ///
    /// # Errors
    /// Too many who wait.
    pub(super) async fn short_turn(&self) -> Result<Turn, Fault> {
        let waiting = self.place_to_wait()?;
        let turn = self.0.jobs.looks.clone().acquire_owned().await.map_err(Fault::broken)?;
        Ok(Turn { _waiting: waiting, _turn: turn })
    }

    /// A place among those who wait for their turn, with jobs or with questions.
    fn place_to_wait(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.0.jobs.waiting.clone().try_acquire_owned().map_err(|_| {
            let found = format!("{WAITING_MAX} jobs and questions that wait for their turn");
            Fault::new(FaultKind::Busy, "too_many_jobs", "service", found, "fewer; ask again in some seconds")
        })
    }

    /// A place among those whose files are on their way in.
    ///
    /// # Errors
    /// Too many who send.
    pub fn place_to_send(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.0.jobs.sending.clone().try_acquire_owned().map_err(|_| {
            let found = format!("{SENDING_MAX} uploads under way");
            Fault::new(FaultKind::Busy, "too_many_uploads", "service", found, "fewer; send again in a minute")
        })
    }

    /// A place among those who wait for news of a job.
    ///
    /// # Errors
    /// Too many who wait.
    pub fn place_to_watch(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.0.jobs.watchers.clone().try_acquire_owned().map_err(|_| {
            let found = format!("{WATCHERS_MAX} who wait for news of a job");
            Fault::new(FaultKind::Busy, "too_many_watchers", "service", found, "fewer; ask again in a minute")
        })
    }

    /// Where files lie while they come in.
    pub fn spool(&self) -> &Path {
        &self.0.settings.spool
    }

    /// Begins an act that is done to its end, whatever becomes of the asker.
    pub fn begin_act(&self) -> UnderWay {
        self.0.jobs.acts.send_modify(|acts| *acts += 1);
        UnderWay(self.clone())
    }

    /// Waits until no act and no job is under way and nobody waits for a turn.
    pub async fn at_rest(&self) {
        // Acts begin jobs, and not the other way. This office holds the sender, so the wait cannot fail.
        let _ = self.0.jobs.acts.subscribe().wait_for(|acts| *acts == 0).await;
        // Every job and question holds one of these places to its end. Nobody closes them.
        let _ = self.0.jobs.waiting.acquire_many(WAITING_MAX as u32).await;
    }

    /// A place for an upload that is there whole; waits until there is one. The file may be held in memory once it is had.
    ///
    /// # Errors
    /// The service is ending.
    pub async fn place_for_upload(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.0.jobs.uploads.clone().acquire_owned().await.map_err(Fault::broken)
    }

    /// Begins a job.
    pub(super) async fn start<F>(
        &self,
        who: &Who,
        kind: &str,
        request: &Value,
        work: impl FnOnce(Office, Pen) -> F + Send + 'static,
    ) -> Result<Started, Fault>
    where
        F: Future<Output = Result<Value, Fault>> + Send + 'static,
    {
        let place = self.place_to_wait()?;
        let at = now();
        let job = Job {
            id: new_name(),
            kind: kind.to_owned(),
            state: JobState::Queued,
            created: at.clone(),
            updated: at,
            author: who.name.clone(),
            request: request.to_string(),
            report: "{}".to_owned(),
        };
        self.desk().insert_job(&job).await?;
        let (tell, outcome) = oneshot::channel();
        let (office, pen) = (self.clone(), Pen { office: self.clone(), id: job.id.clone() });
        tokio::spawn(async move {
            let _place = place;
            let ended = match office.0.jobs.turn().await {
                Ok(_turn) => {
                    // A task of its own, so that a panic of the work ends the job and not the account of it.
                    let work = tokio::spawn(work(office.clone(), pen.clone()));
                    work.await.unwrap_or_else(|panic| Err(Fault::broken(panic)))
                }
                Err(closed) => Err(closed),
            };
            let (state, report) = match &ended {
                Ok(result) => (JobState::Done, json!({ "result": result })),
                Err(fault) => (JobState::Failed, json!({ "problem": words::fault(fault) })),
            };
            if let Err(fault) = pen.write(state, &report).await {
                tracing::error!("the end of job {} could not be kept: {fault}", pen.id);
            }
            let _ = tell.send(ended);
        });
        Ok(Started { id: job.id, outcome })
    }

    /// A job, and how it stands.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn job(&self, id: &str) -> Result<Value, Fault> {
        let job = self.desk().job(id).await?;
        job.as_ref().map(words::job).ok_or_else(|| Fault::unknown(format!("job `{id}`"), "one of /api/v1/jobs"))
    }

    /// The jobs, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn jobs(&self) -> Result<Value, Fault> {
        let jobs = self.desk().jobs(LISTED_MAX).await?;
        Ok(json!({ "jobs": jobs.iter().map(words::job).collect::<Vec<_>>() }))
    }

    /// Rings when any job of this process changes.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.0.jobs.bell.subscribe()
    }

    /// Asks again for a job that was interrupted or failed, where what it needs is in the store.
    ///
    /// # Errors
    /// A job that ended well or is under way, or one whose file must be sent again; the store's.
    pub async fn again(&self, who: &Who, id: &str) -> Result<Started, Fault> {
        let place = format!("job `{id}`");
        let job = self.desk().job(id).await?.ok_or_else(|| Fault::unknown(&place, "one of /api/v1/jobs"))?;
        match job.state {
            JobState::Interrupted | JobState::Failed => {}
            JobState::Queued | JobState::Running | JobState::Done => {
                let expected = "a job that was interrupted or failed";
                return Err(Fault::conflict("not_to_be_redone", place, job.state.as_str(), expected));
            }
        }
        let request: Value = serde_json::from_str(&job.request).map_err(Fault::broken)?;
        match request["draft"].as_str() {
            Some(draft) => self.draft_again(who, draft).await,
            None => {
                let found = "a job whose file was not kept";
                Err(Fault::conflict("file_not_kept", place, found, "the file, sent again"))
            }
        }
    }
}

#[cfg(test)]
impl Office {
    /// Begins a job that is at the steps its tests name, and ends when they have no more: for tests of those who wait.
    pub async fn job_by_hand(&self) -> (Started, tokio::sync::mpsc::Sender<&'static str>) {
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let work = |_: Office, pen: Pen| async move {
            while let Some(step) = told.recv().await {
                pen.step(step).await?;
            }
            Ok(json!({}))
        };
        let started = self.start(&Who::operator("test"), "test", &json!({}), work).await.unwrap();
        (started, tell)
    }
}
