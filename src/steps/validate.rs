//! Step 3: zones in metres become a zoning, once codes are unique and contours are sound.
//!
//! Faults that would place a point wrongly refuse the whole; overlaps and gaps are reported, since the border rule and
//! the answer "outside" cover them. Nothing is mended here: [`super::repair`] does that where the operator asks.

mod contour;
mod overlay;
mod topology;

pub use contour::RING_AREA_MIN_M2;
pub(super) use contour::{between, open, side};
pub(super) use overlay::{distance_m, foot};
pub use topology::{FINDINGS_MAX, FINDINGS_SHOWN, FRAGMENT_M2, Finding, Kind, OVERLAY_TOLERANCE_M2, SLIVER_WIDTH_M};
pub use topology::{Severity, TopologyReport};

use crate::model::{Lambert93, Reject, Unreadable, Zone, ZoneCode, Zoning};
use crate::steps::repair;
use geo::orient::{Direction, Orient};
use geo::{CoordsIter, LineString, MultiPolygon, Polygon, unary_union};
use overlay::Ground;
use std::collections::HashMap;

/// A zone as reprojection gives it: its code unread, its contour unjudged.
#[derive(Debug, Clone)]
pub struct ZoneInMetres {
    /// Place in the file, from 1.
    pub record: usize,
    /// The value of the code field.
    pub code: String,
    /// The value of the label field, when there is one.
    pub label: Option<String>,
    /// The contour, in EPSG:2154.
    pub contour: Lambert93<MultiPolygon>,
}

/// What the operator knows of the zones, and what to look for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checks<'a> {
    /// The number of zones there must be.
    pub expected: Option<usize>,
    /// The ground they must lie on; not looked at when they are judged alone.
    pub territory: Option<&'a Lambert93<MultiPolygon>>,
    /// Whether to leave overlaps and gaps aside: they refuse nothing and take longer than the rest.
    pub alone: bool,
}

/// The answer no: what is wrong, and what could still be said of the contours.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Each fault, in the order of the records.
    pub errors: Vec<Reject>,
    /// As much as could be found out, the faults included.
    pub topology: TopologyReport,
}

/// Pairs of edges that are looked at in one layer. The communes of France have some three hundred million; only a file
/// made to keep a machine busy has more than this.
const EDGE_PAIRS_MAX: usize = 800_000_000;

/// What is left of the work one layer may ask for.
pub(super) struct Budget(usize);

impl Budget {
    fn new() -> Self {
        Self(EDGE_PAIRS_MAX)
    }
    /// Takes some of it; false once there is none left.
    fn spend(&mut self, work: usize) -> bool {
        let enough = self.0 >= work;
        self.0 = self.0.saturating_sub(work);
        enough
    }
}

/// Judges zones and makes a zoning of them.
///
/// `layer` names the source in messages. `expected` is the number of zones the operator knows there must be. All faults are
/// returned together: codes that are no codes, codes met twice, rings that are too short, flat or cross, a wrong count.
pub fn validate(
    layer: &str,
    zones: Vec<ZoneInMetres>,
    expected: Option<usize>,
) -> Result<(Zoning, TopologyReport), Box<Refused>> {
    validate_against(layer, zones, &Checks { expected, ..Checks::default() })
}

/// The same without looking for overlaps and gaps, which refuse nothing and take longer than the rest.
pub fn validate_alone(
    layer: &str,
    zones: Vec<ZoneInMetres>,
    expected: Option<usize>,
) -> Result<(Zoning, TopologyReport), Box<Refused>> {
    validate_against(layer, zones, &Checks { expected, alone: true, ..Checks::default() })
}

/// Judges zones against all that the operator knows of them.
///
/// # Errors
/// Every fault, with the record it is in, beside the topology of what has ground.
pub fn validate_against(
    layer: &str,
    zones: Vec<ZoneInMetres>,
    checks: &Checks<'_>,
) -> Result<(Zoning, TopologyReport), Box<Refused>> {
    let mut errors = Vec::new();
    let mut topology = TopologyReport::default();
    let mut budget = Budget::new();
    let mut made: Vec<Zone> = Vec::new();
    let mut grounds: Vec<Ground> = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    let total = zones.len();
    for zone in zones {
        let reject =
            |code, found: String, expected: &str| Unreadable::record(code, layer, zone.record, found, expected).0;
        let contour = zone.contour.metres().orient(Direction::Default);
        let judged = contour::judge(&zone.code, &contour, &mut budget);
        let torn = !judged.faults.is_empty();
        for fault in judged.faults {
            errors.push(reject(fault.kind.code(), format!("zone `{}`: {}", zone.code, fault.found), fault.expected));
            fault.findings.into_iter().for_each(|finding| topology.add(finding));
        }
        judged.findings.into_iter().for_each(|finding| topology.add(finding));
        if !checks.alone {
            let shape = if torn { ground_within(&contour, &mut budget) } else { Some(contour.clone()) };
            grounds.extend(shape.map(|shape| Ground { record: zone.record, code: zone.code.clone(), shape }));
        }
        let at = |kind| Finding {
            kind,
            zones: vec![zone.code.clone()],
            area_m2: 0.0,
            place: contour.0.first().and_then(|p| p.exterior().0.first()).map(|c| c.x_y()),
            shape: MultiPolygon(vec![]),
        };
        let code: ZoneCode = match zone.code.parse() {
            Ok(code) => code,
            Err(e) => {
                topology.add(at(Kind::BadCode));
                errors.push(reject(Kind::BadCode.code(), e.to_string(), "a code of 1 to 64 printable characters"));
                continue;
            }
        };
        if let Some(other) = first.get(code.as_str()) {
            topology.add(at(Kind::DuplicateCode));
            errors.push(reject(
                Kind::DuplicateCode.code(),
                format!("the code `{code}`, which record {other} has too"),
                "a code for each zone",
            ));
        } else {
            first.insert(code.as_str().to_owned(), zone.record);
        }
        let label = zone.label.unwrap_or_else(|| code.as_str().to_owned());
        made.push(Zone { code, label, contour: Lambert93::vouch(contour) });
    }
    let mut whole = |kind: Kind, found: String, expected: String| {
        let (zones, area_m2, shape) = (vec![], 0.0, MultiPolygon(vec![]));
        topology.add(Finding { kind, zones, area_m2, place: None, shape });
        errors.push(Unreadable::file(kind.code(), layer, found, expected).0);
    };
    match checks.expected {
        Some(expected) if expected != total => {
            let difference = if total < expected {
                format!("{} missing", expected - total)
            } else {
                format!("{} too many", total - expected)
            };
            whole(Kind::ZoneCount, format!("{total} zones ({difference})"), format!("{expected} zones"));
        }
        _ if total == 0 => whole(Kind::NoZone, "no zone".into(), "at least one zone".into()),
        _ => {}
    }
    topology.zones = made.len();
    topology.vertices = made.iter().map(|z| z.contour.metres().coords_count()).sum();
    topology.area_m2 = made.iter().map(|z| z.contour.area_m2()).sum();
    if !checks.alone {
        let outside = overlay::lay(&grounds, checks.territory.map(Lambert93::metres), &mut budget, &mut topology);
        errors.extend(outside.into_iter().map(|ground| {
            let found = format!("zone `{}` without ground in the territory", ground.code);
            let expected = "zones of this territory; is it the right file?";
            Unreadable::record(Kind::OutsideTerritory.code(), layer, ground.record, found, expected).0
        }));
        errors.sort_by_key(|error| error.row.unwrap_or(usize::MAX));
    }
    topology.sort();
    if errors.is_empty() { Ok((Zoning::vouch(made), topology)) } else { Err(Box::new(Refused { errors, topology })) }
}

/// Whether a contour has no fault of its own.
pub(super) fn is_sound(contour: &MultiPolygon) -> bool {
    contour::judge("", contour, &mut Budget::new()).faults.is_empty()
}

/// The union of contours that may overlap, rounded to a tenth of a millimetre; none for a tangle that would take all memory.
pub(super) fn united<'a>(contours: impl Iterator<Item = &'a MultiPolygon> + Clone) -> Option<MultiPolygon> {
    overlay::cross_rarely(contours.clone(), &mut Budget::new()).then(|| unary_union(contours))
}

/// The ground of a contour whose rings cross or disagree: what they enclose an odd number of times. None when no ring
/// encloses any, and for a tangle.
pub(super) fn ground_of(contour: &MultiPolygon) -> Option<MultiPolygon> {
    ground_within(contour, &mut Budget::new())
}

fn ground_within(contour: &MultiPolygon, budget: &mut Budget) -> Option<MultiPolygon> {
    let encloses = |ring: &&LineString| {
        let vertices = open(ring);
        vertices.len() >= 3 && contour::leaves_its_line(&vertices)
    };
    let polygon = |p: &Polygon| {
        let exterior = Some(p.exterior()).filter(encloses)?.clone();
        Some(Polygon::new(exterior, p.interiors().iter().filter(encloses).cloned().collect()))
    };
    let rings = MultiPolygon(contour.iter().filter_map(polygon).collect());
    let ground = contour::judge("", &rings, budget).has_ground.then(|| repair::made_valid(&rings))?;
    (!ground.0.is_empty()).then_some(ground)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Crs;
    use crate::steps::read::{Files, ZoneOptions, zones};
    use geo::Area;

    fn zone(record: usize, code: &str, rings: &[&[(f64, f64)]]) -> ZoneInMetres {
        let mut rings = rings.iter().map(|ring| LineString::from(ring.to_vec()));
        let polygon = Polygon::new(rings.next().unwrap(), rings.collect());
        parts(record, code, vec![polygon])
    }

    fn parts(record: usize, code: &str, parts: Vec<Polygon>) -> ZoneInMetres {
        ZoneInMetres { record, code: code.into(), label: None, contour: Lambert93::vouch(MultiPolygon(parts)) }
    }

    fn rectangle_at(x: f64, y: f64, width: f64, height: f64) -> Vec<(f64, f64)> {
        vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    }

    fn square(record: usize, code: &str, x: f64, y: f64) -> ZoneInMetres {
        zone(record, code, &[&rectangle_at(x, y, 100.0, 100.0)])
    }

    fn errors(zones: Vec<ZoneInMetres>, expected: Option<usize>) -> Vec<String> {
        match validate("layer", zones, expected) {
            Ok(_) => vec![],
            Err(refused) => refused.errors.iter().map(ToString::to_string).collect(),
        }
    }

    fn findings(zones: Vec<ZoneInMetres>) -> Vec<(Kind, Vec<String>, i64)> {
        let (_, report) = validate("layer", zones, None).unwrap();
        report.findings.into_iter().map(|f| (f.kind, f.zones, f.area_m2.round() as i64)).collect()
    }

    #[test]
    fn a_ring_may_touch_itself_but_not_cross() {
        for (name, ring, verdict) in [
            ("square", &[(0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0), (0.0, 0.0)][..], "sound"),
            ("bow-tie", &[(0.0, 0.0), (9.0, 9.0), (9.0, 0.0), (0.0, 6.0), (0.0, 0.0)], "ring_crosses"),
            (
                "bow-tie through a vertex",
                &[(0.0, 0.0), (4.0, 4.0), (9.0, 9.0), (9.0, 0.0), (4.0, 4.0), (0.0, 9.0), (0.0, 0.0)],
                "ring_crosses",
            ),
            (
                "two lobes that touch",
                &[(0.0, 0.0), (4.0, 4.0), (9.0, 0.0), (9.0, 9.0), (4.0, 4.0), (0.0, 9.0), (0.0, 0.0)],
                "touches",
            ),
            (
                "a vertex on a side",
                &[(0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (5.0, 0.0), (0.0, 9.0), (0.0, 0.0)],
                "touches",
            ),
            (
                "a vertex through a side",
                &[(0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (5.0, 0.0), (4.0, -3.0), (0.0, 9.0), (0.0, 0.0)],
                "ring_crosses",
            ),
            ("a spike", &[(0.0, 0.0), (9.0, 0.0), (12.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 0.0)], "touches"),
            ("repeated points", &[(0.0, 0.0), (9.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 0.0), (0.0, 0.0)], "sound"),
            ("unclosed", &[(0.0, 0.0), (9.0, 0.0), (9.0, 9.0)], "sound"),
            ("two points", &[(0.0, 0.0), (9.0, 0.0), (0.0, 0.0)], "ring_too_short"),
            ("one point", &[(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)], "ring_too_short"),
            ("empty", &[], "ring_too_short"),
            ("flat", &[(0.0, 0.0), (9.0, 0.0), (4.0, 0.0), (0.0, 0.0)], "ring_flat"),
        ] {
            let found = match validate("layer", vec![zone(1, "A", &[ring])], None) {
                Ok((_, report)) if report.findings.iter().any(|f| f.kind == Kind::SelfTouch) => "touches",
                Ok(_) => "sound",
                Err(refused) => refused.errors[0].code,
            };
            assert_eq!(found, verdict, "{name}");
        }
    }

    #[test]
    fn the_place_of_a_crossing_is_told() {
        let bow_tie = zone(7, "S-1", &[&[(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0), (0.0, 0.0)]]);
        let message = &errors(vec![bow_tie], None)[0];
        assert!(message.contains("row 7") && message.contains("`S-1`") && message.contains("(5.0, 5.0)"), "{message}");
    }

    #[test]
    fn the_rings_of_a_zone_agree_with_each_other() {
        let outer = rectangle_at(0.0, 0.0, 100.0, 100.0);
        for (hole, verdict) in [
            (rectangle_at(10.0, 10.0, 10.0, 10.0), None),
            (vec![(0.0, 0.0), (50.0, 20.0), (20.0, 50.0), (0.0, 0.0)], None), // touches a corner
            (rectangle_at(90.0, 10.0, 20.0, 10.0), Some("ring_crosses")),
            (rectangle_at(200.0, 10.0, 10.0, 10.0), Some("rings_disagree")),
            (vec![(10.0, 10.0), (20.0, 10.0), (15.0, 10.0), (10.0, 10.0)], Some("ring_flat")),
        ] {
            let verdict_found =
                validate("layer", vec![zone(1, "A", &[&outer, &hole])], None).err().map(|r| r.errors[0].code);
            assert_eq!(verdict_found, verdict, "{hole:?}");
        }
        let part = |x| Polygon::new(rectangle_at(x, 0.0, 10.0, 10.0).into(), vec![]);
        for (second, verdict) in
            [(10.0, None), (20.0, None), (0.0, Some("rings_disagree")), (5.0, Some("rings_disagree"))]
        {
            let found = validate("layer", vec![parts(1, "A", vec![part(0.0), part(second)])], None).err();
            assert_eq!(found.map(|r| r.errors[0].code), verdict, "{second}");
        }
    }

    #[test]
    fn codes_and_counts_are_checked_together_and_all_faults_told() {
        let zones = || {
            vec![
                square(1, "A", 0.0, 0.0),
                square(2, "B", 100.0, 0.0),
                square(5, "A", 200.0, 0.0),
                square(6, " ", 300.0, 0.0),
            ]
        };
        let told = errors(zones(), Some(5));
        assert_eq!(told.len(), 3, "{told:#?}");
        assert!(told[0].contains("row 5") && told[0].contains("`A`, which record 1 has too"), "{told:#?}");
        assert!(told[1].contains("row 6") && told[1].contains("bad_code"), "{told:#?}");
        assert!(told[2].contains("4 zones (1 missing), expected 5 zones"), "{told:#?}");
        for (expected, fault) in [(1, Some("1 too many")), (2, None), (3, Some("1 missing"))] {
            let told = errors(vec![square(1, "A", 0.0, 0.0), square(2, "B", 100.0, 0.0)], Some(expected));
            assert_eq!(told.len(), usize::from(fault.is_some()), "{told:?}");
            assert!(fault.is_none_or(|fault| told[0].contains(fault)), "{told:?}");
        }
        assert!(errors(vec![], None)[0].contains("no_zone"));
    }

    #[test]
    fn overlaps_gaps_and_slivers_are_found_where_they_are() {
        let two = |x: f64, y: f64| vec![square(1, "A", 0.0, 0.0), square(2, "B", x, y)];
        let ab = || vec!["A".to_owned(), "B".to_owned()];
        assert_eq!(findings(two(100.0, 0.0)), []);
        assert_eq!(findings(two(50.0, 0.0)), [(Kind::Overlap, ab(), 5_000)]);
        assert_eq!(findings(two(99.5, 0.0)), [(Kind::Sliver, ab(), 50)]);
        assert_eq!(findings(two(99.991, 0.0)), [], "0.9 m² is below the tolerance");
        assert_eq!(findings(two(0.0, 0.0)), [(Kind::Overlap, ab(), 10_000)]);
        let frame = rectangle_at(0.0, 0.0, 100.0, 100.0);
        let lake = rectangle_at(20.0, 20.0, 50.0, 50.0);
        let ring = || zone(1, "A", &[&frame, &lake]);
        assert_eq!(
            findings(vec![ring()]),
            [(Kind::Gap, vec!["A".into()], 2_500), (Kind::Hole, vec!["A".into()], 2_500)]
        );
        let island = zone(2, "B", &[&rectangle_at(30.0, 30.0, 10.0, 10.0)]);
        assert_eq!(findings(vec![ring(), island])[0], (Kind::Gap, vec!["A".into()], 2_400));
        assert_eq!(findings(vec![ring(), zone(2, "B", &[&lake])]), [(Kind::Hole, vec!["A".into()], 2_500)]);
        let (_, report) = validate("layer", two(50.0, 0.0), None).unwrap();
        let (x, y) = report.findings[0].place.unwrap();
        assert!((50.0..=100.0).contains(&x) && (0.0..=100.0).contains(&y), "{:?}", report.findings);
    }

    #[test]
    fn contours_leave_closed_and_counter_clockwise() {
        let mut ring = rectangle_at(0.0, 0.0, 10.0, 10.0);
        ring.reverse();
        let hole = rectangle_at(2.0, 2.0, 5.0, 5.0);
        let (zoning, _) =
            validate("layer", vec![zone(1, "B", &[&ring, &hole]), square(2, "A", 50.0, 0.0)], Some(2)).unwrap();
        assert_eq!(zoning.zones().iter().map(|z| z.label.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        let polygon = &zoning.zones()[1].contour.metres().0[0];
        assert!(Polygon::new(polygon.exterior().clone(), vec![]).signed_area() > 0.0);
        assert!(Polygon::new(polygon.interiors()[0].clone(), vec![]).signed_area() < 0.0);
    }

    /// Reads a Lambert-93 layer of the shared data.
    fn territory(path: &str, code_field: Option<&str>) -> Option<Vec<ZoneInMetres>> {
        let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(path);
        if !path.exists() {
            println!("skipped: no ../shared");
            return None;
        }
        let names = ["shp", "shx", "dbf", "prj"].map(|e| path.with_extension(e)).into_iter().filter(|p| p.exists());
        let paths = if path.extension().is_some_and(|e| e == "shp") { names.collect() } else { vec![path] };
        let part =
            |p: &std::path::PathBuf| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(p).unwrap());
        let files = Files { name: "layer".into(), parts: paths.iter().map(part).collect() };
        let code_field = code_field.map(str::to_owned);
        let options = ZoneOptions { code_field, crs: Some(Crs::LAMBERT93), ..ZoneOptions::default() };
        let records = zones(&files, &options).unwrap().records.accepted.into_iter();
        let metres = |r: crate::model::ZoneRecord| ZoneInMetres {
            record: r.record,
            code: r.code,
            label: r.label,
            contour: Lambert93::vouch(r.contour.geometry),
        };
        Some(records.map(metres).collect())
    }

    #[test]
    fn real_layers_are_judged_as_they_are() {
        for (path, field, faults) in [
            ("territories/bas-rhin/CONTOURS-IRIS_D067.shp", None, &[][..]),
            ("territories/montpellier/VilleMTP_MTP_SousQuartiers.zip", Some("SQUARTIER_"), &[]),
            (
                "territories/montpellier/VilleMTP_MTP_SousQuartiers.zip",
                Some("SQUARTMNO"),
                &["`MIP`, which record 11 has too"],
            ),
            ("shapefiles-corpus/derived/rings-reversed.zip", Some("SQUARTIER_"), &[]),
            ("shapefiles-corpus/derived/overlap-and-gap.zip", Some("SQUARTIER_"), &[]),
            ("shapefiles-corpus/derived/self-intersection.zip", Some("SQUARTIER_"), &["row 3"]),
            (
                "shapefiles-corpus/mtp-VilleMTP_MTP_ZAC.zip",
                Some("NOMZAC"),
                &["record 15", "record 5", "hole that encloses no area"],
            ),
            ("shapefiles-corpus/mtp-VilleMTP_MTP_BureauxVote.zip", None, &[]),
        ] {
            let Some(zones) = territory(path, field) else { return };
            let told = errors(zones, None);
            assert_eq!(told.len(), faults.len(), "{path}: {told:#?}");
            assert!(told.iter().zip(faults).all(|(told, fault)| told.contains(fault)), "{path}: {told:#?}");
        }
        let Some(moved) = territory("shapefiles-corpus/derived/overlap-and-gap.zip", Some("SQUARTIER_")) else {
            return;
        };
        let found = findings(moved);
        assert!(found.iter().any(|f| f.0 == Kind::Overlap && f.2 > 10_000), "{found:?}");
        assert!(found.iter().any(|f| f.0 == Kind::Gap && f.2 > 10_000), "{found:?}");
    }

    /// A coverage of nine squares of 100 m, coded by column and row, from A1 at the origin to C3.
    fn nine() -> Vec<ZoneInMetres> {
        let at = |i: usize| (i % 3, i / 3);
        let code = |i: usize| format!("{}{}", ["A", "B", "C"][at(i).0], at(i).1 + 1);
        (0..9).map(|i| square(i + 1, &code(i), at(i).0 as f64 * 100.0, at(i).1 as f64 * 100.0)).collect()
    }

    #[test]
    fn each_planted_defect_is_found_with_its_area_its_place_and_its_severity() {
        type Plant = fn(&mut Vec<ZoneInMetres>);
        let plants: [(&str, Plant, Kind, &[&str], f64, (f64, f64), &str); 13] = [
            ("nothing", |_| {}, Kind::NoZone, &[], 0.0, (0.0, 0.0), ""),
            (
                "the upper corners of B2 swapped",
                |zones| {
                    zones[4] = zone(
                        5,
                        "B2",
                        &[&[(100.0, 100.0), (200.0, 100.0), (100.0, 200.0), (200.0, 200.0), (100.0, 100.0)]],
                    )
                },
                Kind::RingCrosses,
                &["B2"],
                2_500.0,
                (150.0, 150.0),
                "blocking",
            ),
            (
                "a loop of 10 m beyond the corner of C3",
                |zones| {
                    zones[8] = zone(
                        9,
                        "C3",
                        &[&[
                            (200.0, 200.0),
                            (300.0, 200.0),
                            (300.0, 310.0),
                            (290.0, 310.0),
                            (310.0, 300.0),
                            (200.0, 300.0),
                            (200.0, 200.0),
                        ]],
                    );
                },
                Kind::RingCrosses,
                &["C3"],
                25.0,
                (300.0, 305.0),
                "blocking",
            ),
            (
                "B2 removed",
                |zones| drop(zones.remove(4)),
                Kind::Gap,
                &["A2", "B1", "B3", "C2"],
                10_000.0,
                (150.0, 150.0),
                "warning",
            ),
            (
                "C1 drawn 20 m into B1",
                |zones| zones[2] = zone(3, "C1", &[&rectangle_at(180.0, 0.0, 120.0, 100.0)]),
                Kind::Overlap,
                &["B1", "C1"],
                2_000.0,
                (190.0, 50.0),
                "warning",
            ),
            (
                "C1 drawn 0.5 m into B1",
                |zones| zones[2] = zone(3, "C1", &[&rectangle_at(199.5, 0.0, 100.5, 100.0)]),
                Kind::Sliver,
                &["B1", "C1"],
                50.0,
                (199.75, 50.0),
                "note",
            ),
            (
                "a hole of 20 m in B2, filled by nobody",
                |zones| {
                    let (outer, hole) =
                        (rectangle_at(100.0, 100.0, 100.0, 100.0), rectangle_at(140.0, 140.0, 20.0, 20.0));
                    zones[4] = zone(5, "B2", &[&outer, &hole]);
                },
                Kind::Hole,
                &["B2"],
                400.0,
                (140.0, 140.0),
                "note",
            ),
            (
                "a part of A1 of 50 m by 50 m, a kilometre away",
                |zones| {
                    let far = Polygon::new(rectangle_at(1_000.0, 0.0, 50.0, 50.0).into(), vec![]);
                    let mut parts = zones[0].contour.metres().clone();
                    parts.0.push(far);
                    zones[0].contour = Lambert93::vouch(parts);
                },
                Kind::IsolatedPart,
                &["A1"],
                2_500.0,
                (1_025.0, 25.0),
                "note",
            ),
            (
                "a crumb of A1 of 3 m by 3 m beside C3",
                |zones| {
                    let crumb = Polygon::new(rectangle_at(305.0, 205.0, 3.0, 3.0).into(), vec![]);
                    let mut parts = zones[0].contour.metres().clone();
                    parts.0.push(crumb);
                    zones[0].contour = Lambert93::vouch(parts);
                },
                Kind::Fragment,
                &["A1"],
                9.0,
                (306.5, 206.5),
                "warning",
            ),
            (
                "C3 moved a kilometre away",
                |zones| zones[8] = square(9, "C3", 1_000.0, 1_000.0),
                Kind::Detached,
                &["C3"],
                10_000.0,
                (1_050.0, 1_050.0),
                "note",
            ),
            (
                "C3 called A1",
                |zones| zones[8].code = "A1".into(),
                Kind::DuplicateCode,
                &["A1"],
                0.0,
                (200.0, 200.0),
                "blocking",
            ),
            (
                "B2 in two parts that cover each other on 30 m by 100 m",
                |zones| {
                    let part = |x: f64, width| Polygon::new(rectangle_at(x, 100.0, width, 100.0).into(), vec![]);
                    zones[4] = parts(5, "B2", vec![part(100.0, 60.0), part(130.0, 70.0)]);
                },
                Kind::RingsDisagree,
                &["B2"],
                3_000.0,
                (145.0, 150.0),
                "blocking",
            ),
            (
                "B2 in two parts that cross",
                |zones| {
                    let part = |x: f64, y, w, h| Polygon::new(rectangle_at(x, y, w, h).into(), vec![]);
                    zones[4] = parts(5, "B2", vec![part(100.0, 140.0, 100.0, 20.0), part(140.0, 100.0, 20.0, 100.0)]);
                },
                Kind::RingCrosses,
                &["B2"],
                400.0,
                (140.0, 140.0),
                "blocking",
            ),
        ];
        for (name, plant, kind, zones, area_m2, place, severity) in plants {
            let mut coverage = nine();
            plant(&mut coverage);
            let report = match validate("layer", coverage, None) {
                Ok((_, report)) => report,
                Err(refused) => refused.topology,
            };
            assert!(report.overlaid, "{name}");
            if kind == Kind::NoZone {
                assert_eq!(report.findings, [], "{name}");
                continue;
            }
            let found: Vec<&Finding> = report.findings.iter().filter(|f| f.kind == kind).collect();
            let [found] = found[..] else { panic!("{name}: {:#?}", report.findings) };
            assert_eq!(found.zones, zones, "{name}");
            assert!((found.area_m2 - area_m2).abs() < 0.01, "{name}: {found}");
            let (x, y) = found.place.unwrap();
            assert!((x - place.0).abs() < 5.1 && (y - place.1).abs() < 5.1, "{name}: {found}");
            assert_eq!(found.kind.severity().code(), severity, "{name}");
        }
    }

    #[test]
    fn zones_are_held_against_the_territory() {
        let ground = |x: f64, y, w, h| {
            Lambert93::vouch(MultiPolygon(vec![Polygon::new(rectangle_at(x, y, w, h).into(), vec![])]))
        };
        for (name, territory, verdict) in [
            ("as it is", ground(0.0, 0.0, 300.0, 300.0), vec![]),
            (
                "20 m more in the east",
                ground(0.0, 0.0, 320.0, 300.0),
                vec![(Kind::Uncovered, vec!["C1", "C2", "C3"], 6_000)],
            ),
            (
                "20 m less in the east",
                ground(0.0, 0.0, 280.0, 300.0),
                vec![
                    (Kind::BeyondTerritory, vec!["C1"], 2_000),
                    (Kind::BeyondTerritory, vec!["C2"], 2_000),
                    (Kind::BeyondTerritory, vec!["C3"], 2_000),
                ],
            ),
            (
                "with a lake in it that is no gap, and one that is",
                {
                    let around = ground(0.0, 0.0, 300.0, 300.0);
                    let lake = LineString::from(rectangle_at(110.0, 110.0, 10.0, 10.0));
                    Lambert93::vouch(MultiPolygon(vec![Polygon::new(
                        around.metres().0[0].exterior().clone(),
                        vec![lake],
                    )]))
                },
                vec![(Kind::Gap, vec!["B2"], 400), (Kind::Hole, vec!["B2"], 500)],
            ),
            (
                "without the upper row",
                ground(0.0, 0.0, 300.0, 200.0),
                vec![
                    (Kind::OutsideTerritory, vec!["A3"], 10_000),
                    (Kind::OutsideTerritory, vec!["B3"], 10_000),
                    (Kind::OutsideTerritory, vec!["C3"], 10_000),
                ],
            ),
        ] {
            let checks = Checks { territory: Some(&territory), ..Checks::default() };
            let mut zones = nine();
            if name.contains("lake") {
                let (outer, lake) = (rectangle_at(100.0, 100.0, 100.0, 100.0), rectangle_at(110.0, 110.0, 10.0, 10.0));
                zones[4] = zone(5, "B2", &[&outer, &lake, &rectangle_at(140.0, 140.0, 20.0, 20.0)]);
            }
            let (errors, report) = match validate_against("layer", zones, &checks) {
                Ok((_, report)) => (0, report),
                Err(refused) => (refused.errors.len(), refused.topology),
            };
            let found: Vec<_> = report
                .findings
                .iter()
                .map(|f| (f.kind, f.zones.iter().map(String::as_str).collect(), f.area_m2 as i64))
                .collect();
            assert_eq!(found, verdict, "{name}");
            assert_eq!(errors, verdict.iter().filter(|v| v.0 == Kind::OutsideTerritory).count(), "{name}");
        }
    }

    /// Places and areas that GEOS gave for these layers (MANIFEST.csv and SOURCES.md beside them).
    #[test]
    fn findings_lie_where_geos_finds_them() {
        for (path, field, kind, places) in [
            ("slib-polygon/polygon.shp", "EAS_ID", Kind::SelfTouch, &[(480_221.0, 4_759_052.5)][..]),
            ("slib-anno/anno.shp", "NAME_", Kind::RingCrosses, &[(483_726.468_75, 4_758_845.178_998_02)]),
        ] {
            let Some(mut zones) = territory(&format!("shapefiles-corpus/{path}"), Some(field)) else { return };
            zones.iter_mut().for_each(|zone| zone.code = zone.record.to_string());
            let report = match validate_against("layer", zones, &Checks { alone: true, ..Checks::default() }) {
                Ok((_, report)) => report,
                Err(refused) => refused.topology,
            };
            let found: Vec<(f64, f64)> =
                report.findings.iter().filter(|f| f.kind == kind).filter_map(|f| f.place).collect();
            for place in places {
                let near = found.iter().any(|p| (p.0 - place.0).hypot(p.1 - place.1) < 1e-6);
                assert!(near, "{path}: {found:?}");
            }
        }
        let Some(polls) = territory("shapefiles-corpus/mtp-VilleMTP_MTP_BureauxVote.zip", None) else { return };
        let (_, report) = validate("layer", polls, None).unwrap();
        let twice = report.findings.iter().filter(|f| matches!(f.kind, Kind::Overlap | Kind::Sliver));
        let twice_m2: f64 = twice.map(|f| f.area_m2).sum();
        assert!((twice_m2 - 1_345.0).abs() < 10.0, "{twice_m2}");
    }

    #[test]
    fn a_tangle_is_refused_before_it_takes_the_machine() {
        // A comb drawn over itself: every tooth crosses every other.
        let teeth = 30_000;
        let tooth = |i: usize| {
            let x = i as f64;
            if i.is_multiple_of(2) { (x * 0.01, 0.0) } else { ((teeth - i) as f64 * 0.01, 1_000.0) }
        };
        let ring: Vec<(f64, f64)> = (0..teeth).map(tooth).chain([tooth(0)]).collect();
        let refused = validate("layer", vec![zone(1, "A", &[&ring])], None).unwrap_err();
        assert!(matches!(refused.errors[0].code, "tangled" | "ring_crosses"), "{:?}", refused.errors);
        // Two sound combs laid across each other, five hundred teeth each way.
        let comb = |turned: bool| {
            let mut ring = vec![(0.0, 0.0)];
            for i in 0..1_200 {
                let x = f64::from(i);
                ring.extend([(x + 0.25, 0.0), (x + 0.25, 1_300.0), (x + 0.75, 1_300.0), (x + 0.75, 0.0)]);
            }
            ring.extend([(1_300.0, 0.0), (1_300.0, -1.0), (0.0, -1.0), (0.0, 0.0)]);
            ring.into_iter().map(|(x, y)| if turned { (y, x) } else { (x, y) }).collect::<Vec<_>>()
        };
        let combs = vec![zone(1, "A", &[&comb(false)]), zone(2, "B", &[&comb(true)])];
        let (_, report) = validate("layer", combs, None).unwrap();
        assert!(!report.overlaid && report.to_string().contains("not looked for to the end"), "{report}");
        let heap: Vec<ZoneInMetres> = (1..=200).map(|i| square(i, &i.to_string(), 0.0, 0.0)).collect();
        let (_, report) = validate("layer", heap, None).unwrap();
        assert_eq!((report.findings.len(), report.overlaid), (FINDINGS_MAX, false), "squares on each other");
    }
}
