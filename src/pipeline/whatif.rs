//! What another version of a zoning would change: asked before anything does. Nothing is kept, and nothing is published.

use super::{NotPublished, Order, Prepared, Published, Purpose, ZoningUpload, prepare, publish, zoning_of};
use crate::model::{Reject, Wgs84, ZoneCode, Zoning};
use crate::steps::assign::{Placement, assign};
use crate::steps::index::ZoneIndex;
use crate::steps::publish::Release;
use crate::steps::reproject;
use crate::steps::secrecy::{Cell, NotProtectable, NotProtected};
use crate::steps::whatif::cells::{CellChange, CellFate, cells};
use crate::steps::whatif::{Changes, Fate, Flow, Mover, compare, flows, movers};
use geo::MultiPolygon;
use geo::orient::{Direction, Orient};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a proposed version of a zoning would change.
pub struct WhatIf {
    /// The zoning.
    pub zoning: String,
    /// Its version today; `None` when there is none yet.
    pub version_before: Option<String>,
    /// The version proposed.
    pub version: String,
    /// What the file of the proposal is warned for.
    pub warnings: Vec<Reject>,
    /// Zones and ground.
    pub changes: Changes,
    /// The ground that moves, as [`Changes::ground`] lists it, in degrees.
    pub ground: Vec<Wgs84<MultiPolygon>>,
    /// Establishments that change zone. For those alone who may see single establishments: no summary holds them.
    pub movers: Vec<Mover>,
    /// Whether it could be published, and what would be shown.
    pub verdict: Verdict,
}

/// Whether the proposal could be published beside everything published before.
pub enum Verdict {
    /// It could.
    Safe(Shown),
    /// Nobody asked: zones, ground and establishments alone were looked at.
    NotAsked,
    /// It could not: someone could subtract, or an unsafe cell could not be protected.
    Refused(Refusal),
}

impl Verdict {
    /// A stable word for reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Safe(_) => "safe",
            Self::NotAsked => "not_asked",
            Self::Refused(_) => "refused",
        }
    }
}

/// What would be shown.
#[derive(Debug, Default)]
pub struct Shown {
    /// Cells whose fate would be another than in the release served now; none when nothing is served.
    pub cells: Vec<CellChange>,
    /// By vintage, cells and withheld cells of the release served now.
    pub before: BTreeMap<u16, Tally>,
    /// The same of the release that would be.
    pub after: BTreeMap<u16, Tally>,
}

/// Cells of a release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cells that hold an establishment.
    pub cells: u64,
    /// Those withheld.
    pub withheld: u64,
}

/// Why the proposal could not be published.
#[derive(Debug)]
pub struct Refusal {
    /// The year-end at which it fails, where one is to blame.
    pub vintage: Option<u16>,
    /// The whole refusal, for the owner.
    pub said: String,
    /// The cells given away, for the owner.
    pub cells: Vec<String>,
    /// The zones those cells lie in.
    pub zones: Vec<String>,
    /// Changes of the cut that were tried and make it safe, the smallest first.
    pub changes: Vec<String>,
}

/// Who reads a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The owner of the data, who may see raw sums.
    Owner,
    /// A partner: ground and fates of cells, no figure of establishments, and no name of an unsafe cell.
    Partner,
}

/// Asks what would change if `proposed` took the place of the zoning of its name in the order of today.
///
/// `served` is the release served now, and `past` everything ever published. Step by step it is what a publication does,
/// up to the point where one would be kept, save two: the pattern is sought for seconds ([`Search::Glance`]), so that a
/// publication may show more of the zones that change, and a publication is audited besides.
///
/// [`Search::Glance`]: crate::steps::secrecy::Search::Glance
///
/// # Errors
/// [`NotPublished`] when a file is refused, with each reject. A cut that secrecy refuses is an answer: [`Verdict::Refused`].
pub fn what_if(
    now: &Order,
    proposed: &ZoningUpload,
    served: Option<&Release>,
    past: &[Published],
) -> Result<WhatIf, NotPublished> {
    look(now, proposed)?.judged(served, past)
}

/// A proposal whose zones, ground and establishments were looked at, which takes a moment; secrecy takes longer and comes
/// after.
pub struct Looked<'a> {
    prepared: Prepared<'a>,
    /// The codes of either version.
    codes: BTreeSet<String>,
    found: WhatIf,
}

/// The first half of [`what_if`].
///
/// # Errors
/// [`NotPublished`] when a file is refused, with each reject.
pub fn look<'a>(now: &'a Order, proposed: &'a ZoningUpload) -> Result<Looked<'a>, NotPublished> {
    let today = now.zonings.iter().find(|z| z.id == proposed.id);
    let others = now.zonings.iter().map(|z| if z.id == proposed.id { proposed } else { z });
    let uploads: Vec<&ZoningUpload> = others.chain(today.is_none().then_some(proposed)).collect();
    let prepared = prepare(now, &uploads)?;
    let at = uploads.iter().position(|z| z.id == proposed.id).expect("the proposal is among the uploads");

    let before = today.map(|today| zoning_of(today, &mut Default::default())).transpose()?;
    let (changes, movers) = moved(&prepared, at, before.as_ref());
    let contours: Vec<_> = changes.ground.iter().map(|g| &g.contour).collect();
    let ground = reproject::to_wgs84(&contours)?;
    let of_registers = |reject: &Reject| now.registers.iter().any(|r| r.name == reject.file);
    let warnings = prepared.report.rejected.iter().filter(|r| !of_registers(r)).cloned().collect();
    let zones = before.iter().flat_map(Zoning::zones).chain(prepared.zonings[at].1.zones());
    let codes = zones.map(|z| z.code.as_str().to_owned()).collect();
    let found = WhatIf {
        zoning: proposed.id.clone(),
        version_before: today.map(|z| z.version.clone()),
        version: proposed.version.clone(),
        warnings,
        changes,
        ground,
        movers,
        verdict: Verdict::NotAsked,
    };
    Ok(Looked { prepared, codes, found })
}

impl Looked<'_> {
    /// What was seen, without a verdict.
    pub fn unjudged(self) -> WhatIf {
        self.found
    }

    /// The second half of [`what_if`].
    ///
    /// # Errors
    /// [`NotPublished`] when the inputs of today cannot be published at all.
    pub fn judged(self, served: Option<&Release>, past: &[Published]) -> Result<WhatIf, NotPublished> {
        let Self { prepared, codes, found } = self;
        let WhatIf { zoning, changes, .. } = &found;
        let verdict = match publish(prepared, past, Purpose::Preview) {
            Ok(made) => Verdict::Safe(Shown {
                cells: served.map_or_else(Vec::new, |served| cells(served, &made.release, zoning, changes)),
                before: served.map(tally).unwrap_or_default(),
                after: tally(&made.release),
            }),
            Err(NotPublished::Secrecy { vintage, why }) => Verdict::Refused(Refusal::of(vintage, &why, zoning, &codes)),
            Err(why @ (NotPublished::NoVerdict(_) | NotPublished::Audit { .. })) => {
                Verdict::Refused(Refusal::unproved(&why))
            }
            Err(other) => return Err(other),
        };
        Ok(WhatIf { verdict, ..found })
    }
}

/// Zones, ground and establishments that move; none of these comes from elsewhere where there is no version before.
fn moved(prepared: &Prepared<'_>, at: usize, before: Option<&Zoning>) -> (Changes, Vec<Mover>) {
    let after = &prepared.zonings[at].1;
    let changes = compare(before, after);
    let Some(before) = before else { return (changes, Vec::new()) };
    let placed: Vec<Placement> = assign(&ZoneIndex::new(before), &prepared.x, &prepared.y);
    let movers = movers(&changes, &prepared.all.establishments, (before, &placed), (after, &prepared.placements[at]));
    (changes, movers)
}

fn tally(release: &Release) -> BTreeMap<u16, Tally> {
    let of_year = |tables: &crate::steps::secrecy::ProtectedTables| {
        let mut tally = Tally::default();
        for (_, cell) in tables.iter().flat_map(|table| table.cells()) {
            tally.cells += 1;
            tally.withheld += u64::from(cell == Cell::Suppressed);
        }
        tally
    };
    release.vintages.iter().map(|(year, tables)| (*year, of_year(tables))).collect()
}

impl Refusal {
    fn of(vintage: u16, why: &NotProtected, zoning: &str, codes: &BTreeSet<String>) -> Self {
        let (cells, changes) = match why {
            NotProtected::GivenAway { cells, changes } => {
                (cells.clone(), changes.iter().map(ToString::to_string).collect())
            }
            NotProtected::NotRevisable { cells, .. } => (cells.clone(), Vec::new()),
            NotProtected::NotProtectable(
                NotProtectable::Hopeless { table, cell } | NotProtectable::Remainder { table, cell },
            ) => (vec![format!("{table}: {cell}")], Vec::new()),
            NotProtected::NotTabulable(_) | NotProtected::OtherMicrodata { .. } => (Vec::new(), Vec::new()),
        };
        let zones = codes.iter().filter(|code| cells.iter().any(|cell| names(cell, zoning, code))).cloned().collect();
        Self { vintage: Some(vintage), said: why.to_string(), cells, zones, changes }
    }

    /// The audit says no, or gives no verdict: as when what was published before tells too much by today's policy.
    fn unproved(why: &NotPublished) -> Self {
        let vintage = match why {
            NotPublished::Audit { vintage, .. } => Some(*vintage),
            NotPublished::Unreadable(_)
            | NotPublished::Zoning(_)
            | NotPublished::Policy(_)
            | NotPublished::Secrecy { .. }
            | NotPublished::PartnersForgotten { .. }
            | NotPublished::NoVerdict(_)
            | NotPublished::MetTwice { .. }
            | NotPublished::Empty => None,
        };
        Self { vintage, said: why.to_string(), cells: Vec::new(), zones: Vec::new(), changes: Vec::new() }
    }
}

/// Whether the name of a cell has `zoning=code` in it, be it of an earlier release (`after1/zoning=code`).
fn names(cell: &str, zoning: &str, code: &str) -> bool {
    let place = format!("{zoning}={code}");
    cell.match_indices(&place).any(|(start, _)| {
        let before = cell[..start].chars().next_back();
        let after = &cell[start + place.len()..];
        before.is_none_or(|c| c == ' ' || c == '/') && (after.is_empty() || after.starts_with(' '))
    })
}

/// Seven decimals of a degree are about a centimetre.
const STEPS_A_DEGREE: f64 = 1e7;

impl WhatIf {
    /// Whether it was refused.
    pub fn is_refused(&self) -> bool {
        matches!(self.verdict, Verdict::Refused(_))
    }

    /// Movers by vintage and pair of zones: raw sums, for the owner.
    pub fn flows(&self) -> Vec<Flow> {
        flows(&self.movers)
    }

    /// The summary as JSON. No single establishment is in it, whoever reads.
    pub fn json(&self, reader: Reader) -> Value {
        let mut fates = Map::new();
        for fate in [Fate::Moved.code(), Fate::Appeared.code(), Fate::Vanished.code(), "renamed", "unchanged"] {
            fates.insert(fate.to_owned(), self.changes.count(fate).into());
        }
        let zones = self.changes.zones.iter().filter(|z| z.fate != Fate::Unchanged || z.label_before.is_some());
        let zones = zones.map(|zone| {
            json!({
                "code": zone.code.as_str(),
                "label": zone.label,
                "label_before": zone.label_before,
                "fate": zone.fate.code(),
                "code_before": zone.fate.code_before().map(ZoneCode::as_str),
                "gained_m2": tenths(zone.gained_m2),
                "lost_m2": tenths(zone.lost_m2),
            })
        });
        let ground = self.changes.ground.iter();
        let ground = ground.map(|g| json!({ "from": text(&g.from), "to": text(&g.to), "area_m2": tenths(g.area_m2) }));
        let noise = self.changes.noise;
        let warnings = self.warnings.iter().map(ToString::to_string);
        let mut json = json!({
            "zoning": self.zoning,
            "version_before": self.version_before,
            "version": self.version,
            "verdict": self.verdict.code(),
            "warnings": warnings.collect::<Vec<_>>(),
            "zones": { "count": fates, "changes": zones.collect::<Vec<_>>() },
            "ground": ground.collect::<Vec<_>>(),
            "noise": { "parts": noise.parts, "area_m2": tenths(noise.area_m2) },
        });
        if reader == Reader::Owner {
            let flows = self.flows();
            let flows = flows.iter().map(|flow| {
                json!({
                    "millesime": flow.vintage,
                    "from": text(&flow.from),
                    "to": text(&flow.to),
                    "establishments": flow.establishments,
                    "headcount": flow.headcount,
                })
            });
            json["establishments"] = flows.collect();
        }
        match &self.verdict {
            Verdict::NotAsked => {}
            Verdict::Safe(shown) => json["cells"] = shown.json(),
            Verdict::Refused(refusal) => {
                let mut refused =
                    json!({ "millesime": refusal.vintage, "zones": refusal.zones, "changes": refusal.changes });
                if reader == Reader::Owner {
                    refused["cells"] = json!(refusal.cells);
                    refused["said"] = json!(refusal.said);
                }
                json["refusal"] = refused;
            }
        }
        json
    }

    /// The ground that moves, as GeoJSON to lay over a map: each pair of zones a feature with `from`, `to` and `area_m2`.
    pub fn geojson(&self) -> Value {
        let features = self.changes.ground.iter().zip(&self.ground).map(|(ground, contour)| {
            let round = |v: f64| (v * STEPS_A_DEGREE).round() / STEPS_A_DEGREE;
            let ring = |ring: &geo::LineString| ring.0.iter().map(|c| [round(c.x), round(c.y)]).collect::<Vec<_>>();
            let contour = contour.degrees().orient(Direction::Default);
            let polygons: Vec<Vec<_>> = contour
                .iter()
                .map(|p| std::iter::once(p.exterior()).chain(p.interiors()).map(ring).collect())
                .collect();
            json!({
                "type": "Feature",
                "geometry": { "type": "MultiPolygon", "coordinates": polygons },
                "properties": { "from": text(&ground.from), "to": text(&ground.to), "area_m2": tenths(ground.area_m2) },
            })
        });
        json!({ "type": "FeatureCollection", "features": features.collect::<Vec<_>>() })
    }

    /// The establishments that change zone, as CSV. It names single establishments: it is for the owner alone.
    pub fn movers_csv(&self) -> String {
        let mut csv = String::from("siret,millesime,source,from,to,headcount\n");
        for Mover { siret, vintage, source, headcount, from, to } in &self.movers {
            let heads = headcount.map(|h| h.employees().to_string()).unwrap_or_default();
            let code = |code: &Option<ZoneCode>| code.as_ref().map(|c| quoted(c.as_str())).unwrap_or_default();
            csv += &format!("{siret},{vintage},{},{},{},{heads}\n", source.code(), code(from), code(to));
        }
        csv
    }
}

impl Shown {
    /// Cells with this fate.
    pub fn count(&self, fate: CellFate) -> usize {
        self.cells.iter().filter(|cell| cell.fate == fate).count()
    }

    fn json(&self) -> Value {
        let mut counts = Map::new();
        for fate in CellFate::ALL {
            counts.insert(fate.code().to_owned(), self.count(fate).into());
        }
        let tally = |side: &BTreeMap<u16, Tally>| -> Map<String, Value> {
            let of_year = |(year, tally): (&u16, &Tally)| {
                (year.to_string(), json!({ "cells": tally.cells, "withheld": tally.withheld }))
            };
            side.iter().map(of_year).collect()
        };
        let changes = self.cells.iter().map(|c| {
            json!({ "millesime": c.vintage, "table": c.table, "zone": c.zone, "cell": c.cell, "fate": c.fate.code() })
        });
        json!({
            "count": counts,
            "before": tally(&self.before),
            "after": tally(&self.after),
            "changes": changes.collect::<Vec<_>>(),
        })
    }
}

fn text(code: &Option<ZoneCode>) -> Option<&str> {
    code.as_ref().map(ZoneCode::as_str)
}

/// Contours are drawn to the decimetre at best.
fn tenths(area_m2: f64) -> f64 {
    (area_m2 * 10.0).round() / 10.0
}

/// A field of a CSV file, quoted where its characters ask for it.
pub(crate) fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
