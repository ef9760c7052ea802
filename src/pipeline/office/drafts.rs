//! Drafts: made by the pipeline as a job, looked at, approved by partners, published.

use super::jobs::apart;
use super::{Fault, FaultKind, Office, Started, Who, new_name, now, why, words};
use crate::config::{About, Publication};
use crate::model::publication::{Act, missing};
use crate::model::{Source, Stage};
use crate::pipeline::ledger::{self, NoPast};
use crate::pipeline::{Made, NotPublished, Order, run_after};
use crate::steps::publish::Release;
use crate::steps::reconcile::BothSources;
use crate::steps::seal;
use crate::store::{Approval, Draft, Put};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Drafts in a list.
const LISTED_MAX: u32 = 200;

/// Longest title, source or notice, in characters: a paragraph.
const TEXT_CHARS_MAX: usize = 1_000;

/// Registers and zonings of one draft: two sources over ten years, and more zonings than any map shows.
const INPUTS_MAX: usize = 50;

/// What a draft is made from, as it was asked for: the versions and registers are known to be in the store.
struct Sought {
    title: String,
    zonings: Vec<(String, String)>,
    registers: Vec<String>,
    vintages: BTreeSet<u16>,
    keep: BothSources,
    source: String,
    licence: String,
    notice: String,
    owners: Vec<String>,
    dataset: String,
}

impl Office {
    /// Has a publication drafted, as a job: the pipeline runs, and staff alone see what it made.
    ///
    /// `asked` names zonings with their versions (the latest when null), registers by digest, and what is said of them.
    ///
    /// # Errors
    /// Something asked for is unknown or not told, no policy is in force; then, as the job's own, why nothing was made.
    pub async fn draft(&self, who: &Who, asked: &Value) -> Result<(String, Started), Fault> {
        let sought = self.sought(asked).await?;
        if self.desk().policy().await?.is_none() {
            let expected = "one: `arpent policy set FILE --data DIR` puts it there";
            return Err(Fault::conflict("no_policy", "policy", "none in force", expected));
        }
        let at = now();
        let draft = Draft {
            id: new_name(),
            title: sought.title.clone(),
            request: sought.to_json().to_string(),
            created: at.clone(),
            author: who.name.clone(),
            stage: Stage::Preparing,
            updated: at,
            job: String::new(),
            report: "{}".to_owned(),
            release: String::new(),
            partner_release: String::new(),
            past: Vec::new(),
            policy: String::new(),
        };
        self.desk().insert_draft(&draft).await?;
        let id = draft.id.clone();
        Ok((id, self.prepare(who, draft).await?))
    }

    /// Has a draft made again, whose job was interrupted or said no.
    pub(super) async fn draft_again(&self, who: &Who, id: &str) -> Result<Started, Fault> {
        let draft = self.kept_draft(id).await?;
        if draft.stage.after(Act::Prepare).is_none() {
            let expected = "a draft that is not made yet";
            return Err(Fault::conflict("stands_otherwise", format!("draft `{id}`"), draft.stage.as_str(), expected));
        }
        let from = draft.stage;
        let again = Draft { stage: Stage::Preparing, updated: now(), ..draft };
        self.desk().update_draft(&again, from).await?;
        self.prepare(who, again).await
    }

    async fn prepare(&self, who: &Who, draft: Draft) -> Result<Started, Fault> {
        let request = json!({ "draft": draft.id });
        let (id, asker) = (draft.id.clone(), who.clone());
        let work = move |office: Office, pen: super::jobs::Pen| async move {
            let made = office.make(&draft, &pen).await;
            let next = match &made {
                Ok(made) => made.clone(),
                Err(fault) => {
                    let report = json!({ "problem": words::fault(fault) }).to_string();
                    Draft { stage: Stage::Refused, report, ..draft }
                }
            };
            office.desk().update_draft(&Draft { updated: now(), ..next }, Stage::Preparing).await?;
            made?;
            office.draft_told(&asker, &id).await
        };
        let started = self.start(who, "draft", &request, work).await?;
        Ok(started)
    }

    /// Runs the pipeline and keeps what it made, apart from what is served.
    async fn make(&self, draft: &Draft, pen: &super::jobs::Pen) -> Result<Draft, Fault> {
        pen.step("gathering").await?;
        let asked: Value = serde_json::from_str(&draft.request).map_err(Fault::broken)?;
        let sought = self.sought(&asked).await?;
        let no_policy = || Fault::conflict("no_policy", "policy", "none in force", "one");
        let policy = self.desk().policy().await?.ok_or_else(no_policy)?;
        let past = ledger::past(self.desk()).await.map_err(no_past)?;
        let order = self.order(&sought).await?;
        let known: Vec<String> = past.iter().map(|published| published.id.clone()).collect();
        pen.step("placing, protecting and auditing").await?;
        let run = move || {
            let made = run_after(&order, &past).map_err(not_published)?;
            Ok((order, made))
        };
        let (order, made) = apart((), run).await?;
        if let Some(year) = sought.vintages.iter().find(|year| !made.release.vintages.contains_key(year)) {
            let expected = "a year-end that the registers have";
            return Err(Fault::wrong("no_establishment", format!("vintage {year}"), "no establishment", expected));
        }
        pen.step("keeping").await?;
        ledger::keep_releases(self.desk(), &order, &made).await?;
        let Made { release, partner, report, .. } = &made;
        Ok(Draft {
            stage: Stage::Draft,
            report: words::run(report).to_string(),
            release: release.id.to_string(),
            partner_release: partner.as_ref().map(|(r, _)| r.id.to_string()).unwrap_or_default(),
            past: known,
            policy: policy.entry.digest,
            ..draft.clone()
        })
    }

    /// The drafts, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn drafts(&self, who: &Who) -> Result<Value, Fault> {
        let mut told = Vec::new();
        for draft in self.desk().drafts(LISTED_MAX).await? {
            told.push(self.told(who, &draft).await?);
        }
        Ok(json!({ "drafts": told }))
    }

    /// A draft: what it is made from, its report, who approved it and who must still.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn draft_told(&self, who: &Who, id: &str) -> Result<Value, Fault> {
        let draft = self.kept_draft(id).await?;
        self.told(who, &draft).await
    }

    async fn told(&self, who: &Who, draft: &Draft) -> Result<Value, Fault> {
        let approvals = self.desk().approvals(&draft.id).await?;
        let stage = match draft.stage {
            Stage::Published => {
                let standings = self.desk().standings().await?;
                standings.iter().find(|s| s.entry.id == draft.release).map_or(draft.stage, |s| s.stage)
            }
            other => other,
        };
        let missing = missing(&self.0.settings.approvals, &approvals.iter().map(|a| a.partner.clone()).collect());
        let mut told = words::draft(draft, stage, &approvals, &missing);
        if who.role.partner().is_some()
            && let Some(report) = told.get_mut("report").and_then(Value::as_object_mut)
        {
            // Why tables cannot be protected names unsafe cells, which partners are not told; rows are the owner's.
            if let Some(problem) = report.get_mut("problem").and_then(Value::as_object_mut) {
                problem.retain(|member, _| member == "code" || member == "place");
            }
            if let Some(rejected) = report.get_mut("rejected").and_then(Value::as_object_mut) {
                rejected.retain(|member, _| member == "count" || member == "by_code");
            }
        }
        Ok(told)
    }

    /// The release of a draft, for those with a key.
    ///
    /// # Errors
    /// None of this name, or it is not made; the store's.
    pub async fn preview(&self, id: &str) -> Result<Arc<Release>, Fault> {
        let draft = self.kept_draft(id).await?;
        if draft.release.is_empty() {
            let expected = "a draft that is made; its job says how far it is";
            return Err(Fault::conflict("not_made", format!("draft `{id}`"), draft.stage.as_str(), expected));
        }
        let missing = || Fault::broken(format!("release {} of draft {id} is not in the store", draft.release));
        let kept = self.desk().release(&draft.release).await?.ok_or_else(missing)?;
        apart((), move || Ok(Arc::new(seal::unseal(&kept.bytes).map_err(Fault::broken)?))).await
    }

    /// Approves a draft in the name of the partner whose key this is.
    ///
    /// # Errors
    /// A key of no partner, a partner who is not asked, a draft that does not wait; the store's.
    pub async fn approve(&self, who: &Who, id: &str) -> Result<Value, Fault> {
        let required = &self.0.settings.approvals;
        let Some(partner) = who.role.partner().filter(|p| required.iter().any(|r| r == p)) else {
            let expected = match &required[..] {
                [] => "no approval: the settings require none".to_owned(),
                names => format!("the key of one of {}", names.join(", ")),
            };
            return Err(Fault::conflict("partner_not_required", "key", format!("the role {}", who.role), expected));
        };
        let draft = self.kept_draft(id).await?;
        let approval = Approval { draft: draft.id, partner: partner.to_owned(), key: who.key.clone(), by: who.stamp() };
        let put = self.desk().approve(&approval).await?;
        let mut told = self.draft_told(who, id).await?;
        told["new"] = (put == Put::New).into();
        Ok(told)
    }

    /// Publishes a draft: the public is served it from now on.
    ///
    /// # Errors
    /// A partner who has not approved, a draft that does not wait, or that something published or a policy put in force
    /// since has overtaken; the store's.
    pub async fn publish(&self, who: &Who, id: &str, reason: &str) -> Result<Value, Fault> {
        let draft = self.kept_draft(id).await?;
        let place = format!("draft `{id}`");
        if draft.stage != Stage::Draft {
            let expected = "a draft that waits to be published";
            return Err(Fault::conflict("stands_otherwise", place, draft.stage.as_str(), expected));
        }
        let approvals = self.desk().approvals(id).await?;
        let required = &self.0.settings.approvals;
        let missing = missing(required, &approvals.into_iter().map(|a| a.partner).collect());
        if !missing.is_empty() {
            let names = missing.join(", ");
            let expected = format!("an approval by {names}");
            return Err(Fault::conflict("approval_missing", place, format!("no approval of {names}"), expected));
        }
        let why = match reason.trim() {
            "" => why(who, &draft.title)?,
            reason => why(who, reason)?,
        };
        self.desk().publish(id, required, &why).await?;
        self.refresh().await?;
        self.draft_told(who, id).await
    }

    async fn kept_draft(&self, id: &str) -> Result<Draft, Fault> {
        let draft = self.desk().draft(id).await?;
        draft.ok_or_else(|| Fault::unknown(format!("draft `{id}`"), "one of /api/v1/drafts"))
    }

    /// Reads what is asked; versions left open become the latest ones, so that the draft says what it is made from.
    async fn sought(&self, asked: &Value) -> Result<Sought, Fault> {
        let defaults = &self.0.settings.publication;
        let asked = asked.as_object().ok_or_else(|| wrong("body", "no object", "a JSON object"))?;
        if let Some(unknown) = asked.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(wrong("body", &format!("`{unknown}`"), &format!("only {}", KEYS.join(", "))));
        }
        let Publication { source, licence, notice, owners, dataset } = defaults.clone();
        let mut zonings = Vec::new();
        let named = asked.get("zonings").and_then(Value::as_object).filter(|z| (1..=INPUTS_MAX).contains(&z.len()));
        for (zoning, version) in
            named.ok_or_else(|| wrong("`zonings`", "none", "at least one: {\"secteurs\": \"2026\"}"))?
        {
            let version = match version {
                Value::Null => {
                    let latest = self.desk().latest_zoning(zoning).await?;
                    latest
                        .map(|l| l.version)
                        .ok_or_else(|| Fault::unknown(format!("zoning `{zoning}`"), "one of /api/v1/zonings"))?
                }
                Value::String(version) => version.clone(),
                _ => return Err(wrong("`zonings`", "another value", "a version, or null for the latest")),
            };
            zonings.push((zoning.clone(), version));
        }
        let known = self.desk().zonings().await?;
        for (zoning, version) in &zonings {
            if !known.iter().any(|k| k.zoning == *zoning && k.version == *version) {
                return Err(Fault::unknown(format!("zoning `{zoning} {version}`"), "one of /api/v1/zonings"));
            }
        }
        let registers = texts(asked, "registers")?.unwrap_or_default();
        if !(1..=INPUTS_MAX).contains(&registers.len()) {
            let expected = format!("1 to {INPUTS_MAX} digests of /api/v1/registers");
            return Err(wrong("`registers`", &registers.len().to_string(), &expected));
        }
        let held = self.desk().registers().await?;
        for digest in &registers {
            if !held.iter().any(|r| r.digest == *digest) {
                return Err(Fault::unknown(format!("register `{digest}`"), "one of /api/v1/registers"));
            }
        }
        let vintages = match asked.get("vintages") {
            None => Some(BTreeSet::new()),
            Some(list) => list.as_array().and_then(|years| {
                years.iter().map(|y| y.as_u64().and_then(|y| u16::try_from(y).ok())).collect::<Option<_>>()
            }),
        };
        let keep = text(asked, "keep")?.map(|code| {
            let expected = "urssaf or msa: whose figure is kept of those whom both declare";
            Source::from_code(&code).ok_or_else(|| wrong("`keep`", "another source", expected))
        });
        let said = |name: &str, usual: Option<String>| -> Result<String, Fault> {
            let text = text(asked, name)?.or(usual);
            text.ok_or_else(|| {
                wrong(&format!("`{name}`"), "nothing", "it, here or under [publication] in the settings")
            })
        };
        let owners = texts(asked, "owners")?.or(owners).filter(|owners| !owners.is_empty());
        Ok(Sought {
            title: text(asked, "title")?.ok_or_else(|| wrong("`title`", "nothing", "a name for people"))?,
            zonings,
            registers,
            vintages: vintages.ok_or_else(|| wrong("`vintages`", "another value", "a list of years"))?,
            keep: keep.transpose()?.map(BothSources::keeping).unwrap_or_default(),
            source: said("source", source)?,
            licence: said("licence", licence)?,
            notice: text(asked, "notice")?.or(notice).unwrap_or_default(),
            // Rules that name an owner hold for the owners named here, so that none may be left open.
            owners: owners
                .ok_or_else(|| wrong("`owners`", "nothing", "whose data they are, here or in the settings"))?,
            dataset: said("dataset", dataset)?,
        })
    }

    async fn order(&self, sought: &Sought) -> Result<Order, Fault> {
        let mut zonings = Vec::new();
        for (zoning, version) in &sought.zonings {
            zonings.push(self.upload_of(zoning, version).await?);
        }
        let registers = self.register_uploads(&sought.registers).await?;
        let policy = ledger::policy_in_force(self.desk()).await.map_err(Fault::broken)?;
        let policy = policy.ok_or_else(|| Fault::conflict("no_policy", "policy", "none in force", "one"))?;
        let about = About { owners: sought.owners.clone(), dataset: sought.dataset.clone(), ..About::default() };
        Ok(Order {
            zonings,
            registers,
            vintages: sought.vintages.clone(),
            keep: sought.keep,
            decisions: self.decided().await?,
            policy,
            about,
            source: sought.source.clone(),
            licence: sought.licence.clone(),
            notice: sought.notice.clone(),
            now: now(),
        })
    }
}

/// What a request for a draft may say.
const KEYS: [&str; 10] =
    ["title", "zonings", "registers", "vintages", "keep", "source", "licence", "notice", "owners", "dataset"];

impl Sought {
    fn to_json(&self) -> Value {
        let zonings: Map<String, Value> =
            self.zonings.iter().map(|(zoning, version)| (zoning.clone(), version.as_str().into())).collect();
        json!({
            "title": self.title, "zonings": zonings, "registers": self.registers, "vintages": self.vintages,
            "keep": self.keep.kept().code(), "source": self.source, "licence": self.licence, "notice": self.notice,
            "owners": self.owners, "dataset": self.dataset,
        })
    }
}

fn wrong(place: &str, found: &str, expected: &str) -> Fault {
    Fault::wrong("bad_request", place, found, expected)
}

fn text(asked: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    let place = format!("`{name}`");
    match asked.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= TEXT_CHARS_MAX => {
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        }
        Some(Value::String(_)) => Err(wrong(&place, "a longer text", &format!("{TEXT_CHARS_MAX} characters at most"))),
        Some(_) => Err(wrong(&place, "another value", "a text")),
    }
}

fn texts(asked: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Fault> {
    let Some(list) = asked.get(name).filter(|list| !list.is_null()) else { return Ok(None) };
    let texts = list.as_array().and_then(|list| list.iter().map(|t| t.as_str().map(str::to_owned)).collect());
    texts.map(Some).ok_or_else(|| wrong(&format!("`{name}`"), "another value", "a list of texts"))
}

pub(super) fn no_past(no: NoPast) -> Fault {
    match no {
        NoPast::Store(error) => error.into(),
        NoPast::Damaged { .. } => Fault::broken(no),
        NoPast::NoDossier { id } => {
            let expected = "the records it was made from; draft where they are kept";
            Fault::conflict("no_dossier", format!("release `{id}`"), "no dossier in this store", expected)
        }
    }
}

/// Why the pipeline made nothing, as a fault of what it was given.
pub(super) fn not_published(no: NotPublished) -> Fault {
    let text = no.to_string();
    let fault = |kind, code, place: &str, expected: &str| Fault::said(kind, code, place, &text, expected);
    match no {
        NotPublished::Unreadable(unreadable) => super::intake::refused(unreadable),
        NotPublished::Zoning(rejects) => {
            let found = format!("{} faults", rejects.len());
            Fault { rejects, ..Fault::wrong("zoning_refused", "zonings", found, "zones without a fault") }
        }
        NotPublished::Policy(_) | NotPublished::PartnersForgotten { .. } => {
            fault(FaultKind::Conflict, "policy_does_not_fit", "policy", "a policy that fits what is published")
        }
        NotPublished::Secrecy { .. } => {
            fault(FaultKind::Wrong, "not_protectable", "secrecy", "tables that hold beside everything published")
        }
        NotPublished::Empty => {
            let found = "no usable establishment";
            Fault::wrong("no_establishment", "registers", found, "at least one; nothing is published")
        }
        NotPublished::MetTwice { count } => {
            let found = format!("{count} establishments that two files hold for one year and source");
            Fault::wrong("met_twice", "registers", found, "each of them once")
        }
        NotPublished::NoVerdict(_) | NotPublished::Audit { .. } => {
            fault(FaultKind::Wrong, "audit", "audit", "a verdict that nothing can be worked out")
        }
    }
}
