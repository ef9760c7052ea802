//! `arpent publish`: drafts, approves, publishes, withdraws and goes back, as `/api/v1` does.

use super::desk::{self, Desk};
use super::register::source;
use crate::model::Source;
use crate::pipeline::office::{Fault, FaultKind, Office, Who};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Publishes what is in the store: drafts from versions and registers, or a draft that waits.
///
/// Without an act, drafts and publishes; where partners must approve first, the draft waits and its name is printed.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A zoning and its version; the latest one without a version. Repeatable [default: every zoning of the store]
    #[arg(long, value_name = "NAME[=VERSION]")]
    zoning: Vec<String>,
    /// A register, by its digest. Repeatable [default: the one kept last]
    #[arg(long, value_name = "DIGEST")]
    register: Vec<String>,
    /// A vintage to publish. Repeatable [default: all those of the registers]
    #[arg(long, value_name = "YEAR")]
    vintage: Vec<u16>,
    /// Whose figure is kept of an establishment that both sources declare: urssaf or msa [default: urssaf]
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    keep: Option<Source>,
    /// Name of the publication, for people
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Exact source string [default: the settings']
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Licence, by name [default: the settings']
    #[arg(long, value_name = "NAME")]
    licence: Option<String>,
    /// A sentence people must see [default: the settings']
    #[arg(long, value_name = "TEXT")]
    notice: Option<String>,
    /// Whose data they are. Repeatable [default: the settings']
    #[arg(long, value_name = "NAME")]
    owner: Vec<String>,
    /// Which dataset they are [default: the settings']
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Make the draft and publish nothing
    #[arg(long, conflicts_with_all = ["draft", "approve", "withdraw", "rollback", "list"])]
    draft_only: bool,
    /// Publish this draft, which waits
    #[arg(long, value_name = "DRAFT", conflicts_with_all = ["approve", "withdraw", "rollback", "list"])]
    draft: Option<String>,
    /// Approve this draft with the key of a partner
    #[arg(long, value_name = "DRAFT", conflicts_with_all = ["withdraw", "rollback", "list"])]
    approve: Option<String>,
    /// A file with the key to approve with; otherwise the environment's ARPENT_KEY
    #[arg(long, value_name = "FILE", requires = "approve")]
    key: Option<PathBuf>,
    /// Take this release back, for good; the public is told the reason
    #[arg(long, value_name = "RELEASE", requires = "reason", conflicts_with_all = ["rollback", "list"])]
    withdraw: Option<String>,
    /// Serve this earlier release again
    #[arg(long, value_name = "RELEASE", requires = "reason", conflicts_with = "list")]
    rollback: Option<String>,
    /// List drafts and releases
    #[arg(long)]
    list: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    desk: Desk,
}

/// Name of the environment's variable that may hold a key.
const KEY: &str = "ARPENT_KEY";

/// 0 done, 1 the answer is no (secrecy, a missing approval, something overtaken), 2 the input is wrong.
pub fn run(args: &Args) -> ExitCode {
    if let Err(why) = args.heeded() {
        eprintln!("arpent publish: {why}");
        return ExitCode::from(2);
    }
    let reason = args.reason.clone().unwrap_or_default();
    desk::act("publish", &args.desk, async |office, who| {
        if args.list {
            return list(&office, &who).await;
        }
        let told = if let Some(release) = &args.withdraw {
            return Ok(release_told(office.withdraw(&who, release, &reason).await?));
        } else if let Some(release) = &args.rollback {
            return Ok(release_told(office.roll_back(&who, release, &reason).await?));
        } else if let Some(draft) = &args.approve {
            office.approve(&partner(&office, args.key.as_deref()).await?, draft).await?
        } else if let Some(draft) = &args.draft {
            office.publish(&who, draft, &reason).await?
        } else {
            let asked = asked(&office, args).await?;
            let (draft, started) = office.draft(&who, &asked).await?;
            let made = started.end().await?;
            match args.draft_only {
                true => made,
                false => {
                    office.publish(&who, &draft, &reason).await.inspect_err(|_| eprintln!("draft {draft} waits"))?
                }
            }
        };
        Ok((draft_told(&told), told))
    })
}

impl Args {
    /// Refuses what would not be heeded: a draft that is made is told what it is made from, and one that waits has it.
    fn heeded(&self) -> Result<(), String> {
        let acts = [
            ("--list", self.list),
            ("--withdraw", self.withdraw.is_some()),
            ("--rollback", self.rollback.is_some()),
            ("--approve", self.approve.is_some()),
            ("--draft", self.draft.is_some()),
        ];
        let told = |said: &[(&'static str, bool)]| said.iter().find(|(_, said)| *said).map(|(option, _)| *option);
        let of_a_new_draft = told(&[
            ("--zoning", !self.zoning.is_empty()),
            ("--register", !self.register.is_empty()),
            ("--vintage", !self.vintage.is_empty()),
            ("--keep", self.keep.is_some()),
            ("--title", self.title.is_some()),
            ("--source", self.source.is_some()),
            ("--licence", self.licence.is_some()),
            ("--notice", self.notice.is_some()),
            ("--owner", !self.owner.is_empty()),
            ("--dataset", self.dataset.is_some()),
        ]);
        if let (Some(act), Some(option)) = (told(&acts), of_a_new_draft) {
            return Err(format!("{option}: found it beside {act}, expected it where a draft is made"));
        }
        let without_reason =
            [("--list", self.list), ("--approve", self.approve.is_some()), ("--draft-only", self.draft_only)];
        match told(&without_reason).filter(|_| self.reason.is_some()) {
            Some(act) => {
                let expected = "it where something is published, withdrawn or gone back to";
                Err(format!("--reason: found it beside {act}, expected {expected}"))
            }
            None => Ok(()),
        }
    }
}

/// What is asked for, as `/api/v1/drafts` takes it.
async fn asked(office: &Office, args: &Args) -> Result<Value, Fault> {
    let mut zonings = Map::new();
    for named in &args.zoning {
        let (zoning, version) = match named.split_once('=') {
            Some((zoning, version)) => (zoning, version.into()),
            None => (named.as_str(), Value::Null),
        };
        zonings.insert(zoning.to_owned(), version);
    }
    if zonings.is_empty() {
        let known = office.zonings().await?;
        let names = known["zonings"].as_array().into_iter().flatten().filter_map(|z| z["zoning"].as_str());
        zonings.extend(names.map(|name| (name.to_owned(), Value::Null)));
    }
    let mut registers = args.register.clone();
    if registers.is_empty() {
        let known = office.registers().await?;
        let last = known["registers"].as_array().and_then(|all| all.last()?["digest"].as_str().map(str::to_owned));
        registers.extend(last);
    }
    let mut asked = json!({
        "title": args.title.clone().unwrap_or_else(|| "Publication".to_owned()),
        "zonings": zonings, "registers": registers, "vintages": args.vintage, "keep": args.keep.map(Source::code),
    });
    let told =
        [("source", &args.source), ("licence", &args.licence), ("notice", &args.notice), ("dataset", &args.dataset)];
    for (name, text) in told {
        if let Some(text) = text {
            asked[name] = text.as_str().into();
        }
    }
    if !args.owner.is_empty() {
        asked["owners"] = args.owner.clone().into();
    }
    Ok(asked)
}

/// The partner whose key it is.
async fn partner(office: &Office, file: Option<&Path>) -> Result<Who, Fault> {
    let wrong = |place: String, found: &str, expected: &str| Fault {
        kind: FaultKind::Wrong,
        code: "key_needed",
        place,
        found: found.to_owned(),
        expected: expected.to_owned(),
        rejects: Vec::new(),
        report: Value::Null,
    };
    let key = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|_| wrong(path.display().to_string(), "a file that cannot be read", "a file with a key"))?,
        None => std::env::var(KEY).map_err(|_| wrong(format!("--key and {KEY}"), "nothing", "the key of a partner"))?,
    };
    let who = office.who(key.trim()).await?;
    who.ok_or_else(|| wrong("key".to_owned(), "one that is not known, was revoked or has ended", "a key that works"))
}

fn draft_told(told: &Value) -> String {
    let word = |name: &str| told[name].as_str().unwrap_or("-");
    let mut lines = vec![
        format!("draft     {} {}", word("id"), word("title")),
        format!("stage     {}", word("stage")),
        format!("release   {}", word("release")),
    ];
    for (year, counts) in told["report"]["tables"].as_object().into_iter().flatten() {
        lines.push(format!("{year}      {} cells, {} withheld", counts["cells"], counts["withheld"]));
    }
    let missing: Vec<&str> =
        told["approvals_missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !missing.is_empty() && told["stage"] == "draft" {
        lines.push(format!("missing   the approval of {}", missing.join(", ")));
    }
    lines.join("\n")
}

fn release_told(told: Value) -> (String, Value) {
    let word = |name: &str| told[name].as_str().unwrap_or_default();
    (format!("release   {} {}", word("id"), word("stage")), told)
}

async fn list(office: &Office, who: &Who) -> Result<(String, Value), Fault> {
    let (drafts, releases) = (office.drafts(who).await?, office.releases().await?);
    let told = json!({ "drafts": drafts["drafts"], "releases": releases["releases"] });
    let line = |kind: &str, thing: &Value| {
        let word = |name: &str| thing[name].as_str().unwrap_or("-").to_owned();
        format!("{kind:<8}  {}  {:<10}  {}  {}", word("id"), word("stage"), word("created"), word("title"))
    };
    let of = |kind: &str, name: &str| -> Vec<String> {
        told[name].as_array().into_iter().flatten().map(|thing| line(kind, thing)).collect()
    };
    let lines = [of("draft", "drafts"), of("release", "releases")].concat();
    Ok((lines.join("\n"), told))
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_an_act_does_not_heed_is_refused_with_its_name() {
        for (line, said) in [
            ("--zoning secteurs --keep msa --reason r", None),
            ("--draft-only --title t", None),
            ("--draft 00 --reason r", None),
            ("--withdraw 00 --reason r", None),
            ("--list", None),
            ("--draft 00 --keep msa", Some("--keep: found it beside --draft, expected it where a draft is made")),
            ("--draft 00 --zoning secteurs", Some("--zoning: found it beside --draft")),
            ("--approve 00 --vintage 2024", Some("--vintage: found it beside --approve")),
            ("--rollback 00 --reason r --register 00", Some("--register: found it beside --rollback")),
            ("--list --owner msa", Some("--owner: found it beside --list")),
            ("--approve 00 --reason r", Some("--reason: found it beside --approve")),
            ("--draft-only --reason r", Some("--reason: found it beside --draft-only")),
        ] {
            let line = Line::try_parse_from(std::iter::once("publish").chain(line.split(' '))).unwrap();
            match (line.args.heeded(), said) {
                (Ok(()), None) => {}
                (Err(why), Some(said)) => assert!(why.starts_with(said), "{why}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }
}
