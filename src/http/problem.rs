//! Every answer that is a refusal or a failure, as RFC 9457 has it. A 4xx says place, found and expected; a 5xx says an
//! incident number, and the log holds the cause under the same number.

use super::page;
use super::state::TakenBack;
use crate::pipeline::office::{Fault, FaultKind};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use std::any::Any;

/// Longest piece of a request that an answer repeats, in characters; a real code or number has fewer.
const FOUND_MAX: usize = 80;

/// Most releases that an answer names as possible: the last ones, which fit in a line.
const RELEASES_NAMED_MAX: usize = 5;

/// A refusal or a failure, ready to be answered as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Status of the answer, 4xx or 5xx.
    pub status: StatusCode,
    /// A stable code, such as `unknown_parameter`, that programs may rely on.
    pub code: &'static str,
    /// What part of the request is meant, or the incident number of a failure.
    pub about: About,
    /// What there is to say beside: rejected rows, a report, the reason of a withdrawal.
    pub more: Map<String, Value>,
}

/// What a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The request: place, what was found there, what would have been accepted.
    Request {
        /// A parameter, a header, the path or the method.
        place: String,
        /// What was found, cut to a few words.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
    /// The service: the number under which the log tells the cause.
    Incident {
        /// Sixteen hexadecimal digits, drawn at random.
        number: String,
        /// What happened, in words that give nothing away.
        detail: &'static str,
    },
}

impl Problem {
    /// A refusal: place, found, expected.
    pub fn refused(
        status: StatusCode,
        code: &'static str,
        place: impl Into<String>,
        found: impl AsRef<str>,
        expected: impl Into<String>,
    ) -> Self {
        let found = match found.as_ref().char_indices().nth(FOUND_MAX) {
            Some((cut, _)) => format!("{}…", &found.as_ref()[..cut]),
            None => found.as_ref().to_owned(),
        };
        Self {
            status,
            code,
            about: About::Request { place: place.into(), found, expected: expected.into() },
            more: Map::new(),
        }
    }

    /// The served release was taken back: status 410 on everything, with the reason (RFC 9110, 15.5.11).
    pub fn withdrawn(taken_back: &TakenBack) -> Self {
        let place = format!("release {}", taken_back.release);
        let expected = "nothing, until another release is served";
        let mut problem = Self::refused(StatusCode::GONE, "withdrawn", place, "a release that was withdrawn", expected);
        problem.more.insert("withdrawn".to_owned(), taken_back.at.as_str().into());
        problem.more.insert("reason".to_owned(), taken_back.reason.as_str().into());
        problem
    }

    /// No release bears this name: status 404.
    pub fn unknown_release<'r>(id: &str, known: impl Iterator<Item = &'r str>) -> Self {
        let expected = match known.take(RELEASES_NAMED_MAX).collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "a release that is published; there is none".to_owned(),
            known => format!("a release that is published, such as {known}"),
        };
        Self::refused(StatusCode::NOT_FOUND, "unknown_release", "path", format!("release `{id}`"), expected)
    }

    /// An earlier release that is not open yet: status 503, in the moment after a start.
    pub fn still_closed(id: &str) -> Self {
        let place = format!("release {id}");
        let expected = "an open one; ask again in some seconds";
        Self::refused(StatusCode::SERVICE_UNAVAILABLE, "still_closed", place, "a release not open yet", expected)
    }

    /// A release asked for by its own name was taken back: status 410, with the reason.
    pub fn gone(taken_back: &TakenBack) -> Self {
        let mut problem = Self::withdrawn(taken_back);
        if let About::Request { expected, .. } = &mut problem.about {
            *expected = "another release, such as those listed at /collections".to_owned();
        }
        problem
    }

    /// What the office said no to.
    pub fn of_staff(fault: Fault) -> Self {
        let status = match fault.kind {
            FaultKind::Unknown => StatusCode::NOT_FOUND,
            FaultKind::Wrong => StatusCode::UNPROCESSABLE_ENTITY,
            FaultKind::Conflict => StatusCode::CONFLICT,
            FaultKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            FaultKind::Broken => return Self::failure(&fault.found),
        };
        let more = fault.more();
        let about = About::Request { place: fault.place, found: fault.found, expected: fault.expected };
        Self { status, code: fault.code, about, more }
    }

    /// A parameter whose value is not one we know: status 400.
    pub fn bad_parameter(name: &str, found: &str, expected: impl Into<String>) -> Self {
        Self::refused(
            StatusCode::BAD_REQUEST,
            "bad_parameter",
            format!("parameter `{name}`"),
            format!("`{found}`"),
            expected,
        )
    }

    /// Nothing is published yet: status 503.
    pub fn nothing_published() -> Self {
        Self::refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "nothing_published",
            "service",
            "no release",
            "a published release; ask again once one is published",
        )
    }

    /// A failure of ours; the cause goes to the log alone, under a new incident number.
    pub fn failure(cause: &str) -> Self {
        let number = format!("{:016x}", rand::random::<u64>());
        tracing::error!(incident = %number, cause, "a request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "failure",
            about: About::Incident {
                number,
                detail: "the service failed; tell its operator the incident number, under which the log holds the cause",
            },
            more: Map::new(),
        }
    }

    /// One sentence: place, found, expected.
    pub fn detail(&self) -> String {
        match &self.about {
            About::Request { place, found, expected } => format!("{place}: found {found}, expected {expected}"),
            About::Incident { detail, .. } => (*detail).to_owned(),
        }
    }

    /// The members of RFC 9457, then ours.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.detail(),
            "code": self.code,
        });
        match &self.about {
            About::Request { place, found, expected } => {
                json["place"] = place.as_str().into();
                json["found"] = found.as_str().into();
                json["expected"] = expected.as_str().into();
            }
            About::Incident { number, .. } => json["incident"] = number.as_str().into(),
        }
        for (name, value) in &self.more {
            json[name.as_str()] = value.clone();
        }
        json
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = Response::new(Body::from(self.to_json().to_string()));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer.extensions_mut().insert(self);
        answer
    }
}

/// Answers an unknown path.
pub async fn not_found(request: Request) -> Problem {
    Problem::refused(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "path",
        format!("`{}`", request.uri().path()),
        "a path listed at /api, starting from /",
    )
}

/// Answers a known path asked with another method; the router adds `Allow`.
pub async fn method_not_allowed(request: Request) -> Problem {
    Problem::refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "method",
        request.method().as_str(),
        "one of those in the header Allow",
    )
}

/// Answers a panic: a bug of ours.
pub fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let cause =
        cause.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| cause.downcast_ref::<String>().cloned());
    Problem::failure(&cause.unwrap_or_else(|| "panic".to_owned())).into_response()
}

/// Gives every refusal the one form: those of the layers (timeout, size) become problems, and a reader whose browser
/// asks for a page by `Accept` gets the same content as a page (RFC 9457, section 3, leaves the format to negotiation).
pub async fn dress(request: Request, next: Next) -> Response {
    let wants_page = super::ogc::query::prefers_html(request.headers());
    let answer = next.run(request).await;
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let problem = match parts.extensions.get::<Problem>() {
        Some(problem) => problem.clone(),
        None => stranger(status),
    };
    // A body that is neither a problem nor ours says nothing to anyone: it is let go.
    drop(body);
    let mut answer = problem.clone().into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, allow.clone());
    }
    if wants_page && let Ok(html) = page::problem(&problem) {
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(page::HTML));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
        *answer.body_mut() = Body::from(html);
    }
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    answer
}

/// A status that a layer gave without a word.
fn stranger(status: StatusCode) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::refused(
            status,
            "body_too_large",
            "body",
            "more bytes than this door takes",
            format!("{} bytes at most, or a file that the acts of staff take", super::BODY_BYTES_MAX),
        ),
        StatusCode::SERVICE_UNAVAILABLE => Problem::refused(
            status,
            "too_slow",
            "service",
            format!("no answer after {} s", super::ANSWER_SECONDS_MAX),
            "an answer in that time; ask for less at once",
        ),
        _ if status.is_server_error() => Problem { status, ..Problem::failure(status.as_str()) },
        _ => Problem::refused(
            status,
            "bad_request",
            "request",
            "a path or header that cannot be read",
            "percent-encoded UTF-8",
        ),
    }
}
