//! `arpent serve`: serves what is published.

use crate::config::Config;
use crate::http::{self, Shelf, Site};
use crate::steps::seal;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use std::future::IntoFuture;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;

/// Serves the published release.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Directory of the store [default: var]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of a database instead of the one in the directory
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address that links must show, when a proxy stands in front
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// A TOML file with these settings; options of the command line win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Requests under way when the service is told to stop have this long to end: longer than the slowest answer allowed.
const DRAIN: Duration = Duration::from_secs(http::ANSWER_SECONDS_MAX + 5);

/// Runs until SIGINT or SIGTERM; 2 when the settings are wrong or the store cannot be opened.
pub fn run(args: &Args) -> ExitCode {
    report("serve", || {
        let config = settle(args)?;
        run_async(async {
            let (store, shelf) = open(&config.data).await?;
            if store.current().await.map_err(|e| e.to_string())?.is_none() {
                tracing::warn!("nothing is published yet: /readyz answers 503 until a release is");
            }
            serve(bind(&config).await?, &config, shelf).await
        })
    })
}

/// Prints what went wrong, if anything did.
pub(super) fn report(command: &str, work: impl FnOnce() -> Result<(), String>) -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("arpent {command}: {why}");
            ExitCode::from(2)
        }
    }
}

/// Starts the runtime and the log, and waits for the work.
pub(super) fn run_async(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ARPENT_LOG").unwrap_or_else(|_| "info".into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second command of the same process keeps the first log.
    let _ = log.try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(work)
}

fn settle(args: &Args) -> Result<Config, String> {
    let mut config = match &args.config {
        None => Config::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                format!("{}: found a file that cannot be read ({e}), expected settings in TOML", path.display())
            })?;
            Config::parse(&text)
                .map_err(|e| format!("{}: found {e}, expected `data`, `listen` and `public_url`", path.display()))?
        }
    };
    if let Some(url) = &args.database {
        let scheme = url.split(':').next().unwrap_or_default();
        return Err(format!(
            "--database: found an address of scheme `{scheme}`, expected none: this version keeps everything in SQLite in --data"
        ));
    }
    config.data = args.data.clone().unwrap_or(config.data);
    config.listen = args.listen.unwrap_or(config.listen);
    config.public_url = args.public_url.clone().or(config.public_url);
    Ok(config)
}

/// Opens the store and shelves what it publishes.
pub(super) async fn open(data: &Path) -> Result<(SqliteStore, Shelf), String> {
    let store = SqliteStore::open(data).await.map_err(|e| e.to_string())?;
    let shelf = Shelf::new();
    if let Some(kept) = store.current().await.map_err(|e| e.to_string())? {
        let release = seal::unseal(&kept.bytes).map_err(|e| format!("release {}: {e}", kept.entry.id))?;
        shelf.put(release);
    }
    Ok((store, shelf))
}

/// Takes the address, before any work that would be lost without it.
pub(super) async fn bind(config: &Config) -> Result<TcpListener, String> {
    TcpListener::bind(config.listen).await.map_err(|e| {
        format!("--listen {}: found an address that cannot be had ({e}), expected a free one", config.listen)
    })
}

/// Answers until told to stop, then lets requests under way end.
pub(super) async fn serve(listener: TcpListener, config: &Config, shelf: Shelf) -> Result<(), String> {
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    tracing::info!("serving on http://{address}");
    let router = http::router(shelf, Site { public_url: config.public_url.clone() });
    let (stopped, draining) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop_signal().await;
        tracing::info!("stopping: requests under way have {} s", DRAIN.as_secs());
        let _ = stopped.send(());
    });
    let deadline = async {
        let _ = draining.await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server.into_future() => ended.map_err(|e| e.to_string()),
        () = deadline => Ok(()),
    }
}

async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
