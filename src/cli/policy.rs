//! `arpent policy`: which policy is in force, whether another is looser, and the owner's key.

use super::output;
use crate::config::Policy;
use crate::pipeline::ledger::{NotInForce, policy_in_force, put_in_force};
use crate::steps::bytes::sha256_hex;
use crate::store::{SqliteStore, Stamp};
use serde_json::json;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Shows, compares and sets the policy in force, and makes the owner's key.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Act {
    /// Makes a key for the owner: shown once, and never kept; the policy holds its hash
    Key {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Says what a policy lets through that another does not; 1 when it is looser
    Compare {
        /// The policy that is judged
        file: PathBuf,
        /// The policy it is compared with
        #[arg(long, value_name = "FILE")]
        with: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Puts a policy in force; a looser one needs the owner's key
    Set {
        /// The policy
        file: PathBuf,
        /// Directory of the store
        #[arg(long, value_name = "DIR", default_value = "var")]
        data: PathBuf,
        /// A file with the owner's key; otherwise the environment's ARPENT_OWNER_KEY
        #[arg(long, value_name = "FILE")]
        owner_key: Option<PathBuf>,
        /// Who does it, for the ledger
        #[arg(long, value_name = "NAME", default_value = "owner")]
        author: String,
    },
    /// Says which policy is in force
    Show {
        /// Directory of the store
        #[arg(long, value_name = "DIR", default_value = "var")]
        data: PathBuf,
    },
}

/// Name of the environment's variable that may hold the owner's key.
pub const OWNER_KEY: &str = "ARPENT_OWNER_KEY";

/// Largest file of a key or a policy, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// 0 done, 1 the policy is looser, 2 the input is wrong.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.act {
        Act::Key { json } => key(*json),
        Act::Compare { file, with, json } => compare(file, with, *json),
        Act::Set { file, data, owner_key, author } => set(file, data, owner_key.as_deref(), author),
        Act::Show { data } => show(data),
    };
    done.unwrap_or_else(|why| {
        eprintln!("arpent policy: {why}");
        ExitCode::from(2)
    })
}

fn in_force(policy: &Policy) -> String {
    format!("in force: version {}, {}\n", policy.version, policy.fingerprint())
}

fn say(text: &str) -> Result<(), String> {
    output::say(text).map_err(|unreadable| unreadable.to_string())
}

fn key(as_json: bool) -> Result<ExitCode, String> {
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|e| format!("/dev/urandom: found no source of chance ({e}), expected one"))?;
    let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let key = format!("arpent-owner-{digits}");
    let hash = sha256_hex(key.as_bytes());
    if as_json {
        say(&format!("{:#}\n", json!({ "key": key, "owner_key": hash })))?;
    } else {
        say(&format!("{key}\n"))?;
        eprintln!("keep the line above where only the owner finds it, and write into the policy:");
        eprintln!("owner_key = \"{hash}\"");
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a policy from a file.
pub fn read(path: &Path) -> Result<(Policy, String), String> {
    let text = text(path)?;
    let policy = Policy::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok((policy, text))
}

/// The owner's key, from a file or from the environment.
pub fn owner_key(file: Option<&Path>) -> Result<Option<String>, String> {
    match file {
        Some(path) => text(path).map(Some),
        None => Ok(std::env::var(OWNER_KEY).ok()),
    }
}

fn text(path: &Path) -> Result<String, String> {
    let refuse = |found: String| format!("{}: found {found}, expected a text file that can be read", path.display());
    let size = std::fs::metadata(path).map_err(|e| refuse(format!("no file that can be read ({e})")))?.len();
    if size > FILE_BYTES_MAX {
        return Err(refuse(format!("{size} bytes, more than {FILE_BYTES_MAX}")));
    }
    std::fs::read_to_string(path).map_err(|e| refuse(format!("a file that cannot be read ({e})")))
}

fn compare(file: &Path, with: &Path, as_json: bool) -> Result<ExitCode, String> {
    let (policy, other) = (read(file)?.0, read(with)?.0);
    let looser = policy.looser_than(&other);
    if as_json {
        let side = |p: &Policy| json!({ "version": p.version, "fingerprint": p.fingerprint() });
        say(&format!("{:#}\n", json!({ "policy": side(&policy), "with": side(&other), "looser": looser })))?;
    } else if looser.is_empty() {
        say("at least as strict\n")?;
    } else {
        let lines: String = looser.iter().map(|what| format!("  {what}\n")).collect();
        say(&format!("looser:\n{lines}"))?;
    }
    Ok(ExitCode::from(u8::from(!looser.is_empty())))
}

fn set(file: &Path, data: &Path, key_file: Option<&Path>, author: &str) -> Result<ExitCode, String> {
    let (_, text) = read(file)?;
    let key = owner_key(key_file)?;
    let by =
        Stamp { at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true), author: author.to_owned() };
    let mut code = ExitCode::SUCCESS;
    super::serve::run_async(async {
        let store = SqliteStore::open(data).await.map_err(|e| e.to_string())?;
        match put_in_force(&store, &text, key.as_deref(), &by).await {
            Ok(policy) => say(&in_force(&policy))?,
            Err(no @ NotInForce::Looser { .. }) => {
                eprintln!("arpent policy: {no}");
                code = ExitCode::from(1);
            }
            Err(wrong) => return Err(wrong.to_string()),
        }
        Ok(())
    })?;
    Ok(code)
}

fn show(data: &Path) -> Result<ExitCode, String> {
    super::serve::run_async(async {
        let store = SqliteStore::open(data).await.map_err(|e| e.to_string())?;
        match policy_in_force(&store).await.map_err(|e| e.to_string())? {
            Some(policy) => say(&in_force(&policy))?,
            None => say("no policy is in force\n")?,
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
