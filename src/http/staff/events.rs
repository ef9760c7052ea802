//! Progress of a job by server-sent events (HTML, section 9.2): an answer that is held while the job goes on.
//!
//! An event says how the job stands, and is named by what it says: who was cut off comes back with `Last-Event-ID`, as a
//! browser's `EventSource` does by itself, and misses nothing, also across a restart. The answer ends with the job, when
//! the service closes its door, after [`HELD`], and when the key is revoked meanwhile.

use super::{Gate, Staff, admit};
use crate::http::connection::{AtWork, Caller};
use crate::http::problem::Problem;
use crate::model::Duty;
use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Path, State};
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

/// How often a silent answer says that it is there, in seconds: proxies cut what is silent for a minute, some for thirty
/// seconds.
const BEAT: Duration = Duration::from_secs(15);

/// How often the store is asked for a job that another process works at.
const LOOK: Duration = Duration::from_secs(1);

/// How long one answer is held, in seconds: longer than most jobs. Who listens comes back by itself; who went away
/// without a word gives its place back.
const HELD: Duration = Duration::from_secs(600);

/// How soon who was cut off comes back, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// Events made before the asker took them: each is how the job stands, so that none need wait for another.
const AHEAD: usize = 1;

/// `/api/v1/jobs/{id}/events`
pub async fn events(
    State(staff): State<Staff>,
    Path(id): Path<String>,
    caller: Option<Extension<ConnectInfo<Caller>>>,
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
    let at_work = caller.map(|Extension(ConnectInfo(caller))| caller.begin());
    tokio::spawn(Teller { staff, id, headers, seen, tell }.tell());
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
}

/// The asker has gone.
struct Gone;

impl Teller {
    async fn tell(mut self) {
        // Whoever has gone needs no word.
        let _ = self.tell_until_over().await;
    }

    async fn tell_until_over(&mut self) -> Result<(), Gone> {
        let end = Instant::now() + HELD;
        let mut bell = self.staff.office.bell();
        let mut closing = self.staff.app.metrics.closing();
        self.say(format!("retry: {RETRY_MS}\n\n")).await?;
        let mut beat = Instant::now() + BEAT;
        loop {
            let is_closing = *closing.borrow_and_update();
            // Marked as seen before the store is asked: what changes after that rings again.
            bell.mark_unchanged();
            let Ok(job) = self.staff.office.job(&self.id).await else { return Ok(()) };
            let name = name(&job);
            if name != self.seen {
                self.say(format!("id: {name}\nevent: job\ndata: {job}\n\n")).await?;
                self.seen = name;
                beat = Instant::now() + BEAT;
            }
            let now = Instant::now();
            if is_over(&job) || is_closing || now >= end {
                return Ok(());
            }
            if now >= beat {
                let gate = Gate { office: self.staff.office.clone(), duty: Duty::ReadJobs };
                if admit(&gate, &self.headers).await.is_err() {
                    return Ok(());
                }
                self.say(":\n\n".to_owned()).await?;
                beat = now + BEAT;
            }
            tokio::select! {
                () = self.tell.closed() => return Err(Gone),
                _ = closing.changed() => {}
                _ = bell.changed() => {}
                () = sleep_until((now + LOOK).min(beat).min(end)) => {}
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
