//! `arpent token`: keys of staff, made and shown once, listed, revoked.

use super::desk::{self, Desk};
use crate::model::Role;
use serde_json::Value;
use std::process::ExitCode;

/// Makes, lists and revokes the keys of staff.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Act {
    /// Makes a key and prints it: shown once, and never kept; the store holds its hash
    New {
        /// The holder, as the history will name them
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it allows: gis (send and draft), owner (publish too), partner:NAME (look at drafts and approve)
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// Last day on which it works, such as 2027-12-31 [default: no end]
        #[arg(long, value_name = "DAY")]
        expires: Option<String>,
        #[command(flatten)]
        desk: Desk,
    },
    /// Lists the keys, by their public names
    List {
        #[command(flatten)]
        desk: Desk,
    },
    /// Revokes a key: the next request with it is refused
    Revoke {
        /// Its public name, as `arpent token list` shows it
        id: String,
        #[command(flatten)]
        desk: Desk,
    },
}

/// 0 done, 1 the key is revoked already, 2 the input is wrong.
pub fn run(args: &Args) -> ExitCode {
    match &args.act {
        Act::New { name, role, expires, desk } => desk::act("token", desk, async |office, who| {
            let told = office.new_key(&who, name, role, expires.as_deref()).await?;
            Ok((new(&told), told))
        }),
        Act::List { desk } => desk::act("token", desk, async |office, _| {
            let told = office.keys().await?;
            let keys = told["keys"].as_array().into_iter().flatten().map(line);
            Ok((keys.collect::<Vec<_>>().join("\n"), told))
        }),
        Act::Revoke { id, desk } => desk::act("token", desk, async |office, who| {
            let told = office.revoke_key(&who, id).await?;
            Ok((line(&told), told))
        }),
    }
}

/// The key alone on standard output, so that it can be put where it belongs; the rest beside it.
fn new(told: &Value) -> String {
    let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    eprintln!("the line below is the key of {} ({}); keep it: it is not shown again", word("name"), word("role"));
    eprintln!("revoke it with `arpent token revoke {}`", word("id"));
    word("key")
}

fn line(key: &Value) -> String {
    let word = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
    let (id, role, state, expires, name) = (word("id"), word("role"), word("state"), word("expires"), word("name"));
    format!("{id}  {state:<7}  {role:<24}  until {expires:<20}  {name}")
}
