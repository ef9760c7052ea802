//! Zones laid over each other and over the territory: ground claimed twice, by nobody, or beyond.

use super::Budget;
use super::contour::{envelope, place_in, side};
use super::topology::{Finding, Kind, OVERLAY_TOLERANCE_M2, SLIVER_WIDTH_M, TopologyReport};
use geo::orient::{Direction, Orient};
use geo::{Area, BooleanOps, BoundingRect, Contains, Coord, CoordsIter, Euclidean, Length};
use geo::{LineString, MultiPolygon, Polygon, unary_union};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree, RTreeObject};

/// The ground of a zone, worked out even where its contour is torn.
pub(super) struct Ground {
    pub record: usize,
    pub code: String,
    pub shape: MultiPolygon,
}

/// Crossings between zones beyond which nothing is overlaid: each takes some hundred bytes, and a coverage has next to none.
const CROSSINGS_MAX: usize = 1_000_000;
/// Less than this share of a zone within the territory is its border drawn otherwise, not ground.
const TOUCHING_SHARE: f64 = 0.001;
/// How near the border of a gap lies to the zones around it: overlays round to a tenth of a millimetre.
const BESIDE_M: f64 = 0.01;
/// Places along the border of a gap where one asks for the zone beside it, and zones that are named.
const BESIDE_PLACES: usize = 16;

/// Looks for overlaps, gaps and what lies beyond the territory; says in the report whether it could look to the end.
/// Gives back the zones without any ground in the territory.
pub(super) fn lay<'a>(
    grounds: &'a [Ground],
    territory: Option<&MultiPolygon>,
    budget: &mut Budget,
    report: &mut TopologyReport,
) -> Vec<&'a Ground> {
    let shapes = grounds.iter().map(|ground| &ground.shape).chain(territory);
    report.overlaid = cross_rarely(shapes, budget) && overlaps(grounds, budget, report);
    if !report.overlaid {
        return vec![];
    }
    let union = unary_union(grounds.iter().map(|ground| &ground.shape));
    let tree = tree_of(grounds);
    gaps(grounds, &tree, &union, territory, report);
    detached(grounds, &tree, &union, report);
    let Some(territory) = territory else { return vec![] };
    // What zones enclose has been said to be a gap.
    let filled = MultiPolygon(union.iter().map(|p| Polygon::new(p.exterior().clone(), vec![])).collect());
    for missing in territory.difference(&filled) {
        let zones = beside(missing.exterior(), grounds, &tree);
        note_area(Kind::Uncovered, zones, MultiPolygon(vec![missing]), report);
    }
    beyond(grounds, territory, report)
}

type Tree = RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>;

fn tree_of(grounds: &[Ground]) -> Tree {
    let boxed = |(i, ground): (usize, &Ground)| {
        let envelope = envelope(&ground.shape)?;
        Some(GeomWithData::new(Rectangle::from_aabb(envelope), i))
    };
    RTree::bulk_load(grounds.iter().enumerate().filter_map(boxed).collect())
}

struct Edge {
    zone: usize,
    from: Coord,
    to: Coord,
}

impl RTreeObject for Edge {
    type Envelope = AABB<[f64; 2]>;
    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners([self.from.x, self.from.y], [self.to.x, self.to.y])
    }
}

/// Whether edges of different zones cross seldom enough for an overlay, whose memory grows with each crossing.
pub(super) fn cross_rarely<'a>(shapes: impl Iterator<Item = &'a MultiPolygon>, budget: &mut Budget) -> bool {
    let edges = shapes.enumerate().flat_map(|(zone, shape)| {
        let rings = shape.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
        rings.flat_map(LineString::lines).map(move |line| Edge { zone, from: line.start, to: line.end })
    });
    let tree = RTree::bulk_load(edges.collect());
    let mut crossings = 0;
    for s in &tree {
        for t in tree.locate_in_envelope_intersecting(&s.envelope()) {
            if !budget.spend(1) {
                return false;
            }
            let meet_at_an_end = s.from == t.from || s.from == t.to || s.to == t.from || s.to == t.to;
            if s.zone < t.zone && !meet_at_an_end {
                let across = |a: Coord, b: Coord, p: Coord, q: Coord| side(a, b, p) * side(a, b, q) < 0.0;
                crossings += usize::from(across(s.from, s.to, t.from, t.to) && across(t.from, t.to, s.from, s.to));
                if crossings > CROSSINGS_MAX {
                    return false;
                }
            }
        }
    }
    true
}

/// Ground that two zones claim, for every pair whose boxes meet; false when there was more to look at than the budget or
/// the report allows.
fn overlaps(grounds: &[Ground], budget: &mut Budget, report: &mut TopologyReport) -> bool {
    let tree = tree_of(grounds);
    let sizes: Vec<usize> = grounds.iter().map(|ground| ground.shape.coords_count()).collect();
    for near in &tree {
        let i = near.data;
        for j in tree.locate_in_envelope_intersecting(&near.geom().envelope()).map(|g| g.data).filter(|&j| j > i) {
            if report.is_full() || !budget.spend(sizes[i] + sizes[j]) {
                return false;
            }
            let shared = grounds[i].shape.intersection(&grounds[j].shape);
            let mut codes = vec![grounds[i].code.clone(), grounds[j].code.clone()];
            codes.sort();
            note_area(Kind::Overlap, codes, shared, report);
        }
    }
    true
}

/// Ground that no zone claims, enclosed by zones: the holes of their union, less the zones that lie in them and, where the
/// territory is known, less what lies beyond it.
fn gaps(
    grounds: &[Ground],
    tree: &Tree,
    union: &MultiPolygon,
    territory: Option<&MultiPolygon>,
    report: &mut TopologyReport,
) {
    let boxed = |(i, p): (usize, &Polygon)| {
        let rect = p.bounding_rect()?;
        let corners = ([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]);
        Some(GeomWithData::new(Rectangle::from_corners(corners.0, corners.1), i))
    };
    let islands = RTree::bulk_load(union.iter().enumerate().filter_map(boxed).collect());
    for polygon in union {
        for ring in polygon.interiors() {
            let hole = Polygon::new(ring.clone(), vec![]).orient(Direction::Default);
            let Some(frame) = hole.bounding_rect() else { continue };
            let around = AABB::from_corners([frame.min().x, frame.min().y], [frame.max().x, frame.max().y]);
            let within = islands.locate_in_envelope_intersecting(&around).map(|g| &union.0[g.data]);
            let within = within.filter(|p| p.bounding_rect().is_some_and(|r| frame.contains(&r)));
            let within = MultiPolygon(within.cloned().collect());
            let gap = MultiPolygon(vec![hole]);
            let gap = if within.0.is_empty() { gap } else { gap.difference(&within) };
            let gap = territory.map_or_else(|| gap.clone(), |territory| gap.intersection(territory));
            note_area(Kind::Gap, beside(ring, grounds, tree), gap, report);
        }
    }
}

/// Pieces of the union beside the one with most ground.
fn detached(grounds: &[Ground], tree: &Tree, union: &MultiPolygon, report: &mut TopologyReport) {
    let areas: Vec<f64> = union.iter().map(Area::unsigned_area).collect();
    let largest = (0..areas.len()).max_by(|&a, &b| areas[a].total_cmp(&areas[b]).then(b.cmp(&a)));
    for (i, piece) in union.iter().enumerate().filter(|(i, _)| Some(*i) != largest) {
        let zones = beside(piece.exterior(), grounds, tree);
        // A part of a zone that has others elsewhere has been said to be one.
        let has_parts = |zone: &String| grounds.iter().any(|g| g.code == *zone && g.shape.0.len() > 1);
        if zones.len() == 1 && has_parts(&zones[0]) || areas[i] < OVERLAY_TOLERANCE_M2 {
            continue;
        }
        let shape = MultiPolygon(vec![piece.clone()]);
        report.add(Finding { kind: Kind::Detached, zones, area_m2: areas[i], place: place_in(piece), shape });
    }
}

/// Ground of zones beyond the territory; gives back the zones that lie wholly beyond.
fn beyond<'a>(grounds: &'a [Ground], territory: &MultiPolygon, report: &mut TopologyReport) -> Vec<&'a Ground> {
    let mut outside = Vec::new();
    for ground in grounds {
        let area_m2 = ground.shape.unsigned_area();
        let beyond = ground.shape.difference(territory);
        let zones = vec![ground.code.clone()];
        if area_m2 - beyond.unsigned_area() > TOUCHING_SHARE * area_m2 {
            note_area(Kind::BeyondTerritory, zones, beyond, report);
        } else {
            let place = ground.shape.0.first().and_then(place_in);
            report.add(Finding { kind: Kind::OutsideTerritory, zones, area_m2, place, shape: ground.shape.clone() });
            outside.push(ground);
        }
    }
    outside
}

/// Codes of the zones on whose border a ring runs, in order, by places evenly along it.
fn beside(ring: &LineString, grounds: &[Ground], tree: &Tree) -> Vec<String> {
    let step_m = Euclidean.length(ring) / BESIDE_PLACES as f64;
    let mut codes: Vec<String> = Vec::new();
    let (mut walked_m, mut next_m) = (0.0, step_m / 2.0);
    for line in ring.lines() {
        let length_m = Euclidean.length(&line);
        while length_m > 0.0 && next_m <= walked_m + length_m {
            let place = line.start + (line.end - line.start) * ((next_m - walked_m) / length_m);
            let (x, y) = place.x_y();
            let around = AABB::from_corners([x - BESIDE_M, y - BESIDE_M], [x + BESIDE_M, y + BESIDE_M]);
            for near in tree.locate_in_envelope_intersecting(&around).map(|g| &grounds[g.data]) {
                if codes.len() < BESIDE_PLACES && !codes.contains(&near.code) && touches(&near.shape, place) {
                    codes.push(near.code.clone());
                }
            }
            next_m += step_m;
        }
        walked_m += length_m;
    }
    codes.sort();
    codes
}

fn touches(shape: &MultiPolygon, place: Coord) -> bool {
    let rings = shape.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
    rings.flat_map(LineString::lines).any(|line| distance_m(line.start, line.end, place) <= BESIDE_M)
}

/// From a place to an edge.
pub(in crate::steps) fn distance_m(a: Coord, b: Coord, p: Coord) -> f64 {
    let foot = foot(a, b, p);
    (p.x - foot.x).hypot(p.y - foot.y)
}

/// The place of an edge nearest to another place.
pub(in crate::steps) fn foot(a: Coord, b: Coord, p: Coord) -> Coord {
    let (along, length) = (b - a, (b.x - a.x).powi(2) + (b.y - a.y).powi(2));
    if length == 0.0 {
        return a;
    }
    a + along * (((p.x - a.x) * along.x + (p.y - a.y) * along.y) / length).clamp(0.0, 1.0)
}

fn note_area(kind: Kind, zones: Vec<String>, shape: MultiPolygon, report: &mut TopologyReport) {
    let area_m2 = shape.unsigned_area();
    if area_m2 < OVERLAY_TOLERANCE_M2 {
        report.below_tolerance += usize::from(area_m2 > 0.0);
        return;
    }
    let rings = |p: &Polygon| -> f64 {
        std::iter::once(p.exterior()).chain(p.interiors()).map(|ring: &LineString| Euclidean.length(ring)).sum()
    };
    let border_m: f64 = shape.iter().map(rings).sum();
    let thin = 2.0 * area_m2 / border_m < SLIVER_WIDTH_M;
    let kind = match kind {
        Kind::Gap | Kind::Uncovered if thin => Kind::SliverGap,
        _ if thin => Kind::Sliver,
        _ => kind,
    };
    let largest = shape.iter().max_by(|a, b| a.unsigned_area().total_cmp(&b.unsigned_area()));
    let place = largest.and_then(place_in);
    report.add(Finding { kind, zones, area_m2, place, shape });
}
