//! One way to answer in public: the bytes, their name (a strong `ETag`), how long they may be kept, 304 for those who
//! hold them already. Every face of a release goes through [`document`].

use super::ogc::query::Ask;
use super::page;
use super::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// How long a public answer may be kept, in seconds: a release lasts months, and five minutes bound how late a
/// correction shows.
pub const CACHE_SECONDS: u32 = 300;

/// Answers with the headers of a public document, or 304 when the asker already holds these bytes.
///
/// `content` names what is shown (the id of a release, or nothing), `media` the media type of the body. The body is made
/// only when it is needed.
pub(super) fn document<B: Into<Bytes>>(
    ask: &Ask,
    content: &str,
    media: &'static str,
    body: impl FnOnce() -> Result<B, Problem>,
) -> Result<Response, Problem> {
    let tag = etag(ask, content, media);
    let held = held(ask.if_none_match.iter().map(String::as_str), &tag);
    let mut reply = match &held {
        Some(_) => StatusCode::NOT_MODIFIED.into_response(),
        None => Response::new(Body::from(body()?.into())),
    };
    reply.extensions_mut().insert(Public);
    let headers = reply.headers_mut();
    headers.insert(header::ETAG, held.clone().unwrap_or(tag));
    if let Ok(cache) = HeaderValue::from_str(&format!("public, max-age={CACHE_SECONDS}")) {
        headers.insert(header::CACHE_CONTROL, cache);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if held.is_none() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        if media == page::HTML {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
        }
    }
    Ok(reply)
}

/// Answers made at the same time: one a processor.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)));

/// Makes an answer away from the threads that take requests, so that a long one holds up nobody who asks for less.
///
/// # Errors
/// Those of the work, and a failure of ours when it ends otherwise.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = TURNS.acquire().await.map_err(|e| Problem::failure(&e.to_string()))?;
    // The turn lasts as long as the work, which goes on when nobody waits for it any more.
    let made = tokio::task::spawn_blocking(move || {
        let made = work();
        drop(turn);
        made
    });
    made.await.map_err(|e| Problem::failure(&e.to_string()))?
}

/// The mark of an answer that its release and its request decide: the front may keep it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Public;

/// Names the bytes of an answer by all that decides them: the program, release, address, query and format.
fn etag(ask: &Ask, content: &str, media: &str) -> HeaderValue {
    let mut hash = Sha256::new();
    for part in [env!("ARPENT_BUILD"), content, &ask.base, &ask.path, &ask.query, media] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    // 128 bits: no two answers of a service ever share a name.
    let name: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{name}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The tag to show when the asker holds these bytes already, in whatever coding: the one held, or `tag` when any will do.
pub(super) fn held<'t>(if_none_match: impl Iterator<Item = &'t str>, tag: &HeaderValue) -> Option<HeaderValue> {
    let whole = tag.to_str().ok()?;
    let name = opaque(whole);
    let mut tags = if_none_match.flat_map(|tags| tags.split(',')).map(str::trim);
    let held = tags.find(|held| *held == "*" || opaque(held) == name)?;
    match held {
        "*" => Some(tag.clone()),
        held => match held.trim_start_matches("W/") {
            held if held == whole => Some(tag.clone()),
            other => HeaderValue::from_str(other).ok(),
        },
    }
}

/// The name within an entity tag, without the suffix that tells a compressed answer from the plain one.
fn opaque(tag: &str) -> &str {
    let tag = tag.trim_start_matches("W/").trim_matches('"');
    tag.strip_suffix("-gzip").or_else(|| tag.strip_suffix("-br")).or_else(|| tag.strip_suffix("-zstd")).unwrap_or(tag)
}
