//! Review: whom people should look at, what they decide, and how far they have come. It names establishments and their
//! headcounts: for those who may see raw figures, apart from what partners and the public are given.

use super::jobs::apart;
use super::registers::RegisterSent;
use super::{Fault, Office, Who, new_name, now, words};
use crate::model::reject::csv_cell;
use crate::model::{Crs, Register, Reject, Source, Unreadable, Zoning};
use crate::pipeline::RegisterUpload;
use crate::steps::read::register::register;
use crate::steps::read::table::Input;
use crate::steps::reconcile::{self, BothSources, InBoth, reconcile};
use crate::steps::reproject::{Mistaken, Reprojector};
use crate::steps::review::decisions::{Act, Applied, Date, Decision, Decisions, Spot, apply};
use crate::steps::review::{Line, Terms, Worklist, done, rate, worklist};
use crate::store::{DecisionEntry, Kept};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Lines of a worklist in one answer.
pub const LINES_MAX: usize = 10_000;

/// Registers of one review: two sources over ten years.
const REGISTERS_MAX: usize = 20;

/// Of each zone, the largest that may be asked for: more is the register itself.
pub const TOP_MAX: usize = 1_000;

/// Farthest border that puts a place in doubt, in metres.
pub const NEAR_M_MAX: f64 = 10_000.0;

/// Decisions sent at once: 48 sectors of 20 establishments, some times over.
const DECISIONS_MAX: usize = 10_000;

/// Who has vanished from the register, listed in an answer.
const VANISHED_MAX: usize = 1_000;

/// What is to be looked at, and which part of the list is wanted.
#[derive(Debug, Clone)]
pub struct ReviewAsked {
    /// The zoning.
    pub zoning: String,
    /// Its version; the latest when absent.
    pub version: Option<String>,
    /// The registers, by digest; those of the last draft when there are none, or the one there is.
    pub registers: Vec<String>,
    /// Whose figure is kept of an establishment that both sources declare; as the last draft did when its registers are
    /// taken, or that of Urssaf, when absent.
    pub keep: Option<Source>,
    /// Whom to list.
    pub terms: Terms,
    /// `largest` or `ambiguous`; both when absent.
    pub list: Option<String>,
    /// One zone alone.
    pub zone: Option<String>,
    /// Lines passed over.
    pub offset: usize,
    /// Lines given.
    pub limit: usize,
}

/// A worklist, made.
pub struct Reviewed {
    /// The zones.
    pub zoning: Zoning,
    /// Their version.
    pub version: String,
    registers: Vec<String>,
    asked: ReviewAsked,
    all: Register,
    /// What was decided.
    pub decisions: Decisions,
    /// What that did.
    pub applied: Applied,
    /// Whom to look at.
    pub list: Worklist,
    /// Rows refused.
    pub refused: usize,
    /// Whose figure is kept of those whom both sources declare.
    pub keep: Source,
    /// Those, with both figures.
    pub in_both: Vec<InBoth>,
}

impl Office {
    /// Makes the worklist of a zoning: the largest of each zone, those in doubt, and what was decided.
    ///
    /// # Errors
    /// A zoning, a version or a register that is unknown, no register named where several are there; too many who wait.
    pub async fn worklist(&self, asked: ReviewAsked) -> Result<Reviewed, Fault> {
        let turn = self.short_turn().await?;
        let version = self.version_named(&asked.zoning, asked.version.as_deref()).await?.version;
        let (zoning, _) = self.zoning_of(&asked.zoning, &version).await?;
        if let Some(zone) =
            asked.zone.as_deref().filter(|zone| !zoning.zones().iter().any(|z| z.code.as_str() == *zone))
        {
            return Err(Fault::unknown(format!("zone `{zone}`"), format!("a zone of `{} {version}`", asked.zoning)));
        }
        let (registers, usual) = self.registers_of(&asked.registers).await?;
        let keep = asked.keep.unwrap_or(usual);
        let uploads = self.register_uploads(&registers).await?;
        let decisions = self.decided().await?;
        apart(turn, move || {
            let (mut all, mut refused) = (Register::default(), 0);
            for RegisterUpload { name, bytes, options } in uploads {
                let read = register(&name, Input::from(bytes), &options).map_err(super::intake::refused)?;
                refused += read.rejected.len();
                all.establishments.extend(read.accepted);
            }
            let in_both = reconcile(&mut all, BothSources::keeping(keep));
            let applied = apply(&decisions, &mut all);
            let list = worklist(&all.establishments, &zoning, &decisions, &asked.terms);
            let list = list.map_err(super::intake::refused)?;
            Ok(Reviewed { zoning, version, registers, asked, all, decisions, applied, list, refused, keep, in_both })
        })
        .await
    }

    /// The registers named, or those that nobody need name; and which source is usually kept with them.
    async fn registers_of(&self, named: &[String]) -> Result<(Vec<String>, Source), Fault> {
        if named.len() > REGISTERS_MAX {
            let found = format!("{} registers", named.len());
            return Err(Fault::wrong("too_many_registers", "`registers`", found, format!("{REGISTERS_MAX} at most")));
        }
        if !named.is_empty() {
            return Ok((named.to_vec(), Source::Urssaf));
        }
        if let Some(draft) = self.desk().drafts(1).await?.into_iter().next() {
            let request: Value = serde_json::from_str(&draft.request).map_err(Fault::broken)?;
            let list = request["registers"].as_array().into_iter().flatten();
            let keep = request["keep"].as_str().and_then(Source::from_code).unwrap_or(Source::Urssaf);
            return Ok((list.filter_map(|digest| digest.as_str().map(str::to_owned)).collect(), keep));
        }
        match &self.desk().registers().await?[..] {
            [one] => Ok((vec![one.digest.clone()], Source::Urssaf)),
            several => {
                let found = format!("none named, {} in the store and no draft that names any", several.len());
                Err(Fault::wrong("registers_missing", "`registers`", found, "digests of /api/v1/registers"))
            }
        }
    }

    /// Registers as the pipeline takes them.
    pub(super) async fn register_uploads(&self, digests: &[String]) -> Result<Vec<RegisterUpload>, Fault> {
        let mut uploads = Vec::new();
        for digest in digests {
            let missing = || Fault::unknown(format!("register `{digest}`"), "one whose figures are held here");
            let Kept { entry, bytes } = self.desk().register(digest).await?.ok_or_else(missing)?;
            let options = RegisterSent::from_json(&entry.options)?.options();
            uploads.push(RegisterUpload { name: entry.file_name, bytes: bytes.into(), options });
        }
        Ok(uploads)
    }

    /// Everything that was decided, in the order it was.
    pub(super) async fn decided(&self) -> Result<Decisions, Fault> {
        let mut all = Decisions::default();
        for entry in self.desk().decisions().await? {
            of_entry(&entry)?.iter().for_each(|decision| all.push(decision.clone()));
        }
        Ok(all)
    }

    /// Every decision, with who sent it and whether it is the last about its establishment.
    ///
    /// # Errors
    /// The store's.
    pub async fn decisions(&self) -> Result<Value, Fault> {
        let entries = self.desk().decisions().await?;
        let mut told = Vec::new();
        let mut all = Decisions::default();
        for entry in &entries {
            for decision in of_entry(entry)?.iter() {
                told.push((entry, decision.clone()));
                all.push(decision.clone());
            }
        }
        let last = all.last();
        let told = told.iter().map(|(entry, decision)| {
            let mut json = decision_json(decision);
            json["id"] = entry.id.as_str().into();
            json["kept"] = entry.at.as_str().into();
            json["sent_by"] = entry.author.as_str().into();
            json["last"] = (last.get(&decision.siret) == Some(&decision)).into();
            json
        });
        Ok(json!({ "decisions": told.collect::<Vec<_>>() }))
    }

    /// The decisions that hold, as the file that `arpent review --decisions` reads.
    ///
    /// # Errors
    /// The store's.
    pub async fn decisions_csv(&self) -> Result<String, Fault> {
        Ok(self.decided().await?.csv())
    }

    /// Keeps one decision: of whoever asks, today.
    ///
    /// # Errors
    /// What is no decision, with the field; a place where its system is not used; the store's.
    pub async fn decide(&self, who: &Who, asked: &Value) -> Result<Value, Fault> {
        let text = line_of(who, asked)?;
        let read = Decisions::read("decision", text.into_bytes().into());
        let read = read.map_err(|rejects| match rejects.into_iter().next() {
            Some(Reject { code, field, found, expected, .. }) => {
                Fault::wrong(code, format!("`{}`", field.unwrap_or_default()), found, expected)
            }
            None => Fault::wrong("not_a_decision", "body", "no decision", "one"),
        })?;
        let spots = read.iter().flat_map(|one| one.act.spots()).map(|spot| (1, spot)).collect();
        self.keep_decisions(who, &read, None, spots).await
    }

    /// Keeps the decisions of a file, all or none: `siret,decision,x,y,epsg,share,since,author,date,reason`.
    ///
    /// # Errors
    /// Every line that is no decision; a place where its system is not used; the store's.
    pub async fn decide_all(&self, who: &Who, name: &str, bytes: Vec<u8>) -> Result<Value, Fault> {
        let file = name.to_owned();
        let read = move || {
            Decisions::read_with_rows(&file, bytes.into()).map_err(|rejects| {
                if let [one] = &rejects[..] {
                    return super::intake::refused(Unreadable(one.clone()));
                }
                let found = format!("{} lines that are no decision", rejects.len());
                Fault { rejects, ..Fault::wrong("not_a_decision", &file, found, "decisions alone") }
            })
        };
        let (read, rows) = apart((), read).await?;
        let spots = read.iter().zip(&rows).flat_map(|(one, rows)| rows.iter().copied().zip(one.act.spots())).collect();
        self.keep_decisions(who, &read, Some(name), spots).await
    }

    /// Keeps decisions, of this file where there is one, that name these spots at these rows of it.
    async fn keep_decisions(
        &self,
        who: &Who,
        decisions: &Decisions,
        file: Option<&str>,
        spots: Vec<(usize, Spot)>,
    ) -> Result<Value, Fault> {
        if !(1..=DECISIONS_MAX).contains(&decisions.len()) {
            let found = format!("{} decisions", decisions.len());
            return Err(Fault::wrong("no_decision", "body", found, format!("1 to {DECISIONS_MAX} of them")));
        }
        // The last by date holds, so one of tomorrow would hold against everything decided until then. Somewhere it is
        // tomorrow already.
        let latest = (chrono::Utc::now() + chrono::TimeDelta::hours(LATEST_ZONE_HOURS)).date_naive().to_string();
        if let Some(future) = decisions.iter().map(|d| d.date.to_string()).find(|day| *day > latest) {
            return Err(Fault::wrong("bad_date", "`date`", format!("`{future}`, which is to come"), "a day that was"));
        }
        let file = file.map(str::to_owned);
        apart((), move || reached(&spots, file.as_deref())).await?;
        let at = now();
        let entries: Vec<DecisionEntry> = decisions
            .iter()
            .map(|decision| {
                let mut one = Decisions::default();
                one.push(decision.clone());
                let (salt, text) = (format!("{:032x}", rand::random::<u128>()), one.csv());
                let digest = DecisionEntry::digest_of(&salt, &text);
                DecisionEntry { id: new_name(), at: at.clone(), author: who.name.clone(), salt, digest, text }
            })
            .collect();
        self.desk().put_decisions(&entries).await?;
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let kept: Vec<Value> = decisions.iter().take(1).map(decision_json).collect();
        let mut told = json!({ "kept": entries.len(), "ids": ids });
        if let ([decision], 1) = (&kept[..], entries.len()) {
            told["decision"] = decision.clone();
        }
        Ok(told)
    }
}

/// Refuses a place that lies where its system is not used: whom it is about would have no place at all. Coordinates are not
/// repeated, since they tell who it is.
fn reached(spots: &[(usize, Spot)], file: Option<&str>) -> Result<(), Fault> {
    let mut ways: HashMap<u32, Reprojector> = HashMap::new();
    for &(row, Spot { x, y, epsg }) in spots {
        let crs = Crs::Epsg(epsg);
        let refused = |code, fields: &[&str], found: String, expected: String| match file {
            None => {
                let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
                Fault::wrong(code, fields.join(" and "), found, expected)
            }
            Some(file) => {
                let (file, row, field) = (file.to_owned(), Some(row), fields.first().map(|&field| field.to_owned()));
                super::intake::refused(Unreadable(Reject { code, file, row, field, found, expected }))
            }
        };
        let way = match ways.entry(epsg) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Reprojector::new(&crs).map_err(|unreadable| {
                let Reject { code, found, expected, .. } = unreadable.0;
                refused(code, &["epsg"], found, expected)
            })?),
        };
        if way.point(x, y).is_none() {
            let looks = way.mistaken(x, y).map(|mistaken| format!("; they look {}", Mistaken::said(mistaken.code())));
            let found = format!("coordinates where {crs} is not used{}", looks.unwrap_or_default());
            let expected = "a place inside the area where that system is used, in France";
            return Err(refused("outside_crs", &["x", "y"], found, expected.to_owned()));
        }
    }
    Ok(())
}

/// How far ahead of Greenwich the first clocks on earth run, in hours.
const LATEST_ZONE_HOURS: i64 = 14;

fn of_entry(entry: &DecisionEntry) -> Result<Decisions, Fault> {
    let read = Decisions::read(&entry.id, entry.text.clone().into_bytes().into());
    read.map_err(|_| Fault::broken(format!("decision {} cannot be read", entry.id)))
}

/// What a request for a decision may say.
const KEYS: [&str; 8] = ["siret", "decision", "x", "y", "epsg", "sites", "since", "reason"];

/// The lines of a decision asked for as JSON, so that one reader judges both forms.
fn line_of(who: &Who, asked: &Value) -> Result<String, Fault> {
    let wrong = |place: &str, found: &str, expected: &str| Fault::wrong("bad_request", place, found, expected);
    let asked = asked.as_object().ok_or_else(|| wrong("body", "no object", "a JSON object"))?;
    if let Some(unknown) = asked.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(wrong("body", &format!("`{unknown}`"), &format!("only {}", KEYS.join(", "))));
    }
    let text = |of: &serde_json::Map<String, Value>, name: &str| match of.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(wrong(&format!("`{name}`"), "another value", "a text or a number")),
    };
    let words = ["siret", "decision", "since", "reason"].map(|name| text(asked, name));
    let [siret, decision, since, reason] = words;
    let (siret, decision, since, reason) = (siret?, decision?, since?, reason?);
    let is_split = decision.eq_ignore_ascii_case("split");
    let no_sites = vec![];
    let sites: Vec<&serde_json::Map<String, Value>> = match asked.get("sites") {
        None | Some(Value::Null) if is_split => {
            return Err(wrong("`sites`", "none", "two sites or more, each with x, y, epsg and share"));
        }
        None | Some(Value::Null) => vec![asked],
        Some(_) if !is_split => return Err(wrong("`sites`", "sites of no split", "x, y and epsg alone")),
        Some(list) => {
            let list = list.as_array().unwrap_or(&no_sites);
            let objects: Option<Vec<_>> = list.iter().map(Value::as_object).collect();
            let known = |site: &&serde_json::Map<String, Value>| {
                site.keys().all(|key| ["x", "y", "epsg", "share"].contains(&key.as_str()))
            };
            let objects = objects.filter(|sites| sites.len() >= 2 && sites.iter().all(known));
            objects
                .ok_or_else(|| wrong("`sites`", "another value", "two sites or more, each with x, y, epsg and share"))?
        }
    };
    let today = &now()[..10];
    let mut lines = "siret,decision,x,y,epsg,share,since,author,date,reason\n".to_owned();
    for site in sites {
        let [x, y, epsg, share] = ["x", "y", "epsg", "share"].map(|name| text(site, name));
        let cells = [&siret, &decision, &x?, &y?, &epsg?, &share?, &since, &who.name, today, &reason];
        lines += &cells.map(csv_cell).join(",");
        lines.push('\n');
    }
    Ok(lines)
}

fn decision_json(decision: &Decision) -> Value {
    let spot = |Spot { x, y, epsg }: &Spot| json!({ "x": x, "y": y, "epsg": epsg });
    let mut json = json!({
        "siret": decision.siret.to_string(), "decision": decision.act.code(),
        "since": decision.since.map(|day: Date| day.to_string()), "author": decision.author,
        "date": decision.date.to_string(), "reason": decision.reason,
    });
    match &decision.act {
        Act::Confirm(Some(at)) | Act::Move(at) => json["at"] = spot(at),
        Act::Split(sites) => {
            let site = |(at, share): &(Spot, u32)| {
                let mut site = spot(at);
                site["share"] = (*share).into();
                site
            };
            json["sites"] = sites.iter().map(site).collect();
        }
        Act::Confirm(None) | Act::Close | Act::Undo => {}
    }
    json
}

impl Reviewed {
    /// The whole list as CSV.
    pub fn csv(&self) -> String {
        self.list.csv(&self.all.establishments, &self.zoning, &self.decisions)
    }

    /// Those whom both sources declare, with both figures, as CSV.
    pub fn in_both_csv(&self) -> String {
        reconcile::csv(&self.in_both)
    }

    /// How far people have come, and the lines wanted.
    pub fn json(&self) -> Value {
        let Self { zoning, version, registers, asked, applied, list, decisions, refused, keep, in_both, .. } = self;
        let zones: Vec<Value> = zoning
            .zones()
            .iter()
            .zip(&list.completion)
            .map(|(zone, &(of, done))| {
                json!({ "zone": zone.code.as_str(), "zone_label": zone.label, "listed": of, "done": done, "rate": rate(done, of) })
            })
            .collect();
        let of_list = |lines: &[Line]| json!({ "listed": lines.len(), "done": done(lines), "rate": rate(done(lines), lines.len()) });
        let last = decisions.last();
        let in_zone = |line: &&Line| {
            let code = line.zone.map(|zone| zoning.zones()[zone as usize].code.as_str());
            asked.zone.as_deref().is_none_or(|zone| code == Some(zone))
        };
        let wanted = |name: &str| asked.list.as_deref().is_none_or(|list| list == name);
        let lists = [("largest", &list.largest), ("ambiguous", &list.ambiguous)];
        let lines: Vec<(&str, &Line)> = lists
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .flat_map(|(name, lines)| lines.iter().filter(in_zone).map(move |line| (name, line)))
            .collect();
        let page = lines.iter().skip(asked.offset).take(asked.limit);
        let page: Vec<Value> = page.map(|(name, line)| self.line(name, line, &last)).collect();
        let vanished: Vec<String> = applied.vanished.iter().take(VANISHED_MAX).map(ToString::to_string).collect();
        json!({
            "zoning": asked.zoning, "version": version, "registers": registers, "vintage": list.vintage,
            "refused": refused, "keep": keep.code(), "in_both": in_both.len(),
            "top": asked.terms.top, "near_m": asked.terms.near_m,
            "since": asked.terms.since.map(|day| day.to_string()),
            "largest": of_list(&list.largest), "ambiguous": of_list(&list.ambiguous), "by_doubt": list.by_doubt(),
            "completion": zones, "decisions": decisions.len(), "applied": words::decided(applied),
            "vanished": vanished, "moved_since": list.moved_since.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "numberMatched": lines.len(), "numberReturned": page.len(), "lines": page,
        })
    }

    fn line(&self, list: &str, line: &Line, last: &HashMap<crate::model::Siret, &Decision>) -> Value {
        let e = &self.all.establishments[line.establishment];
        let zone = line.zone.map(|zone| &self.zoning.zones()[zone as usize]);
        let decision = last.get(&e.siret);
        json!({
            "list": list, "zone": zone.map(|zone| zone.code.as_str()), "zone_label": zone.map(|zone| &zone.label),
            "rank": line.rank, "siret": e.siret.to_string(), "site": e.site, "naf": e.naf.to_string(),
            "headcount": e.headcount.map(|headcount| headcount.employees()),
            "doubts": line.doubts.iter().map(|doubt| doubt.code()).collect::<Vec<_>>(),
            "distance_m": line.distance_m.map(crate::pipeline::findings::metres),
            "qualite_xy": e.quality.map(|quality| quality.code()),
            "x": line.at.map(|at| crate::pipeline::findings::metres(at.0)),
            "y": line.at.map(|at| crate::pipeline::findings::metres(at.1)),
            "epsg": line.at.map(|_| 2154),
            "decision": decision.map(|decision| decision.act.code()),
            "author": decision.map(|decision| &decision.author),
            "date": decision.map(|decision| decision.date.to_string()),
            "done": line.done,
        })
    }
}
