//! The ground plan: a fine mesh of cells whose edges are rough, from which every zone of every layer is cut.
//!
//! Cells are the Voronoi cells of scattered sites, smaller in the middle of the territory.
//! Three cells meet at a corner, so a group of cells has a contour which never touches itself.
//! Coordinates are whole centimetres in Lambert-93, so that every check on them is exact.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_pcg::Pcg64;

/// A place in Lambert-93 (EPSG:2154), in whole centimetres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    pub x: i64,
    pub y: i64,
}

impl Spot {
    pub fn from_metres(x: f64, y: f64) -> Self {
        Self { x: (x * 100.0).round() as i64, y: (y * 100.0).round() as i64 }
    }
    /// The coordinates in metres: the floating-point numbers nearest to the decimal ones, as a reader of text gets them.
    pub fn metres(self) -> (f64, f64) {
        (self.x as f64 / 100.0, self.y as f64 / 100.0)
    }
}

/// The mesh: a site, a list of corners and the neighbours across each edge for every cell.
pub struct Mesh {
    /// One place a cell, in metres.
    pub sites: Vec<(f64, f64)>,
    /// Corners of each cell, counter-clockwise; empty for a cell at the rim, which no zone may take.
    pub cells: Vec<Vec<usize>>,
    /// The cell across the edge from corner `k` to corner `k + 1`.
    pub neighbours: Vec<Vec<usize>>,
    pub corners: Vec<Spot>,
    /// The rough line of each edge, from its lower corner number to its higher one.
    edges: BTreeMap<(usize, usize), Vec<Spot>>,
}

/// Where the mesh lies: the middle, where cells are small, and the frame in metres.
pub struct Frame {
    pub middle: (f64, f64),
    pub low: (f64, f64),
    pub high: (f64, f64),
}

/// Least distance between sites in the middle and far from it, in metres: some 30 and 7 cells a square kilometre.
const SPACING_M: (f64, f64) = (155.0, 320.0);
/// The distance from the middle over which the spacing grows, in metres.
const SPREAD_M: f64 = 7_500.0;
/// An edge is broken in two until its pieces are about this long, in metres.
const PIECE_M: f64 = 42.0;
/// How far a break leaves the line, as a share of the length broken.
const ROUGHNESS: f64 = 0.24;
/// The middle piece of an edge is a whole number of these in x and in y. Half of it is a whole number of quarter metres,
/// which floating point adds without error, so the midpoint of that piece lies on it exactly.
const PIECE_GRID_CM: i64 = 50;

impl Mesh {
    pub fn scatter(frame: &Frame, rng: &mut Pcg64) -> Self {
        let sites = scatter_sites(frame, rng);
        let mut mesh = voronoi(sites);
        for _ in 0..2 {
            let relaxed = (0..mesh.sites.len())
                .map(|cell| if mesh.cells[cell].is_empty() { mesh.sites[cell] } else { mesh.middle_of(cell) })
                .collect();
            mesh = voronoi(relaxed);
        }
        mesh.roughen(rng);
        mesh
    }

    pub fn area_m2(&self, cell: usize) -> f64 {
        let ring: Vec<Spot> = self.cells[cell].iter().map(|&corner| self.corners[corner]).collect();
        doubled_area(&ring) as f64 / 20_000.0
    }

    pub fn distance_m(&self, a: usize, b: usize) -> f64 {
        distance(self.sites[a], self.sites[b])
    }

    /// The edges of a cell, counter-clockwise: first corner, second corner, cell across.
    pub fn sides(&self, cell: usize) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let corners = &self.cells[cell];
        (0..corners.len()).map(move |k| (corners[k], corners[(k + 1) % corners.len()], self.neighbours[cell][k]))
    }

    /// The rough line from one corner to another, both included.
    pub fn line(&self, from: usize, to: usize) -> Vec<Spot> {
        if from < to {
            self.edges[&(from, to)].clone()
        } else {
            self.edges[&(to, from)].iter().rev().copied().collect()
        }
    }

    /// A random place in the straight-edged cell.
    pub fn place_in(&self, cell: usize, rng: &mut Pcg64) -> Spot {
        let (cx, cy) = self.sites[cell];
        let side = rng.random_range(0..self.cells[cell].len());
        let (a, b, _) = self.sides(cell).nth(side).expect("a side of this cell");
        let ((ax, ay), (bx, by)) = (self.corners[a].metres(), self.corners[b].metres());
        let (out, along) = (rng.random::<f64>().sqrt() * 0.96, rng.random::<f64>());
        let (ex, ey) = (ax + along * (bx - ax), ay + along * (by - ay));
        Spot::from_metres(cx + out * (ex - cx), cy + out * (ey - cy))
    }

    fn middle_of(&self, cell: usize) -> (f64, f64) {
        let (ox, oy) = self.sites[cell];
        let (mut area, mut x, mut y) = (0.0, 0.0, 0.0);
        for (a, b, _) in self.sides(cell) {
            let ((ax, ay), (bx, by)) = (self.corners[a].metres(), self.corners[b].metres());
            let (ax, ay, bx, by) = (ax - ox, ay - oy, bx - ox, by - oy);
            let cross = ax * by - bx * ay;
            area += cross;
            x += (ax + bx) * cross;
            y += (ay + by) * cross;
        }
        (ox + x / (3.0 * area), oy + y / (3.0 * area))
    }

    /// Breaks every edge at random; edges which then meet elsewhere than at a corner become straight again.
    /// Straight edges of Voronoi cells never cross, so this ends.
    fn roughen(&mut self, rng: &mut Pcg64) {
        let mut keys = BTreeSet::new();
        for cell in 0..self.cells.len() {
            keys.extend(self.sides(cell).map(|(a, b, _)| (a.min(b), a.max(b))));
        }
        for key in keys {
            let (from, to) = (self.corners[key.0], self.corners[key.1]);
            assert_ne!(from, to, "two corners of the mesh fall on one centimetre: choose another seed");
            let mut line = vec![from];
            break_line(from, to, rng, &mut line);
            put_middle_piece_on_grid(&mut line);
            self.edges.insert(key, line);
        }
        loop {
            let crossed = self.crossed_edges();
            if crossed.is_empty() {
                break;
            }
            for key in crossed {
                self.edges.insert(key, vec![self.corners[key.0], self.corners[key.1]]);
            }
        }
    }

    /// The edges of which a piece meets a piece of another line, or of its own, elsewhere than at a common end.
    pub fn crossed_edges(&self) -> BTreeSet<(usize, usize)> {
        const BUCKET_CM: i64 = 20_000;
        let mut buckets: BTreeMap<(i64, i64), Vec<Piece>> = BTreeMap::new();
        let mut crossed = BTreeSet::new();
        for (&key, line) in &self.edges {
            for piece in line.windows(2) {
                let (a, b) = (piece[0], piece[1]);
                for bx in a.x.min(b.x).div_euclid(BUCKET_CM)..=a.x.max(b.x).div_euclid(BUCKET_CM) {
                    for by in a.y.min(b.y).div_euclid(BUCKET_CM)..=a.y.max(b.y).div_euclid(BUCKET_CM) {
                        let bucket = buckets.entry((bx, by)).or_default();
                        for other in bucket.iter() {
                            if meet_wrongly(a, b, other.a, other.b) {
                                crossed.extend([key, other.edge]);
                            }
                        }
                        bucket.push(Piece { a, b, edge: key });
                    }
                }
            }
        }
        crossed
    }
}

/// Twice the area of a ring in square centimetres, positive when it runs counter-clockwise.
pub fn doubled_area(ring: &[Spot]) -> i128 {
    let origin = ring[0];
    (0..ring.len())
        .map(|k| {
            let (a, b) = (ring[k], ring[(k + 1) % ring.len()]);
            i128::from(a.x - origin.x) * i128::from(b.y - origin.y)
                - i128::from(b.x - origin.x) * i128::from(a.y - origin.y)
        })
        .sum()
}

pub fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    ((a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)).sqrt()
}

fn scatter_sites(frame: &Frame, rng: &mut Pcg64) -> Vec<(f64, f64)> {
    const TRIES: usize = 250_000;
    let bucket_of = |(x, y): (f64, f64)| ((x / SPACING_M.1) as i64, (y / SPACING_M.1) as i64);
    let mut sites: Vec<(f64, f64)> = Vec::new();
    let mut buckets: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
    for _ in 0..TRIES {
        let site = (rng.random_range(frame.low.0..frame.high.0), rng.random_range(frame.low.1..frame.high.1));
        let far = (distance(site, frame.middle) / SPREAD_M).min(1.0);
        let spacing = SPACING_M.0 + (SPACING_M.1 - SPACING_M.0) * far * far * (3.0 - 2.0 * far);
        let (bx, by) = bucket_of(site);
        let free = (bx - 1..=bx + 1).flat_map(|x| (by - 1..=by + 1).map(move |y| (x, y))).all(|bucket| {
            buckets.get(&bucket).is_none_or(|near| near.iter().all(|&other| distance(sites[other], site) > spacing))
        });
        if free {
            buckets.entry((bx, by)).or_default().push(sites.len());
            sites.push(site);
        }
    }
    sites
}

/// A straight part of the rough line of an edge.
struct Piece {
    a: Spot,
    b: Spot,
    edge: (usize, usize),
}

struct Triangle {
    sites: [usize; 3],
    centre: (f64, f64),
    radius: f64,
}

impl Triangle {
    fn new(sites: [usize; 3], places: &[(f64, f64)]) -> Self {
        let [a, b, c] = sites.map(|site| places[site]);
        let (bx, by, cx, cy) = (b.0 - a.0, b.1 - a.1, c.0 - a.0, c.1 - a.1);
        let (bb, cc, d) = (bx * bx + by * by, cx * cx + cy * cy, 2.0 * (bx * cy - by * cx));
        let (x, y) = ((cy * bb - by * cc) / d, (bx * cc - cx * bb) / d);
        Self { sites, centre: (a.0 + x, a.1 + y), radius: (x * x + y * y).sqrt() }
    }
}

/// Delaunay's triangles by insertion (Bowyer and Watson), then the cells around each site.
fn voronoi(sites: Vec<(f64, f64)>) -> Mesh {
    let n = sites.len();
    let mut places = sites.clone();
    let (mx, my) = sites[0];
    places.extend([(mx - 4.0e5, my - 3.0e5), (mx + 4.0e5, my - 3.0e5), (mx, my + 5.0e5)]);
    let mut triangles = vec![Triangle::new([n, n + 1, n + 2], &places)];
    for (site, &place) in sites.iter().enumerate() {
        let mut rim: BTreeSet<(usize, usize)> = BTreeSet::new();
        triangles.retain(|triangle| {
            if distance(triangle.centre, place) >= triangle.radius {
                return true;
            }
            let [a, b, c] = triangle.sites;
            for (from, to) in [(a, b), (b, c), (c, a)] {
                if !rim.remove(&(to, from)) {
                    rim.insert((from, to));
                }
            }
            false
        });
        triangles.extend(rim.into_iter().map(|(from, to)| Triangle::new([from, to, site], &places)));
    }
    let corners: Vec<Spot> = triangles.iter().map(|t| Spot::from_metres(t.centre.0, t.centre.1)).collect();
    let mut around: Vec<Vec<usize>> = vec![Vec::new(); n + 3];
    for (number, triangle) in triangles.iter().enumerate() {
        triangle.sites.iter().for_each(|&site| around[site].push(number));
    }
    let mut cells = vec![Vec::new(); n];
    let mut neighbours = vec![Vec::new(); n];
    for site in 0..n {
        if around[site].iter().any(|&t| triangles[t].sites.iter().any(|&other| other >= n)) {
            continue;
        }
        let (cx, cy) = sites[site];
        let mut ring = around[site].clone();
        let bearing = |t: usize| (triangles[t].centre.1 - cy).atan2(triangles[t].centre.0 - cx);
        ring.sort_by(|&a, &b| bearing(a).total_cmp(&bearing(b)));
        neighbours[site] = (0..ring.len())
            .map(|k| {
                let (here, next) = (&triangles[ring[k]].sites, &triangles[ring[(k + 1) % ring.len()]].sites);
                *here.iter().find(|&&s| s != site && next.contains(&s)).expect("triangles in turn share an edge")
            })
            .collect();
        cells[site] = ring;
    }
    Mesh { sites, cells, neighbours, corners, edges: BTreeMap::new() }
}

/// Pushes the breaks between `a` and `b`, then `b`.
fn break_line(a: Spot, b: Spot, rng: &mut Pcg64, line: &mut Vec<Spot>) {
    let (dx, dy) = ((b.x - a.x) as f64, (b.y - a.y) as f64);
    if (dx * dx + dy * dy).sqrt() > PIECE_M * 100.0 * 1.4 {
        let (aside, along) = (rng.random_range(-ROUGHNESS..ROUGHNESS), rng.random_range(0.4..0.6));
        let x = (a.x as f64 + dx * along - dy * aside).round() as i64;
        let y = (a.y as f64 + dy * along + dx * aside).round() as i64;
        let middle = Spot { x, y };
        break_line(a, middle, rng, line);
        break_line(middle, b, rng, line);
    } else {
        line.push(b);
    }
}

fn put_middle_piece_on_grid(line: &mut [Spot]) {
    let k = line.len() / 2;
    if line.len() < 4 {
        return;
    }
    let on_grid = |from: i64, to: i64| from + (to - from + PIECE_GRID_CM / 2).div_euclid(PIECE_GRID_CM) * PIECE_GRID_CM;
    let before = line[k - 1];
    line[k] = Spot { x: on_grid(before.x, line[k].x), y: on_grid(before.y, line[k].y) };
}

/// Which side of the line from `a` to `b` the place `c` lies on: 1 left, -1 right, 0 on it.
fn side(a: Spot, b: Spot, c: Spot) -> i64 {
    ((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)).signum()
}

/// Whether two pieces have a place in common which is not an end of both.
fn meet_wrongly(a: Spot, b: Spot, c: Spot, d: Spot) -> bool {
    let lies_on = |p: Spot, a: Spot, b: Spot| {
        side(a, b, p) == 0
            && (a.x.min(b.x)..=a.x.max(b.x)).contains(&p.x)
            && (a.y.min(b.y)..=a.y.max(b.y)).contains(&p.y)
    };
    if (a, b) == (c, d) || (a, b) == (d, c) {
        return true; // two edges may not share a piece
    }
    [a, b].iter().any(|&p| p != c && p != d && lies_on(p, c, d))
        || [c, d].iter().any(|&p| p != a && p != b && lies_on(p, a, b))
        || (side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0)
}
