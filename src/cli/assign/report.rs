//! What `arpent assign` counts on its way, and its report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::zones::ZonesRead;
use crate::model::establishment::Unplaced;
use crate::model::{Reject, ZoneCode};
use crate::steps::assign::{Placed, Placements};
use crate::steps::index::ZoneIndex;
use crate::steps::read::points::{ChosenColumns, PointBatch};
use crate::steps::reproject::Mistaken;

/// Refused rows that the report describes one by one; the rest are counted by code.
const REJECTS_LISTED: usize = 100;
/// Zones that the text report counts one by one, a screenful; the JSON report counts them all.
const ZONES_SHOWN: usize = 60;
/// Sets of zones between which the JSON report counts ambiguous points; points of further sets are only counted.
const BETWEEN_LISTED: usize = 10_000;
/// Sets of zones that the text report shows.
const BETWEEN_SHOWN: usize = 10;

/// The words of the column `placement`.
pub(super) const PLACEMENTS: [&str; 4] = ["inside", "border", "outside", "unplaced"];
/// Their places.
pub(super) const INSIDE: u32 = 0;
pub(super) const ON_BORDER: u32 = 1;
pub(super) const OUTSIDE: u32 = 2;
pub(super) const UNPLACED: u32 = 3;

/// The columns `zone` and `placement` of a batch, as words of their lists; made by whichever thread placed it.
pub(super) struct Words {
    pub(super) zone: Vec<u32>,
    pub(super) how: Vec<u32>,
    /// How many of each placement.
    by_placement: [usize; 4],
    /// The points that several zones have.
    pub(super) ambiguous: Vec<Ambiguous>,
}

/// A point that several zones have.
pub(super) struct Ambiguous {
    /// Its row in the batch.
    pub(super) row: usize,
    why: Why,
    /// All of them, in the order of their codes; the first one got the point.
    zones: Vec<u32>,
}

impl Ambiguous {
    /// `None` where it is one zone that has the point.
    fn of(row: usize, why: Why, zones: Vec<u32>) -> Option<Self> {
        (zones.len() > 1).then_some(Self { row, why, zones })
    }
}

/// Why several zones have a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    SharedBorder,
    Overlap,
}

impl Why {
    fn code(self) -> &'static str {
        match self {
            Self::SharedBorder => "shared_border",
            Self::Overlap => "overlap",
        }
    }
}

impl Words {
    pub(super) fn of(index: &ZoneIndex, points: &PointBatch, placements: Placements) -> Self {
        let all_placed = points.unplaced.iter().fold(true, |all, unplaced| all & unplaced.is_none());
        let placements = if all_placed { placements.into_zones() } else { Err(placements) };
        let placements = match placements {
            Ok(zone) => {
                let how: Vec<u32> =
                    zone.iter().map(|&zone| if zone == ZoneIndex::NONE { OUTSIDE } else { INSIDE }).collect();
                let outside = how.iter().filter(|&&how| how == OUTSIDE).count();
                let mut by_placement = [0; 4];
                by_placement[INSIDE as usize] = how.len() - outside;
                by_placement[OUTSIDE as usize] = outside;
                return Self { zone, how, by_placement, ambiguous: Vec::new() };
            }
            Err(placements) => placements,
        };
        let column = || Vec::with_capacity(placements.len());
        let mut words = Self { zone: column(), how: column(), by_placement: [0; 4], ambiguous: Vec::new() };
        for (row, (placed, unplaced)) in placements.iter().zip(&points.unplaced).enumerate() {
            let (zone, how) = match (unplaced, placed) {
                (Some(_), _) => (u32::MAX, UNPLACED),
                (None, Placed::Inside(zone)) => (zone, INSIDE),
                (None, Placed::Overlap(zone)) => {
                    let zones = index.around(points.x[row], points.y[row]).inside;
                    words.ambiguous.extend(Ambiguous::of(row, Why::Overlap, zones));
                    (zone, INSIDE)
                }
                (None, Placed::OnBorder(zone)) => {
                    let zones = index.around(points.x[row], points.y[row]).border;
                    words.ambiguous.extend(Ambiguous::of(row, Why::SharedBorder, zones));
                    (zone, ON_BORDER)
                }
                (None, Placed::Outside) => (u32::MAX, OUTSIDE),
            };
            words.zone.push(zone);
            words.how.push(how);
            words.by_placement[how as usize] += 1;
        }
        words
    }

    /// The rows that no zone got.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> {
        self.how.iter().enumerate().filter(|(_, how)| matches!(**how, OUTSIDE | UNPLACED)).map(|(row, _)| row)
    }

    /// What a file of missing points says of a row.
    pub(super) fn why_missing(&self, points: &PointBatch, row: usize) -> Value {
        let reason = points.unplaced[row].map_or("outside", Unplaced::code);
        let placement = PLACEMENTS[self.how[row] as usize];
        json!({"id": points.ids.text(row), "row": points.places[row], "placement": placement, "reason": reason})
    }

    /// What a file of ambiguous points says of one of them.
    pub(super) fn why_ambiguous(&self, points: &PointBatch, point: &Ambiguous, codes: &[ZoneCode]) -> Value {
        let row = point.row;
        let named =
            |zones: &[u32]| zones.iter().map(|&zone| codes[zone as usize].as_str().to_owned()).collect::<Vec<_>>();
        json!({
            "id": points.ids.text(row), "row": points.places[row],
            "placement": PLACEMENTS[self.how[row] as usize],
            "zone": codes[point.zones[0] as usize].as_str(), "others": named(&point.zones[1..]), "reason": point.why.code(),
        })
    }
}

/// What was counted on the way.
pub(super) struct Tally {
    pub(super) rows: usize,
    pub(super) by_placement: [usize; 4],
    /// Points that several zones have, by the reason.
    pub(super) ambiguous: BTreeMap<&'static str, usize>,
    /// The same by zones, as far as they are listed.
    between: BTreeMap<(Why, Vec<u32>), usize>,
    pub(super) unplaced: BTreeMap<&'static str, usize>,
    pub(super) mistaken: BTreeMap<&'static str, usize>,
    pub(super) by_zone: Vec<usize>,
    pub(super) rejects: Vec<Reject>,
    pub(super) rejects_by_code: BTreeMap<&'static str, usize>,
    pub(super) unknown: BTreeSet<u32>,
    pub(super) file: String,
    pub(super) clock: Clock,
}

impl Tally {
    pub(super) fn new(zones: usize, file: &str) -> Self {
        Self {
            rows: 0,
            by_placement: [0; 4],
            ambiguous: BTreeMap::from([("overlap", 0), ("shared_border", 0)]),
            between: BTreeMap::new(),
            unplaced: BTreeMap::new(),
            mistaken: BTreeMap::new(),
            by_zone: vec![0; zones],
            rejects: Vec::new(),
            rejects_by_code: BTreeMap::new(),
            unknown: BTreeSet::new(),
            file: file.to_owned(),
            clock: Clock::default(),
        }
    }

    /// Takes the rows refused; a system that cannot be had is reported once, at the first row naming it.
    pub(super) fn rejected(&mut self, rejects: Vec<Reject>, unknown: BTreeMap<u32, usize>) {
        let mut first: Vec<(usize, u32)> =
            unknown.into_iter().filter(|(code, _)| self.unknown.insert(*code)).map(|(code, row)| (row, code)).collect();
        first.sort_unstable();
        let of_systems = first.into_iter().map(|(row, code)| Reject {
            code: "epsg_unknown",
            file: self.file.clone(),
            row: Some(row),
            field: Some("epsg".to_owned()),
            found: format!("EPSG:{code}, here and perhaps in later rows"),
            expected: "a known system".to_owned(),
        });
        for reject in rejects.into_iter().chain(of_systems.collect::<Vec<_>>()) {
            *self.rejects_by_code.entry(reject.code).or_default() += 1;
            if self.rejects.len() < REJECTS_LISTED {
                self.rejects.push(reject);
            }
        }
    }

    pub(super) fn mistaken(&mut self, mistaken: &[Mistaken]) {
        for mistaken in mistaken {
            *self.mistaken.entry(mistaken.code()).or_default() += 1;
        }
    }

    /// Counts a batch.
    pub(super) fn count(&mut self, points: &PointBatch, words: &Words) {
        for (all, n) in self.by_placement.iter_mut().zip(words.by_placement) {
            *all += n;
        }
        for &zone in &words.zone {
            if let Some(n) = self.by_zone.get_mut(zone as usize) {
                *n += 1;
            }
        }
        let unplaced = points.unplaced.iter().flatten().take(words.by_placement[UNPLACED as usize]);
        for why in unplaced {
            *self.unplaced.entry(why.code()).or_default() += 1;
        }
        for Ambiguous { why, zones, .. } in &words.ambiguous {
            *self.ambiguous.entry(why.code()).or_default() += 1;
            let n = self.between.len();
            match self.between.get_mut(&(*why, zones.clone())) {
                Some(points) => *points += 1,
                None if n < BETWEEN_LISTED => drop(self.between.insert((*why, zones.clone()), 1)),
                None => {}
            }
        }
        self.rows += words.how.len();
    }
}

/// Time spent by stage, on whichever thread: stages run side by side, so their sum may exceed the total.
#[derive(Default)]
pub(super) struct Clock {
    pub(super) stages: Vec<(&'static str, Duration)>,
}

impl Clock {
    pub(super) fn spent(&mut self, stage: &'static str, since: Instant) {
        self.put(stage, since.elapsed());
    }
    fn put(&mut self, stage: &'static str, spent: Duration) {
        match self.stages.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, total)) => *total += spent,
            None => self.stages.push((stage, spent)),
        }
    }
    pub(super) fn add(&mut self, other: &Self) {
        other.stages.iter().for_each(|(stage, spent)| self.put(stage, *spent));
    }
    pub(super) fn seconds(self) -> Vec<(&'static str, f64)> {
        self.stages.iter().map(|(name, spent)| (*name, spent.as_secs_f64())).collect()
    }
}

/// What was read, chosen, placed and refused.
pub(super) struct Report {
    pub(super) points_name: String,
    pub(super) format: String,
    pub(super) chosen: ChosenColumns,
    pub(super) zones: ZonesRead,
    pub(super) codes: Vec<ZoneCode>,
    pub(super) by_zone: Vec<(String, usize)>,
    pub(super) tally: Tally,
    pub(super) seconds: Vec<(&'static str, f64)>,
}

impl Report {
    /// What the coordinates say against the system they were read in.
    fn warning(&self) -> Option<String> {
        let tally = &self.tally;
        let placed = tally.by_placement[INSIDE as usize] + tally.by_placement[ON_BORDER as usize];
        let most = tally.mistaken.iter().max_by_key(|(_, n)| **n);
        let hint = most.map(|(_, n)| n * 2 > tally.rows).unwrap_or(false) || (placed == 0 && tally.rows > 0);
        hint.then(|| {
            let look = match most {
                Some((code, n)) => format!("{n} of {} points look {}", tally.rows, Mistaken::said(code)),
                None => format!("none of {} points lies in a zone", tally.rows),
            };
            format!("{look}; is {} their system?", self.chosen.crs)
        })
    }

    /// The zones between which points are ambiguous, those with most points first.
    fn between(&self) -> Vec<(Why, Vec<&str>, usize)> {
        let named = |zones: &[u32]| zones.iter().map(|&zone| self.codes[zone as usize].as_str()).collect();
        let mut between: Vec<_> = self.tally.between.iter().map(|((why, zones), n)| (*why, named(zones), *n)).collect();
        between.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
        between
    }

    fn ambiguous(&self) -> Value {
        let (shared, overlap) = (self.tally.ambiguous["shared_border"], self.tally.ambiguous["overlap"]);
        let between = self.between();
        let listed: usize = between.iter().map(|(_, _, n)| n).sum();
        let between =
            between.into_iter().map(|(why, zones, n)| json!({"why": why.code(), "zones": zones, "points": n}));
        json!({
            "shared_border": shared,
            "outer_border": self.tally.by_placement[ON_BORDER as usize] - shared,
            "overlap": overlap,
            "between": between.collect::<Vec<_>>(),
            "not_listed": shared + overlap - listed,
        })
    }

    fn placements(&self) -> [(&'static str, usize); 4] {
        std::array::from_fn(|at| (PLACEMENTS[at], self.tally.by_placement[at]))
    }

    pub(super) fn json(&self) -> Value {
        let counts = |pairs: &[(&str, usize)]| {
            Value::Object(pairs.iter().map(|(name, n)| ((*name).to_owned(), json!(n))).collect())
        };
        let by_zone = self.by_zone.iter().map(|(code, n)| (code.clone(), json!(n))).collect();
        let seconds = self.seconds.iter().map(|(name, s)| ((*name).to_owned(), json!((s * 1e3).round() / 1e3)));
        let pairs = |map: &BTreeMap<&'static str, usize>| map.iter().map(|(k, n)| (*k, *n)).collect::<Vec<_>>();
        let chosen = &self.chosen;
        json!({
            "points": {
                "file": self.points_name,
                "format": self.format,
                "rows": self.tally.rows,
                "columns": {
                    "id": chosen.id, "x": chosen.x, "y": chosen.y, "epsg": chosen.epsg, "qualite_xy": chosen.quality,
                },
                "crs": chosen.crs.to_string(),
            },
            "zones": {
                "file": self.zones.file,
                "layer": self.zones.layer,
                "zone_id": self.zones.code_field,
                "crs": self.zones.crs,
                "count": self.zones.count,
                "index": if self.zones.kept { "kept" } else { "built" },
                "remarks": self.zones.remarks,
            },
            "placements": counts(&self.placements()),
            "unplaced": counts(&pairs(&self.tally.unplaced)),
            "ambiguous": self.ambiguous(),
            "looks_mistaken": counts(&pairs(&self.tally.mistaken)),
            "warning": self.warning(),
            "by_zone": Value::Object(by_zone),
            "rejected": {
                "count": self.tally.rejects_by_code.values().sum::<usize>(),
                "by_code": counts(&pairs(&self.tally.rejects_by_code)),
                "first": self.tally.rejects.iter().map(reject_json).collect::<Vec<_>>(),
            },
            "seconds": Value::Object(seconds.collect()),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let chosen = &self.chosen;
        let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string cannot fail");
        let zones = &self.zones;
        line(format!(
            "zones: {} in layer `{}` of {}, code `{}`, {}",
            zones.count, zones.layer, zones.file, zones.code_field, zones.crs
        ));
        zones.remarks.iter().for_each(|remark| line(format!("  {}", remark_text(remark))));
        let epsg = chosen.epsg.as_ref().map_or(String::new(), |epsg| format!(" unless `{epsg}` says otherwise"));
        line(format!("points: {} in {}, {}", self.tally.rows, self.points_name, self.format));
        line(format!("  columns `{}`, `{}`, `{}`, {}{epsg}", chosen.id, chosen.x, chosen.y, chosen.crs));
        for (word, n) in self.placements() {
            line(format!("{word}: {n}"));
        }
        for (reason, n) in &self.tally.unplaced {
            line(format!("  {reason}: {n}"));
        }
        for (code, n) in &self.tally.mistaken {
            line(format!("  {n} look {}", Mistaken::said(code)));
        }
        line(format!("on a border that zones share: {}", self.tally.ambiguous["shared_border"]));
        if self.tally.ambiguous["overlap"] > 0 {
            line(format!("where zones overlap: {}", self.tally.ambiguous["overlap"]));
        }
        let between = self.between();
        for (why, zones, n) in between.iter().take(BETWEEN_SHOWN) {
            let what = if *why == Why::Overlap { "overlap" } else { "border" };
            line(format!("  {what} of {}: {n}", zones.join(", ")));
        }
        if between.len() > BETWEEN_SHOWN {
            line(format!("  and between {} more sets of zones, in the JSON report", between.len() - BETWEEN_SHOWN));
        }
        if let Some(warning) = self.warning() {
            line(format!("warning: {warning}"));
        }
        line("by zone:".to_owned());
        for (code, n) in self.by_zone.iter().take(ZONES_SHOWN) {
            line(format!("  {code}: {n}"));
        }
        if self.by_zone.len() > ZONES_SHOWN {
            line(format!("  and {} more zones, in the JSON report", self.by_zone.len() - ZONES_SHOWN));
        }
        let rejected: usize = self.tally.rejects_by_code.values().sum();
        if rejected > 0 {
            line(format!("rows refused: {rejected}, kept in the output as unplaced"));
            self.tally.rejects.iter().for_each(|reject| line(format!("  {reject}")));
            if rejected > self.tally.rejects.len() {
                line(format!("  and {} more", rejected - self.tally.rejects.len()));
            }
        }
        let seconds: Vec<String> = self.seconds.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
        line(format!("seconds: {}", seconds.join(", ")));
        text
    }
}

/// A remark as [`Reject`] says it: a kept index holds it as JSON.
fn remark_text(remark: &Value) -> String {
    let word = |name: &str| remark[name].as_str().unwrap_or_default();
    let row = remark["row"].as_u64().map_or(String::new(), |row| format!(": row {row}"));
    let field = remark["field"].as_str().map_or(String::new(), |field| format!(", field `{field}`"));
    let (file, found, expected, code) = (word("file"), word("found"), word("expected"), word("code"));
    format!("{file}{row}{field}: found {found}, expected {expected} [{code}]")
}

pub(super) fn reject_json(reject: &Reject) -> Value {
    json!({
        "code": reject.code,
        "file": reject.file,
        "row": reject.row,
        "field": reject.field,
        "found": reject.found,
        "expected": reject.expected,
    })
}
