//! Contours mended where the operator asks: snapped to their neighbours within a tolerance, and made valid.
//!
//! Each change is told; the zones that came in are the caller's to keep, so that a repair can be left again.
//! Where two borders differ, the one of the zone whose code comes first stays, whatever the order of the records.

use crate::model::{Lambert93, Unreadable};
use crate::steps::validate::{RING_AREA_MIN_M2, ZoneInMetres, distance_m, foot, ground_of, is_sound, open};
use geo::algorithm::bool_ops::FillRule;
use geo::orient::{Direction, Orient};
use geo::{Area, BooleanOps, Coord, LineString, MultiPolygon, Polygon};
use rstar::RTree;
use rstar::primitives::{GeomWithData, Line};
use std::collections::HashMap;

/// What the operator asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Repair {
    /// Move vertices onto the border of a neighbour that runs within so many metres.
    pub snap_m: Option<f64>,
    /// Give contours whose rings cross or disagree the ground that their rings enclose an odd number of times.
    pub make_valid: bool,
}

/// One change to one zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Place of the zone in the file, from 1.
    pub record: usize,
    /// The code of the zone.
    pub zone: String,
    /// What was done.
    pub what: What,
    /// Vertices moved or added, or rings that are new or gone.
    pub count: usize,
    /// How far the border moved at most, in metres; 0 for a contour made valid, where `area_m2` tells more.
    pub moved_m: f64,
    /// Area before and after, in square metres.
    pub area_m2: (f64, f64),
    /// Where, EPSG:2154 metres: the vertex that moved farthest, or the first of the contour.
    pub place: Option<(f64, f64)>,
}

/// What a repair did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Vertices moved onto the border of a neighbour, or added where a neighbour has one.
    Snapped,
    /// Rings that crossed or disagreed were drawn anew around the same ground.
    MadeValid,
}

impl What {
    /// A stable word for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Snapped => "snapped",
            Self::MadeValid => "made_valid",
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { zone, what, count, moved_m, area_m2: (before, after), place, .. } = self;
        match what {
            What::Snapped => write!(f, "snapped: zone `{zone}`, {count} vertices, {moved_m:.3} m at most")?,
            What::MadeValid => write!(f, "made_valid: zone `{zone}`, {count} rings drawn anew")?,
        }
        // Adding zero turns -0 into 0.
        let grown = ((after - before) * 10.0).round() / 10.0 + 0.0;
        write!(f, ", {before:.1} m² before, {after:.1} m² after ({grown:+.1})")?;
        place.map_or(Ok(()), |(x, y)| write!(f, ", near ({x:.1}, {y:.1})"))
    }
}

/// The largest tolerance taken: what is farther apart than this is no border drawn twice, and belongs to the draughtsman.
pub const SNAP_MAX_M: f64 = 100.0;
/// How far an overlay rounds the vertices it gives back, at most: it keeps thirty bits of the width of a contour.
const OVERLAY_ROUNDS_M: f64 = 1e-3;

/// How near a vertex that lies on an edge may come out beside it: some hundred times the last digit of a coordinate.
const ON_IT_M: f64 = 1e-7;

/// Mends zones as asked; gives the zones, in the order they came, and what was changed.
///
/// # Errors
/// A tolerance that is no distance or above [`SNAP_MAX_M`]; a tolerance so large that a zone would vanish or be torn.
pub fn repair(
    layer: &str,
    mut zones: Vec<ZoneInMetres>,
    wanted: &Repair,
) -> Result<(Vec<ZoneInMetres>, Vec<Change>), Unreadable> {
    let mut changes = Vec::new();
    if wanted.make_valid {
        make_all_valid(&mut zones, &mut changes);
    }
    if let Some(snap_m) = wanted.snap_m {
        if !(snap_m > 0.0 && snap_m <= SNAP_MAX_M) {
            let expected = format!("a distance above 0 and up to {SNAP_MAX_M} m");
            return Err(Unreadable::file("snap_tolerance", layer, format!("a tolerance of {snap_m} m"), expected));
        }
        let before: Vec<MultiPolygon> = zones.iter().map(|zone| zone.contour.metres().clone()).collect();
        snap(&mut zones, snap_m, &mut changes);
        if wanted.make_valid {
            make_all_valid(&mut zones, &mut changes);
        }
        for (zone, before) in zones.iter().zip(&before) {
            let contour = zone.contour.metres();
            let vanished = contour.0.is_empty() && !before.0.is_empty();
            if vanished || is_sound(before) && !is_sound(contour) {
                let what = if vanished { "vanishes" } else { "is torn" };
                let found = format!("zone `{}` that {what} when snapped within {snap_m} m", zone.code);
                let expected = "a smaller tolerance, or contours made valid too";
                return Err(Unreadable::record("snap_tears", layer, zone.record, found, expected));
            }
        }
    }
    Ok((zones, changes))
}

/// The ground that rings enclose an odd number of times, as sound rings; vertices that were there stay where they were.
///
/// For contours whose crossings have been counted: each takes memory.
pub(super) fn made_valid(contour: &MultiPolygon) -> MultiPolygon {
    let ground = contour.union_with_fill_rule(&MultiPolygon::<f64>(vec![]), FillRule::EvenOdd);
    let rings = |shape: &MultiPolygon| {
        let all: Vec<LineString> =
            shape.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())).cloned().collect();
        all
    };
    let anchors = rings(contour).iter().flat_map(open).map(|c| [c.x, c.y]).collect();
    let anchors = RTree::bulk_load(anchors);
    let restored = |ring: &LineString| {
        let (mut ring, _) = follow(&open(ring), &anchors, OVERLAY_ROUNDS_M, 0.0);
        ring.push(*ring.first()?);
        let ring = LineString::new(ring);
        (Polygon::new(ring.clone(), vec![]).unsigned_area() >= RING_AREA_MIN_M2).then_some(ring)
    };
    let polygon =
        |p: &Polygon| Some(Polygon::new(restored(p.exterior())?, p.interiors().iter().filter_map(restored).collect()));
    MultiPolygon(ground.iter().filter_map(polygon).collect()).orient(Direction::Default)
}

fn make_all_valid(zones: &mut [ZoneInMetres], changes: &mut Vec<Change>) {
    for zone in zones {
        let before = zone.contour.metres();
        if is_sound(before) {
            continue;
        }
        // Rings that enclose nothing have no part in an overlay, and a tangle would take all memory.
        let Some(after) = ground_of(before) else { continue };
        changes.push(Change {
            record: zone.record,
            zone: zone.code.clone(),
            what: What::MadeValid,
            count: after.iter().map(|p| 1 + p.interiors().len()).sum(),
            moved_m: 0.0,
            area_m2: (before.unsigned_area(), after.unsigned_area()),
            place: before.0.first().and_then(|p| p.exterior().0.first()).map(|c| c.x_y()),
        });
        zone.contour = Lambert93::vouch(after);
    }
}

/// A place of a zone that is settled.
type Vertex = [f64; 2];
/// An edge of a zone that is settled: its zone, ring and first vertex.
type Edge = GeomWithData<Line<[f64; 2]>, (usize, usize, usize)>;

/// Settles one zone after the other, in the order of codes: each takes over the border of those before it where it runs
/// within the tolerance.
fn snap(zones: &mut [ZoneInMetres], within_m: f64, changes: &mut Vec<Change>) {
    let mut order: Vec<usize> = (0..zones.len()).collect();
    order.sort_by(|&a, &b| zones[a].code.cmp(&zones[b].code).then(zones[a].record.cmp(&zones[b].record)));
    let mut vertices: RTree<Vertex> = RTree::new();
    let mut edges: RTree<Edge> = RTree::new();
    // For each zone its polygons flattened into rings, and the vertices that later zones added to its edges.
    let mut settled: Vec<Vec<Vec<Coord>>> = vec![vec![]; zones.len()];
    let mut added: HashMap<(usize, usize, usize), Vec<Coord>> = HashMap::new();
    let mut moves: Vec<Moves> = vec![Moves::default(); zones.len()];
    for &at in &order {
        let shape = zones[at].contour.metres();
        let rings = shape.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
        for ring in rings {
            let (followed, moved) = follow(&open(ring), &vertices, within_m, ON_IT_M);
            moves[at].add(&moved);
            let mut placed = Vec::with_capacity(followed.len());
            for vertex in followed {
                placed.push(onto_an_edge(vertex, &vertices, &edges, within_m, &mut added, &mut moves, at));
            }
            placed.dedup();
            if placed.len() > 1 && placed.first() == placed.last() {
                placed.pop();
            }
            settled[at].push(placed);
        }
        for (r, ring) in settled[at].iter().enumerate() {
            for (start, a) in ring.iter().enumerate() {
                let b = ring[(start + 1) % ring.len()];
                vertices.insert([a.x, a.y]);
                edges.insert(GeomWithData::new(Line::new([a.x, a.y], [b.x, b.y]), (at, r, start)));
            }
        }
        for new in added.values().flatten() {
            // Known twice does no harm.
            if vertices.locate_at_point(&[new.x, new.y]).is_none() {
                vertices.insert([new.x, new.y]);
            }
        }
    }
    for (at, zone) in zones.iter_mut().enumerate() {
        let before = zone.contour.metres();
        let mut rings =
            settled[at].iter().enumerate().map(|(r, ring)| with_added(ring, |start| added.get(&(at, r, start))));
        let mut polygons = Vec::new();
        for polygon in before {
            let exterior = rings.next().unwrap_or_default();
            let holes: Vec<LineString> = polygon
                .interiors()
                .iter()
                .filter_map(|_| rings.next())
                .filter(|ring| encloses(ring))
                .map(LineString::new)
                .collect();
            if encloses(&exterior) {
                polygons.push(Polygon::new(LineString::new(exterior), holes));
            }
        }
        let after = MultiPolygon(polygons);
        if moves[at].count == 0 {
            continue;
        }
        changes.push(Change {
            record: zone.record,
            zone: zone.code.clone(),
            what: What::Snapped,
            count: moves[at].count,
            moved_m: moves[at].farthest_m,
            area_m2: (before.unsigned_area(), after.unsigned_area()),
            place: moves[at].place,
        });
        zone.contour = Lambert93::vouch(after);
    }
}

/// Vertices moved or added, and the farthest of them.
#[derive(Debug, Clone, Default)]
struct Moves {
    count: usize,
    farthest_m: f64,
    place: Option<(f64, f64)>,
}

impl Moves {
    fn note(&mut self, place: Coord, moved_m: f64) {
        self.count += 1;
        if self.place.is_none() || moved_m > self.farthest_m {
            (self.farthest_m, self.place) = (moved_m, Some(place.x_y()));
        }
    }
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        if let Some(place) = other.place
            && (self.place.is_none() || other.farthest_m > self.farthest_m)
        {
            (self.farthest_m, self.place) = (other.farthest_m, Some(place));
        }
    }
}

/// A closed ring with the vertices added to its edges, in the order they lie.
fn with_added<'a>(ring: &[Coord], added: impl Fn(usize) -> Option<&'a Vec<Coord>>) -> Vec<Coord> {
    let mut whole = Vec::with_capacity(ring.len() + 1);
    for (start, a) in ring.iter().enumerate() {
        whole.push(*a);
        let mut between = added(start).cloned().unwrap_or_default();
        let from = |c: &Coord| (c.x - a.x).powi(2) + (c.y - a.y).powi(2);
        between.sort_by(|p, q| from(p).total_cmp(&from(q)));
        whole.extend(between);
    }
    whole.dedup();
    whole.extend(ring.first());
    whole
}

fn encloses(ring: &[Coord]) -> bool {
    ring.len() > 3 && Polygon::new(LineString::new(ring.to_vec()), vec![]).unsigned_area() >= RING_AREA_MIN_M2
}

/// An open ring that follows anchors: each vertex moves to the nearest anchor within the distance, and each edge takes up
/// the anchors that lie within the distance of it, but no nearer than `beyond_m`.
fn follow(ring: &[Coord], anchors: &RTree<Vertex>, within_m: f64, beyond_m: f64) -> (Vec<Coord>, Moves) {
    let mut moves = Moves::default();
    let square = within_m * within_m;
    let mut moved: Vec<Coord> = Vec::with_capacity(ring.len());
    for vertex in ring {
        let nearest = anchors.nearest_neighbor(&[vertex.x, vertex.y]).map(|a| Coord { x: a[0], y: a[1] });
        let place =
            nearest.filter(|a| (a.x - vertex.x).powi(2) + (a.y - vertex.y).powi(2) <= square).unwrap_or(*vertex);
        if place != *vertex {
            moves.note(*vertex, (place.x - vertex.x).hypot(place.y - vertex.y));
        }
        moved.push(place);
    }
    moved.dedup();
    if moved.len() > 1 && moved.first() == moved.last() {
        moved.pop();
    }
    let mut whole = Vec::with_capacity(moved.len());
    for (start, &a) in moved.iter().enumerate() {
        let b = moved[(start + 1) % moved.len()];
        whole.push(a);
        let (west, east) = (a.x.min(b.x) - within_m, a.x.max(b.x) + within_m);
        let (south, north) = (a.y.min(b.y) - within_m, a.y.max(b.y) + within_m);
        let frame = rstar::AABB::from_corners([west, south], [east, north]);
        let mut between: Vec<Coord> = anchors
            .locate_in_envelope(&frame)
            .map(|p| Coord { x: p[0], y: p[1] })
            .filter(|&p| {
                p != a && p != b && (beyond_m..=within_m).contains(&distance_m(a, b, p)) && !at_an_end(a, b, p)
            })
            .collect();
        let from = |c: &Coord| (c.x - a.x) * (b.x - a.x) + (c.y - a.y) * (b.y - a.y);
        between.sort_by(|p, q| from(p).total_cmp(&from(q)).then(p.x.total_cmp(&q.x)).then(p.y.total_cmp(&q.y)));
        between.dedup();
        for p in &between {
            moves.note(*p, distance_m(a, b, *p));
        }
        whole.extend(between);
    }
    whole.dedup();
    (whole, moves)
}

/// Whether the nearest place of an edge is one of its ends: an anchor beyond it is no part of the edge.
fn at_an_end(a: Coord, b: Coord, p: Coord) -> bool {
    let foot = foot(a, b, p);
    foot == a || foot == b
}

/// A vertex within the distance of a settled edge, and of no settled vertex, moves onto the edge, which gets it too.
fn onto_an_edge(
    vertex: Coord,
    vertices: &RTree<Vertex>,
    edges: &RTree<Edge>,
    within_m: f64,
    added: &mut HashMap<(usize, usize, usize), Vec<Coord>>,
    moves: &mut [Moves],
    at: usize,
) -> Coord {
    if vertices.locate_at_point(&[vertex.x, vertex.y]).is_some() {
        return vertex;
    }
    let near = |edge: &Edge| {
        let (a, b) = (edge.geom().from, edge.geom().to);
        let (a, b) = (Coord { x: a[0], y: a[1] }, Coord { x: b[0], y: b[1] });
        (foot(a, b, vertex), distance_m(a, b, vertex), edge.data)
    };
    let found = edges.locate_within_distance([vertex.x, vertex.y], within_m * within_m).map(near);
    let nearest = found.min_by(|p, q| p.1.total_cmp(&q.1).then(p.2.cmp(&q.2)));
    // What lies on the edge already needs no move, and the edge no vertex.
    let Some((place, moved_m, edge)) = nearest.filter(|(_, moved_m, _)| *moved_m > ON_IT_M) else {
        return vertex;
    };
    // Edges of several settled zones may run here together: each takes the vertex, so that they still do.
    let together: Vec<(usize, usize, usize)> = edges
        .locate_within_distance([place.x, place.y], OVERLAY_ROUNDS_M * OVERLAY_ROUNDS_M)
        .map(|e| e.data)
        .chain([edge])
        .collect();
    for edge in together {
        let places = added.entry(edge).or_default();
        if !places.contains(&place) {
            places.push(place);
            moves[edge.0].note(place, 0.0);
        }
    }
    moves[at].note(vertex, moved_m);
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::validate::{Kind, validate};
    use geo::CoordsIter;

    fn zone(record: usize, code: &str, rings: &[&[(f64, f64)]]) -> ZoneInMetres {
        let mut rings = rings.iter().map(|ring| LineString::from(ring.to_vec()));
        let polygon = Polygon::new(rings.next().unwrap(), rings.collect());
        ZoneInMetres { record, code: code.into(), label: None, contour: Lambert93::vouch(MultiPolygon(vec![polygon])) }
    }

    fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Vec<(f64, f64)> {
        vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    }

    fn snapped(zones: &[ZoneInMetres], within_m: f64) -> (Vec<ZoneInMetres>, Vec<Change>) {
        repair("layer", zones.to_vec(), &Repair { snap_m: Some(within_m), make_valid: false }).unwrap()
    }

    fn ground_doubted_m2(zones: Vec<ZoneInMetres>) -> f64 {
        let (_, report) = validate("layer", zones, None).unwrap();
        assert_eq!(report.below_tolerance, 0, "{report}");
        report
            .findings
            .iter()
            .filter(|f| matches!(f.kind, Kind::Overlap | Kind::Gap | Kind::Sliver))
            .map(|f| f.area_m2)
            .sum()
    }

    /// A tall zone on the left, two on the right that miss its border by 20 cm, one over it and one short of it.
    fn three() -> Vec<ZoneInMetres> {
        vec![
            zone(1, "A", &[&rectangle(0.0, 0.0, 100.0, 200.0)]),
            zone(2, "B", &[&rectangle(99.8, 0.0, 100.2, 100.0)]),
            zone(3, "C", &[&rectangle(100.2, 100.0, 99.8, 100.0)]),
        ]
    }

    #[test]
    fn borders_within_the_tolerance_become_one_and_each_change_is_told() {
        let (zones, changes) = snapped(&three(), 0.5);
        assert_eq!(ground_doubted_m2(zones.clone()), 0.0);
        assert_eq!(zones[1].contour.metres().unsigned_area(), 10_000.0);
        let told: Vec<_> = changes.iter().map(|c| (c.zone.as_str(), c.what, c.record)).collect();
        assert_eq!(told, [("A", What::Snapped, 1), ("B", What::Snapped, 2), ("C", What::Snapped, 3)]);
        let b = &changes[1];
        assert!((b.moved_m - 0.2).abs() < 1e-9 && (b.area_m2.0 - b.area_m2.1 - 20.0).abs() < 1e-6, "{b}");
        assert_eq!((changes[0].moved_m, changes[0].area_m2.0), (0.0, changes[0].area_m2.1), "A only gained a vertex");
        let (again, none) = snapped(&zones, 0.5);
        assert_eq!(none, [], "what is mended stays as it is");
        assert_eq!(again[2].contour, zones[2].contour);
    }

    #[test]
    fn the_order_of_records_changes_no_repair_and_a_smaller_tolerance_none() {
        let (forwards, _) = snapped(&three(), 0.5);
        let (mut backwards, _) = snapped(&three().into_iter().rev().collect::<Vec<_>>(), 0.5);
        backwards.reverse();
        for (a, b) in forwards.iter().zip(&backwards) {
            assert_eq!(a.contour, b.contour, "{}", a.code);
        }
        let (zones, changes) = snapped(&three(), 0.19);
        assert_eq!(changes, []);
        assert!(zones.iter().zip(three()).all(|(a, b)| a.contour == b.contour));
    }

    #[test]
    fn details_finer_than_the_tolerance_stay_where_no_neighbour_runs() {
        let notched = [
            (0.0, 0.0),
            (9.0, 0.0),
            (9.0, 4.0),
            (8.8, 4.0),
            (8.8, 4.2),
            (9.0, 4.2),
            (9.0, 9.0),
            (0.0, 9.0),
            (0.0, 0.0),
        ];
        let (zones, changes) =
            snapped(&[zone(1, "A", &[&notched]), zone(2, "B", &[&rectangle(-50.0, 0.0, 50.0, 9.0)])], 0.5);
        assert_eq!(changes, []);
        assert_eq!(zones[0].contour.metres().coords_count(), 9);
    }

    #[test]
    fn a_tolerance_that_harms_is_refused() {
        let tiny = vec![
            zone(1, "A", &[&rectangle(0.0, 0.0, 100.0, 100.0)]),
            zone(2, "B", &[&rectangle(100.0, 0.0, 1.0, 1.0)]),
        ];
        for (zones, within_m, code) in [
            (three(), 0.0, "snap_tolerance"),
            (three(), -1.0, "snap_tolerance"),
            (three(), f64::NAN, "snap_tolerance"),
            (three(), SNAP_MAX_M + 0.1, "snap_tolerance"),
            (tiny, 2.0, "snap_tears"),
        ] {
            let refused = repair("layer", zones, &Repair { snap_m: Some(within_m), make_valid: false }).unwrap_err();
            assert_eq!(refused.0.code, code, "{within_m}: {refused}");
        }
    }

    #[test]
    fn crossing_rings_are_drawn_anew_and_other_vertices_stay() {
        let bow_tie = [(0.0, 0.0), (100.1, 0.0), (0.0, 100.3), (100.1, 100.3), (0.0, 0.0)];
        let hole_beyond = (rectangle(0.0, 0.0, 100.0, 100.0), rectangle(90.0, 10.0, 20.0, 20.0));
        for (torn, area_m2, kept) in [
            (zone(1, "A", &[&bow_tie]), 100.1 * 100.3 / 2.0, &[(100.1, 0.0), (0.0, 100.3)][..]),
            (
                zone(1, "A", &[&hole_beyond.0, &hole_beyond.1]),
                10_000.0 - 200.0 + 200.0,
                &[(110.0, 30.0), (100.0, 100.0)],
            ),
        ] {
            let sound = zone(2, "B", &[&rectangle(500.0, 0.0, 10.0, 10.0)]);
            let wanted = Repair { snap_m: None, make_valid: true };
            let (zones, changes) = repair("layer", vec![torn.clone(), sound.clone()], &wanted).unwrap();
            assert!(is_sound(zones[0].contour.metres()));
            assert!((zones[0].contour.area_m2() - area_m2).abs() < 0.01, "{}", zones[0].contour.area_m2());
            for place in kept {
                let there = zones[0].contour.metres().coords_iter().any(|c| c.x_y() == *place);
                assert!(there, "{place:?} in {:?}", zones[0].contour);
            }
            assert_eq!(zones[1].contour, sound.contour);
            assert_eq!((changes.len(), changes[0].what, changes[0].zone.as_str()), (1, What::MadeValid, "A"));
            assert_eq!(changes[0].area_m2, (torn.contour.metres().unsigned_area(), zones[0].contour.area_m2()));
        }
    }
}
