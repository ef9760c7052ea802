//! The exact union of contours that share their borders vertex for vertex: shared edges go, all others stay as they are.

use crate::steps::read::rings;
use crate::steps::validate::{between, open, side};
use geo::{Coord, LineString, MultiPolygon};
use rstar::{AABB, RTree, RTreeObject};
use std::collections::{BTreeMap, HashMap};

/// An edge from one place to another, the ground on its left.
type Edge = (Place, Place);

/// A place that can be a key: equal coordinates are one place, to the last bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(u64, u64);

impl Place {
    pub(super) fn of(c: Coord) -> Self {
        // Adding zero makes -0 and 0 one place.
        Self((c.x + 0.0).to_bits(), (c.y + 0.0).to_bits())
    }
    pub(super) fn coord(self) -> Coord {
        Coord { x: f64::from_bits(self.0), y: f64::from_bits(self.1) }
    }
}

/// The contour around contours whose exterior rings run counter-clockwise and whose holes run clockwise.
///
/// Sound where contours do not overlap; where they do, rings of the result cross, and the caller judges it as any contour.
pub(super) fn dissolve<'a>(contours: impl Iterator<Item = &'a MultiPolygon>) -> MultiPolygon {
    let mut edges = Edges::default();
    for contour in contours {
        for ring in contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            let vertices = open(ring);
            for (i, a) in vertices.iter().enumerate() {
                edges.add((Place::of(*a), Place::of(vertices[(i + 1) % vertices.len()])));
            }
        }
    }
    let edges = edges.split_where_vertices_lie();
    rings::assemble(edges.into_rings(), &mut usize::MAX.clone()).map_or(MultiPolygon(vec![]), |made| made.contour)
}

/// Edges left once those that run both ways have cancelled out, in order, with how often each is there.
#[derive(Default)]
struct Edges(BTreeMap<Edge, usize>);

struct Boxed(Edge);

impl RTreeObject for Boxed {
    type Envelope = AABB<[f64; 2]>;
    fn envelope(&self) -> Self::Envelope {
        let (a, b) = (self.0.0.coord(), self.0.1.coord());
        AABB::from_corners([a.x, a.y], [b.x, b.y])
    }
}

impl Edges {
    fn add(&mut self, (a, b): Edge) {
        if a == b {
            return;
        }
        match self.0.get_mut(&(b, a)) {
            Some(1) => {
                self.0.remove(&(b, a));
            }
            Some(back) => *back -= 1,
            None => *self.0.entry((a, b)).or_default() += 1,
        }
    }

    /// One contour may have a vertex where its neighbour's edge runs on; such edges are split there, so that they cancel.
    fn split_where_vertices_lie(self) -> Self {
        let mut starts: Vec<[f64; 2]> = self.0.keys().map(|e| e.0.coord()).map(|c| [c.x, c.y]).collect();
        starts.dedup();
        let vertices = RTree::bulk_load(starts);
        let mut split = Self::default();
        for (&(a, b), &times) in &self.0 {
            let (from, to) = (a.coord(), b.coord());
            let on_it = |p: &[f64; 2]| {
                let c = Coord { x: p[0], y: p[1] };
                (c != from && c != to && side(from, to, c) == 0.0 && between(from, to, c)).then_some(c)
            };
            let mut stops: Vec<Coord> =
                vertices.locate_in_envelope(&Boxed((a, b)).envelope()).filter_map(on_it).collect();
            let along = |c: &Coord| (c.x - from.x).abs() + (c.y - from.y).abs();
            stops.sort_by(|p, q| along(p).total_cmp(&along(q)));
            stops.dedup();
            for _ in 0..times {
                let mut last = a;
                for stop in stops.iter().map(|c| Place::of(*c)).chain([b]) {
                    split.add((last, stop));
                    last = stop;
                }
            }
        }
        split
    }

    /// Walks along the edges, ground on the left, and cuts the walk wherever it comes back to a place: each ring is simple.
    fn into_rings(self) -> Vec<LineString> {
        let mut next: HashMap<Place, Vec<Place>> = HashMap::new();
        let mut starts = Vec::new();
        for (&(a, b), &times) in &self.0 {
            for _ in 0..times {
                next.entry(a).or_default().push(b);
                starts.push(a);
            }
        }
        let mut rings = Vec::new();
        for start in starts {
            let mut walk: Vec<Place> = Vec::new();
            let mut seen: HashMap<Place, usize> = HashMap::new();
            let mut here = start;
            loop {
                if let Some(&since) = seen.get(&here) {
                    let ring: Vec<Place> = walk.drain(since..).collect();
                    ring.iter().for_each(|place| {
                        seen.remove(place);
                    });
                    let coords = ring.iter().chain(ring.first()).map(|place| place.coord());
                    rings.push(LineString::new(coords.collect()));
                }
                let Some(ways) = next.get_mut(&here).filter(|ways| !ways.is_empty()) else { break };
                let way = match walk.last() {
                    Some(before) => leftmost(before.coord(), here.coord(), ways),
                    None => 0,
                };
                seen.insert(here, walk.len());
                walk.push(here);
                here = ways.swap_remove(way);
            }
        }
        rings
    }
}

/// Of several ways on, the one that keeps the ground on the left in one piece.
fn leftmost(before: Coord, here: Coord, ways: &[Place]) -> usize {
    let angle = |to: Coord| (to.y - here.y).atan2(to.x - here.x);
    let back = angle(before);
    let turn = |to: Coord| (back - angle(to)).rem_euclid(std::f64::consts::TAU);
    let turned = |i: &usize| turn(ways[*i].coord());
    (0..ways.len()).min_by(|a, b| turned(a).total_cmp(&turned(b))).unwrap_or(0)
}
