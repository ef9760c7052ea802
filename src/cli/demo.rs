//! `arpent demo`: the fictitious territory, published and served.

use super::serve;
use crate::config::{About, Config, POLICY, Policy};
use crate::pipeline::{self, Order, RegisterUpload, ZoningUpload, ledger};
use crate::steps::read::register::RegisterOptions;
use crate::steps::read::{Files, ZoneOptions};
use crate::steps::reconcile::BothSources;
use crate::steps::repair::Repair;
use crate::steps::review::decisions::Decisions;
use crate::store::{Served, Stamp, Store};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Publishes the fictitious demo territory in an empty directory, and serves it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Directory of the store
    #[arg(long, value_name = "DIR", default_value = "var/demo")]
    pub data: PathBuf,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// Name, title, code field, expected number of zones, bytes.
const ZONINGS: [(&str, &str, &str, usize, &[u8]); 3] = [
    ("secteurs", "Secteurs d'emploi", "CODE", 48, include_bytes!("../../data/demo/secteurs.zip")),
    ("communes", "Communes", "INSEE_COM", 23, include_bytes!("../../data/demo/communes.zip")),
    ("iris", "IRIS", "CODE_IRIS", 120, include_bytes!("../../data/demo/iris.zip")),
];
const REGISTER: &[u8] = include_bytes!("../../data/demo/etablissements.csv.gz");
const NOTICE: &str = "Données fictives : territoire, établissements et effectifs sont inventés pour la démonstration.";
const AUTHOR: &str = "demo";

/// Publishes if nothing is published yet, then serves until told to stop.
pub fn run(args: &Args) -> ExitCode {
    serve::report("demo", || {
        let config = Config { listen: args.listen, ..Config::read(None, Some(&args.data))? };
        serve::run_async(async {
            let listener = serve::bind(&config).await?;
            let (store, shelf, office) = serve::open(&config).await?;
            if store.served().await.map_err(|e| e.to_string())? == Served::Nothing {
                let start = Instant::now();
                tracing::info!("placing, protecting and auditing the demo territory: a minute or two");
                let mut order = order(chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))?;
                let stamp = Stamp { at: order.now.clone(), author: AUTHOR.to_owned() };
                order.policy = match ledger::policy_in_force(&*store).await.map_err(|e| e.to_string())? {
                    Some(in_force) => in_force,
                    None => ledger::put_in_force(&*store, POLICY, None, &stamp).await.map_err(|e| e.to_string())?,
                };
                let past = ledger::past(&*store).await.map_err(|e| e.to_string())?;
                let (order, made) = tokio::task::spawn_blocking(move || {
                    let made = pipeline::run_after(&order, &past);
                    (order, made)
                })
                .await
                .map_err(|e| e.to_string())?;
                let made = made.map_err(|e| e.to_string())?;
                ledger::keep(&*store, &order, &made, AUTHOR, "demonstration").await.map_err(|e| e.to_string())?;
                let (release, report) = (made.release, made.report);
                for (zoning, [inside, border, outside]) in &report.placed {
                    tracing::info!("{zoning}: {inside} establishments inside, {border} on a border, {outside} outside");
                }
                tracing::info!(
                    "{} rows refused, {} establishments without a usable place, {} in both sources (counted once), {} without a headcount",
                    report.rejected.len(),
                    report.unplaced,
                    report.in_both_sources,
                    report.without_headcount
                );
                let years: Vec<String> = report
                    .counts
                    .iter()
                    .map(|(year, c)| format!("{year}: {} of {} cells withheld", c.primary + c.secondary, c.cells))
                    .collect();
                let seconds = start.elapsed().as_secs_f64();
                tracing::info!("published release {} in {seconds:.1} s ({})", release.id, years.join("; "));
                office.refresh().await.map_err(|fault| fault.to_string())?;
            }
            tracing::info!(
                "a key for the acts of staff: `arpent token new --name NAME --role owner --data {}`",
                config.data.display()
            );
            serve::serve(listener, &config, shelf, office).await
        })
    })
}

/// What the demo publishes, from the files that the binary carries; it enters by the same door as a user's file.
pub fn order(now: String) -> Result<Order, String> {
    let zonings = ZONINGS.map(|(id, title, code, expected, bytes)| ZoningUpload {
        id: id.to_owned(),
        title: title.to_owned(),
        version: "demo-1".to_owned(),
        files: Files { name: format!("{id}.zip"), parts: vec![(format!("{id}.zip"), bytes.to_vec())] },
        options: ZoneOptions { code_field: Some(code.to_owned()), ..ZoneOptions::default() },
        expected: Some(expected),
        repair: Repair::default(),
        groups: None,
    });
    Ok(Order {
        zonings: zonings.into(),
        registers: vec![RegisterUpload {
            name: "etablissements.csv.gz".to_owned(),
            bytes: REGISTER.to_vec(),
            options: RegisterOptions::default(),
        }],
        vintages: BTreeSet::new(),
        keep: BothSources::default(),
        decisions: Decisions::default(),
        policy: Policy::parse(POLICY).map_err(|e| e.to_string())?,
        about: About {
            owners: vec!["urssaf".to_owned(), "msa".to_owned()],
            dataset: "effectifs".to_owned(),
            ..About::default()
        },
        source: "Urssaf et MSA".to_owned(),
        licence: "CC0-1.0".to_owned(),
        notice: NOTICE.to_owned(),
        now,
    })
}
