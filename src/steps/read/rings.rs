//! Loose rings become polygons: which ring is a hole, and of what, is decided by where it lies.

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::orient::{Direction, Orient};
use geo::{Area, BoundingRect, Coord, LineString, MultiPolygon, Polygon};
use rstar::{AABB, RTree, RTreeObject};

/// Polygons made of rings, and whether the rings ran as the format says.
pub(in crate::steps) struct Assembled {
    /// Exterior rings counter-clockwise, holes clockwise.
    pub contour: MultiPolygon,
    /// Whether every exterior ring was clockwise and every hole counter-clockwise, as ESRI's description asks.
    pub as_esri_says: bool,
}

/// Vertices that are looked at to find which ring lies in which, in one layer: some seconds of work. A thousand islands
/// before a coast of fifty thousand vertices take a fortieth of it.
pub(in crate::steps) const NESTING_MAX: usize = 2_000_000_000;

struct Boxed {
    ring: usize,
    envelope: AABB<[f64; 2]>,
}

impl RTreeObject for Boxed {
    type Envelope = AABB<[f64; 2]>;
    fn envelope(&self) -> Self::Envelope {
        self.envelope
    }
}

/// A ring inside an odd number of others is a hole of the smallest of them; orientation is not trusted, since writers
/// get it wrong. Rings too short to enclose anything stay as they are: judging them is not the reader's part.
///
/// None when there is more to look at than `budget`, of which each look takes the vertices of the outer ring.
pub(in crate::steps) fn assemble(rings: Vec<LineString>, budget: &mut usize) -> Option<Assembled> {
    let rings: Vec<Polygon> = rings.into_iter().map(|ring| Polygon::new(ring, vec![])).collect();
    let signed: Vec<f64> = rings.iter().map(Area::signed_area).collect();
    let envelope = |ring: &Polygon| {
        let rect = ring.bounding_rect()?;
        Some(AABB::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y]))
    };
    let boxes: Vec<Boxed> =
        rings.iter().enumerate().filter_map(|(ring, p)| Some(Boxed { ring, envelope: envelope(p)? })).collect();
    let tree = RTree::bulk_load(boxes);
    let mut parent = vec![None; rings.len()];
    let mut depth = vec![0_usize; rings.len()];
    if rings.len() > 1 {
        for (i, ring) in rings.iter().enumerate() {
            let Some(own) = envelope(ring) else { continue };
            for other in tree.locate_in_envelope_intersecting(&own).map(|b| b.ring) {
                let larger = signed[other].abs() > signed[i].abs();
                *budget = budget.checked_sub(if larger { rings[other].exterior().0.len() } else { 1 })?;
                if other != i && signed[i] != 0.0 && larger && lies_inside(ring, &rings[other]) {
                    depth[i] += 1;
                    if parent[i].is_none_or(|p: usize| signed[other].abs() < signed[p].abs()) {
                        parent[i] = Some(other);
                    }
                }
            }
        }
    }
    let is_hole = |i: usize| depth[i] % 2 == 1;
    let as_esri_says = (0..rings.len()).all(|i| signed[i] == 0.0 || (signed[i] > 0.0) == is_hole(i));
    let mut place = vec![usize::MAX; rings.len()];
    let mut polygons: Vec<Polygon> = Vec::new();
    for i in (0..rings.len()).filter(|&i| !is_hole(i)) {
        place[i] = polygons.len();
        polygons.push(rings[i].clone());
    }
    for i in (0..rings.len()).filter(|&i| is_hole(i)) {
        // A hole has a parent, and the smallest ring around it lies one level up: it is no hole.
        if let Some(polygon) = parent[i].and_then(|p| polygons.get_mut(place[p])) {
            polygon.interiors_push(rings[i].exterior().clone());
        } else {
            polygons.push(rings[i].clone());
        }
    }
    Some(Assembled { contour: MultiPolygon(polygons).orient(Direction::Default), as_esri_says })
}

/// By the first vertex that is off the border, since a hole may touch its ring.
fn lies_inside(ring: &Polygon, outer: &Polygon) -> bool {
    let position = |c: &Coord| match outer.coordinate_position(c) {
        CoordPos::Inside => Some(true),
        CoordPos::Outside => Some(false),
        CoordPos::OnBoundary => None,
    };
    let vertices = &ring.exterior().0;
    let middles = vertices.windows(2).map(|w| (w[0] + w[1]) / 2.0);
    vertices.iter().find_map(position).or_else(|| middles.into_iter().find_map(|c| position(&c))).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(rings: Vec<LineString>) -> Assembled {
        assemble(rings, &mut NESTING_MAX.clone()).unwrap()
    }

    fn square(x: f64, y: f64, side: f64, clockwise: bool) -> LineString {
        let mut ring = vec![(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)];
        if clockwise {
            ring.reverse();
        }
        ring.into()
    }

    #[test]
    fn a_hole_is_what_lies_inside_whichever_way_it_runs() {
        let (outer, hole, island) = ((0.0, 0.0, 10.0), (1.0, 1.0, 8.0), (2.0, 2.0, 2.0));
        for turns in 0..8 {
            let ring = |(x, y, side): (f64, f64, f64), bit: usize| square(x, y, side, turns & bit != 0);
            let made = whole(vec![ring(hole, 1), ring(outer, 2), ring(island, 4)]);
            assert_eq!(made.contour.unsigned_area(), 100.0 - 64.0 + 4.0, "{turns:03b}");
            assert_eq!((made.contour.0.len(), made.contour.0[0].interiors().len()), (2, 1), "{turns:03b}");
            assert_eq!(made.as_esri_says, turns == 0b110, "{turns:03b}");
        }
    }

    #[test]
    fn a_hole_that_touches_its_ring_is_still_a_hole() {
        let touching = LineString::from(vec![(0.0, 0.0), (5.0, 2.0), (2.0, 5.0), (0.0, 0.0)]);
        let made = whole(vec![square(0.0, 0.0, 10.0, true), touching]);
        assert_eq!((made.contour.0.len(), made.contour.0[0].interiors().len()), (1, 1));
        let inscribed = LineString::from(vec![(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 0.0)]);
        let made = whole(vec![square(0.0, 0.0, 10.0, true), inscribed]);
        assert_eq!(made.contour.unsigned_area(), 50.0);
    }

    #[test]
    fn parts_beside_each_other_stay_parts() {
        let made = whole(vec![square(0.0, 0.0, 1.0, true), square(1.0, 0.0, 1.0, true), square(5.0, 0.0, 1.0, true)]);
        assert_eq!((made.contour.0.len(), made.contour.unsigned_area(), made.as_esri_says), (3, 3.0, true));
        assert_eq!(whole(vec![]).contour.0.len(), 0);
        assert_eq!(whole(vec![LineString::new(vec![])]).contour.0.len(), 1);
    }

    #[test]
    fn rings_without_end_are_given_up() {
        let nested =
            |n: u32| (0..n).map(|i| square(f64::from(i), f64::from(i), f64::from(2 * (n - i)), true)).collect();
        assert!(assemble(nested(20), &mut 1_500).is_some());
        assert!(assemble(nested(20), &mut 500).is_none());
    }
}
