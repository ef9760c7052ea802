//! Health for those who run the service: alive, ready, and counts of requests. No figure of a release is here.

use super::App;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// Upper bounds of the histogram of durations, in seconds; Prometheus suggests this spread for web services.
const BUCKETS_S: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Requests counted since the start.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    /// By route and class of status (`2xx`).
    requests: BTreeMap<(String, u16), u64>,
    /// By route: requests by bucket (the last is without bound), sum of durations.
    durations: BTreeMap<String, ([u64; BUCKETS_S.len() + 1], Duration)>,
}

/// `/livez`: the process answers.
pub async fn live() -> &'static str {
    "ok\n"
}

/// `/readyz`: a release is served; 503 until then. A service whose release was withdrawn is ready to say so.
pub async fn ready(State(app): State<App>) -> Response {
    match app.shelf.current() {
        Ok(_) => "ok\n".into_response(),
        Err(_) if app.shelf.is_taken_back() => "ok: withdrawn\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// `/metrics`: Prometheus text.
pub async fn metrics(State(app): State<App>) -> Response {
    let mut text = app.metrics.to_text();
    text.push_str("# HELP arpent_release_info The served release, by name; 0 while there is none.\n");
    text.push_str("# TYPE arpent_release_info gauge\n");
    match app.shelf.current() {
        Ok(release) => {
            let vintages: Vec<String> = release.vintages.keys().map(u16::to_string).collect();
            let _ = writeln!(
                text,
                "arpent_release_info{{release=\"{}\",vintages=\"{}\",zonings=\"{}\"}} 1",
                label(release.id.as_str()),
                vintages.join(","),
                release.zonings.len()
            );
        }
        Err(_) => text.push_str("arpent_release_info{release=\"\",vintages=\"\",zonings=\"0\"} 0\n"),
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Counts and logs each request by its route, status and duration: never a query, a path or a figure.
pub async fn watch(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "unknown".to_owned(),
    };
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let span = tracing::info_span!("request", %id, method = %request.method(), %route);
    let begun = Instant::now();
    let answer = next.run(request).instrument(span.clone()).await;
    let elapsed = begun.elapsed();
    app.metrics.count(route, answer.status(), elapsed);
    let _entered = span.enter();
    tracing::info!(status = answer.status().as_u16(), milliseconds = elapsed.as_secs_f64() * 1e3, "answered");
    answer
}

impl Metrics {
    fn count(&self, route: String, status: StatusCode, elapsed: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((route.clone(), status.as_u16() / 100)).or_default() += 1;
        let bucket = BUCKETS_S.iter().position(|s| elapsed.as_secs_f64() <= *s).unwrap_or(BUCKETS_S.len());
        let (buckets, sum) = counts.durations.entry(route).or_default();
        buckets[bucket] += 1;
        *sum += elapsed;
    }

    fn to_text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from("# HELP arpent_requests_total Requests answered, by route and class of status.\n");
        text.push_str("# TYPE arpent_requests_total counter\n");
        for ((route, class), n) in &counts.requests {
            let _ = writeln!(text, "arpent_requests_total{{route=\"{}\",status=\"{class}xx\"}} {n}", label(route));
        }
        text.push_str("# HELP arpent_request_seconds Time to answer, by route.\n");
        text.push_str("# TYPE arpent_request_seconds histogram\n");
        for (route, (buckets, sum)) in &counts.durations {
            let (route, mut so_far) = (label(route), 0);
            let bounds = BUCKETS_S.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            for (n, bound) in buckets.iter().zip(bounds) {
                so_far += n;
                let _ = writeln!(text, "arpent_request_seconds_bucket{{route=\"{route}\",le=\"{bound}\"}} {so_far}");
            }
            let _ = writeln!(text, "arpent_request_seconds_sum{{route=\"{route}\"}} {}", sum.as_secs_f64());
            let _ = writeln!(text, "arpent_request_seconds_count{{route=\"{route}\"}} {so_far}");
        }
        text
    }
}

/// A label's value, as the Prometheus text format escapes it.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
