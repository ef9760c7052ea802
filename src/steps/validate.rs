//! Step 3: zones in metres become a zoning, once codes are unique and contours are sound.
//!
//! Faults that would place a point wrongly refuse the whole; overlaps and gaps are reported, since the border rule and
//! the answer "outside" cover them.

use crate::model::{Lambert93, Reject, Unreadable, Zone, ZoneCode, Zoning};
use geo::orient::{Direction, Orient};
use geo::{
    Area, BooleanOps, BoundingRect, Contains, Coord, CoordsIter, Euclidean, InteriorPoint, Length, LineString,
    MultiPolygon, Polygon, Rect, unary_union,
};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree, RTreeObject};
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

/// How zones lie beside each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopologyReport {
    /// Zones looked at.
    pub zones: usize,
    /// Vertices of all their rings.
    pub vertices: usize,
    /// Sum of their areas, in square metres.
    pub area_m2: f64,
    /// Gravest and largest first.
    pub findings: Vec<Finding>,
    /// Overlaps and gaps too small to be listed, below [`OVERLAY_TOLERANCE_M2`].
    pub below_tolerance: usize,
    /// Whether overlaps and gaps were looked for: not among contours that cross themselves, where area means nothing.
    pub overlaid: bool,
}

/// One thing worth knowing about the contours.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The codes of the zones concerned, in order; none for a gap.
    pub zones: Vec<String>,
    /// Its area in square metres; 0 for a point.
    pub area_m2: f64,
    /// A point in it, EPSG:2154 metres.
    pub place: (f64, f64),
}

/// What a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ground that two zones claim.
    Overlap,
    /// Ground that no zone claims, enclosed by zones.
    Gap,
    /// A ring that touches itself at a point without crossing.
    SelfTouch,
    /// An overlap or a gap thinner than [`SLIVER_WIDTH_M`]: two drawings of one border.
    Sliver,
    /// A zone with holes.
    Hole,
    /// A zone in several parts.
    MultiPart,
}

/// Whether someone should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A zoning should not have it, though it can be used.
    Warning,
    /// Ordinary.
    Note,
}

impl Kind {
    /// A stable word for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Gap => "gap",
            Self::SelfTouch => "self_touch",
            Self::Sliver => "sliver",
            Self::Hole => "hole",
            Self::MultiPart => "multi_part",
        }
    }
    /// How much it matters.
    pub fn severity(self) -> Severity {
        match self {
            Self::Overlap | Self::Gap | Self::SelfTouch => Severity::Warning,
            Self::Sliver | Self::Hole | Self::MultiPart => Severity::Note,
        }
    }
}

impl Severity {
    /// A stable word for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.severity().code(), self.kind.code())?;
        match &self.zones[..] {
            [] => {}
            [one] => write!(f, " of zone `{one}`")?,
            several => {
                write!(f, " of zones {}", several.iter().map(|z| format!("`{z}`")).collect::<Vec<_>>().join(" and "))?
            }
        }
        if self.area_m2 > 0.0 {
            write!(f, ", {:.0} m²", self.area_m2)?;
        }
        write!(f, ", near ({:.1}, {:.1})", self.place.0, self.place.1)
    }
}

/// A line of sums, then the findings, the first [`FINDINGS_SHOWN`] of them.
impl std::fmt::Display for TopologyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} zones, {} vertices, {:.3} km²", self.zones, self.vertices, self.area_m2 / 1e6)?;
        if !self.overlaid {
            write!(f, "; overlaps and gaps were not looked for, since contours are torn")?;
        }
        if self.below_tolerance > 0 {
            write!(f, "; {} overlaps or gaps below {OVERLAY_TOLERANCE_M2} m² not listed", self.below_tolerance)?;
        }
        for finding in self.findings.iter().take(FINDINGS_SHOWN) {
            write!(f, "\n{finding}")?;
        }
        match self.findings.len().saturating_sub(FINDINGS_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// Findings that a text report lists: as many as a person reads through.
pub const FINDINGS_SHOWN: usize = 50;

/// The answer no: what is wrong, and what could still be said of the contours.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Each fault, in the order of the records.
    pub errors: Vec<Reject>,
    /// As much as could be found out.
    pub topology: TopologyReport,
}

/// Overlaps and gaps below this are not listed. Published coordinates are rounded to 1 cm or 10 cm, which moves a border of
/// some kilometres by less than a square metre in all; and no establishment fits in one.
pub const OVERLAY_TOLERANCE_M2: f64 = 1.0;
/// An overlap or gap whose mean width stays below one metre is a border drawn twice: geocoding is no finer than that.
pub const SLIVER_WIDTH_M: f64 = 1.0;
/// A ring encloses nothing below one square centimetre: rounding in reprojection leaves far less on a flat ring.
pub const RING_AREA_MIN_M2: f64 = 1e-4;

/// Judges zones and makes a zoning of them.
///
/// `layer` names the source in messages. `expected` is the number of zones the operator knows there must be. All faults are
/// returned together: codes that are no codes, codes met twice, rings that are too short, flat or cross, a wrong count.
pub fn validate(
    layer: &str,
    zones: Vec<ZoneInMetres>,
    expected: Option<usize>,
) -> Result<(Zoning, TopologyReport), Box<Refused>> {
    judge(layer, zones, expected, true)
}

/// The same without looking for overlaps and gaps, which refuse nothing and take longer than the rest.
pub fn validate_alone(
    layer: &str,
    zones: Vec<ZoneInMetres>,
    expected: Option<usize>,
) -> Result<(Zoning, TopologyReport), Box<Refused>> {
    judge(layer, zones, expected, false)
}

fn judge(
    layer: &str,
    zones: Vec<ZoneInMetres>,
    expected: Option<usize>,
    overlay: bool,
) -> Result<(Zoning, TopologyReport), Box<Refused>> {
    let mut errors = Vec::new();
    let mut findings = Vec::new();
    let mut torn = false;
    let mut made: Vec<Zone> = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    let total = zones.len();
    for zone in zones {
        let reject =
            |code, found: String, expected: &str| Unreadable::record(code, layer, zone.record, found, expected).0;
        let contour = zone.contour.metres().orient(Direction::Default);
        let faults = judge_contour(&zone.code, &contour, &mut findings);
        torn |= !faults.is_empty();
        errors.extend(
            faults
                .into_iter()
                .map(|(code, found, expected)| reject(code, format!("zone `{}`: {found}", zone.code), expected)),
        );
        let code: ZoneCode = match zone.code.parse() {
            Ok(code) => code,
            Err(e) => {
                errors.push(reject("bad_code", e.to_string(), "a code of 1 to 64 printable characters"));
                continue;
            }
        };
        if let Some(other) = first.get(code.as_str()) {
            errors.push(reject(
                "duplicate_code",
                format!("the code `{code}`, which record {other} has too"),
                "a code for each zone",
            ));
        } else {
            first.insert(code.as_str().to_owned(), zone.record);
        }
        let label = zone.label.unwrap_or_else(|| code.as_str().to_owned());
        made.push(Zone { code, label, contour: Lambert93::vouch(contour) });
    }
    let whole = |code, found: String, expected: String| Unreadable::file(code, layer, found, expected).0;
    match expected {
        Some(expected) if expected != total => {
            let difference = if total < expected {
                format!("{} missing", expected - total)
            } else {
                format!("{} too many", total - expected)
            };
            errors.push(whole("zone_count", format!("{total} zones ({difference})"), format!("{expected} zones")));
        }
        _ if total == 0 => errors.push(whole("no_zone", "no zone".into(), "at least one zone".into())),
        _ => {}
    }
    let mut topology = TopologyReport {
        zones: made.len(),
        vertices: made.iter().map(|z| z.contour.metres().coords_count()).sum(),
        area_m2: made.iter().map(|z| z.contour.area_m2()).sum(),
        findings,
        below_tolerance: 0,
        overlaid: overlay && !torn,
    };
    if topology.overlaid {
        overlaps(&made, &mut topology);
        gaps(&made, &mut topology);
    }
    topology
        .findings
        .sort_by(|a, b| a.kind.cmp(&b.kind).then(b.area_m2.total_cmp(&a.area_m2)).then(a.zones.cmp(&b.zones)));
    if errors.is_empty() { Ok((Zoning::vouch(made), topology)) } else { Err(Box::new(Refused { errors, topology })) }
}

type Fault = (&'static str, String, &'static str);

/// The faults of one contour; what is merely worth knowing goes to `findings`.
fn judge_contour(code: &str, contour: &MultiPolygon, findings: &mut Vec<Finding>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (mut rings, mut flat) = (Vec::new(), Vec::new());
    let mut n_holes = 0;
    for polygon in contour {
        for (i, ring) in std::iter::once(polygon.exterior()).chain(polygon.interiors()).enumerate() {
            let name = if i == 0 { "exterior ring" } else { "hole" };
            n_holes += usize::from(i > 0);
            let place = ring.0.first().map_or_else(String::new, |c| format!(" near ({:.1}, {:.1})", c.x, c.y));
            let mut vertices = ring.0.clone();
            vertices.dedup();
            vertices.pop();
            if vertices.len() < 3 {
                let found = format!("{name} of {} points{place}", ring.0.len());
                faults.push(("ring_too_short", found, "at least 4 points, the last one on the first"));
            } else if Polygon::new(ring.clone(), vec![]).unsigned_area() < RING_AREA_MIN_M2 {
                flat.push(("ring_flat", format!("{name} that encloses no area{place}"), "a ring that encloses ground"));
            }
            rings.push(vertices);
        }
    }
    if contour.0.is_empty() {
        faults.push(("ring_too_short", "no ring".into(), "at least one ring"));
    }
    if !faults.is_empty() {
        return faults;
    }
    let meeting = meet(&rings);
    if let Some((place, one_ring)) = meeting.crossing {
        let what = if one_ring { "a ring crosses itself" } else { "two rings of the zone cross" };
        faults.push((
            "ring_crosses",
            format!("{what} near ({:.1}, {:.1})", place.x, place.y),
            "rings that do not cross",
        ));
        return faults;
    }
    // After the crossings: the two halves of a bow-tie may cancel out.
    if !flat.is_empty() {
        return flat;
    }
    let area_m2 = contour.unsigned_area();
    if rings.len() > 1 && (unary_union([contour]).unsigned_area() - area_m2).abs() > OVERLAY_TOLERANCE_M2 {
        let place = rings[0][0];
        let found =
            format!("parts that cover each other, or a hole outside its part, near ({:.1}, {:.1})", place.x, place.y);
        faults.push(("rings_disagree", found, "parts beside each other and holes inside them"));
    }
    let mut note = |kind, area_m2, place: Coord| {
        findings.push(Finding { kind, zones: vec![code.to_owned()], area_m2, place: (place.x, place.y) });
    };
    if let Some(place) = meeting.touch {
        note(Kind::SelfTouch, 0.0, place);
    }
    if n_holes > 0 {
        let holes = || contour.iter().flat_map(Polygon::interiors);
        let area = holes().map(|hole| Polygon::new(hole.clone(), vec![]).unsigned_area()).sum();
        let place = holes().find_map(|hole| hole.0.first().copied());
        note(Kind::Hole, area, place.unwrap_or(rings[0][0]));
    }
    if contour.0.len() > 1 {
        let smaller = contour.iter().min_by(|a, b| a.unsigned_area().total_cmp(&b.unsigned_area()));
        let place = smaller.and_then(|p| p.exterior().0.first().copied());
        note(Kind::MultiPart, smaller.map_or(0.0, Area::unsigned_area), place.unwrap_or(rings[0][0]));
    }
    faults
}

/// Where the rings of a zone meet each other.
#[derive(Debug, Default)]
struct Meeting {
    /// The first place where one passes to the other side of another, and whether both are the same ring.
    crossing: Option<(Coord, bool)>,
    /// The first place where a ring touches itself and turns back.
    touch: Option<Coord>,
}

struct Segment {
    ring: usize,
    start: usize,
    envelope: AABB<[f64; 2]>,
}

impl RTreeObject for Segment {
    type Envelope = AABB<[f64; 2]>;
    fn envelope(&self) -> Self::Envelope {
        self.envelope
    }
}

/// Looks for crossings among all segments of all rings; rings come open, without repeated points.
///
/// Every vertex is the start of one segment, so looking at starts alone finds each touching place once.
fn meet(rings: &[Vec<Coord>]) -> Meeting {
    let mut segments = Vec::new();
    for (ring, vertices) in rings.iter().enumerate() {
        for start in 0..vertices.len() {
            let (a, b) = (vertices[start], vertices[(start + 1) % vertices.len()]);
            segments.push(Segment { ring, start, envelope: AABB::from_corners([a.x, a.y], [b.x, b.y]) });
        }
    }
    let tree = RTree::bulk_load(segments);
    let mut meeting = Meeting::default();
    for s in &tree {
        let ring = &rings[s.ring];
        let (a, b) = (ring[s.start], ring[(s.start + 1) % ring.len()]);
        let before_a = ring[(s.start + ring.len() - 1) % ring.len()];
        for t in tree.locate_in_envelope_intersecting(&s.envelope) {
            if (s.ring, s.start) == (t.ring, t.start) {
                continue;
            }
            let other = &rings[t.ring];
            let (c, d) = (other[t.start], other[(t.start + 1) % other.len()]);
            let (a_side, b_side) = (side(c, d, a), side(c, d, b));
            let met = if a == c {
                let before_c = other[(t.start + other.len() - 1) % other.len()];
                Some((a, corner_crosses(a, before_a, b, before_c, d)))
            } else if a_side == 0.0 && a != d && between(c, d, a) {
                Some((a, side(c, d, before_a) * b_side < 0.0))
            } else if a_side * b_side < 0.0 && side(a, b, c) * side(a, b, d) < 0.0 {
                Some((where_crossing(a, b, c, d), true))
            } else {
                None
            };
            match met {
                Some((place, true)) => {
                    meeting.crossing = Some((place, s.ring == t.ring));
                    return meeting;
                }
                Some((place, false)) if s.ring == t.ring => {
                    meeting.touch.get_or_insert(place);
                }
                Some((_, false)) | None => {}
            }
        }
    }
    meeting
}

/// Positive when `p` is left of the line from `a` to `b`, exactly.
fn side(a: Coord, b: Coord, p: Coord) -> f64 {
    let exact = |c: Coord| robust::Coord { x: c.x, y: c.y };
    let side = robust::orient2d(exact(a), exact(b), exact(p));
    // The sign alone is exact, and products of tiny values would vanish.
    if side == 0.0 { 0.0 } else { side.signum() }
}

/// Whether a point of the line through `a` and `b` lies between them.
fn between(a: Coord, b: Coord, p: Coord) -> bool {
    p.x >= a.x.min(b.x) && p.x <= a.x.max(b.x) && p.y >= a.y.min(b.y) && p.y <= a.y.max(b.y)
}

/// Whether the path `a v b` passes from one side of the path `c v d` to the other; running along it is not crossing.
fn corner_crosses(v: Coord, a: Coord, b: Coord, c: Coord, d: Coord) -> bool {
    let same_way = |p: Coord, q: Coord| side(v, p, q) == 0.0 && (p - v).x * (q - v).x + (p - v).y * (q - v).y > 0.0;
    if [c, d].iter().any(|&p| same_way(a, p) || same_way(b, p)) {
        return false;
    }
    // The sector swept counter-clockwise from a to b.
    let in_sector = |p: Coord| match (side(v, a, b), side(v, a, p) > 0.0, side(v, p, b) > 0.0) {
        (turn, after_a, before_b) if turn > 0.0 => after_a && before_b,
        (turn, after_a, before_b) if turn < 0.0 => after_a || before_b,
        (_, after_a, _) => after_a,
    };
    in_sector(c) != in_sector(d)
}

/// The point where two segments cross, for a message: rounding does no harm there.
fn where_crossing(a: Coord, b: Coord, c: Coord, d: Coord) -> Coord {
    let cross = |p: Coord, q: Coord| p.x * q.y - p.y * q.x;
    let along = cross(c - a, d - c) / cross(b - a, d - c);
    if along.is_finite() { a + (b - a) * along.clamp(0.0, 1.0) } else { a }
}

/// Ground that two zones claim, for every pair whose boxes meet.
fn overlaps(zones: &[Zone], report: &mut TopologyReport) {
    let boxes = zones
        .iter()
        .enumerate()
        .filter_map(|(i, zone)| Some(GeomWithData::new(rectangle(zone.contour.metres().bounding_rect()?), i)));
    let tree = RTree::bulk_load(boxes.collect());
    for near in &tree {
        let i = near.data;
        for j in tree.locate_in_envelope_intersecting(&near.geom().envelope()).map(|g| g.data).filter(|&j| j > i) {
            let (a, b) = (&zones[i], &zones[j]);
            let shared = a.contour.metres().intersection(b.contour.metres());
            let mut codes = vec![a.code.as_str().to_owned(), b.code.as_str().to_owned()];
            codes.sort();
            note_area(Kind::Overlap, codes, &shared, report);
        }
    }
}

/// Ground that no zone claims, enclosed by zones: the holes of their union, less the zones that lie in them.
fn gaps(zones: &[Zone], report: &mut TopologyReport) {
    let union = unary_union(zones.iter().map(|zone| zone.contour.metres()));
    for polygon in &union {
        for ring in polygon.interiors() {
            let hole = Polygon::new(ring.clone(), vec![]);
            let Some(frame) = hole.bounding_rect() else { continue };
            let islands: Vec<Polygon> =
                union.iter().filter(|p| p.bounding_rect().is_some_and(|r| frame.contains(&r))).cloned().collect();
            let gap = MultiPolygon(vec![hole.orient(Direction::Default)]);
            let gap = if islands.is_empty() { gap } else { gap.difference(&MultiPolygon(islands)) };
            note_area(Kind::Gap, vec![], &gap, report);
        }
    }
}

fn note_area(kind: Kind, zones: Vec<String>, shape: &MultiPolygon, report: &mut TopologyReport) {
    let area_m2 = shape.unsigned_area();
    if area_m2 < OVERLAY_TOLERANCE_M2 {
        report.below_tolerance += usize::from(area_m2 > 0.0);
        return;
    }
    let rings = |p: &Polygon| -> f64 {
        std::iter::once(p.exterior()).chain(p.interiors()).map(|ring: &LineString| Euclidean.length(ring)).sum()
    };
    let border_m: f64 = shape.iter().map(rings).sum();
    let kind = if 2.0 * area_m2 / border_m < SLIVER_WIDTH_M { Kind::Sliver } else { kind };
    let largest = shape.iter().max_by(|a, b| a.unsigned_area().total_cmp(&b.unsigned_area()));
    let place =
        largest.and_then(|p| p.interior_point().map(|p| p.x_y()).or_else(|| p.exterior().0.first().map(|c| c.x_y())));
    report.findings.push(Finding { kind, zones, area_m2, place: place.unwrap_or_default() });
}

fn rectangle(rect: Rect) -> Rectangle<[f64; 2]> {
    Rectangle::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::read::{Files, ZoneOptions, zones};

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
        assert_eq!(findings(vec![ring()]), [(Kind::Gap, vec![], 2_500), (Kind::Hole, vec!["A".into()], 2_500)]);
        let island = zone(2, "B", &[&rectangle_at(30.0, 30.0, 10.0, 10.0)]);
        assert_eq!(findings(vec![ring(), island])[0], (Kind::Gap, vec![], 2_400));
        assert_eq!(findings(vec![ring(), zone(2, "B", &[&lake])]), [(Kind::Hole, vec!["A".into()], 2_500)]);
        let (_, report) = validate("layer", two(50.0, 0.0), None).unwrap();
        let (x, y) = report.findings[0].place;
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
        let names = ["shp", "shx", "dbf", "prj"].map(|e| path.with_extension(e));
        let paths = if path.extension().is_some_and(|e| e == "shp") { names.to_vec() } else { vec![path] };
        let part =
            |p: &std::path::PathBuf| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(p).unwrap());
        let files = Files { name: "layer".into(), parts: paths.iter().map(part).collect() };
        let options = ZoneOptions { code_field: code_field.map(str::to_owned), ..ZoneOptions::default() };
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
}
