//! Progress of a job by server-sent events (HTML, section 9.2).
//!
//! An answer holds what changed since the event the asker saw last, and ends; a browser's `EventSource` comes back by
//! itself with `Last-Event-ID`. No connection is held longer than proxies allow, and a restart loses nobody.

use super::Staff;
use crate::http::problem::Problem;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long an answer waits for something to change, in seconds: less than any proxy cuts.
const WAIT: Duration = Duration::from_secs(20);

/// How often the store is asked for a job that another process works at.
const LOOK: Duration = Duration::from_secs(1);

/// How soon the asker comes back, in milliseconds.
const RETRY_MS: u32 = 200;

/// `/api/v1/jobs/{id}/events`
pub async fn events(
    State(staff): State<Staff>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let _place = staff.office.place_to_watch()?;
    let end = Instant::now() + WAIT;
    let mut bell = staff.office.bell();
    loop {
        let job = staff.office.job(&id).await?;
        let (name, over) = (name(&job), !matches!(job["state"].as_str(), Some("queued" | "running")));
        if name != seen {
            return Ok(stream(format!("retry: {RETRY_MS}\nid: {name}\nevent: job\ndata: {job}\n\n")));
        }
        if over {
            // The way to tell an EventSource that nothing more will come.
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        if Instant::now() >= end {
            return Ok(stream(format!("retry: {RETRY_MS}\n: nothing new\n\n")));
        }
        let _ = timeout_at(end.min(Instant::now() + LOOK), bell.changed()).await;
    }
}

/// Names a state of a job by its content.
fn name(job: &Value) -> String {
    crate::pipeline::sha256_hex(job.to_string().as_bytes())[..16].to_owned()
}

fn stream(text: String) -> Response {
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}
