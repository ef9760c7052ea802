//! The service from its start to its stop.

use super::App;
use super::connection::{Caller, Door, Lane};
use super::front::Front;
use crate::config::Limits;
use axum::ServiceExt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
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
    let (close, closed) = watch::channel(false);
    let address = listener.local_addr()?;
    let (mut entrances, mut lanes) = (Vec::new(), JoinSet::new());
    for number in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (entrance, lane) = Lane::new(address, limits.clone());
        entrances.push(entrance);
        lanes.spawn(open(number, lane, front.clone(), closed.clone())?);
    }
    let door = Door::new(listener, limits.clone(), metrics.clone());
    let (stopped, draining) = oneshot::channel();
    let server = async move {
        let mut ended = Ok(());
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
        let _ = close.send(true);
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

/// Starts the thread of a lane, which ends after `closed` becomes true, once its last request is answered.
fn open(
    number: usize,
    lane: Lane,
    front: Front,
    mut closed: watch::Receiver<bool>,
) -> io::Result<impl Future<Output = io::Result<()>> + Send + use<>> {
    let (ended, end) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || {
        let service = front.into_make_service_with_connect_info::<Caller>();
        let closing = async move {
            // Whoever would close it is gone: that closes it as well.
            let _ = closed.wait_for(|closed| *closed).await;
        };
        runtime.block_on(async { axum::serve(lane, service).with_graceful_shutdown(closing).await })
    };
    std::thread::Builder::new().name(format!("lane {number}")).spawn(move || ended.send(serve()))?;
    Ok(async { end.await.unwrap_or_else(|_| Err(io::Error::other("a thread of connections broke off"))) })
}
