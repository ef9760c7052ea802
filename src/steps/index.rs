//! Step 4: zones become an index; the only file that knows rstar.
//!
//! A tree of bounding boxes gives the candidates; each zone keeps its edges by horizontal strips, so that a candidate is
//! judged by the few edges at the height of the point. Sides are decided by Shewchuk's exact orientation predicate: no
//! tolerance, no rounding.

use crate::model::{Lambert93, Zoning};
use geo::{Coord, MultiPolygon};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

/// Where a point lies with respect to one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// In its interior.
    Inside,
    /// On an edge or a vertex of it.
    Border,
    /// Elsewhere.
    Outside,
}

/// An index over the zones of one zoning, in EPSG:2154 metres. Zones are named by their place in [`Zoning::zones`].
pub struct ZoneIndex {
    boxes: RTree<GeomWithData<Rectangle<[f64; 2]>, u32>>,
    outlines: Vec<Outline>,
}

impl ZoneIndex {
    /// Builds the index; cannot fail.
    pub fn new(zoning: &Zoning) -> Self {
        Self::of(zoning.zones().iter().map(|zone| &zone.contour))
    }

    fn of<'a>(contours: impl Iterator<Item = &'a Lambert93<MultiPolygon>>) -> Self {
        let outlines: Vec<Outline> = contours.map(|contour| Outline::new(contour.metres())).collect();
        let boxes = outlines.iter().enumerate().filter(|(_, outline)| !outline.edges.is_empty()).map(|(i, outline)| {
            let rectangle = Rectangle::from_corners(outline.least, outline.greatest);
            GeomWithData::new(rectangle, i as u32)
        });
        Self { boxes: RTree::bulk_load(boxes.collect()), outlines }
    }

    /// The zones whose bounding box holds the point, in no particular order.
    pub fn candidates(&self, x: f64, y: f64) -> impl Iterator<Item = u32> {
        self.boxes.locate_in_envelope_intersecting(&AABB::from_point([x, y])).map(|found| found.data)
    }

    /// Where the point lies with respect to one zone; exact.
    pub fn position(&self, zone: u32, x: f64, y: f64) -> Position {
        self.outlines[zone as usize].position(x, y)
    }
}

/// An edge, its lower end first.
#[derive(Debug, Clone, Copy)]
struct Edge {
    low: Coord,
    high: Coord,
}

/// The edges of one zone, by strips of equal height.
struct Outline {
    least: [f64; 2],
    greatest: [f64; 2],
    strips_per_metre: f64,
    /// Edges of strip `i` are `edges[starts[i]..starts[i + 1]]`; an edge across several strips stands in each.
    starts: Vec<u32>,
    edges: Vec<Edge>,
}

/// Edges a strip should hold, by measure: fewer cost memory, more cost comparisons.
const EDGES_A_STRIP: usize = 1;

impl Outline {
    fn new(contour: &MultiPolygon) -> Self {
        let mut all = Vec::new();
        for ring in contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            for line in ring.lines().filter(|l| l.start != l.end) {
                let upward = (line.start.y, line.start.x) <= (line.end.y, line.end.x);
                let (low, high) = if upward { (line.start, line.end) } else { (line.end, line.start) };
                all.push(Edge { low, high });
            }
        }
        let mut least = [f64::INFINITY; 2];
        let mut greatest = [f64::NEG_INFINITY; 2];
        for end in all.iter().flat_map(|e: &Edge| [e.low, e.high]) {
            least = [least[0].min(end.x), least[1].min(end.y)];
            greatest = [greatest[0].max(end.x), greatest[1].max(end.y)];
        }
        let count = (all.len() / EDGES_A_STRIP).max(1);
        let height = greatest[1] - least[1];
        let strips_per_metre = if height > 0.0 { count as f64 / height } else { 0.0 };
        let mut outline = Self { least, greatest, strips_per_metre, starts: vec![0; count + 1], edges: Vec::new() };
        for edge in &all {
            for strip in outline.strip(edge.low.y)..=outline.strip(edge.high.y) {
                outline.starts[strip + 1] += 1;
            }
        }
        for i in 0..count {
            outline.starts[i + 1] += outline.starts[i];
        }
        if let Some(&first) = all.first() {
            let mut next = outline.starts.clone();
            outline.edges = vec![first; outline.starts[count] as usize];
            for edge in all {
                for strip in outline.strip(edge.low.y)..=outline.strip(edge.high.y) {
                    outline.edges[next[strip] as usize] = edge;
                    next[strip] += 1;
                }
            }
        }
        outline
    }

    /// Never decreasing in `y`, so an edge stands in the strip of every height it spans.
    fn strip(&self, y: f64) -> usize {
        (((y - self.least[1]) * self.strips_per_metre) as usize).min(self.starts.len() - 2)
    }

    /// Counts the edges to the right of the point, each closed below and open above, so that a vertex counts once.
    fn position(&self, x: f64, y: f64) -> Position {
        let within = x >= self.least[0] && x <= self.greatest[0] && y >= self.least[1] && y <= self.greatest[1];
        if !within {
            return Position::Outside;
        }
        let strip = self.strip(y);
        let mut odd = false;
        for edge in &self.edges[self.starts[strip] as usize..self.starts[strip + 1] as usize] {
            if y < edge.low.y || y > edge.high.y || (x > edge.low.x && x > edge.high.x) {
                continue;
            }
            let counts = y < edge.high.y;
            if x < edge.low.x && x < edge.high.x {
                odd ^= counts;
                continue;
            }
            // Positive when the point lies to the left of the edge seen upwards: then the edge is to its right.
            let side = robust::orient2d(at(edge.low), at(edge.high), robust::Coord { x, y });
            if side == 0.0 {
                return Position::Border;
            }
            odd ^= counts && side > 0.0;
        }
        if odd { Position::Inside } else { Position::Outside }
    }
}

fn at(c: Coord) -> robust::Coord<f64> {
    robust::Coord { x: c.x, y: c.y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::{Polygon, polygon};
    use proptest::prelude::*;

    fn outline(polygons: Vec<Polygon>) -> Outline {
        Outline::new(&MultiPolygon::new(polygons))
    }

    /// The plain loop: every edge of every ring, with the same exact predicate, no strip and no box.
    fn plainly(contour: &MultiPolygon, x: f64, y: f64) -> Position {
        let mut odd = false;
        for ring in contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            for l in ring.lines() {
                let side = robust::orient2d(at(l.start), at(l.end), robust::Coord { x, y });
                let in_box = x >= l.start.x.min(l.end.x)
                    && x <= l.start.x.max(l.end.x)
                    && y >= l.start.y.min(l.end.y)
                    && y <= l.start.y.max(l.end.y);
                if side == 0.0 && in_box {
                    return Position::Border;
                }
                if (l.start.y <= y) != (l.end.y <= y) {
                    odd ^= (side > 0.0) == (l.end.y > l.start.y);
                }
            }
        }
        if odd { Position::Inside } else { Position::Outside }
    }

    #[test]
    fn a_ring_with_a_hole_and_a_horizontal_edge_is_judged_exactly() {
        let square = |a: f64, b: f64| polygon![(x: a, y: a), (x: b, y: a), (x: b, y: b), (x: a, y: b)];
        let with_hole = Polygon::new(square(0.0, 9.0).exterior().clone(), vec![square(3.0, 6.0).exterior().clone()]);
        let outline = outline(vec![with_hole]);
        for (x, y, expected) in [
            (1.0, 1.0, Position::Inside),
            (4.0, 4.0, Position::Outside), // in the hole
            (3.0, 4.0, Position::Border),
            (6.0, 6.0, Position::Border),
            (0.0, 0.0, Position::Border),
            (9.0, 4.5, Position::Border),
            (4.5, 0.0, Position::Border),
            (4.5, 9.0, Position::Border),
            (9.1, 4.5, Position::Outside),
            (2.0, 3.0, Position::Inside), // level with the lower edge of the hole
            (7.0, 6.0, Position::Inside),
            (f64::NAN, 1.0, Position::Outside),
            (f64::INFINITY, 1.0, Position::Outside),
        ] {
            assert_eq!(outline.position(x, y), expected, "({x}, {y})");
        }
    }

    proptest! {
        #[test]
        fn strips_answer_as_the_plain_loop_does(
            radii in prop::collection::vec(1_u8..40, 3..60),
            points in prop::collection::vec((-45_i8..45, -45_i8..45), 1..200),
        ) {
            // A star around the origin on a coarse lattice, so that points often fall on vertices and edges.
            let n = radii.len() as f64;
            let ring = radii.iter().enumerate().map(|(i, &r)| {
                let angle = i as f64 / n * std::f64::consts::TAU;
                Coord { x: (f64::from(r) * angle.cos()).round(), y: (f64::from(r) * angle.sin()).round() }
            });
            let contour = MultiPolygon::new(vec![Polygon::new(ring.collect::<Vec<_>>().into(), vec![])]);
            let outline = Outline::new(&contour);
            for (x, y) in points {
                let (x, y) = (f64::from(x), f64::from(y));
                prop_assert_eq!(outline.position(x, y), plainly(&contour, x, y), "({}, {})", x, y);
            }
        }
    }
}
