//! One contour judged by itself: its rings are long enough, enclose ground, do not cross and agree with each other.

use super::Budget;
use super::topology::{FRAGMENT_M2, Finding, Kind, OVERLAY_TOLERANCE_M2};
use geo::{
    Area, BooleanOps, BoundingRect, Coord, InteriorPoint, LineString, MultiPolygon, Polygon,
    algorithm::bool_ops::FillRule,
};
use rstar::{AABB, RTree, RTreeObject};

/// A ring encloses nothing below one square centimetre: rounding in reprojection leaves far less on a flat ring.
pub const RING_AREA_MIN_M2: f64 = 1e-4;
/// Crossings of one zone that are listed. A ring with more was not drawn, and working out its ground could take all memory.
const CROSSINGS_MAX: usize = 100;

/// A fault of a contour: what it is, in words, what would have been accepted, and where.
pub(super) struct Fault {
    pub kind: Kind,
    pub found: String,
    pub expected: &'static str,
    pub findings: Vec<Finding>,
}

/// What one contour is worth.
#[derive(Default)]
pub(super) struct Judged {
    /// Why no zoning can be made of it.
    pub faults: Vec<Fault>,
    /// What is merely worth knowing.
    pub findings: Vec<Finding>,
    /// Whether its ground can be worked out, faults or not, so that it may be laid over others.
    pub has_ground: bool,
}

/// Judges a contour whose rings run as they should: exterior rings counter-clockwise, holes clockwise.
pub(super) fn judge(code: &str, contour: &MultiPolygon, budget: &mut Budget) -> Judged {
    let zones = || vec![code.to_owned()];
    let at = |kind, place: Option<Coord>| Finding {
        kind,
        zones: zones(),
        area_m2: 0.0,
        place: place.map(|c| c.x_y()),
        shape: MultiPolygon(vec![]),
    };
    let mut judged = Judged::default();
    let (mut rings, mut flat) = (Vec::new(), Vec::new());
    for polygon in contour {
        for (i, ring) in std::iter::once(polygon.exterior()).chain(polygon.interiors()).enumerate() {
            let name = if i == 0 { "exterior ring" } else { "hole" };
            let first = ring.0.first().copied();
            let place = first.map_or_else(String::new, near);
            let vertices = open(ring);
            let fault = |into: &mut Vec<Fault>, kind, found: String, expected| {
                into.push(Fault { kind, found, expected, findings: vec![at(kind, first)] });
            };
            if vertices.len() < 3 {
                let found = format!("{name} of {} points{place}", ring.0.len());
                let expected = "at least 4 points, the last one on the first";
                fault(&mut judged.faults, Kind::RingTooShort, found, expected);
            } else if Polygon::new(ring.clone(), vec![]).unsigned_area() < RING_AREA_MIN_M2 {
                let found = format!("{name} that encloses no area{place}");
                fault(&mut flat, Kind::RingFlat, found, "a ring that encloses ground");
            }
            rings.push(vertices);
        }
    }
    if contour.0.is_empty() {
        let (kind, expected) = (Kind::RingTooShort, "at least one ring");
        judged.faults.push(Fault { kind, found: "no ring".into(), expected, findings: vec![at(kind, None)] });
    }
    if !judged.faults.is_empty() {
        return judged;
    }
    let Some(meeting) = meet(&rings, budget) else {
        let found = format!("edges that lie across each other by the million{}", near(rings[0][0]));
        let (kind, expected) = (Kind::Tangled, "a contour as a person would draw it");
        judged.faults.push(Fault { kind, found, expected, findings: vec![at(kind, Some(rings[0][0]))] });
        return judged;
    };
    judged.has_ground = meeting.crossings.len() < CROSSINGS_MAX;
    if let Some(&(place, one_ring)) = meeting.crossings.first() {
        let what = if one_ring { "a ring crosses itself" } else { "two rings of the zone cross" };
        let more = match meeting.crossings.len() - 1 {
            0 => String::new(),
            more if judged.has_ground => format!(", and rings cross in {more} more places"),
            _ => format!(", and rings cross in {CROSSINGS_MAX} places or more"),
        };
        let mut findings = Vec::new();
        if judged.has_ground {
            findings = lobes(contour, Kind::RingCrosses, zones);
            for lobe in &mut findings {
                let distance = |c: &Coord| lobe.place.map_or(0.0, |(x, y)| (c.x - x).hypot(c.y - y));
                let nearest =
                    meeting.crossings.iter().map(|(c, _)| c).min_by(|a, b| distance(a).total_cmp(&distance(b)));
                lobe.place = nearest.map(|c| c.x_y());
            }
        }
        if findings.is_empty() {
            findings.push(at(Kind::RingCrosses, Some(place)));
        }
        let (kind, expected) = (Kind::RingCrosses, "rings that do not cross");
        judged.faults.push(Fault { kind, found: format!("{what}{}{more}", near(place)), expected, findings });
        return judged;
    }
    // After the crossings: the two halves of a bow-tie may cancel out.
    if !flat.is_empty() {
        judged.faults = flat;
        return judged;
    }
    if rings.len() > 1 {
        let lobes = lobes(contour, Kind::RingsDisagree, zones);
        if let Some(first) = lobes.first() {
            let place = first.place.map_or_else(String::new, |(x, y)| near(Coord { x, y }));
            let found = format!("parts that cover each other, or a hole outside its part,{place}");
            let expected = "parts beside each other and holes inside them";
            judged.faults.push(Fault { kind: Kind::RingsDisagree, found, expected, findings: lobes });
        }
    }
    if let Some(place) = meeting.touch {
        judged.findings.push(at(Kind::SelfTouch, Some(place)));
    }
    judged.findings.extend(ordinary(contour, zones));
    judged
}

/// Holes, and the parts beside the largest one.
fn ordinary(contour: &MultiPolygon, zones: impl Fn() -> Vec<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let holes: Vec<Polygon> = contour
        .iter()
        .flat_map(Polygon::interiors)
        .map(|hole| Polygon::new(LineString::new(hole.0.iter().rev().copied().collect()), vec![]))
        .collect();
    if !holes.is_empty() {
        let place = holes[0].exterior().0.first().map(|c| c.x_y());
        let shape = MultiPolygon(holes);
        findings.push(Finding { kind: Kind::Hole, zones: zones(), area_m2: shape.unsigned_area(), place, shape });
    }
    let areas: Vec<f64> = contour.iter().map(Area::unsigned_area).collect();
    let largest = (0..areas.len()).max_by(|&a, &b| areas[a].total_cmp(&areas[b]).then(b.cmp(&a)));
    for (i, part) in contour.iter().enumerate().filter(|(i, _)| Some(*i) != largest) {
        let kind = if areas[i] < FRAGMENT_M2 { Kind::Fragment } else { Kind::IsolatedPart };
        let shape = MultiPolygon(vec![part.clone()]);
        findings.push(Finding { kind, zones: zones(), area_m2: areas[i], place: place_in(part), shape });
    }
    findings
}

/// The ground on which the rings of a contour contradict each other: enclosed twice, or enclosed the wrong way round.
fn lobes(contour: &MultiPolygon, kind: Kind, zones: impl Fn() -> Vec<String>) -> Vec<Finding> {
    let nothing = MultiPolygon::<f64>(vec![]);
    let once = contour.union_with_fill_rule(&nothing, FillRule::EvenOdd);
    let meant = contour.union_with_fill_rule(&nothing, FillRule::Positive);
    let doubted = once.xor(&meant);
    let finding = |lobe: Polygon| {
        let (area_m2, place) = (lobe.unsigned_area(), place_in(&lobe));
        Finding { kind, zones: zones(), area_m2, place, shape: MultiPolygon(vec![lobe]) }
    };
    let lobes = doubted.into_iter().filter(|lobe| lobe.unsigned_area() >= least_lobe_m2(kind));
    lobes.take(CROSSINGS_MAX).map(finding).collect()
}

/// What two rings must both enclose to be said: rounding makes crumbs where parts lie side by side, and none where they cross.
fn least_lobe_m2(kind: Kind) -> f64 {
    if kind == Kind::RingsDisagree { OVERLAY_TOLERANCE_M2 } else { RING_AREA_MIN_M2 }
}

/// A point inside, or a vertex of what is too thin to have one.
pub(super) fn place_in(polygon: &Polygon) -> Option<(f64, f64)> {
    polygon.interior_point().map(|p| p.x_y()).or_else(|| polygon.exterior().0.first().map(|c| c.x_y()))
}

/// The vertices of a ring, each once, without the one that closes it.
pub(in crate::steps) fn open(ring: &LineString) -> Vec<Coord> {
    let mut vertices = ring.0.clone();
    vertices.dedup();
    if vertices.len() > 1 && vertices.first() == vertices.last() {
        vertices.pop();
    }
    vertices
}

/// Whether an open ring leaves the line through its first two places: the halves of a bow-tie may cancel out, and yet it
/// encloses ground.
pub(super) fn leaves_its_line(ring: &[Coord]) -> bool {
    ring.iter().any(|&c| side(ring[0], ring[1], c) != 0.0)
}

fn near(c: Coord) -> String {
    format!(" near ({:.1}, {:.1})", c.x, c.y)
}

/// Where the rings of a zone meet each other.
#[derive(Debug, Default)]
pub(super) struct Meeting {
    /// Places where one passes to the other side of another, and whether both are the same ring; [`CROSSINGS_MAX`] at most.
    pub crossings: Vec<(Coord, bool)>,
    /// The first place where a ring touches itself and turns back.
    pub touch: Option<Coord>,
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

/// Looks for crossings among all segments of all rings; rings come open, without repeated points. None when there are more
/// pairs of segments to look at than the budget allows.
///
/// Every vertex is the start of one segment, so looking at starts alone finds each touching place once.
pub(super) fn meet(rings: &[Vec<Coord>], budget: &mut Budget) -> Option<Meeting> {
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
            if !budget.spend(1) {
                return None;
            }
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
                // Two segments meet twice in the loop; the place is worked out alike for both but for rounding.
                Some((place, true)) if meeting.crossings.iter().any(|(known, _)| same_place(*known, place)) => {}
                Some((place, true)) => {
                    meeting.crossings.push((place, s.ring == t.ring));
                    if meeting.crossings.len() >= CROSSINGS_MAX {
                        return Some(meeting);
                    }
                }
                Some((place, false)) if s.ring == t.ring => {
                    meeting.touch.get_or_insert(place);
                }
                Some((_, false)) | None => {}
            }
        }
    }
    meeting.crossings.sort_by(|a, b| (a.0.x, a.0.y).partial_cmp(&(b.0.x, b.0.y)).unwrap_or(std::cmp::Ordering::Equal));
    Some(meeting)
}

/// Whether two places are one but for rounding: within a tenth of a millimetre.
fn same_place(a: Coord, b: Coord) -> bool {
    (a.x - b.x).abs() < 1e-4 && (a.y - b.y).abs() < 1e-4
}

/// Positive when `p` is left of the line from `a` to `b`, exactly.
pub(in crate::steps) fn side(a: Coord, b: Coord, p: Coord) -> f64 {
    let exact = |c: Coord| robust::Coord { x: c.x, y: c.y };
    let side = robust::orient2d(exact(a), exact(b), exact(p));
    // The sign alone is exact, and products of tiny values would vanish.
    if side == 0.0 { 0.0 } else { side.signum() }
}

/// Whether a point of the line through `a` and `b` lies between them.
pub(in crate::steps) fn between(a: Coord, b: Coord, p: Coord) -> bool {
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

/// The box of a contour, as the trees want it.
pub(super) fn envelope(contour: &MultiPolygon) -> Option<AABB<[f64; 2]>> {
    let rect = contour.bounding_rect()?;
    Some(AABB::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]))
}
