//! What the acts of staff share on the command line: the data directory, who acts, how the answer is shown.

use super::output::print;
use crate::config::Config;
use crate::pipeline::office::{Fault, FaultKind, Office, Settings, Who};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where an act is done, and by whom.
#[derive(Debug, Clone, clap::Args)]
pub struct Desk {
    /// Directory of the store
    #[arg(long, value_name = "DIR", default_value = "var")]
    data: PathBuf,
    /// A TOML file of settings [default: arpent.toml in the directory, when there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Who acts, for the history [default: the name of the account]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Does an act in the office of a directory and prints what it says: as text, or as JSON where that is asked.
///
/// 0 done, 1 the answer is no, 2 the input is wrong.
pub fn act(
    command: &str,
    desk: &Desk,
    work: impl AsyncFnOnce(Office, Who) -> Result<(String, Value), Fault>,
) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let done = super::serve::run_async(async {
        let config = Config::read(desk.config.as_deref(), Some(&desk.data))?;
        let account = || std::env::var("USER").ok().filter(|name| !name.is_empty());
        let author = desk.author.clone().or_else(account).unwrap_or_else(|| "operator".to_owned());
        let outcome = match Office::of_directory(&config.data, settings(&config)).await {
            Ok(office) => work(office, Who::operator(&author)).await,
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok((_, json)) if desk.json => code = print(command, &format!("{json:#}\n"), code),
            Ok((text, _)) if text.is_empty() => {}
            Ok((text, _)) => code = print(command, &format!("{text}\n"), code),
            Err(fault) => {
                eprintln!("arpent {command}: {fault}");
                code = exit_code(&fault);
            }
        }
        Ok(())
    });
    match done {
        Ok(()) => code,
        Err(why) => {
            eprintln!("arpent {command}: {why}");
            ExitCode::from(2)
        }
    }
}

/// Asks something of the office of a directory that is there.
///
/// # Errors
/// No such directory, wrong settings, or what the office says.
pub fn in_office<T>(data: &Path, work: impl AsyncFnOnce(Office) -> Result<T, Fault>) -> Result<T, String> {
    if !data.is_dir() {
        return Err(format!("--data {}: found no such directory, expected that of a store", data.display()));
    }
    super::serve::run_async(async {
        let config = Config::read(None, Some(data))?;
        let told = |fault: Fault| fault.to_string();
        let office = Office::of_directory(&config.data, settings(&config)).await.map_err(told)?;
        work(office).await.map_err(told)
    })
}

/// What the office needs of the settings.
pub fn settings(config: &Config) -> Settings {
    Settings {
        approvals: config.approvals.clone(),
        expected: config.expected.clone(),
        publication: config.publication.clone(),
        spool: config.data.clone(),
    }
}

/// Whether the answer is no, or the input is wrong.
fn exit_code(fault: &Fault) -> ExitCode {
    let gate = ["not_protectable", "audit"].contains(&fault.code);
    match fault.kind {
        FaultKind::Conflict => ExitCode::from(1),
        FaultKind::Wrong if gate => ExitCode::from(1),
        FaultKind::Wrong | FaultKind::Unknown | FaultKind::Busy | FaultKind::Broken => ExitCode::from(2),
    }
}
