//! Acts that change something: done whole once begun, and done once where the asker named the request.

use super::Staff;
use super::delivery::Asked;
use crate::http::problem::Problem;
use crate::pipeline::office::{Fault, KeptAnswer, Office, Once, Started, Who};
use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use std::future::Future;
use std::time::Duration;

/// How long an act that is a job is waited for when the request does not say, in seconds: a zoning takes one, and who
/// waits at a terminal does not mind ten.
const WAIT_SECONDS: u64 = 10;

/// Longest wait a request may ask for (RFC 7240, `Prefer: wait`), in seconds: what reverse proxies commonly allow.
const WAIT_SECONDS_MAX: u64 = 50;

/// Longest name of a request, in characters: a UUID has 36.
const NAME_CHARS_MAX: usize = 255;

/// The answer of an act.
pub struct Reply {
    /// 200, 201 or 202.
    pub status: StatusCode,
    /// Where the thing made, or the job, is.
    pub location: String,
    /// What there is to say.
    pub body: Value,
}

impl Reply {
    /// Something was changed.
    pub fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, location: String::new(), body }
    }
}

/// An act that is done at once: who asks it, and what was asked.
pub struct Deed {
    staff: Staff,
    who: Who,
    headers: HeaderMap,
    /// What was asked.
    pub asked: Asked,
}

impl FromRequest<Staff> for Deed {
    type Rejection = Problem;

    async fn from_request(mut request: Request, staff: &Staff) -> Result<Self, Problem> {
        let who = request.extract_parts_with_state::<Who, _>(staff).await?;
        let headers = request.headers().clone();
        Ok(Self { staff: staff.clone(), who, headers, asked: Asked::from_request(request, staff).await? })
    }
}

impl Deed {
    /// See [`act`].
    pub async fn once<F>(self, work: impl FnOnce(Office, Who) -> F) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Value, Fault>> + Send + 'static,
    {
        let Self { staff, who, headers, asked } = self;
        let work = work(staff.office.clone(), who.clone());
        act(&staff, &who, &headers, asked.digest, async move { Ok(Reply::ok(work.await?)) }).await
    }
}

/// Does an act to its end, whatever becomes of the connection, also when the service is told to stop; with `Idempotency-Key`, once for each name.
///
/// A request that changed nothing leaves its name free, so that it may be asked again.
pub async fn act<F>(
    staff: &Staff,
    who: &Who,
    headers: &HeaderMap,
    request: String,
    work: F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    let name = match headers.get("idempotency-key") {
        None => None,
        Some(value) => {
            let plain = |name: &&str| (1..=NAME_CHARS_MAX).contains(&name.len()) && !name.contains(' ');
            let name = value.to_str().ok().map(|name| name.trim_matches('"')).filter(plain).ok_or_else(|| {
                let expected = format!("1 to {NAME_CHARS_MAX} visible ASCII characters, such as a UUID");
                Problem::refused(
                    StatusCode::BAD_REQUEST,
                    "bad_idempotency_key",
                    "header `Idempotency-Key`",
                    "another text",
                    expected,
                )
            })?;
            Some(name.to_owned())
        }
    };
    let (office, who, under_way) = (staff.office.clone(), who.clone(), staff.office.begin_act());
    let done = tokio::spawn(async move {
        let _under_way = under_way;
        let Some(name) = name else { return Ok(shown(work.await?)) };
        let slot = match office.once(&who, &name, &request).await? {
            Once::Again(answer) => return Ok(again(answer)),
            Once::New(slot) => slot,
        };
        let reply = work.await;
        let kept = reply.as_ref().ok().map(|reply| KeptAnswer {
            status: reply.status.as_u16(),
            location: reply.location.clone(),
            body: reply.body.to_string(),
        });
        office.answered(&slot, kept.as_ref()).await?;
        Ok(shown(reply?))
    });
    done.await.unwrap_or_else(|panic| Err(Problem::failure(&panic.to_string())))
}

/// Waits for a job as long as the request likes, then says how it ended, or where it is.
pub async fn wait(
    staff: &Staff,
    headers: &HeaderMap,
    started: Started,
    made: impl FnOnce(&Value) -> String,
) -> Result<Reply, Problem> {
    let job = format!("/api/v1/jobs/{}", started.id);
    let id = started.id.clone();
    match tokio::time::timeout(patience(headers), started.end()).await {
        Ok(Ok(mut body)) => {
            body["job"] = id.into();
            Ok(Reply { status: StatusCode::CREATED, location: made(&body), body })
        }
        Ok(Err(fault)) => {
            let mut problem = Problem::from(fault);
            problem.more.insert("job".to_owned(), id.into());
            Err(problem)
        }
        Err(_) => Ok(Reply { status: StatusCode::ACCEPTED, location: job, body: staff.office.job(&id).await? }),
    }
}

/// `Prefer: respond-async` and `Prefer: wait=N` (RFC 7240).
fn patience(headers: &HeaderMap) -> Duration {
    let words = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut seconds = WAIT_SECONDS;
    for word in words.flat_map(|value| value.split([',', ';'])).map(str::trim) {
        match word.split_once('=') {
            None if word.eq_ignore_ascii_case("respond-async") => seconds = 0,
            Some((name, n)) if name.trim().eq_ignore_ascii_case("wait") => {
                seconds = n.trim().parse().unwrap_or(WAIT_SECONDS).min(WAIT_SECONDS_MAX);
            }
            _ => {}
        }
    }
    Duration::from_secs(seconds)
}

fn shown(reply: Reply) -> Response {
    answer(reply.status, &reply.location, reply.body.to_string())
}

fn again(kept: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut answer = answer(status, &kept.location, kept.body);
    answer.headers_mut().insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    answer
}

fn answer(status: StatusCode, location: &str, body: String) -> Response {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(location) = HeaderValue::from_str(location).ok().filter(|l| !l.is_empty()) {
        headers.insert(header::LOCATION, location);
    }
    answer
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::of_staff(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{App, Shelf, Site};
    use crate::pipeline::office::Settings;
    use crate::store::SqliteStore;
    use serde_json::json;
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::task::Poll;

    /// Goes as far as it can; whether it is not over then.
    async fn waits(mut work: Pin<&mut impl Future>) -> bool {
        poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn the_end_of_the_service_waits_for_an_act_whose_asker_has_left_and_its_answer_is_kept() {
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        let office = Office::new(store, Settings::default(), |_| ());
        let staff = Staff { office: office.clone(), app: App::new(Shelf::new(), Site::default()) };
        let (who, mut headers) = (Who::operator("test"), HeaderMap::new());
        headers.insert("idempotency-key", HeaderValue::from_static("n0"));
        let (go, told) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            told.await.expect("a word");
            Ok(Reply::ok(json!({ "done": true })))
        };
        {
            let asked = pin!(act(&staff, &who, &headers, "digest".to_owned(), work));
            assert!(waits(asked).await, "it is begun, and the connection is cut");
        }
        let mut at_rest = pin!(office.at_rest());
        assert!(waits(at_rest.as_mut()).await, "the service would end in the midst of an act");
        go.send(()).unwrap();
        at_rest.await;
        let Once::Again(kept) = office.once(&who, "n0", "digest").await.unwrap() else { panic!("no answer was kept") };
        assert_eq!((kept.status, kept.body.as_str()), (200, r#"{"done":true}"#));
    }
}
