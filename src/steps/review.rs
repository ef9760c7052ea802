//! Which establishments people should look at: the largest of each sector, and those whose place is in doubt.

pub mod decisions;

use std::collections::{BTreeMap, HashMap};

use crate::model::establishment::{GeocodeQuality, Unplaced};
use crate::model::reject::csv_cell;
use crate::model::{Crs, Establishment, Siret, Unreadable, Zoning};
use crate::steps::assign::{Placed, place};
use crate::steps::index::ZoneIndex;
use crate::steps::reproject::Reprojector;
use decisions::{Act, Date, Decision, Decisions, Spot};

/// What is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// How many of the largest of each zone: the agreement of Dijon says at least 20 a year.
    pub top: usize,
    /// Metres to a border within which a place is in doubt.
    pub near_m: f64,
    /// The first day of the campaign: a decision made before it is not done again yet. `None` counts every decision.
    pub since: Option<Date>,
}

/// Largest establishments a zone, unless the operator says otherwise (agreement Urssaf, Dijon métropole, article 2.1).
pub const TOP: usize = 20;
/// Metres to a border, unless the operator says otherwise: the depth of a building and half a street.
pub const NEAR_M: f64 = 25.0;
/// Metres by which a point at random on its street may be off: most streets of a town are shorter.
const STREET_M: f64 = 300.0;
/// Metres by which a confirmed place may differ from the register's before it is to be confirmed again.
const CONFIRMED_M: f64 = 50.0;

/// Why a place is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Nearer to a border than the terms allow, on either side of it.
    NearBorder,
    /// Geocoded to a street that is only probable (`qualite_xy` 21, 22), or at random on its street (12) with a border
    /// within reach of that street.
    PoorGeocode,
    /// Without a usable place.
    Unplaced(Unplaced),
}

impl Doubt {
    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::NearBorder => "near_border",
            Self::PoorGeocode => "poor_geocode",
            Self::Unplaced(why) => why.code(),
        }
    }
}

/// An establishment to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its place among the establishments given.
    pub establishment: usize,
    /// The zone it is in, by its place in the zoning.
    pub zone: Option<u32>,
    /// Its rank in its list, from 1.
    pub rank: usize,
    /// Why its place is in doubt, if it is.
    pub doubts: Vec<Doubt>,
    /// Metres to the nearest border.
    pub distance_m: Option<f64>,
    /// Its place in EPSG:2154.
    pub at: Option<(f64, f64)>,
    /// Whether a decision of the campaign is there, and still holds.
    pub done: bool,
}

/// What there is to look at, and how far people have come.
#[derive(Debug, Clone, PartialEq)]
pub struct Worklist {
    /// The year-end it is about: the last of the register.
    pub vintage: Option<u16>,
    /// The largest of each zone, zone by zone.
    pub largest: Vec<Line>,
    /// Those in doubt, by headcount.
    pub ambiguous: Vec<Line>,
    /// For each zone, how many of its largest there are, and how many are done.
    pub completion: Vec<(usize, usize)>,
    /// Confirmed establishments that the register now places elsewhere. For the owner alone.
    pub moved_since: Vec<Siret>,
}

/// How many lines are done.
pub fn done(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.done).count()
}

/// The share that is done; all of it where there is nothing to do.
pub fn rate(done: usize, of: usize) -> f64 {
    if of == 0 { 1.0 } else { done as f64 / of as f64 }
}

/// Makes the list of the last year-end of a register to which decisions were applied. An establishment that stands in both
/// lists is there twice.
///
/// # Errors
/// A system of coordinates that PROJ does not know.
pub fn worklist(
    all: &[Establishment],
    zoning: &Zoning,
    decisions: &Decisions,
    terms: &Terms,
) -> Result<Worklist, Unreadable> {
    let vintage = all.iter().map(|e| e.vintage).max();
    let of_year: Vec<usize> = (0..all.len()).filter(|&at| Some(all[at].vintage) == vintage).collect();
    let mut ways = Ways::default();
    let mut places = Vec::with_capacity(of_year.len());
    for &at in &of_year {
        places.push(match &all[at].place {
            Ok(declared) => {
                let (x, y) = declared.geometry;
                ways.to(&declared.crs)?.point(x, y).ok_or(Unplaced::OutsideCrs)
            }
            Err(why) => Err(*why),
        });
    }
    let axis = |f: fn((f64, f64)) -> f64| places.iter().map(|at| at.map_or(f64::NAN, f)).collect::<Vec<f64>>();
    let (x, y) = (axis(|at| at.0), axis(|at| at.1));
    // The tree alone tells distances, and a register is no mass of points.
    let index = ZoneIndex::for_points(zoning, 0);
    let placed = place(&index, &x, &y, 1);
    let last = decisions.last();

    let mut lines = Vec::with_capacity(of_year.len());
    let mut moved_since = Vec::new();
    for ((&establishment, (at, placed)), (&x, &y)) in
        of_year.iter().zip(places.iter().zip(placed.iter())).zip(x.iter().zip(&y))
    {
        let e = &all[establishment];
        let zone = match placed {
            Placed::Inside(zone) | Placed::Overlap(zone) | Placed::OnBorder(zone) => Some(zone),
            Placed::Outside => None,
        };
        let distance_m = at.is_ok().then(|| index.distance_m(x, y)).filter(|metres| metres.is_finite());
        let mut doubts = Vec::new();
        match at {
            Err(why) => doubts.push(Doubt::Unplaced(*why)),
            Ok(_) => {
                if distance_m.is_some_and(|metres| metres <= terms.near_m) {
                    doubts.push(Doubt::NearBorder);
                }
                let poor = match e.quality {
                    None | Some(GeocodeQuality::SureNumber) => false,
                    Some(GeocodeQuality::SureStreet) => distance_m.is_some_and(|metres| metres <= STREET_M),
                    Some(
                        GeocodeQuality::ProbableNumber
                        | GeocodeQuality::ProbableStreet
                        | GeocodeQuality::RandomInCommune,
                    ) => true,
                };
                if zone.is_some() && poor {
                    doubts.push(Doubt::PoorGeocode);
                }
            }
        }
        let mut done = false;
        if let Some(decision) = last.get(&e.siret) {
            let still = still_holds(decision, at.ok(), &mut ways)?;
            if !still {
                moved_since.push(e.siret);
            }
            done = still && terms.since.is_none_or(|since| decision.date >= since);
        }
        lines.push(Line { establishment, zone, rank: 0, doubts, distance_m, at: at.ok(), done });
    }
    // Equal headcounts go by SIRET and site, so that the order of rows decides nothing.
    let size = |line: &Line| {
        let e = &all[line.establishment];
        (std::cmp::Reverse(e.headcount), e.siret, e.site)
    };
    lines.sort_by_key(size);
    let mut largest: Vec<Line> = Vec::new();
    let mut taken = vec![0; zoning.zones().len()];
    for line in &lines {
        let Some(zone) = line.zone.map(|zone| zone as usize) else { continue };
        if taken[zone] < terms.top {
            taken[zone] += 1;
            largest.push(Line { rank: taken[zone], ..line.clone() });
        }
    }
    largest.sort_by_key(|line| (line.zone, line.rank));
    let done = |zone: usize| largest.iter().filter(|line| line.zone == Some(zone as u32) && line.done).count();
    let completion = taken.iter().enumerate().map(|(zone, &of)| (of, done(zone))).collect();
    let mut ambiguous: Vec<Line> = lines.into_iter().filter(|line| !line.doubts.is_empty()).collect();
    (1..).zip(&mut ambiguous).for_each(|(rank, line)| line.rank = rank);
    moved_since.sort_unstable();
    moved_since.dedup();
    Ok(Worklist { vintage, largest, ambiguous, completion, moved_since })
}

/// A confirmed spot holds while the register says about the same; what was decided otherwise was applied, and holds.
fn still_holds(decision: &Decision, at: Option<(f64, f64)>, ways: &mut Ways) -> Result<bool, Unreadable> {
    let Act::Confirm(Some(Spot { x, y, epsg })) = decision.act else { return Ok(true) };
    let confirmed = ways.to(&Crs::Epsg(epsg))?.point(x, y);
    let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).hypot(a.1 - b.1) <= CONFIRMED_M;
    Ok(confirmed.zip(at).is_some_and(|(confirmed, at)| near(confirmed, at)))
}

/// The ways to metres, each prepared once.
#[derive(Default)]
struct Ways(HashMap<Crs, Reprojector>);

impl Ways {
    fn to(&mut self, crs: &Crs) -> Result<&Reprojector, Unreadable> {
        if !self.0.contains_key(crs) {
            self.0.insert(crs.clone(), Reprojector::new(crs)?);
        }
        Ok(&self.0[crs])
    }
}

impl Worklist {
    /// How many of those in doubt have each doubt, by its code.
    pub fn by_doubt(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        let doubts = self.ambiguous.iter().flat_map(|line| &line.doubts);
        doubts.for_each(|doubt| *counts.entry(doubt.code()).or_default() += 1);
        counts
    }

    /// The list as CSV, for those who review. It names establishments and their headcounts: for the owner alone.
    pub fn csv(&self, all: &[Establishment], zoning: &Zoning, decisions: &Decisions) -> String {
        let last = decisions.last();
        let mut text =
            "list,zone,zone_label,rank,siret,site,naf,headcount,doubts,distance_m,qualite_xy,x,y,epsg,decision,\
                        author,date,done\n"
                .to_owned();
        let lists = [("largest", &self.largest), ("ambiguous", &self.ambiguous)];
        for (list, line) in lists.into_iter().flat_map(|(list, lines)| lines.iter().map(move |line| (list, line))) {
            let e = &all[line.establishment];
            let zone = line.zone.map(|zone| &zoning.zones()[zone as usize]);
            let doubts: Vec<&str> = line.doubts.iter().map(|doubt| doubt.code()).collect();
            let decision = last.get(&e.siret);
            let text_of = |value: Option<String>| value.unwrap_or_default();
            let cells = [
                list.to_owned(),
                text_of(zone.map(|zone| csv_cell(zone.code.as_str()))),
                text_of(zone.map(|zone| csv_cell(&zone.label))),
                line.rank.to_string(),
                e.siret.to_string(),
                e.site.to_string(),
                e.naf.to_string(),
                text_of(e.headcount.map(|headcount| headcount.employees().to_string())),
                doubts.join(" "),
                text_of(line.distance_m.map(|metres| format!("{metres:.1}"))),
                text_of(e.quality.map(|quality| quality.code().to_string())),
                text_of(line.at.map(|(x, _)| format!("{x:.2}"))),
                text_of(line.at.map(|(_, y)| format!("{y:.2}"))),
                text_of(line.at.map(|_| "2154".to_owned())),
                text_of(decision.map(|decision| decision.act.code().to_owned())),
                text_of(decision.map(|decision| csv_cell(&decision.author))),
                text_of(decision.map(|decision| decision.date.to_string())),
                if line.done { "yes" } else { "no" }.to_owned(),
            ];
            text += &cells.join(",");
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Declared, Register, ZoneRecord};
    use crate::steps::read::register::{RegisterOptions, register};
    use crate::steps::review::decisions::apply;
    use crate::steps::{reproject, validate::validate};

    /// Two squares of a kilometre side by side: `A` west of `B`.
    fn zoning() -> Zoning {
        let square = |record: usize, code: &str, west: f64| {
            let corners = [(0.0, 0.0), (1000.0, 0.0), (1000.0, 1000.0), (0.0, 1000.0), (0.0, 0.0)];
            let ring = geo::LineString::from_iter(corners.map(|(x, y)| (852_000.0 + west + x, 6_690_000.0 + y)));
            let geometry = geo::MultiPolygon(vec![geo::Polygon::new(ring, vec![])]);
            let contour = Declared { crs: Crs::LAMBERT93, geometry };
            ZoneRecord { record, code: code.to_owned(), label: None, contour }
        };
        let zones = reproject::zones(vec![square(1, "A", 0.0), square(2, "B", 1000.0)]).unwrap();
        validate("squares", zones.accepted, None).unwrap().0
    }

    const SIRETS: [&str; 5] =
        ["73282932000074", "35600000049837", "35600000000048", "99000012700011", "99000012700029"];

    fn register_of(rows: &[(usize, u32, &str)]) -> Register {
        let line = |&(siret, people, place): &(usize, u32, &str)| {
            format!("{},{people},4711F,2024,urssaf,{place}\n", SIRETS[siret])
        };
        let rows: String = rows.iter().map(line).collect();
        let text = format!("siret,effectif,naf,millesime,source,x,y,qualite_xy\n{rows}");
        let read = register("r", text.into_bytes().into(), &RegisterOptions::default()).unwrap();
        assert_eq!(read.rejected, []);
        Register { establishments: read.accepted }
    }

    fn rows() -> Register {
        register_of(&[
            (0, 10, "852500,6690299,12"), // at random on a street, 299 m from the outside
            (1, 30, "852500,6690301,12"), // 301 m
            (2, 20, "852976,6690500,11"), // 24 m from B, and from nothing else
            (3, 50, "853974,6690500,22"), // 26 m from the outside, on a probable street
            (4, 40, "852500,6690500,33"),
        ])
    }

    fn terms() -> Terms {
        Terms { top: 2, near_m: 25.0, since: None }
    }

    fn said(lines: &[Line], all: &Register) -> Vec<String> {
        let said = |line: &Line| {
            let e = &all.establishments[line.establishment];
            let doubts: Vec<&str> = line.doubts.iter().map(|doubt| doubt.code()).collect();
            let done = if line.done { " done" } else { "" };
            format!("{} {} {}{done}", line.rank, e.headcount.unwrap().employees(), doubts.join("+"))
        };
        lines.iter().map(said).collect()
    }

    #[test]
    fn the_largest_of_each_zone_and_those_in_doubt_are_listed_by_headcount() {
        let (all, zoning) = (rows(), zoning());
        let list = worklist(&all.establishments, &zoning, &Decisions::default(), &terms()).unwrap();
        assert_eq!(said(&list.largest, &all), ["1 30 ", "2 20 near_border", "1 50 poor_geocode"]);
        assert_eq!(
            said(&list.ambiguous, &all),
            ["1 50 poor_geocode", "2 40 random_in_commune", "3 20 near_border", "4 10 poor_geocode"]
        );
        assert_eq!(list.completion, [(2, 0), (1, 0)]);
        let csv = list.csv(&all.establishments, &zoning, &Decisions::default());
        assert_eq!(
            csv.lines().nth(2),
            Some("largest,A,A,2,35600000000048,0,47.11F,20,near_border,24.0,11,852976.00,6690500.00,2154,,,,no")
        );
        assert_eq!(csv.lines().count(), 1 + 3 + 4);
    }

    #[test]
    fn decisions_survive_the_next_register_and_count_from_the_day_the_campaign_begins() {
        let text = "siret,decision,x,y,epsg,share,since,author,date,reason\n\
                    35600000049837,confirm,852500,6690301,2154,,,Ana,2026-02-01,seen\n\
                    35600000000048,move,853500,6690500,2154,,,Ana,2025-02-01,the other side\n\
                    99000012700011,confirm,853500,6690500,2154,,,Ana,2026-02-01,seen\n";
        let decisions = Decisions::read("d", text.as_bytes().to_vec().into()).unwrap();
        let mut all = rows();
        apply(&decisions, &mut all);
        let zoning = zoning();
        let list = worklist(&all.establishments, &zoning, &decisions, &terms()).unwrap();
        // The third was confirmed 474 m from where the register has it now.
        assert_eq!(said(&list.largest, &all), ["1 30  done", "2 10 poor_geocode", "1 50 poor_geocode", "2 20  done"]);
        assert_eq!(list.completion, [(2, 1), (2, 1)]);
        assert_eq!(list.moved_since, [SIRETS[3].parse().unwrap()]);
        let since = "2026-01-01".parse().ok();
        let campaign = worklist(&all.establishments, &zoning, &decisions, &Terms { since, ..terms() }).unwrap();
        assert_eq!(campaign.completion, [(2, 1), (2, 0)]);
    }
}
