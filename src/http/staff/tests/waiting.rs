//! Who waits: for news of a job, for a turn. Nobody waits without a bound, and who goes away gives the place back.

use super::{House, TWO_ZONES};
use crate::config::Limits;
use crate::http::{Shelf, Site, serve};
use axum::body::{Body, HttpBody as _};
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tower::ServiceExt;

/// As the contract of `/api/v1` has it.
const WATCHERS: usize = 64;
const WAITING: usize = 16;

impl House {
    async fn listen(&self, key: &str, job: &str, seen: &str) -> Response {
        let request = Request::get(format!("/api/v1/jobs/{job}/events"))
            .header("authorization", format!("Bearer {key}"))
            .header("last-event-id", seen)
            .body(Body::empty());
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }
}

/// The next piece of an answer; `None` at its end.
async fn heard(answer: &mut Response) -> Option<String> {
    let piece = poll_fn(|cx| Pin::new(answer.body_mut()).poll_frame(cx)).await?.unwrap();
    Some(String::from_utf8(piece.into_data().unwrap().to_vec()).unwrap())
}

/// Name and content of the next event.
async fn event(answer: &mut Response) -> (String, Value) {
    let piece = heard(answer).await.expect("an event");
    let line = |name: &str| piece.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{piece}"));
    assert!(piece.ends_with("\n\n") && line("event: ") == "job", "{piece}");
    (line("id: ").to_owned(), serde_json::from_str(line("data: ")).unwrap())
}

#[tokio::test]
async fn an_answer_of_events_is_held_while_the_job_goes_on_and_tells_each_step() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let (job, at) = house.office.job_by_hand().await;
    let id = job.id.clone();
    at.send("reading").await.unwrap();
    let mut answer = house.listen(&key, &id, "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(heard(&mut answer).await.as_deref(), Some("retry: 1000\n\n"));
    let mut names = Vec::new();
    loop {
        let (name, told) = event(&mut answer).await;
        names.push(name);
        // Whether it is queued still when it is first looked at is for the scheduler to say.
        if told["report"]["step"] == "reading" {
            break;
        }
        assert_eq!(told["state"], "queued", "{told}");
    }
    for step in ["comparing", "keeping"] {
        at.send(step).await.unwrap();
        let (name, told) = event(&mut answer).await;
        assert_eq!((&told["state"], &told["report"]["step"]), (&json!("running"), &json!(step)));
        names.push(name);
    }
    let seen = names.last().unwrap().clone();
    let mut behind = house.listen(&key, &id, &names[0]).await;
    assert_eq!(heard(&mut behind).await.as_deref(), Some("retry: 1000\n\n"));
    assert_eq!(event(&mut behind).await.0, seen, "who missed some is told how the job stands");
    let mut up_to_date = house.listen(&key, &id, &seen).await;
    assert_eq!(heard(&mut up_to_date).await.as_deref(), Some("retry: 1000\n\n"));
    drop(at);
    for answer in [&mut answer, &mut behind, &mut up_to_date] {
        let (name, told) = event(answer).await;
        assert_eq!((&told["state"], heard(answer).await), (&json!("done"), None), "the last word, and the end");
        let over = house.listen(&key, &id, &name).await;
        assert_eq!(over.status(), StatusCode::NO_CONTENT, "which an EventSource takes for the end");
    }
    job.end().await.unwrap();
}

/// Reads on until this was read too.
fn read_until(line: &mut TcpStream, heard: &mut String, wanted: &str) {
    let mut bytes = [0; 1024];
    while !heard.contains(wanted) {
        let n = line.read(&mut bytes).unwrap();
        assert!(n > 0, "it ended: {heard}");
        heard.push_str(str::from_utf8(&bytes[..n]).unwrap());
    }
}

#[tokio::test]
async fn who_listens_when_the_service_is_told_to_stop_is_let_go_and_the_job_is_waited_for() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let (job, at) = house.office.job_by_hand().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, told) = oneshot::channel::<()>();
    let (shelf, site, limits) = (Shelf::new(), Site::default(), Limits::default());
    let told = async move { told.await.unwrap() };
    let mut service = tokio::spawn(serve(listener, shelf, site, Some(house.office.clone()), limits, told));
    let head = format!("GET /api/v1/jobs/{}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n", job.id);
    let listening = spawn_blocking(move || {
        let (mut line, mut heard) = (TcpStream::connect(address).unwrap(), String::new());
        line.write_all(head.as_bytes()).unwrap();
        read_until(&mut line, &mut heard, "data: ");
        (line, heard)
    });
    let (mut line, mut heard) = listening.await.unwrap();
    stop.send(()).unwrap();
    let listening = spawn_blocking(move || {
        // The last piece of an answer in pieces (RFC 9112, 7.1): it ended as answers do.
        read_until(&mut line, &mut heard, "\r\n0\r\n\r\n");
        heard
    });
    tokio::select! {
        heard = listening => assert!(!heard.as_ref().unwrap().contains("\"done\""), "{heard:?}"),
        _ = &mut service => panic!("it stopped, and who listens was not let go"),
    }
    assert!(!service.is_finished(), "the job is under way");
    drop(at);
    job.end().await.unwrap();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn so_many_may_listen_and_who_goes_away_makes_room() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let (job, at) = house.office.job_by_hand().await;
    let mut held = Vec::new();
    for _ in 0..WATCHERS {
        held.push(house.listen(&key, &job.id, "").await);
        assert_eq!(held.last().unwrap().status(), StatusCode::OK);
    }
    let path = format!("/api/v1/jobs/{}/events", job.id);
    let refused = house.with_key(&Method::GET, &path, &key, "").await;
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (503, &json!("too_many_watchers")));
    assert_eq!(refused.headers["retry-after"], "5");
    drop(held.pop());
    let next = house.listen(&key, &job.id, "").await;
    assert_eq!(next.status(), StatusCode::OK);
    assert_eq!(house.listen(&key, "00", "").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(next);
    assert_eq!(house.listen(&key, "00", "").await.status(), StatusCode::NOT_FOUND, "and takes no place");
    assert_eq!(house.listen(&key, &job.id, "").await.status(), StatusCode::OK);
    drop(at);
}

#[tokio::test]
async fn so_many_wait_for_their_turn_and_the_next_is_told_to_come_again() {
    let house = House::new().await;
    let (key, _) = house.key("gis", None).await;
    let mut jobs = Vec::new();
    for _ in 0..WAITING - 1 {
        jobs.push(house.office.job_by_hand().await);
    }
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("prefer", "respond-async")];
    let send = async |version: &str| {
        let path = format!("/api/v1/zonings/secteurs/versions?file_name=z.geojson&reason=r&version={version}");
        house.send(&Method::POST, &path, &headers, TWO_ZONES).await
    };
    let last = send("1").await;
    assert_eq!((last.status, &last.json["state"]), (StatusCode::ACCEPTED, &json!("queued")), "{}", last.json);
    let check = "/api/v1/zonings/secteurs/check?file_name=z.geojson";
    for refused in [
        send("2").await,
        house.with_key(&Method::POST, check, &key, TWO_ZONES).await,
        house.with_key(&Method::GET, "/api/v1/review?zoning=secteurs", &key, "").await,
    ] {
        assert_eq!((refused.status.as_u16(), &refused.json["code"]), (503, &json!("too_many_jobs")));
        assert_eq!(refused.headers["retry-after"], "5");
    }
    // The first has its turn, and ends.
    let (job, at) = jobs.remove(0);
    drop(at);
    job.end().await.unwrap();
    let checked = house.with_key(&Method::POST, check, &key, TWO_ZONES).await;
    assert_eq!((checked.status, &checked.json["verdict"]), (StatusCode::OK, &json!("accepted")));
    // Once all have ended, so has the file that was sent among them.
    let rest = jobs.into_iter().map(|(job, _)| job).collect::<Vec<_>>();
    for job in rest {
        job.end().await.unwrap();
    }
    house.office.at_rest().await;
    let kept = house.with_key(&Method::GET, "/api/v1/zonings/secteurs/versions/1", &key, "").await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.json);
}
