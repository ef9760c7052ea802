//! The front of the house: each request comes in here and each answer leaves here.
//!
//! It names the request, refuses what is too long or too often, gives an answer that is kept or has it made, takes out
//! the part that was asked for, counts and logs. The log names routes, never a path, a query or a figure.

use super::answer::{Public, held};
use super::connection::{self, Caller, Lane};
use super::health::{Metrics, Route};
use super::kept::{Answer, Kept, leave_to_the_holder};
use super::part::{self, Part};
use super::problem::{self, Problem};
use super::proxies::{Base, Sender};
use super::rate::Rate;
use super::state::Shelf;
use super::{App, OfPartner, Site, ogc};
use crate::config::Limits;
use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};
use tracing::Instrument;

/// Longest path and query, in bytes: what common servers take, and ten times our longest example.
pub const URL_BYTES_MAX: usize = 8 << 10;

/// Longest head, in bytes of names and values: what common servers take.
pub const HEAD_BYTES_MAX: usize = 32 << 10;

/// Longest name of a request that is taken over from a proxy.
const ID_BYTES_MAX: usize = 64;

/// The name of a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Headers that may change what a public answer holds, beside its address and its coding.
const CHOICE: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("odata-maxversion"),
    HeaderName::from_static("odata-version"),
];

/// Codings in the order in which we like them: the smallest bodies first, since each is made once.
const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

/// The house behind its front, as a router.
pub fn router(house: Router, app: &App, limits: &Limits) -> Router {
    Router::new().fallback_service(Front::of(house, app, limits, None))
}

/// Tells the front by which route a request went.
async fn tell_route(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut answer = next.run(request).await;
    if let Some(path) = path {
        answer.extensions_mut().insert(path);
    }
    answer
}

/// The service that is met first.
///
/// What is kept, or refused, is answered by whoever calls, at once; all else is made at `home`, where a long work holds up
/// nobody's connection.
#[derive(Clone)]
pub struct Front {
    desk: Arc<Desk>,
    /// Who is at the other end of the connection, where there is one.
    caller: Option<Caller>,
}

impl Front {
    /// Without a home, answers are made where they are asked for.
    pub fn of(house: Router, app: &App, limits: &Limits, home: Option<Handle>) -> Self {
        let desk = Desk {
            house: house.layer(axum::middleware::from_fn(tell_route)),
            shelf: app.shelf.clone(),
            metrics: app.metrics.clone(),
            site: app.site.clone(),
            kept: Kept::new(limits.kept_mebibytes << 20),
            rate: Rate::new(limits),
            limits: limits.clone(),
            home,
        };
        Self { desk: Arc::new(desk), caller: None }
    }
}

struct Desk {
    house: Router,
    shelf: Shelf,
    metrics: Metrics,
    site: Arc<Site>,
    kept: Kept,
    rate: Option<Rate>,
    limits: Limits,
    home: Option<Handle>,
}

/// The same for each connection of a lane.
impl Service<IncomingStream<'_, Lane>> for Front {
    type Response = Self;
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, Lane>) -> Self::Future {
        let caller = stream.io().caller(*stream.remote_addr());
        ready(Ok(Self { desk: self.desk.clone(), caller: Some(caller) }))
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Answering {
        let visit = Visit::of(&self.desk, &request, self.caller.as_ref());
        let peer = self.caller.as_ref().map(|caller| caller.peer.ip());
        let sender = Sender::of(&self.desk.limits, peer, request.headers());
        match self.desk.meet(&request, sender) {
            Ok(given) => Answering::Now(Some(visit.leave(given))),
            Err(asked) => {
                let desk = self.desk.clone();
                if let Some(caller) = &self.caller {
                    request.extensions_mut().insert(caller.clone());
                }
                Answering::Later(Box::pin(async move {
                    let given = desk.at_home(request, asked, visit.id.clone()).await;
                    visit.leave(given)
                }))
            }
        }
    }
}

/// An answer that is there, or in the making.
pub enum Answering {
    Now(Option<Response>),
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(answer) => answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Self::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

/// An answer, the route it went by, and whether it was kept.
struct Given {
    answer: Response,
    route: Arc<Route>,
    kept: bool,
}

/// What is asked for where no answer is at hand.
struct Asked {
    wish: Wish,
    /// The state of the shelf before it was asked.
    turn: u64,
    base: Base,
    /// The headers by which its sender told us our own address.
    varies: Option<&'static str>,
    /// By which an answer is kept, if it may be.
    name: Option<String>,
}

/// Counts a request as being answered, even when its client goes away.
struct AtWork(Metrics);

impl AtWork {
    fn of(metrics: &Metrics) -> Self {
        metrics.begun();
        Self(metrics.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// A request from its arrival to its line in the log.
struct Visit {
    begun: Instant,
    id: HeaderValue,
    trace: Option<String>,
    method: Method,
    _counted: AtWork,
    _heard: Option<connection::AtWork>,
}

impl Visit {
    fn of(desk: &Desk, request: &Request, caller: Option<&Caller>) -> Self {
        Self {
            begun: Instant::now(),
            id: id(request.headers()),
            trace: trace(request.headers()),
            method: request.method().clone(),
            _counted: AtWork::of(&desk.metrics),
            _heard: caller.map(Caller::begin),
        }
    }

    /// Dresses, counts and logs what is given.
    fn leave(self, given: Given) -> Response {
        let mut answer = given.answer;
        let headers = answer.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(trace) = &self.trace
            && let Ok(told) = HeaderValue::from_str(&format!("00-{trace}-{:016x}-00", rand::random::<u64>()))
        {
            headers.insert(TRACE_RESPONSE, told);
        }
        // How long the answers to partners are would tell those who read the counts what partners are given.
        let told = answer.extensions().get::<OfPartner>().is_none();
        let bytes = answer.body().size_hint().exact().filter(|_| told).unwrap_or(0);
        let (status, elapsed) = (answer.status(), self.begun.elapsed());
        given.route.count(status, elapsed, bytes);
        tracing::info!(
            id = self.id.to_str().unwrap_or_default(),
            trace = self.trace,
            method = self.method.as_str(),
            route = given.route.path.as_str(),
            status = status.as_u16(),
            milliseconds = elapsed.as_micros() as f64 / 1e3,
            bytes,
            kept = given.kept,
            "answered"
        );
        answer.headers_mut().insert(REQUEST_ID, self.id);
        answer
    }
}

/// Work that ends when nobody waits for it any more.
struct Waited<T>(JoinHandle<T>);

impl<T> Drop for Waited<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Desk {
    /// What is refused or kept, at once; else what has to be made.
    fn meet(&self, request: &Request, sender: Sender) -> Result<Given, Asked> {
        if let Some(answer) = self.refusal(request, sender.client) {
            return Ok(Given { answer, route: self.metrics.route("refused"), kept: false });
        }
        let varies = sender.varies(&self.site);
        let base = sender.base(&self.site, request.headers(), request.uri());
        let wish = Wish::of(request);
        // Read before the release is: an answer of an older release is never kept as one of this turn.
        let turn = self.shelf.turn();
        let name = name(request, &base, varies, wish.coding);
        if let Some(name) = &name
            && let Some(kept) = self.kept.get(turn, name)
            && let Some(answer) = wish.show(&kept)
        {
            self.metrics.kept_used();
            return Ok(Given { answer, route: kept.route.clone(), kept: true });
        }
        Err(Asked { wish, turn, base, varies, name })
    }

    async fn at_home(self: Arc<Self>, request: Request, asked: Asked, id: HeaderValue) -> Given {
        let desk = self.clone();
        let making = async move { desk.have_made(request, asked, &id).await };
        let Some(home) = &self.home else { return making.await };
        let mut made = Waited(home.spawn(making));
        match (&mut made.0).await {
            Ok(given) => given,
            Err(why) => {
                let answer = Problem::failure(&why.to_string()).into_response();
                Given { answer, route: self.metrics.route("unknown"), kept: false }
            }
        }
    }

    /// What is refused before anybody looks at it.
    fn refusal(&self, request: &Request, client: Option<IpAddr>) -> Option<Response> {
        let long = |status, code, place, expected: usize| {
            let expected = format!("{expected} bytes at most");
            Some(Problem::refused(status, code, place, "more bytes than this door takes", expected))
        };
        let url = request.uri().path_and_query().map_or(0, |url| url.as_str().len());
        let head: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let mut retry = None;
        let problem = if url > URL_BYTES_MAX {
            long(StatusCode::URI_TOO_LONG, "url_too_long", "path and query", URL_BYTES_MAX)
        } else if head > HEAD_BYTES_MAX {
            long(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", "headers", HEAD_BYTES_MAX)
        } else {
            let wait =
                client.zip(self.rate.as_ref()).and_then(|(client, rate)| rate.take(client, Instant::now()).err());
            retry = wait;
            wait.map(|seconds| {
                self.metrics.too_many();
                Problem::refused(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_requests",
                    "client",
                    format!("more than {} requests a second", self.limits.requests_per_second),
                    format!("fewer, or a wait of {seconds} s"),
                )
            })
        };
        let mut answer = problem::dressed(problem?, None, ogc::query::prefers_html(request.headers()));
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        Some(answer)
    }

    async fn have_made(&self, mut request: Request, asked: Asked, id: &HeaderValue) -> Given {
        let Asked { wish, turn, base, varies, name } = asked;
        request.extensions_mut().insert(base);
        // A HEAD is made as the GET it speaks of, so that both say the same; a part is cut from the whole.
        if wish.head {
            *request.method_mut() = Method::GET;
        }
        let headers = request.headers_mut();
        headers.remove(header::RANGE);
        headers.remove(header::IF_RANGE);
        match wish.coding {
            Some(coding) => headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding)),
            None => headers.remove(header::ACCEPT_ENCODING),
        };
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
        let Ok(mut answer) = self.house.clone().oneshot(request).instrument(span).await;
        let route = answer.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
        let route = self.metrics.route(route);
        name_coding(answer.headers_mut());
        if let Some(varies) = varies {
            name_variety(answer.headers_mut(), varies);
        }
        let public = answer.extensions().get::<Public>().is_some() && answer.headers().contains_key(header::ETAG);
        if public && answer.status() == StatusCode::NOT_MODIFIED {
            leave_to_the_holder(answer.headers_mut());
            // Who holds the bytes need not have them made for the next one who does.
            let name = name.filter(|_| !wish.takes_any());
            if let (Some(name), Some(made)) = (name, Answer::bodiless(answer.headers().clone(), route.clone())) {
                self.keep(turn, name, Arc::new(made));
            }
            return Given { answer, route, kept: false };
        }
        if !public || answer.status() != StatusCode::OK {
            if wish.head {
                answer = without_body(answer);
            } else if answer.headers().contains_key(header::CONTENT_ENCODING) {
                // Packed here and not by whoever sends it; what never ends, events, is not packed.
                let (parts, body) = answer.into_parts();
                answer = match to_bytes(body, usize::MAX).await {
                    Ok(body) => Response::from_parts(parts, Body::from(body)),
                    Err(_) => Problem::failure("a body could not be packed").into_response(),
                };
            }
            return Given { answer, route, kept: false };
        }
        let (parts, body) = answer.into_parts();
        // The body lies in memory already, and packed it is no larger.
        let made = match to_bytes(body, usize::MAX).await {
            Ok(body) => Answer::new(parts.headers, body, route.clone()).map(Arc::new),
            Err(_) => None,
        };
        let Some((made, answer)) = made.and_then(|made| wish.show(&made).map(|answer| (made, answer))) else {
            let answer = Problem::failure("a body could not be packed").into_response();
            return Given { answer, route, kept: false };
        };
        if let Some(name) = name {
            self.keep(turn, name, made);
        }
        Given { answer, route, kept: false }
    }

    fn keep(&self, turn: u64, name: String, made: Arc<Answer>) {
        self.kept.put(turn, name, made);
        self.metrics.kept_filled(self.kept.filled());
    }
}

/// All of a request that decides its public answer, in one text. `None` when the answer is nobody else's: another method,
/// or somebody who shows a key.
fn name(request: &Request, base: &Base, varies: Option<&str>, coding: Option<&str>) -> Option<String> {
    let headers = request.headers();
    let with_key = headers.contains_key(header::AUTHORIZATION) || headers.contains_key(X_API_KEY);
    let url = request.uri().path_and_query()?.as_str();
    let read = [Method::GET, Method::HEAD].contains(request.method());
    // A name that is percent-encoded may hide a key.
    let hidden = |pair: &str| pair.split('=').next().is_some_and(|name| name.contains('%') && !name.starts_with("%24"));
    let may_show = |query: &str| query.contains("api_key") || query.split('&').any(hidden);
    if !read || with_key || request.uri().query().is_some_and(may_show) {
        return None;
    }
    let mut name = String::with_capacity(2 * url.len() + 200);
    name.push_str(coding.unwrap_or_default());
    for header in &CHOICE {
        // No header holds this letter, so that no two requests have one name.
        name.push('\0');
        for value in headers.get_all(header) {
            name.push_str(value.to_str().ok()?);
            name.push(',');
        }
    }
    name.push('\0');
    name.push_str(varies.unwrap_or_default());
    name.push('\0');
    name.push_str(&base.0);
    name.push('\0');
    name.push_str(url);
    Some(name)
}

/// What of an answer is wished, and in which coding.
struct Wish {
    /// Whether all but the body is.
    head: bool,
    coding: Option<&'static str>,
    tags: Vec<HeaderValue>,
    range: Option<HeaderValue>,
    if_range: Option<HeaderValue>,
}

impl Wish {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        let range = headers.get(header::RANGE).filter(|_| request.method() == Method::GET).cloned();
        Self {
            head: request.method() == Method::HEAD,
            // Parts are of the plain bytes: a download that goes on later may ask for another coding.
            coding: if range.is_some() { None } else { coding(headers) },
            tags: headers.get_all(header::IF_NONE_MATCH).into_iter().cloned().collect(),
            if_range: range.as_ref().and_then(|_| headers.get(header::IF_RANGE).cloned()),
            range,
        }
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().filter_map(|tag| tag.to_str().ok())
    }

    /// Whether any tag will do.
    fn takes_any(&self) -> bool {
        self.tags().any(|tags| tags.contains('*'))
    }

    /// `None` where the body is wanted of which only the headers are there.
    fn show(&self, answer: &Answer) -> Option<Response> {
        // Of what has no body the tag at hand may be that of another coding.
        if answer.body.is_none() && self.takes_any() {
            return None;
        }
        let shown = match self.tags.contains(&answer.tag) {
            true => Some(answer.tag.clone()),
            false => held(self.tags(), &answer.tag),
        };
        if let Some(shown) = shown {
            let mut reply = Response::new(Body::empty());
            *reply.status_mut() = StatusCode::NOT_MODIFIED;
            *reply.headers_mut() = answer.headers_without_body.clone();
            if shown != answer.tag {
                reply.headers_mut().insert(header::ETAG, shown);
            }
            return Some(reply);
        }
        let body = answer.body.as_ref()?;
        let whole = body.len();
        let part = match &self.range {
            Some(range) => part::wanted(range, self.if_range.as_ref(), &answer.tag, whole),
            None => Part::Whole,
        };
        let mut reply = Response::new(Body::empty());
        match part {
            Part::Whole if self.head => {
                *reply.headers_mut() = answer.headers.clone();
                reply.headers_mut().insert(header::CONTENT_LENGTH, whole.into());
            }
            Part::Whole => {
                *reply.headers_mut() = answer.headers.clone();
                *reply.body_mut() = Body::from(body.clone());
            }
            Part::Bytes(bytes) => {
                *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
                *reply.headers_mut() = answer.headers.clone();
                let said = format!("bytes {}-{}/{whole}", bytes.start, bytes.end - 1);
                if let Ok(said) = HeaderValue::from_str(&said) {
                    reply.headers_mut().insert(header::CONTENT_RANGE, said);
                }
                *reply.body_mut() = Body::from(body.slice(bytes));
            }
            Part::Outside => {
                let expected = format!("a range within {whole} bytes");
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                let found = "a range that begins after the end";
                reply = Problem::refused(status, "range_outside", "header `Range`", found, expected).into_response();
                let headers = reply.headers_mut();
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
                if let Ok(said) = HeaderValue::from_str(&format!("bytes */{whole}")) {
                    headers.insert(header::CONTENT_RANGE, said);
                }
            }
        }
        Some(reply)
    }
}

/// The coding to answer in: of those wished most, the one we like best; `None` for the plain bytes.
fn coding(headers: &HeaderMap) -> Option<&'static str> {
    let mut best: Option<(&'static str, f32)> = None;
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    for wish in values.flat_map(|value| value.split(',')) {
        let (name, parameter) = wish.split_once(';').map_or((wish, None), |(name, q)| (name, Some(q)));
        let name = name.trim();
        let name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
        let Some(place) = CODINGS.iter().position(|coding| coding.eq_ignore_ascii_case(name)) else { continue };
        let quality = match parameter.map(str::trim).and_then(|q| q.strip_prefix("q=").or(q.strip_prefix("Q="))) {
            Some(q) => q.trim().parse().unwrap_or(0.0),
            None => 1.0,
        };
        let better = best.is_none_or(|(other, q)| {
            let rank = CODINGS.iter().position(|coding| *coding == other);
            quality > q || (quality == q && Some(place) < rank)
        });
        if quality > 0.0 && better {
            best = Some((CODINGS[place], quality));
        }
    }
    best.map(|(name, _)| name)
}

/// A strong tag names bytes (RFC 9110, 8.8.1), so a compressed answer needs another one than the plain answer.
fn name_coding(headers: &mut HeaderMap) {
    if let (Some(coding), Some(tag)) = (headers.get(header::CONTENT_ENCODING), headers.get(header::ETAG))
        && let (Ok(coding), Ok(tag)) = (coding.to_str(), tag.to_str())
        && let Ok(tag) = HeaderValue::from_str(&format!("{}-{coding}\"", tag.trim_end_matches('"')))
    {
        headers.insert(header::ETAG, tag);
    }
}

/// Adds to `Vary` of what caches may keep the headers that decide its links, in one line: some obey the last line alone.
fn name_variety(headers: &mut HeaderMap, varies: &str) {
    if !headers.get(header::CACHE_CONTROL).is_some_and(|told| told.as_bytes().starts_with(b"public")) {
        return;
    }
    let told = headers.get_all(header::VARY).into_iter().filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = told.chain([varies]).collect();
    if let Ok(told) = HeaderValue::from_str(&told.join(", ")) {
        headers.insert(header::VARY, told);
    }
}

/// The answer to a HEAD: all but the body, whose length is told where it is known.
fn without_body(answer: Response) -> Response {
    let length = answer.body().size_hint().exact();
    let (mut parts, _) = answer.into_parts();
    if let Some(length) = length.filter(|_| parts.status != StatusCode::NOT_MODIFIED) {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

/// The name of a request: the one a proxy gave it, when it is a plain word, else a new one.
fn id(headers: &HeaderMap) -> HeaderValue {
    let plain = |id: &&HeaderValue| {
        let letter = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
        (1..=ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(letter)
    };
    headers.get(REQUEST_ID).filter(plain).cloned().unwrap_or_else(|| {
        let number = rand::random::<u64>();
        let name: [u8; 16] = std::array::from_fn(|i| b"0123456789abcdef"[(number >> (60 - 4 * i) & 15) as usize]);
        HeaderValue::from_bytes(&name).unwrap_or(HeaderValue::from_static("-"))
    })
}

/// The trace a request belongs to (W3C Trace Context, `traceparent`).
fn trace(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(TRACE_PARENT)?.to_str().ok()?;
    let mut parts = said.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let sound = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let named = trace.bytes().any(|b| b != b'0') && parent.bytes().any(|b| b != b'0');
    // Version 00 has four parts; a later one may have more.
    (sound && named && (version != "00" || parts.next().is_none())).then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_coding_wished_most_is_taken_and_the_smallest_among_equals() {
        for (accepted, expected) in [
            ("", None),
            ("identity", None),
            ("deflate", None),
            ("gzip, deflate", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip, zstd", Some("zstd")),
            ("br;q=0.5, gzip;q=0.8", Some("gzip")),
            ("BR;q=0, X-GZip", Some("gzip")),
            ("gzip;q=0", None),
            ("gzip;q=much", None),
        ] {
            assert_eq!(coding(&with(header::ACCEPT_ENCODING, accepted)), expected, "{accepted}");
        }
    }

    #[test]
    fn a_trace_is_followed_when_it_is_written_as_w3c_does() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (said, followed) in [
            (format!("00-{TRACE}-00f067aa0ba902b7-01"), true),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01-more"), true),
            (format!("00-{TRACE}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{TRACE}-00f067aa0ba902b7-01"), false),
            (format!("00-{TRACE}-0000000000000000-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()), false),
            (format!("00-{TRACE}-00f067aa0ba902b7"), false),
            ("00".to_owned(), false),
        ] {
            let found = trace(&with(TRACE_PARENT, &said));
            assert_eq!(found.as_deref(), followed.then_some(TRACE), "{said}");
        }
    }

    #[test]
    fn a_name_of_a_request_is_taken_over_when_it_is_a_plain_word() {
        for (said, taken) in [
            ("a-B_3.c", true),
            (&"x".repeat(ID_BYTES_MAX), true),
            (&"x".repeat(ID_BYTES_MAX + 1), false),
            ("two words", false),
            ("a\"b", false),
        ] {
            assert_eq!(id(&with(REQUEST_ID, said)) == said, taken, "{said}");
        }
        assert_ne!(id(&HeaderMap::new()), id(&HeaderMap::new()));
    }
}
