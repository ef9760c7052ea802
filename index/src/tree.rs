//! Zones in a tree of bounding boxes: built in a moment, and then slower a point. The only file of the index that knows
//! rstar.

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, PointDistance, RTree};

use crate::Around;
use crate::build::Rings;
use crate::cells::{BORDER, NONE, OVERLAP};
use crate::exact::{self, Vertex};

/// Where a point lies with respect to one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// In its interior.
    Inside,
    /// On an edge or a vertex of it.
    Border,
    /// Elsewhere.
    Outside,
}

/// The boxes of zones, and their rings.
#[derive(Debug)]
pub struct Tree {
    boxes: RTree<GeomWithData<Rectangle<Vertex>, u32>>,
    vertices: Vec<Vertex>,
    /// The end of each ring among the vertices.
    rings: Vec<usize>,
    /// For each zone, the number of its first ring; and one past the last.
    first_ring: Vec<u32>,
}

impl Tree {
    /// The rings come zone by zone, in the order of the zones.
    pub fn new(rings: &Rings<'_>, zones: usize) -> Self {
        let mut first_ring = vec![0; zones + 1];
        for ring in &rings.rings {
            first_ring[ring.zone as usize + 1] += 1;
        }
        for zone in 0..zones {
            first_ring[zone + 1] += first_ring[zone];
        }
        let ends = rings.rings.iter().map(|ring| ring.start + ring.coords.len()).collect();
        let vertices = rings.rings.iter().flat_map(|ring| ring.coords).map(|c| [c.x, c.y]).collect();
        let mut tree = Self { boxes: RTree::new(), vertices, rings: ends, first_ring };
        let boxed = |zone: u32| {
            let (mut least, mut greatest) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
            for v in tree.rings_of(zone).flatten() {
                least = [least[0].min(v[0]), least[1].min(v[1])];
                greatest = [greatest[0].max(v[0]), greatest[1].max(v[1])];
            }
            (least[0] <= greatest[0]).then(|| GeomWithData::new(Rectangle::from_corners(least, greatest), zone))
        };
        tree.boxes = RTree::bulk_load((0..zones as u32).filter_map(boxed).collect());
        tree
    }

    fn rings_of(&self, zone: u32) -> impl Iterator<Item = &[Vertex]> {
        let rings = self.first_ring[zone as usize] as usize..self.first_ring[zone as usize + 1] as usize;
        rings.map(|ring| {
            let start = if ring == 0 { 0 } else { self.rings[ring - 1] };
            &self.vertices[start..self.rings[ring]]
        })
    }

    fn edges_of(&self, zone: u32) -> impl Iterator<Item = (Vertex, Vertex)> {
        self.rings_of(zone).flat_map(|ring| ring.windows(2)).filter(|e| e[0] != e[1]).map(|e| (e[0], e[1]))
    }

    fn candidates(&self, x: f64, y: f64) -> impl Iterator<Item = u32> {
        self.boxes.locate_in_envelope_intersecting(&AABB::from_point([x, y])).map(|found| found.data)
    }

    /// Where the point lies with respect to one zone; exact. Counts the edges to the east of the point, each closed below
    /// and open above, so that a vertex counts once.
    fn position(&self, zone: u32, x: f64, y: f64) -> Position {
        let mut odd = false;
        for (a, b) in self.edges_of(zone) {
            let (from_a, from_b) = (y >= a[1], y >= b[1]);
            if from_a == from_b && y != a[1] && y != b[1] {
                continue;
            }
            let side = exact::side(a, b, x, y);
            if side == 0.0 && exact::between(a, b, x, y) {
                return Position::Border;
            }
            odd ^= (from_a ^ from_b) & ((side > 0.0) == from_a);
        }
        if odd { Position::Inside } else { Position::Outside }
    }

    /// The zones around a point.
    pub fn around(&self, x: f64, y: f64) -> Around {
        let mut around = Around::default();
        if !x.is_finite() || !y.is_finite() {
            return around;
        }
        for zone in self.candidates(x, y) {
            match self.position(zone, x, y) {
                Position::Inside => around.inside.push(zone),
                Position::Border => around.border.push(zone),
                Position::Outside => {}
            }
        }
        around.inside.sort_unstable();
        around.border.sort_unstable();
        around
    }

    /// Places points: see [`crate::Cells::place`], whose answers it gives.
    pub fn place(&self, x: &[f64], y: &[f64], answers: &mut [u32]) {
        for ((&x, &y), answer) in x.iter().zip(y).zip(answers) {
            let (mut inside, mut border, mut several) = (NONE, NONE, 0);
            if !x.is_finite() || !y.is_finite() {
                *answer = NONE;
                continue;
            }
            for zone in self.candidates(x, y) {
                match self.position(zone, x, y) {
                    Position::Inside => {
                        several = if inside == NONE { 0 } else { OVERLAP };
                        inside = inside.min(zone);
                    }
                    Position::Border => border = border.min(zone),
                    Position::Outside => {}
                }
            }
            *answer = match (inside, border) {
                (NONE, NONE) => NONE,
                (NONE, border) => border | BORDER,
                (inside, _) => inside | several,
            };
        }
    }

    /// Metres from a point to the nearest edge; infinite when there is none.
    pub fn distance_m(&self, x: f64, y: f64) -> f64 {
        let mut least = f64::INFINITY;
        for near in self.boxes.nearest_neighbor_iter(&[x, y]) {
            // Inside a box its edges may be at any distance.
            if near.geom().distance_2(&[x, y]) > least {
                break;
            }
            for (a, b) in self.edges_of(near.data) {
                least = least.min(exact::distance_squared(a, b, x, y));
            }
        }
        least.sqrt()
    }
}
