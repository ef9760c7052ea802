//! The service from its start to its stop.

use super::connection::{Caller, Door};
use super::front::Front;
use super::{App, Shelf, Site, assemble, routes};
use crate::config::Limits;
use crate::pipeline::office::Office;
use axum::ServiceExt;
use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Requests under way when the service is told to stop have this long to end: longer than the slowest public answer.
const DRAIN: Duration = Duration::from_secs(super::ANSWER_SECONDS_MAX + 5);

/// Answers until `stop` ends; then says so at `/readyz`, closes the door, and lets requests under way end.
///
/// With an office the acts of staff are served too.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    shelf: Shelf,
    site: Site,
    office: Option<Office>,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = App::new(shelf, site);
    let metrics = app.metrics.clone();
    let door = Door::new(listener, Arc::new(limits.clone()), metrics.clone());
    let front = Front::of(assemble(routes(), office, app.clone(), &limits), &app, &limits);
    let (stopped, draining) = oneshot::channel();
    let leave = limits.leave;
    let service = front.into_make_service_with_connect_info::<Caller>();
    let server = axum::serve(door, service).with_graceful_shutdown(async move {
        stop.await;
        metrics.leave();
        tracing::info!("stopping: no more connections after {} s, and {} s to end", leave.as_secs(), DRAIN.as_secs());
        tokio::time::sleep(leave).await;
        let _ = stopped.send(());
    });
    let deadline = async {
        let _ = draining.await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = deadline => Ok(()),
    }
}
