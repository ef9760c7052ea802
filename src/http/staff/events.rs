//! Progress of a job by server-sent events (HTML, section 9.2): an answer that is held while the job goes on.
//!
//! An event says how the job stands, and is named by what it says: who was cut off comes back with `Last-Event-ID`, as a
//! browser's `EventSource` does by itself, and is told how the job stands now unless that is what it had, also across a
//! restart; steps that came and went between are not told. The answer ends with the job, when the service closes its door,
//! after [`PACE`]`.held`, and when the key is revoked meanwhile.

use super::{Gate, Staff, admit};
use crate::http::connection::{AtWork, Caller};
use crate::http::problem::Problem;
use crate::model::Duty;
use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::Value;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

/// How an answer goes on while nothing happens.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How often a silent answer says that it is there.
    beat: Duration,
    /// How often the store is asked for a job that another process works at.
    look: Duration,
    /// How long one answer is held. Who listens comes back by itself; who went away without a word gives its place back.
    held: Duration,
}

/// Proxies cut what is silent for a minute, some for thirty seconds; ten minutes are longer than most jobs.
const PACE: Pace = Pace { beat: Duration::from_secs(15), look: Duration::from_secs(1), held: Duration::from_secs(600) };

/// How soon who was cut off comes back, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// Events made before the asker took them: each is how the job stands, so that none need wait for another.
const AHEAD: usize = 1;

/// `/api/v1/jobs/{id}/events`
pub async fn events(
    State(staff): State<Staff>,
    Path(id): Path<String>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let place = staff.office.place_to_watch()?;
    let job = staff.office.job(&id).await?;
    if is_over(&job) && name(&job) == seen {
        // The way to tell an EventSource that nothing more will come.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (tell, told) = mpsc::channel(AHEAD);
    let at_work = caller.map(|Extension(caller)| caller.begin());
    tokio::spawn(Teller { staff, id, headers, seen, tell, pace: PACE }.tell());
    let mut answer = Response::new(Body::new(Events { told, _place: place, _at_work: at_work }));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx gathers answers unless it is told not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(answer)
}

/// The body of an answer that is held. When its connection ends it is dropped, and gives its place back.
struct Events {
    told: mpsc::Receiver<Bytes>,
    _place: OwnedSemaphorePermit,
    /// The connection may be silent between two events.
    _at_work: Option<AtWork>,
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.told.poll_recv(cx).map(|told| told.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Who tells how a job stands, to one asker.
struct Teller {
    staff: Staff,
    id: String,
    /// Of the request: its key is looked at again at each beat.
    headers: HeaderMap,
    /// Name of the last event the asker had.
    seen: String,
    tell: mpsc::Sender<Bytes>,
    pace: Pace,
}

/// The asker has gone.
struct Gone;

impl Teller {
    async fn tell(mut self) {
        // Whoever has gone needs no word.
        let _ = self.tell_until_over().await;
    }

    /// Whether the key is still good: it may be revoked while the answer is held.
    async fn is_admitted(&self) -> bool {
        let gate = Gate { office: self.staff.office.clone(), duty: Duty::ReadJobs };
        admit(&gate, &self.headers).await.is_ok()
    }

    async fn tell_until_over(&mut self) -> Result<(), Gone> {
        let Pace { beat: pause, look, held } = self.pace;
        let end = Instant::now() + held;
        let mut bell = self.staff.office.bell();
        let mut closing = self.staff.app.metrics.closing();
        self.say(format!("retry: {RETRY_MS}\n\n")).await?;
        let mut beat = Instant::now() + pause;
        loop {
            let is_closing = *closing.borrow_and_update();
            // Marked as seen before the store is asked: what changes after that rings again.
            bell.mark_unchanged();
            let Ok(job) = self.staff.office.job(&self.id).await else { return Ok(()) };
            let name = name(&job);
            if name != self.seen {
                if !self.is_admitted().await {
                    return Ok(());
                }
                self.say(format!("id: {name}\nevent: job\ndata: {job}\n\n")).await?;
                self.seen = name;
                beat = Instant::now() + pause;
            }
            let now = Instant::now();
            if is_over(&job) || is_closing || now >= end {
                return Ok(());
            }
            if now >= beat {
                if !self.is_admitted().await {
                    return Ok(());
                }
                self.say(":\n\n".to_owned()).await?;
                beat = now + pause;
            }
            tokio::select! {
                () = self.tell.closed() => return Err(Gone),
                _ = closing.changed() => {}
                _ = bell.changed() => {}
                () = sleep_until((now + look).min(beat).min(end)) => {}
            }
        }
    }

    async fn say(&self, text: String) -> Result<(), Gone> {
        self.tell.send(text.into()).await.map_err(|_| Gone)
    }
}

fn is_over(job: &Value) -> bool {
    !matches!(job["state"].as_str(), Some("queued" | "running"))
}

/// Names a state of a job by its content.
fn name(job: &Value) -> String {
    crate::pipeline::sha256_hex(job.to_string().as_bytes())[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{App, Shelf, Site};
    use crate::model::Role;
    use crate::pipeline::office::{Office, Settings, Started, Who};
    use crate::store::SqliteStore;
    use std::sync::Arc;

    /// An office with a job at work, and a key that may listen to it.
    struct House {
        staff: Staff,
        headers: HeaderMap,
        key: String,
        job: Started,
        at: mpsc::Sender<&'static str>,
    }

    impl House {
        /// Its job is at the step `reading`, and stays there.
        async fn new() -> Self {
            let store = Arc::new(SqliteStore::in_memory().await.unwrap());
            let office = Office::new(store, Settings::default(), |_| ());
            let told = office.new_key(&Who::operator("test"), "Jeanne Martin", &Role::Gis, None).await.unwrap();
            let word = |name: &str| told[name].as_str().unwrap().to_owned();
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, format!("Bearer {}", word("key")).parse().unwrap());
            let (job, at) = office.job_by_hand().await;
            let mut bell = office.bell();
            at.send("reading").await.unwrap();
            while office.job(&job.id).await.unwrap()["report"]["step"] != "reading" {
                bell.changed().await.unwrap();
            }
            let staff = Staff { office, app: App::new(Shelf::new(), Site::default()) };
            Self { staff, headers, key: word("id"), job, at }
        }

        /// What is told to one asker who has been told how the job stands.
        async fn listen(&self, pace: Pace) -> mpsc::Receiver<Bytes> {
            let (tell, mut told) = mpsc::channel(AHEAD);
            let (staff, id, headers) = (self.staff.clone(), self.job.id.clone(), self.headers.clone());
            tokio::spawn(Teller { staff, id, headers, seen: String::new(), tell, pace }.tell());
            assert_eq!(told.recv().await.unwrap(), format!("retry: {RETRY_MS}\n\n"));
            let event = String::from_utf8(told.recv().await.unwrap().to_vec()).unwrap();
            assert!(event.starts_with("id: ") && event.contains("reading"), "{event}");
            told
        }

        async fn revoke(&self) {
            self.staff.office.revoke_key(&Who::operator("test"), &self.key).await.unwrap();
        }
    }

    /// What may be on its way when a key is revoked: the pieces ahead, and one whose key was looked at before.
    const ON_THEIR_WAY: usize = AHEAD + 1;

    #[tokio::test]
    async fn a_silent_answer_beats_and_ends_once_its_key_is_revoked() {
        let house = House::new().await;
        let mut told = house.listen(Pace { beat: Duration::ZERO, ..PACE }).await;
        for _ in 0..3 {
            assert_eq!(told.recv().await.unwrap(), ":\n\n");
        }
        house.revoke().await;
        let mut beats = 0;
        while let Some(beat) = told.recv().await {
            assert_eq!(beat, ":\n\n");
            beats += 1;
            assert!(beats <= ON_THEIR_WAY, "it beats for a key that was revoked");
        }
    }

    #[tokio::test]
    async fn a_key_that_was_revoked_is_told_no_further_step() {
        let house = House::new().await;
        let mut told = house.listen(PACE).await;
        house.revoke().await;
        house.at.send("keeping").await.unwrap();
        assert_eq!(told.recv().await, None);
    }

    #[tokio::test]
    async fn an_answer_is_held_for_a_time_or_until_the_door_is_closed_whatever_the_job_does() {
        let house = House::new().await;
        let mut told = house.listen(Pace { held: Duration::ZERO, ..PACE }).await;
        assert_eq!(told.recv().await, None, "its time is up");
        let mut told = house.listen(PACE).await;
        house.staff.app.metrics.close();
        assert_eq!(told.recv().await, None, "nobody is let in any more");
        assert_eq!(house.staff.office.job(&house.job.id).await.unwrap()["state"], "running");
    }
}
