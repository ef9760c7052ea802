//! Health for those who run the service: alive, ready, and counts of requests. No figure of a release is here.

use super::App;
use super::ogc::query::Ask;
use super::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// Upper bounds of the histogram of durations, in seconds; Prometheus suggests this spread for web services, and kept
/// answers take less than the first of its bounds.
const BUCKETS_S: [f64; 11] = [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Classes of status: 1xx to 5xx.
const CLASSES: usize = 5;

/// Bytes of a page of memory, as `/proc/self/statm` counts them; Linux has no other on the machines we build for.
const PAGE_BYTES: u64 = 4096;

/// Requests and connections counted since the start.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Counts>);

#[derive(Default)]
struct Counts {
    routes: RwLock<BTreeMap<String, Arc<Route>>>,
    at_work: AtomicI64,
    kept_used: AtomicU64,
    kept_answers: AtomicU64,
    kept_bytes: AtomicU64,
    connections: AtomicI64,
    accepted: AtomicU64,
    turned_away: AtomicU64,
    too_slow: AtomicU64,
    too_many: AtomicU64,
    leaving: AtomicBool,
    closing: watch::Sender<bool>,
}

/// The requests of one route.
#[derive(Debug)]
pub struct Route {
    /// Its path, with the names of its parts.
    pub path: String,
    by_class: [AtomicU64; CLASSES],
    /// Requests by bucket; the last is without bound.
    buckets: [AtomicU64; BUCKETS_S.len() + 1],
    nanoseconds: AtomicU64,
    bytes: AtomicU64,
}

/// `/livez`: the process answers.
pub async fn live(ask: Ask) -> Result<&'static str, Problem> {
    ask.only(&[])?;
    Ok("ok\n")
}

/// `/readyz`: a release is served; 503 until then, and once the service is leaving. A service whose release was
/// withdrawn is ready to say so.
pub async fn ready(State(app): State<App>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&[])?;
    if app.metrics.0.leaving.load(Ordering::Relaxed) {
        return Err(Problem::leaving());
    }
    match app.shelf.current() {
        Ok(_) => Ok("ok\n".into_response()),
        Err(_) if app.shelf.is_taken_back() => Ok("ok: withdrawn\n".into_response()),
        Err(problem) => Err(problem),
    }
}

/// `/metrics`: Prometheus text.
pub async fn metrics(State(app): State<App>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&[])?;
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
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

impl Route {
    fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            by_class: Default::default(),
            buckets: Default::default(),
            nanoseconds: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Counts one answer; `bytes` of its body, where they are known.
    pub fn count(&self, status: StatusCode, elapsed: Duration, bytes: u64) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES) - 1;
        self.by_class[class].fetch_add(1, Ordering::Relaxed);
        let seconds = elapsed.as_secs_f64();
        let bucket = BUCKETS_S.iter().position(|s| seconds <= *s).unwrap_or(BUCKETS_S.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(elapsed.as_nanos() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The counts of a route; one line a route, however many paths it has.
    pub fn route(&self, path: &str) -> Arc<Route> {
        if let Some(route) = self.0.routes.read().unwrap_or_else(PoisonError::into_inner).get(path) {
            return route.clone();
        }
        let mut routes = self.0.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.entry(path.to_owned()).or_insert_with(|| Arc::new(Route::new(path))).clone()
    }

    pub fn begun(&self) {
        self.0.at_work.fetch_add(1, Ordering::Relaxed);
    }
    pub fn ended(&self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
    pub fn kept_used(&self) {
        self.0.kept_used.fetch_add(1, Ordering::Relaxed);
    }
    pub fn kept_filled(&self, (answers, bytes): (usize, usize)) {
        self.0.kept_answers.store(answers as u64, Ordering::Relaxed);
        self.0.kept_bytes.store(bytes as u64, Ordering::Relaxed);
    }
    pub fn opened(&self) {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }
    pub fn closed(&self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
    pub fn turned_away(&self) {
        self.0.turned_away.fetch_add(1, Ordering::Relaxed);
    }
    pub fn too_slow(&self) {
        self.0.too_slow.fetch_add(1, Ordering::Relaxed);
    }
    pub fn too_many(&self) {
        self.0.too_many.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on `/readyz` says 503.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
    }

    /// From now on nobody is let in, and answers that are held end.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Tells when the door closes.
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        let counts = &self.0;
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let routes = counts.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut family = |name: &str, kind: &str, help: &str, lines: &mut dyn FnMut(&mut String)| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            lines(&mut text);
        };
        let help = "Requests answered, by route and class of status.";
        family("arpent_requests_total", "counter", help, &mut |text| {
            for route in routes.values() {
                for (class, n) in route.by_class.iter().enumerate().filter(|(_, n)| read(n) > 0) {
                    let (path, class, n) = (label(&route.path), class + 1, read(n));
                    let _ = writeln!(text, "arpent_requests_total{{route=\"{path}\",status=\"{class}xx\"}} {n}");
                }
            }
        });
        family("arpent_request_seconds", "histogram", "Time to answer, by route.", &mut |text| {
            for route in routes.values() {
                let (path, mut so_far) = (label(&route.path), 0);
                let bounds = BUCKETS_S.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                for (n, bound) in route.buckets.iter().zip(bounds) {
                    so_far += read(n);
                    let _ = writeln!(text, "arpent_request_seconds_bucket{{route=\"{path}\",le=\"{bound}\"}} {so_far}");
                }
                let seconds = Duration::from_nanos(read(&route.nanoseconds)).as_secs_f64();
                let _ = writeln!(text, "arpent_request_seconds_sum{{route=\"{path}\"}} {seconds}");
                let _ = writeln!(text, "arpent_request_seconds_count{{route=\"{path}\"}} {so_far}");
            }
        });
        let help = "Bytes of bodies sent, by route, where their length was known.";
        family("arpent_sent_bytes_total", "counter", help, &mut |text| {
            for route in routes.values() {
                let _ = writeln!(
                    text,
                    "arpent_sent_bytes_total{{route=\"{}\"}} {}",
                    label(&route.path),
                    read(&route.bytes)
                );
            }
        });
        for (name, kind, help, value) in [
            ("arpent_requests_at_work", "gauge", "Requests being answered.", counts.at_work.load(Ordering::Relaxed)),
            ("arpent_connections", "gauge", "Connections open.", counts.connections.load(Ordering::Relaxed)),
            ("arpent_connections_total", "counter", "Connections taken.", read(&counts.accepted) as i64),
            (
                "arpent_connections_turned_away_total",
                "counter",
                "Connections closed at once, since their client had too many.",
                read(&counts.turned_away) as i64,
            ),
            (
                "arpent_connections_too_slow_total",
                "counter",
                "Connections closed since their client was idle or too slow.",
                read(&counts.too_slow) as i64,
            ),
            (
                "arpent_requests_too_many_total",
                "counter",
                "Requests refused since their client asked too often.",
                read(&counts.too_many) as i64,
            ),
            ("arpent_kept_used_total", "counter", "Answers given as they were kept.", read(&counts.kept_used) as i64),
            ("arpent_kept_answers", "gauge", "Answers kept.", read(&counts.kept_answers) as i64),
            ("arpent_kept_bytes", "gauge", "Memory of the answers kept.", read(&counts.kept_bytes) as i64),
            ("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes() as i64),
        ] {
            family(name, kind, help, &mut |text| {
                let _ = writeln!(text, "{name} {value}");
            });
        }
        text
    }
}

/// Resident memory of this process; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * PAGE_BYTES
}

/// A label's value, as the Prometheus text format escapes it.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
