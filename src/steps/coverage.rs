//! Contours that share borders, taken apart into arcs: each stretch of border is held once, so that whatever is done to it
//! is done to the zones on both sides. In any plane: metres, degrees, tiles.
//!
//! Borders are thinned corner by corner, the smallest first (M. Visvalingam and J. D. Whyatt, *Line generalisation by
//! repeated elimination of points*, 1993). A corner stays while its triangle holds another vertex: then no border comes to
//! cross or touch another that it did not touch before. Ends of arcs stay, closed arcs keep three corners, and two arcs
//! never become one: no zone, part, hole or island vanishes.

use crate::steps::dissolve::Place;
use crate::steps::validate::{between, distance_m, foot, open, side};
use geo::{Coord, LineString, MultiPolygon, Polygon};
use rstar::primitives::GeomWithData;
use rstar::{AABB, RTree};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// A reach for contours in degrees, about 0.2 m. An edge that was straight in metres is not in degrees: a vertex in the
/// middle of 3 km of it comes to lie so far beside it.
pub const REACH_DEGREES: f64 = 2e-6;

/// Zones as walks along arcs they share.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    arcs: Vec<Vec<Coord>>,
    zones: Vec<Vec<Vec<Ring>>>,
}

/// A ring: arcs walked one after the other, back to the start.
pub type Ring = Vec<Walk>;

/// One arc of a ring and the way it is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Its place in [`Coverage::arcs`].
    pub arc: usize,
    /// Whether from its last vertex to its first.
    pub backwards: bool,
}

impl Coverage {
    /// Finds the arcs of contours, in order.
    ///
    /// Vertices of different rings within `reach` of each other become one, and a vertex within `reach` of another ring's
    /// edge becomes a vertex of that one too, so that neighbours share their border. A reach of zero takes what is equal to
    /// the last bit, and what lies exactly on an edge.
    pub fn of<'a>(contours: impl IntoIterator<Item = &'a MultiPolygon>, reach: f64) -> Self {
        let mut rings: Vec<Vec<Place>> = Vec::new();
        let mut zones: Vec<Vec<Vec<usize>>> = Vec::new();
        for contour in contours {
            let mut parts = Vec::new();
            for part in contour {
                let vertices = |ring: &LineString| open(ring).into_iter().map(Place::of).collect::<Vec<_>>();
                let exterior = vertices(part.exterior());
                if !encloses(&exterior) {
                    continue;
                }
                let start = rings.len();
                rings.push(exterior);
                rings.extend(part.interiors().iter().map(vertices).filter(|hole| encloses(hole)));
                parts.push((start..rings.len()).collect());
            }
            zones.push(parts);
        }
        let mut vertices = Vertices::of(&rings);
        let moved = if reach > 0.0 { gathered(&vertices, reach) } else { HashMap::new() };
        if !moved.is_empty() {
            for place in rings.iter_mut().flatten() {
                // Where it went may have moved after it.
                while let Some(to) = moved.get(place) {
                    *place = *to;
                }
            }
            vertices = Vertices::of(&rings);
        }
        node(&mut rings, &vertices, reach);
        let (arcs, walks) = cut(&rings);
        let zones = zones.into_iter().map(|parts| {
            parts.into_iter().map(|part| part.into_iter().map(|ring| walks[ring].clone()).collect()).collect()
        });
        Self { zones: zones.collect(), arcs }
    }

    /// How many zones there are.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// Every arc, from end to end; a closed one ends where it starts.
    pub fn arcs(&self) -> &[Vec<Coord>] {
        &self.arcs
    }

    /// The parts of a zone: for each its exterior ring, then its holes.
    pub fn parts(&self, zone: usize) -> &[Vec<Ring>] {
        &self.zones[zone]
    }

    /// The contour of a zone, its rings turning as those given.
    pub fn polygons(&self, zone: usize) -> MultiPolygon {
        let parts = self.zones[zone].iter().map(|part| {
            let mut rings = part.iter().map(|ring| self.line(ring));
            let exterior = rings.next().unwrap_or_else(|| LineString(vec![]));
            Polygon::new(exterior, rings.collect())
        });
        MultiPolygon(parts.collect())
    }

    /// The same zones in another plane.
    pub fn mapped(&self, to: impl Fn(Coord) -> Coord) -> Self {
        let arcs = self.arcs.iter().map(|arc| arc.iter().map(|c| to(*c)).collect()).collect();
        Self { arcs, zones: self.zones.clone() }
    }

    /// The same zones with fewer vertices: no corner is left whose triangle is smaller than the square of the tolerance,
    /// apart from those that keep borders from crossing. A tolerance of zero changes nothing.
    pub fn simplified(&self, tolerance: f64) -> Self {
        Self { arcs: Thinning::of(&self.arcs).to(tolerance * tolerance), zones: self.zones.clone() }
    }

    fn line(&self, ring: &Ring) -> LineString {
        let mut line: Vec<Coord> = Vec::new();
        for walk in ring {
            // Each arc starts where the one before it ends.
            line.pop();
            let arc = &self.arcs[walk.arc];
            match walk.backwards {
                false => line.extend(arc),
                true => line.extend(arc.iter().rev()),
            }
        }
        LineString(line)
    }
}

/// A ring with fewer corners encloses nothing.
const RING_CORNERS: usize = 3;

/// Whether a ring may enclose something: enough corners, each a place.
fn encloses(ring: &[Place]) -> bool {
    let finite = |p: &Place| p.coord().x.is_finite() && p.coord().y.is_finite();
    ring.len() >= RING_CORNERS && ring.iter().all(finite)
}

/// An edge, whichever way it is walked.
fn undirected(a: Place, b: Place) -> (Place, Place) {
    if a <= b { (a, b) } else { (b, a) }
}

/// The edges of an open ring, in order.
fn edges(ring: &[Place]) -> impl Iterator<Item = (Place, Place)> {
    ring.iter().enumerate().map(|(i, a)| (*a, ring[(i + 1) % ring.len()]))
}

/// Every vertex once, in order, with the rings it belongs to. In a country there are millions: no map, no list for each.
struct Vertices {
    places: Vec<Place>,
    /// Where the rings of each begin in `rings`, and where those of the last one end.
    starts: Vec<usize>,
    rings: Vec<usize>,
    tree: RTree<GeomWithData<[f64; 2], usize>>,
}

impl Vertices {
    fn of(rings: &[Vec<Place>]) -> Self {
        let of_ring = |(i, ring): (usize, &Vec<Place>)| ring.iter().map(|place| (*place, i)).collect::<Vec<_>>();
        let mut all: Vec<(Place, usize)> = rings.iter().enumerate().flat_map(of_ring).collect();
        all.sort_unstable();
        let (mut places, mut starts) = (Vec::new(), Vec::new());
        for (i, (place, _)) in all.iter().enumerate() {
            if places.last() != Some(place) {
                places.push(*place);
                starts.push(i);
            }
        }
        starts.push(all.len());
        let point = |(number, place): (usize, &Place)| GeomWithData::new([place.coord().x, place.coord().y], number);
        let tree = RTree::bulk_load(places.iter().enumerate().map(point).collect());
        Self { places, starts, rings: all.into_iter().map(|(_, ring)| ring).collect(), tree }
    }

    /// The rings of a vertex, by its number.
    fn rings_at(&self, number: usize) -> &[usize] {
        &self.rings[self.starts[number]..self.starts[number + 1]]
    }

    /// The numbers of those in a box.
    fn within(&self, low: [f64; 2], high: [f64; 2]) -> impl Iterator<Item = usize> {
        self.tree.locate_in_envelope(&AABB::from_corners(low, high)).map(|vertex| vertex.data)
    }
}

/// Which vertices of different rings that lie side by side become one, the nearest first; two of one ring stay two.
fn gathered(vertices: &Vertices, reach: f64) -> HashMap<Place, Place> {
    let beside = |(number, place): (usize, &Place)| {
        let at = place.coord();
        let others = vertices.within([at.x - reach, at.y - reach], [at.x + reach, at.y + reach]);
        let pair = |other: usize| {
            let to = vertices.places[other].coord();
            ((to.x - at.x).hypot(to.y - at.y), number, other)
        };
        let pairs = others.filter(|other| *other > number).map(pair);
        pairs.filter(|pair| pair.0 <= reach).collect::<Vec<_>>()
    };
    let mut pairs: Vec<(f64, usize, usize)> = vertices.places.iter().enumerate().flat_map(beside).collect();
    pairs.sort_by(|p, q| p.0.total_cmp(&q.0).then((p.1, p.2).cmp(&(q.1, q.2))));
    let concerned = pairs.iter().flat_map(|(_, one, other)| [*one, *other]);
    let mut rings_of: HashMap<usize, Vec<usize>> =
        concerned.map(|number| (number, vertices.rings_at(number).to_vec())).collect();
    let mut moved: HashMap<Place, Place> = HashMap::new();
    for (_, one, other) in pairs {
        // Who has moved is no longer there.
        let (Some(own), Some(joining)) = (rings_of.get(&one), rings_of.get(&other)) else { continue };
        if !own.iter().any(|ring| joining.contains(ring)) {
            let joining = rings_of.remove(&other).unwrap_or_default();
            rings_of.entry(one).or_default().extend(joining);
            moved.insert(vertices.places[other], vertices.places[one]);
        }
    }
    moved
}

/// Makes vertices that lie on edges of other rings vertices of those too.
fn node(rings: &mut [Vec<Place>], vertices: &Vertices, reach: f64) {
    let of_ring = |(i, ring): (usize, &Vec<Place>)| edges(ring).map(|(a, b)| (undirected(a, b), i)).collect::<Vec<_>>();
    let mut rings_of_edge: Vec<((Place, Place), usize)> = rings.iter().enumerate().flat_map(of_ring).collect();
    rings_of_edge.sort_unstable();
    let mut stops: HashMap<(Place, Place), Vec<Place>> = HashMap::new();
    for own in rings_of_edge.chunk_by(|one, next| one.0 == next.0) {
        let (a, b) = own[0].0;
        let (from, to) = (a.coord(), b.coord());
        let lies_on = |number: usize| {
            let p = vertices.places[number];
            let c = p.coord();
            let on_line = side(from, to, c) == 0.0 && between(from, to, c);
            let at = foot(from, to, c);
            // A ring that comes back near itself is left as it is, and so are vertices beside the ends.
            let stops = p != a
                && p != b
                && (on_line || distance_m(from, to, c) < reach && at != from && at != to)
                && !vertices.rings_at(number).iter().any(|ring| own.iter().any(|(_, owner)| owner == ring));
            stops.then_some(p)
        };
        let low = [from.x.min(to.x) - reach, from.y.min(to.y) - reach];
        let high = [from.x.max(to.x) + reach, from.y.max(to.y) + reach];
        let mut found: Vec<Place> = vertices.within(low, high).filter_map(lies_on).collect();
        if !found.is_empty() {
            let along = |p: &Place| {
                let at = foot(from, to, p.coord());
                (at.x - from.x).abs() + (at.y - from.y).abs()
            };
            found.sort_by(|p, q| along(p).total_cmp(&along(q)).then(p.cmp(q)));
            stops.insert((a, b), found);
        }
    }
    if stops.is_empty() {
        return;
    }
    for ring in rings {
        let mut noded = Vec::with_capacity(ring.len());
        for (a, b) in edges(ring) {
            noded.push(a);
            match stops.get(&undirected(a, b)) {
                Some(between) if a <= b => noded.extend(between),
                Some(between) => noded.extend(between.iter().rev()),
                None => {}
            }
        }
        *ring = noded;
    }
}

/// Cuts rings where borders part or meet, and finds each arc once.
fn cut(rings: &[Vec<Place>]) -> (Vec<Vec<Coord>>, Vec<Ring>) {
    let mut beside: HashMap<Place, (Place, Place)> = HashMap::new();
    let mut nodes: HashSet<Place> = HashSet::new();
    for ring in rings {
        for i in 0..ring.len() {
            let (before, after) = (ring[(i + ring.len() - 1) % ring.len()], ring[(i + 1) % ring.len()]);
            let pair = undirected(before, after);
            if *beside.entry(ring[i]).or_insert(pair) != pair {
                nodes.insert(ring[i]);
            }
        }
    }
    let mut arcs: Vec<Vec<Coord>> = Vec::new();
    // An arc is known by its first edge, from either end: between nodes there is one way on.
    let mut known: HashMap<(Place, Place), Walk> = HashMap::new();
    let mut walk_of = |arc: Vec<Place>| {
        let (first, last) = ((arc[0], arc[1]), (arc[arc.len() - 1], arc[arc.len() - 2]));
        let walk = *known.entry(first).or_insert_with(|| {
            arcs.push(arc.iter().map(|p| p.coord()).collect());
            Walk { arc: arcs.len() - 1, backwards: false }
        });
        known.entry(last).or_insert(Walk { backwards: !walk.backwards, ..walk });
        walk
    };
    let walks = rings.iter().map(|ring| {
        // A ring without a node starts at its least vertex, so that both sides start alike.
        let least = || (0..ring.len()).min_by_key(|&i| ring[i]).unwrap_or(0);
        let start = ring.iter().position(|p| nodes.contains(p)).unwrap_or_else(least);
        let turned = ring.iter().cycle().skip(start).take(ring.len() + 1);
        let mut walks = Vec::new();
        let mut arc: Vec<Place> = Vec::new();
        for (i, place) in turned.enumerate() {
            arc.push(*place);
            if i == ring.len() || i > 0 && nodes.contains(place) {
                walks.push(walk_of(std::mem::replace(&mut arc, vec![*place])));
            }
        }
        walks
    });
    let walks = walks.collect();
    (arcs, walks)
}

/// The area of a corner's triangle, as bits, which for numbers that are not negative lie in their order; its vertex.
/// The smallest comes first.
type Corner = Reverse<(u64, usize)>;

/// Arcs of which vertices go.
struct Thinning {
    at: Vec<Coord>,
    /// Neighbours along the arc; an end has itself.
    before: Vec<usize>,
    after: Vec<usize>,
    /// Whether a vertex is gone.
    gone: Vec<bool>,
    arc: Vec<usize>,
    /// Vertices left of each arc, both ends included.
    left: Vec<usize>,
    /// First and last vertex of each arc.
    ends: Vec<(usize, usize)>,
    /// Pairs of ends that an arc without a corner joins.
    straight: HashSet<(Place, Place)>,
    /// Vertices that are not gone.
    tree: RTree<GeomWithData<[f64; 2], usize>>,
}

impl Thinning {
    fn of(arcs: &[Vec<Coord>]) -> Self {
        let count = arcs.iter().map(Vec::len).sum();
        let mut thinning = Self {
            at: Vec::with_capacity(count),
            before: Vec::with_capacity(count),
            after: Vec::with_capacity(count),
            gone: vec![false; count],
            arc: Vec::with_capacity(count),
            left: arcs.iter().map(Vec::len).collect(),
            ends: Vec::with_capacity(arcs.len()),
            straight: HashSet::new(),
            tree: RTree::new(),
        };
        for (number, arc) in arcs.iter().enumerate() {
            let start = thinning.at.len();
            let last = start + arc.len().saturating_sub(1);
            thinning.ends.push((start, last));
            for (i, c) in (start..).zip(arc) {
                thinning.at.push(*c);
                thinning.before.push(i.saturating_sub(1).max(start));
                thinning.after.push((i + 1).min(last));
                thinning.arc.push(number);
            }
            if let [a, b] = arc[..] {
                thinning.straight.insert(undirected(Place::of(a), Place::of(b)));
            }
        }
        let boxed = thinning.at.iter().enumerate().map(|(i, c)| GeomWithData::new([c.x, c.y], i));
        thinning.tree = RTree::bulk_load(boxed.collect());
        thinning
    }

    /// Takes away corners below an area, the smallest first; equal ones in the order of their arcs.
    fn to(mut self, area: f64) -> Vec<Vec<Coord>> {
        let mut queue: BinaryHeap<Corner> = (0..self.at.len()).filter_map(|i| self.below(area, i)).collect();
        while let Some(corner) = queue.pop() {
            let Reverse((_, i)) = corner;
            // A neighbour that went has changed the corner, and the queue holds it anew.
            let stands = !self.gone[i] && self.below(area, i) == Some(corner);
            if !stands || !self.may_go(i) {
                continue;
            }
            let (a, c, arc) = (self.before[i], self.after[i], self.arc[i]);
            self.gone[i] = true;
            self.tree.remove(&GeomWithData::new([self.at[i].x, self.at[i].y], i));
            (self.after[a], self.before[c]) = (c, a);
            self.left[arc] -= 1;
            if self.left[arc] == 2 {
                self.straight.insert(undirected(Place::of(self.at[a]), Place::of(self.at[c])));
            }
            queue.extend([a, c].into_iter().filter_map(|beside| self.below(area, beside)));
        }
        let kept = |((first, _), left): (&(usize, usize), &usize)| {
            let along = std::iter::successors(Some(*first), |i| Some(self.after[*i]));
            along.take(*left).map(|i| self.at[i]).collect()
        };
        self.ends.iter().zip(&self.left).map(kept).collect()
    }

    /// A corner and its triangle's area, if smaller than this; an end of an arc is no corner.
    fn below(&self, area: f64, i: usize) -> Option<Corner> {
        let (a, c) = (self.before[i], self.after[i]);
        if a == i || c == i {
            return None;
        }
        let (u, v) = (self.at[a] - self.at[i], self.at[c] - self.at[i]);
        let own = (u.x * v.y - u.y * v.x).abs() / 2.0;
        (own < area).then(|| Reverse((own.to_bits(), i)))
    }

    /// Whether rings stay rings without this corner, and no border comes to touch another.
    fn may_go(&self, i: usize) -> bool {
        let (a, b, c) = (self.at[self.before[i]], self.at[i], self.at[self.after[i]]);
        let (arc, left) = (self.arc[i], self.left[self.arc[i]]);
        let (first, last) = self.ends[arc];
        let closed = Place::of(self.at[first]) == Place::of(self.at[last]);
        if closed && left <= RING_CORNERS + 1 {
            return false;
        }
        if left == 3 && self.straight.contains(&undirected(Place::of(a), Place::of(c))) {
            return false;
        }
        let (low, high) = (|p: f64, q: f64, r: f64| p.min(q).min(r), |p: f64, q: f64, r: f64| p.max(q).max(r));
        let around =
            AABB::from_corners([low(a.x, b.x, c.x), low(a.y, b.y, c.y)], [high(a.x, b.x, c.x), high(a.y, b.y, c.y)]);
        !self.tree.locate_in_envelope(&around).any(|v| {
            let p = self.at[v.data];
            v.data != i && p != a && p != c && holds([a, b, c], p)
        })
    }
}

/// Whether a triangle, its border included, holds a place of the box around it.
fn holds([a, b, c]: [Coord; 3], p: Coord) -> bool {
    let sides = [side(a, b, p), side(b, c, p), side(c, a, p)];
    !(sides.iter().any(|s| *s > 0.0) && sides.iter().any(|s| *s < 0.0))
}

#[cfg(test)]
pub(in crate::steps) mod tests {
    use super::*;
    use geo::{Area, Contains, InteriorPoint, Relate, Validation, unary_union};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    /// Zones of a jittered chequerboard whose borders wander, every other one with an enclave, some with an island.
    pub(in crate::steps) fn chequers(side: usize, steps: usize, seed: u64) -> Vec<MultiPolygon> {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let mut near = |reach: f64| random.random_range(-reach..reach);
        let nodes: Vec<Vec<Coord>> = (0..=side)
            .map(|y| (0..=side).map(|x| Coord { x: x as f64 + near(0.1), y: y as f64 + near(0.1) }).collect())
            .collect();
        // The nearer to its ends, the less a border wanders, so that borders meet at nodes alone.
        let mut border = |a: Coord, b: Coord| -> Vec<Coord> {
            let along = b - a;
            let inner = (1..steps).map(|i| {
                let t = i as f64 / steps as f64;
                let off = near(0.3) * t.min(1.0 - t);
                a + along * t + Coord { x: -along.y, y: along.x } * off
            });
            std::iter::once(a).chain(inner.collect::<Vec<_>>()).chain([b]).collect()
        };
        let across: Vec<Vec<Vec<Coord>>> =
            (0..=side).map(|y| (0..side).map(|x| border(nodes[y][x], nodes[y][x + 1])).collect()).collect();
        let upward: Vec<Vec<Vec<Coord>>> =
            (0..side).map(|y| (0..=side).map(|x| border(nodes[y][x], nodes[y + 1][x])).collect()).collect();
        let mut zones = Vec::new();
        for y in 0..side {
            for x in 0..side {
                let mut ring = across[y][x].clone();
                ring.extend(&upward[y][x + 1]);
                ring.extend(across[y + 1][x].iter().rev());
                ring.extend(upward[y][x].iter().rev());
                ring.dedup();
                let star = |at: Coord| -> Vec<Coord> {
                    let corner = |i: usize| {
                        let angle = i as f64 * std::f64::consts::TAU / 9.0;
                        at + Coord { x: angle.cos(), y: angle.sin() } * if i % 2 == 0 { 0.15 } else { 0.1 }
                    };
                    (0..9).map(corner).collect()
                };
                let centre = Coord { x: x as f64 + 0.5, y: y as f64 + 0.5 };
                let island = Polygon::new(star(centre + Coord { x: 0.0, y: -10.0 }).into(), vec![]);
                let holed = (x + y) % 2 == 0;
                let holes = if holed { vec![star(centre).into_iter().rev().collect()] } else { vec![] };
                let mut parts = vec![Polygon::new(ring.into(), holes)];
                if x == y {
                    parts.push(island);
                }
                zones.push(MultiPolygon(parts));
                if holed {
                    zones.push(MultiPolygon(vec![Polygon::new(star(centre).into(), vec![])]));
                }
            }
        }
        zones
    }

    fn vertices_in(contours: &[MultiPolygon]) -> usize {
        contours
            .iter()
            .flatten()
            .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()))
            .map(|r| r.0.len())
            .sum()
    }

    fn zones(coverage: &Coverage) -> Vec<MultiPolygon> {
        (0..coverage.len()).map(|zone| coverage.polygons(zone)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// What a map reader would notice: cracks, overlaps, zones that are torn or lost.
        #[test]
        fn thinned_zones_still_cover_the_same_ground_once(seed in 0_u64..1000, tolerance in 0.001_f64..2.0) {
            let given = chequers(3, 12, seed);
            let coverage = Coverage::of(&given, 0.0);
            let thinned = zones(&coverage.simplified(tolerance));
            prop_assert!(vertices_in(&thinned) <= vertices_in(&given));
            for (zone, was) in thinned.iter().zip(&given) {
                prop_assert!(zone.is_valid(), "{:?}", zone.validation_errors());
                prop_assert_eq!(zone.0.len(), was.0.len(), "no part vanishes");
                prop_assert_eq!(
                    zone.iter().map(|p| p.interiors().len()).sum::<usize>(),
                    was.iter().map(|p| p.interiors().len()).sum::<usize>()
                );
            }
            for (i, one) in thinned.iter().enumerate() {
                for (j, other) in thinned.iter().enumerate().skip(i + 1) {
                    let (now, before) = (one.relate(other), given[i].relate(&given[j]));
                    prop_assert!(!now.is_overlaps() && !now.is_within() && !now.is_contains(), "{i} and {j}");
                    prop_assert_eq!(now.is_touches(), before.is_touches(), "{} and {}", i, j);
                }
            }
            let union = unary_union(&thinned);
            let sum: f64 = thinned.iter().map(Area::unsigned_area).sum();
            // A union rounds its coordinates to about a billionth.
            prop_assert!((union.unsigned_area() - sum).abs() < 1e-6, "{} {sum}", union.unsigned_area());
            prop_assert!(union.iter().all(|p| p.interiors().is_empty()), "no crack");
        }
    }

    #[test]
    fn without_tolerance_nothing_changes_and_with_more_less_is_left() {
        let given = chequers(3, 12, 7);
        let coverage = Coverage::of(&given, 0.0);
        for (zone, was) in zones(&coverage.simplified(0.0)).iter().zip(&given) {
            assert!(zone.relate(was).is_equal_topo());
            assert_eq!(vertices_of(zone), vertices_of(was));
        }
        let left: Vec<usize> =
            [0.0, 0.02, 0.1, 1.0].map(|tolerance| vertices_in(&zones(&coverage.simplified(tolerance)))).into();
        assert!(left.is_sorted_by(|a, b| a > b), "{left:?}");
        // Each border of a chequerboard is held once: twelve within, twelve around, six closed ones.
        assert_eq!(coverage.arcs().len(), 12 + 8 + 5 + 3, "{}", coverage.arcs().len());
        assert_eq!(coverage.simplified(0.1).arcs(), coverage.simplified(0.1).arcs(), "the same every time");
    }

    #[test]
    fn a_vertex_in_the_middle_of_a_neighbours_edge_is_shared() {
        let ring = |points: &[(f64, f64)]| MultiPolygon(vec![Polygon::new(points.to_vec().into(), vec![])]);
        for (what, reach, aside, arcs) in [
            ("on the edge", 0.0, 0.0, 3),
            ("a hair away, and none may be", 0.0, 0.01, 2),
            ("a hair away, and that is near enough", 0.02, 0.01, 3),
        ] {
            let given = [
                ring(&[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]),
                ring(&[(4.0 + aside, 1.0), (8.0, 0.0), (8.0, 4.0), (4.0 + aside, 3.0)]),
            ];
            let coverage = Coverage::of(&given, reach);
            assert_eq!(coverage.arcs().len(), arcs, "{what}: one arc each has for itself, and perhaps one they share");
            let [one, other] = &zones(&coverage)[..] else { panic!("two zones") };
            assert_eq!(one.relate(other).is_touches(), arcs == 3, "{what}");
            assert!(one.is_valid() && other.is_valid(), "{what}");
        }
    }

    #[test]
    fn vertices_drawn_side_by_side_are_shared_and_those_of_one_ring_are_not() {
        let ring = |points: &[(f64, f64)]| MultiPolygon(vec![Polygon::new(points.to_vec().into(), vec![])]);
        let hair = 1e-9;
        let given = [
            ring(&[(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (2.0 - hair, 2.0), (0.0, 2.0)]),
            ring(&[(2.0 + hair, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 2.0 + hair)]),
            ring(&[(2.0, -hair), (2.0, -2.0), (4.0, -2.0), (4.0 + hair, hair)]),
        ];
        for (reach, arcs) in [(0.0, 3), (4.0 * hair, 5)] {
            let coverage = Coverage::of(&given, reach);
            assert_eq!(coverage.arcs().len(), arcs, "{reach}: with two borders shared, three more");
            for (zone, was) in zones(&coverage).iter().zip(&given) {
                assert_eq!(vertices_of(zone), vertices_of(was), "{reach}");
            }
        }
    }

    #[test]
    fn a_vertex_goes_where_the_one_it_joined_went() {
        let ring = |points: &[(f64, f64)]| MultiPolygon(vec![Polygon::new(points.to_vec().into(), vec![])]);
        // The second and the third are nearest, and then the first and the second.
        let (hair, at) = (1e-9, 2.0);
        let given = [
            ring(&[(at, 0.0), (0.0, 2.0), (0.0, 0.0)]),
            ring(&[(at + 2.0 * hair, 0.0), (4.0, 2.0), (3.0, 2.0)]),
            ring(&[(at + 3.0 * hair, 0.0), (3.0, -2.0), (4.0, -2.0)]),
        ];
        let meeting = zones(&Coverage::of(&given, 4.0 * hair));
        for zone in &meeting {
            assert!(zone.0[0].exterior().0.contains(&Coord { x: at, y: 0.0 }), "{meeting:?}");
        }
    }

    fn vertices_of(zone: &MultiPolygon) -> usize {
        vertices_in(std::slice::from_ref(zone))
    }

    #[test]
    fn two_borders_between_the_same_ends_never_become_one() {
        // A lens between two zones, which no tolerance may close, and an island of three corners.
        let ring = |points: &[(f64, f64)]| MultiPolygon(vec![Polygon::new(points.to_vec().into(), vec![])]);
        let given = [
            ring(&[(0.0, 0.0), (1.0, 0.1), (2.0, 0.0), (2.0, 4.0), (0.0, 4.0)]),
            ring(&[(0.0, 0.0), (1.0, -0.1), (2.0, 0.0), (1.0, 0.1)]),
            ring(&[(0.0, -4.0), (2.0, -4.0), (2.0, 0.0), (1.0, -0.1), (0.0, 0.0)]),
            ring(&[(9.0, 9.0), (9.1, 9.0), (9.0, 9.1)]),
        ];
        let thinned = Coverage::of(&given, 0.0).simplified(100.0);
        for zone in zones(&thinned) {
            assert!(zone.unsigned_area() > 0.0 && zone.is_valid(), "{zone:?}");
            let inside = zone.interior_point().expect("ground");
            assert!(zone.contains(&inside));
        }
    }

    #[test]
    fn odd_contours_are_taken_as_they_are() {
        let ring = |points: &[(f64, f64)]| MultiPolygon(vec![Polygon::new(points.to_vec().into(), vec![])]);
        for odd in [
            MultiPolygon(vec![]),
            ring(&[]),
            ring(&[(1.0, 1.0)]),
            ring(&[(0.0, 0.0), (1.0, 0.0), (0.0, 0.0)]),
            ring(&[(0.0, 0.0), (2.0, 0.0), (1.0, 0.0), (2.0, 0.0)]),
            ring(&[(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)]),
            ring(&[(f64::NAN, 0.0), (2.0, f64::INFINITY), (2.0, 0.0), (0.0, 2.0)]),
            // A hole without ground around it.
            MultiPolygon(vec![Polygon::new(
                vec![(0.0, 0.0), (1.0, 0.0)].into(),
                vec![vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)].into()],
            )]),
        ] {
            let coverage = Coverage::of([&odd, &odd], 0.1);
            assert_eq!(coverage.len(), 2);
            assert_eq!(coverage.simplified(1.0).polygons(0).0.len(), coverage.polygons(0).0.len());
            assert!(coverage.polygons(1).iter().all(|part| part.exterior().0.len() > RING_CORNERS));
        }
    }
}
