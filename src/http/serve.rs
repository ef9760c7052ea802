//! The service from its start to its stop.

use super::App;
use super::connection::{Caller, Door};
use super::front::Front;
use crate::config::Limits;
use axum::ServiceExt;
use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Requests and jobs under way when the service is told to stop have this long to end: longer than the slowest public
/// answer.
const DRAIN: Duration = Duration::from_secs(super::ANSWER_SECONDS_MAX + 5);

/// Answers by `front` until `stop` ends; then says so at `/readyz`, closes the door, and lets requests under way end, then
/// what was taken on beside them: `at_rest` tells when.
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
    let metrics = app.metrics.clone();
    let door = Door::new(listener, Arc::new(limits.clone()), metrics.clone());
    let (stopped, draining) = oneshot::channel();
    let leave = limits.leave;
    let service = front.into_make_service_with_connect_info::<Caller>();
    let server = axum::serve(door, service).with_graceful_shutdown(async move {
        stop.await;
        metrics.leave();
        tracing::info!("stopping: no more connections after {} s, and {} s to end", leave.as_secs(), DRAIN.as_secs());
        tokio::time::sleep(leave).await;
        metrics.close();
        let _ = stopped.send(());
    });
    let deadline = async {
        let _ = draining.await;
        tokio::time::sleep(DRAIN).await;
    };
    let ended = async {
        server.into_future().await?;
        at_rest.await;
        Ok(())
    };
    tokio::select! {
        ended = ended => ended,
        () = deadline => {
            tracing::warn!("stopped with work under way; jobs are marked as interrupted at the next start");
            Ok(())
        }
    }
}
