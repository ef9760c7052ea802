//! The service from its start to its stop.

use super::App;
use super::connection::{Door, Lane};
use super::front::Front;
use crate::config::Limits;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Requests and jobs under way when the service is told to stop have this long to end: longer than the slowest public
/// answer.
const DRAIN: Duration = Duration::from_secs(super::ANSWER_SECONDS_MAX + 5);

/// Answers by `front` until `stop` ends; then says so at `/readyz`, closes the door, and lets requests under way end, then
/// what was taken on beside them: `at_rest` tells when.
///
/// A thread for each core serves connections of its own, so that no answer that is at hand wakes another thread; what has
/// to be made is made by the runtime that this is called from.
///
/// # Errors
/// The listener's.
pub(super) async fn until(
    stop: impl Future<Output = ()> + Send + 'static,
    listener: TcpListener,
    front: Front,
    app: &App,
    limits: &Limits,
    at_rest: impl Future<Output = ()>,
) -> io::Result<()> {
    let (metrics, limits) = (app.metrics.clone(), Arc::new(limits.clone()));
    let address = listener.local_addr()?;
    let (mut entrances, mut lanes) = (Vec::new(), JoinSet::new());
    for number in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (entrance, lane, all_in) = Lane::new(address, limits.clone());
        entrances.push(entrance);
        lanes.spawn(open(number, lane, front.clone(), all_in)?);
    }
    let door = Door::new(listener, limits.clone(), metrics.clone());
    let (stopped, draining) = oneshot::channel();
    let server = async move {
        let mut ended = Ok(());
        // Whatever else ends first drops the door, and its entrances with it.
        tokio::select! {
            () = door.deal(entrances) => {}
            // None ends before it is told to.
            Some(early) = lanes.join_next() => {
                tracing::error!("stopping: a thread of connections ended early");
                ended = early.unwrap_or_else(|e| Err(io::Error::other(e)));
                metrics.close();
            }
            () = async {
                stop.await;
                metrics.leave();
                let (leave, drain) = (limits.leave.as_secs(), DRAIN.as_secs());
                tracing::info!("stopping: no more connections after {leave} s, and {drain} s to end");
                tokio::time::sleep(limits.leave).await;
                metrics.close();
            } => {}
        }
        let _ = stopped.send(());
        while let Some(lane) = lanes.join_next().await {
            ended = ended.and(lane.unwrap_or_else(|e| Err(io::Error::other(e))));
        }
        ended
    };
    let deadline = async {
        let _ = draining.await;
        tokio::time::sleep(DRAIN).await;
    };
    let ended = async {
        let ended = server.await;
        at_rest.await;
        ended
    };
    tokio::select! {
        ended = ended => ended,
        () = deadline => {
            tracing::warn!("stopped with work under way; jobs are marked as interrupted at the next start");
            Ok(())
        }
    }
}

/// Who came in last has this long to be heard, before lines on which nothing is asked are closed: a request that was
/// sent with its connection takes less.
const LAST_WORD: Duration = Duration::from_millis(100);

/// Starts the thread of a lane, which ends after its entrance is closed, once its last request is answered.
fn open(
    number: usize,
    lane: Lane,
    front: Front,
    all_in: oneshot::Receiver<()>,
) -> io::Result<impl Future<Output = io::Result<()>> + Send + use<>> {
    let (ended, end) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || {
        let closing = async move {
            let _ = all_in.await;
            tokio::time::sleep(LAST_WORD).await;
        };
        runtime.block_on(async { axum::serve(lane, front).with_graceful_shutdown(closing).await })
    };
    std::thread::Builder::new().name(format!("lane {number}")).spawn(move || ended.send(serve()))?;
    Ok(async { end.await.unwrap_or_else(|_| Err(io::Error::other("a thread of connections broke off"))) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Shelf, Site, assemble, routes};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// What a lane answers to lines of these bytes, all of which came in before it was opened, when the door is closed.
    async fn heard(lines: &[&[u8]]) -> Vec<String> {
        let (app, limits) = (App::new(Shelf::new(), Site::default()), Arc::new(Limits::default()));
        let front = Front::of(assemble(routes(), None, app.clone(), &limits), &app, &limits, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut door = Door::new(listener, limits.clone(), app.metrics.clone());
        let (entrance, lane, all_in) = Lane::new(address, limits);
        let mut clients = Vec::new();
        for bytes in lines {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(bytes).await.unwrap();
            clients.push(client);
            entrance.send(door.arrival().await).unwrap();
        }
        drop(entrance);
        let lane = open(0, lane, front, all_in).unwrap();
        let mut told = Vec::new();
        for client in &mut clients {
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).await.unwrap();
            told.push(String::from_utf8(bytes).unwrap());
        }
        lane.await.unwrap();
        told
    }

    #[tokio::test]
    async fn who_comes_in_as_the_door_closes_is_answered() {
        for told in heard(&[&b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"[..]; 30]).await {
            assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("\r\n\r\nok\n"), "{told}");
        }
    }

    #[tokio::test]
    async fn who_sends_what_cannot_be_read_is_told_so() {
        let lines: [(&[u8], &str); 5] = [
            (b"GET /livez?x=\xff HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request"),
            (b"GET /livez HTTP/1.1\r\nHo\xffst: a\r\n\r\n", "400 Bad Request"),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nMore or less\r\n\r\n", "400 Bad Request"),
            (
                &[&b"GET /livez HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(200), b"\r\n"].concat(),
                "431 Request Header Fields Too Large",
            ),
            (b"GET /livez HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n", "200 OK"),
        ];
        for (told, (bytes, status)) in heard(&lines.map(|(bytes, _)| bytes)).await.iter().zip(lines) {
            let asked = String::from_utf8_lossy(bytes);
            let last = told.rfind(&format!("HTTP/1.1 {status}\r\n")).unwrap_or_else(|| panic!("{asked}: {told}"));
            let (head, body) = told[last..].split_once("\r\n\r\n").unwrap();
            assert!(head.to_lowercase().contains(&format!("content-length: {}", body.len())), "{asked}: {told}");
            if status != "200 OK" {
                let problem: serde_json::Value = serde_json::from_str(body).unwrap();
                assert!(head.contains("content-type: application/problem+json"), "{told}");
                for told in ["place", "found", "expected"] {
                    assert!(problem[told].is_string(), "{problem}");
                }
            }
        }
    }
}
