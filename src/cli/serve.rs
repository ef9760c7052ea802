//! `arpent serve`: serves what is published.

use super::desk::settings;
use super::log::{Lines, Plain, Scribe};
use crate::config::{Config, LogForm};
use crate::http::{self, ForPartners, Shelf, Site, Stock, TakenBack};
use crate::pipeline::office::{self, Office, Shown, Withdrawn};
use crate::store::sqlite::SqliteStore;
use crate::store::{Served, Store};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
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
    /// A TOML file with these settings; options of the command line win over it [default: arpent.toml in the directory,
    /// when there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Serve the public alone, without /api/v1
    #[arg(long)]
    pub no_staff: bool,
}

/// Runs until SIGINT or SIGTERM; 2 when the settings are wrong or the store cannot be opened.
pub fn run(args: &Args) -> ExitCode {
    report("serve", || {
        let config = settle(args)?;
        run_logged(config.log, async {
            let (store, shelf, office) = open(&config).await?;
            match store.served().await.map_err(|e| e.to_string())? {
                Served::Nothing => tracing::warn!("nothing is published yet: /readyz answers 503 until a release is"),
                Served::Withdrawn(w) => tracing::warn!("release {} is withdrawn: the public is told why", w.release),
                Served::Release(_) => {}
            }
            serve(bind(&config).await?, &config, shelf, office).await
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

/// Starts the runtime and the log for people, and waits for the work.
pub(super) fn run_async<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    run_logged(LogForm::Text, work)
}

/// Starts the runtime and the log in this form, and waits for the work.
fn run_logged<T>(form: LogForm, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ARPENT_LOG").unwrap_or_else(|_| "info".into());
    let lines = Lines::default();
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines.clone())
        .with_ansi(colours)
        .with_target(false);
    // A second command of the same process keeps the first log.
    let _ = match form {
        LogForm::Text if colours => log.try_init(),
        LogForm::Text => log.event_format(Plain).try_init(),
        LogForm::Json => log.json().flatten_event(true).try_init(),
    };
    // Until the work is over.
    let _scribe = Scribe::of(&lines);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    let done = runtime.block_on(work);
    // What goes on is work whose answer nobody waits for any more; a runtime that is dropped would wait for it.
    runtime.shutdown_background();
    done
}

fn settle(args: &Args) -> Result<Config, String> {
    let mut config = Config::read(args.config.as_deref(), args.data.as_deref())?;
    if let Some(url) = &args.database {
        let scheme = url.split(':').next().unwrap_or_default();
        return Err(format!(
            "--database: found an address of scheme `{scheme}`, expected none: this version keeps everything in SQLite in --data"
        ));
    }
    config.staff &= !args.no_staff;
    config.listen = args.listen.unwrap_or(config.listen);
    config.public_url = args.public_url.clone().or(config.public_url);
    Ok(config)
}

/// Opens the store, shelves what it publishes, and keeps the shelf as the store says from then on.
pub(super) async fn open(config: &Config) -> Result<(Arc<SqliteStore>, Shelf, Office), String> {
    let store = Arc::new(SqliteStore::open(&config.data).await.map_err(|e| e.to_string())?);
    let shelf = Shelf::new();
    let shelved = shelf.clone();
    let office = Office::new(store.clone(), settings(config), move |shown| shelved.fill(stock(shown)));
    // Settled before anybody asks: a damaged release is a reason not to start.
    office.refresh().await.map_err(|fault| fault.found)?;
    if config.staff {
        office.take_over().await.map_err(|fault| fault.to_string())?;
    }
    Ok((store, shelf, office))
}

/// What the store says is served, as the shelf takes it.
fn stock(shown: Shown) -> Stock {
    let for_partners = |office::ForPartners { release, open }| ForPartners { release, open };
    let taken_back = |Withdrawn { release, at, reason }| TakenBack { release, at, reason };
    Stock {
        current: shown.current,
        taken_back: shown.taken_back.map(taken_back),
        earlier: shown.earlier,
        closed: shown.closed,
        withdrawn: shown.withdrawn.into_iter().map(taken_back).collect(),
        for_partners: shown.for_partners.into_iter().map(|(id, other)| (id, for_partners(other))).collect(),
    }
}

/// Takes the address, before any work that would be lost without it.
pub(super) async fn bind(config: &Config) -> Result<TcpListener, String> {
    TcpListener::bind(config.listen).await.map_err(|e| {
        format!("--listen {}: found an address that cannot be had ({e}), expected a free one", config.listen)
    })
}

/// Answers until told to stop, then lets requests and jobs under way end.
pub(super) async fn serve(listener: TcpListener, config: &Config, shelf: Shelf, office: Office) -> Result<(), String> {
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    tracing::info!("serving on http://{address}");
    let site = Site { public_url: config.public_url.clone() };
    tokio::spawn(office.clone().follow());
    let office = config.staff.then_some(office);
    http::serve(listener, shelf, site, office, config.limits.clone(), stop_signal()).await.map_err(|e| e.to_string())
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
