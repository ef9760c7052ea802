//! `/api/v1`: the acts of staff, each behind a key. Every route stands on this page with what it asks of a key.

mod acts;
mod delivery;
mod events;
mod offered;
mod once;
mod review;
mod spool;

pub use offered::{offered, recognised};

use super::App;
use super::ogc::query::Ask;
use super::problem::Problem;
use crate::model::Duty;
use crate::pipeline::office::{Office, Who};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use std::convert::Infallible;
use std::time::Duration;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

/// Longest time an act may take to be answered, in seconds: half a gigabyte comes in over a line of ten megabits.
const ANSWER_SECONDS_MAX: u64 = 600;

/// Largest body, in bytes: the largest register, and a megabyte for the fields around it.
const BODY_BYTES_MAX: usize = crate::pipeline::office::REGISTER_BYTES_MAX + (1 << 20);

/// What staff handlers are given.
#[derive(Clone)]
pub struct Staff {
    pub office: Office,
    pub(super) app: App,
}

/// Path, method, what a key must allow, and the handler.
pub type Act = (&'static str, Method, Duty, MethodRouter<Staff>);

/// The routes of staff; `openapi.yaml` has the same ones.
pub fn routes() -> Vec<Act> {
    let asked = |path, duty, handler| (path, Method::GET, duty, handler);
    let sent = |path, duty, handler| (path, Method::POST, duty, handler);
    // Nothing of these reads a query.
    let read = |path, duty, handler: MethodRouter<Staff>| asked(path, duty, handler.route_layer(from_fn(unasked)));
    let act = |path, duty, handler: MethodRouter<Staff>| sent(path, duty, handler.route_layer(from_fn(unasked)));
    vec![
        read("/api/v1/me", Duty::ReadHistory, get(acts::me)),
        read("/api/v1/zonings", Duty::ReadZonings, get(acts::zonings)),
        read("/api/v1/zonings/{zoning}/versions", Duty::ReadZonings, get(acts::versions)),
        sent("/api/v1/zonings/{zoning}/versions", Duty::SendZoning, post(acts::send_zoning)),
        read("/api/v1/zonings/{zoning}/versions/{version}", Duty::ReadZonings, get(acts::version)),
        read("/api/v1/zonings/{zoning}/versions/{version}/file", Duty::ReadZonings, get(acts::file)),
        read("/api/v1/zonings/{zoning}/versions/{version}/items", Duty::ReadZonings, get(acts::contours)),
        asked("/api/v1/zonings/{zoning}/versions/{version}/compare", Duty::ReadZonings, get(acts::compare)),
        asked("/api/v1/zonings/{zoning}/versions/{version}/what-if", Duty::ReadZonings, get(acts::what_if)),
        asked("/api/v1/zonings/{zoning}/versions/{version}/topology", Duty::ReadZonings, get(acts::topology)),
        sent("/api/v1/zonings/{zoning}/check", Duty::SendZoning, post(acts::check_zoning)),
        act("/api/v1/zonings/{zoning}/versions/{version}/restore", Duty::SendZoning, post(acts::restore)),
        read("/api/v1/registers", Duty::ReadRegisters, get(acts::registers)),
        sent("/api/v1/registers", Duty::SendRegister, post(acts::send_register)),
        read("/api/v1/registers/{digest}", Duty::ReadRegisters, get(acts::register)),
        read("/api/v1/registers/{digest}/rejects", Duty::ReadRegisters, get(acts::rejects)),
        read("/api/v1/mapping", Duty::SendRegister, get(acts::mapping)),
        act("/api/v1/mapping", Duty::SendRegister, post(acts::remember)),
        asked("/api/v1/review", Duty::ReadReview, get(review::worklist)),
        asked("/api/v1/decisions", Duty::ReadReview, get(review::decisions)),
        act("/api/v1/decisions", Duty::Decide, post(review::decide)),
        read("/api/v1/jobs", Duty::ReadJobs, get(acts::jobs)),
        read("/api/v1/jobs/{id}", Duty::ReadJobs, get(acts::job)),
        read("/api/v1/jobs/{id}/events", Duty::ReadJobs, get(events::events)),
        act("/api/v1/jobs/{id}/again", Duty::Draft, post(acts::again)),
        read("/api/v1/drafts", Duty::ReadDrafts, get(acts::drafts)),
        act("/api/v1/drafts", Duty::Draft, post(acts::draft)),
        read("/api/v1/drafts/{id}", Duty::ReadDrafts, get(acts::one_draft)),
        read("/api/v1/drafts/{id}/collections", Duty::Preview, get(acts::preview)),
        asked("/api/v1/drafts/{id}/collections/{zoning}/items", Duty::Preview, get(acts::preview_items)),
        act("/api/v1/drafts/{id}/approve", Duty::Approve, post(acts::approve)),
        act("/api/v1/drafts/{id}/publish", Duty::Publish, post(acts::publish)),
        read("/api/v1/releases", Duty::ReadHistory, get(acts::releases)),
        read("/api/v1/releases/{id}", Duty::ReadHistory, get(acts::release)),
        act("/api/v1/releases/{id}/withdraw", Duty::Withdraw, post(acts::withdraw)),
        act("/api/v1/releases/{id}/rollback", Duty::RollBack, post(acts::roll_back)),
        asked("/api/v1/history", Duty::ReadHistory, get(acts::history)),
    ]
}

/// The routes behind their keys, with their own limits.
pub fn router(staff: Staff) -> Router {
    let timeout = Duration::from_secs(ANSWER_SECONDS_MAX);
    let behind = |router: Router<Staff>, (path, _, duty, handler): Act| {
        let gate = Gate { office: staff.office.clone(), duty };
        router.route(path, handler.route_layer(from_fn_with_state(gate, pass)))
    };
    let router = routes().into_iter().fold(Router::new(), behind);
    router
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
        .layer(from_fn(unkept))
        .with_state(staff)
}

#[derive(Clone)]
struct Gate {
    office: Office,
    duty: Duty,
}

/// Lets a request through whose key allows the act; the body is not read before.
async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    match admit(&gate, request.headers()).await {
        Ok(who) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(gate: &Gate, headers: &HeaderMap) -> Result<Who, Problem> {
    let place = "header `Authorization`";
    let expected = "`Bearer ` and a key that works; `arpent token new` makes one";
    let refused = |found: &str| Problem::refused(StatusCode::UNAUTHORIZED, "key_needed", place, found, expected);
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(refused("nothing"));
    }
    // What was sent may be a key with a slip of the pen: it is never repeated.
    let Some((_, key)) = authorization(headers).filter(|(scheme, _)| scheme == "bearer") else {
        return Err(refused("something else"));
    };
    let who =
        gate.office.who(key).await?.ok_or_else(|| refused("a key that is not known, was revoked or has ended"))?;
    if !who.role.may(gate.duty) {
        let found = format!("the role {}", who.role);
        let expected = format!("a role that may {}", gate.duty.as_str());
        return Err(Problem::refused(StatusCode::FORBIDDEN, "role_may_not", "key", found, expected));
    }
    Ok(who)
}

/// Refuses a parameter where none is read, rather than to leave it aside in silence.
async fn unasked(request: Request, next: Next) -> Response {
    let Some(pair) = request.uri().query().and_then(|query| query.split('&').find(|pair| !pair.is_empty())) else {
        return next.run(request).await;
    };
    let found = format!("parameter `{}`", pair.split('=').next().unwrap_or_default());
    Problem::refused(StatusCode::BAD_REQUEST, "unknown_parameter", "query", found, "no parameter").into_response()
}

/// The scheme of the header `Authorization` in small letters, and what follows it (RFC 9110, 11.4).
fn authorization(headers: &HeaderMap) -> Option<(String, &str)> {
    let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some((scheme.to_ascii_lowercase(), credentials.trim()))
}

/// Nothing that a key opened is kept on the way.
async fn unkept(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().remove(header::ETAG);
    answer
}

/// The gate put it there; without a gate there is nobody.
impl FromRequestParts<Staff> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Staff) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Who>()
            .cloned()
            .ok_or_else(|| Problem::failure("a route of staff stands before its gate"))
    }
}

impl FromRequestParts<Staff> for Ask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, staff: &Staff) -> Result<Self, Infallible> {
        Self::from_request_parts(parts, &staff.app).await
    }
}

#[cfg(test)]
mod tests;
