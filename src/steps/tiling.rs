//! Zones drawn on the grids of WebMercatorQuad and cut into tiles, so that the borders of neighbours coincide at every
//! zoom, within tiles and across them.
//!
//! For each zoom the whole coverage is thinned once, then its arcs are rounded to the grid of that zoom by snap rounding
//! (J. D. Hobby, *Practical segment intersection with finite precision output*, 1999): an edge goes through every grid
//! place near which it passes and another border has a vertex, so that no border comes to cross another. The lines along
//! which tiles are cut count as borders: cutting makes no new place, hence no two tiles disagree.

use crate::steps::coverage::{Coverage, Ring};
use geo::Coord;
use rstar::{AABB, RTree};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

/// Deepest zoom. A step of its grid is 0.6 m at the equator and 0.4 m in France, finer than contours are drawn; clients
/// enlarge its tiles for zooms beyond.
pub const ZOOM_MAX: u8 = 14;

/// Grid steps across a tile: what most writers of vector tiles take.
pub const EXTENT: i64 = 4096;

/// Grid steps that a tile goes beyond its own ground, so that strokes along its edge are drawn whole: four pixels of a
/// tile drawn 256 wide.
pub const BUFFER: i64 = 64;

/// How far borders are thinned, in grid steps: half a pixel of a tile drawn 512 wide. The deepest zoom is not thinned,
/// since clients enlarge it.
const THINNED_STEPS: f64 = 4.0;

/// Latitude at which WebMercatorQuad ends: its ground is a square.
const LATITUDE_MAX: f64 = 85.051_128_779_806_59;

/// A place of a grid, from the north-western corner of the world: steps east, steps south.
type Spot = [i64; 2];

/// An edge from one place to another. As `x` and `y` are written, the ground lies on its left, which makes exterior rings
/// turn as the specification of vector tiles asks (their area by the surveyor's formula is positive).
type Edge = (Spot, Spot);

/// A tile of WebMercatorQuad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Zoom, [`ZOOM_MAX`] at most.
    pub zoom: u8,
    /// Row from the north.
    pub row: u32,
    /// Column from the west.
    pub column: u32,
}

/// What a tile shows of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The zone's place in the coverage.
    pub zone: usize,
    /// Parts, each an exterior ring and its holes; places in steps from the tile's own corner, none repeated at the end.
    pub parts: Vec<Vec<Vec<[i32; 2]>>>,
}

/// The zones of a coverage, drawn for every zoom when it is first asked for.
pub struct Drawing {
    /// From zoom zero on; the world is a square of side 1.
    thinned: Vec<OnceLock<Coverage>>,
    sheets: Vec<OnceLock<Sheet>>,
}

/// All zones on the grid of one zoom.
struct Sheet(Vec<Outline>);

/// The border of a zone on a grid; empty where the zone is too small to have one.
struct Outline {
    edges: Vec<Edge>,
    low: Spot,
    high: Spot,
}

impl Drawing {
    /// Of a coverage in degrees, longitude first.
    pub fn of(degrees: &Coverage) -> Self {
        let zooms = || 0..=ZOOM_MAX;
        let drawing = Self {
            thinned: zooms().map(|_| OnceLock::new()).collect(),
            sheets: zooms().map(|_| OnceLock::new()).collect(),
        };
        drawing.thinned[usize::from(ZOOM_MAX)].get_or_init(|| degrees.mapped(world));
        drawing
    }

    /// What a tile shows, in the order of zones: those that have ground in it or in its buffer. A zone smaller than a step
    /// of the grid has none.
    pub fn pieces(&self, tile: Tile) -> Vec<Piece> {
        let corner = [i64::from(tile.column) * EXTENT, i64::from(tile.row) * EXTENT];
        let frame = Frame { low: corner.map(|v| v - BUFFER), high: corner.map(|v| v + EXTENT + BUFFER) };
        let near = |spot: &Spot| [(spot[0] - corner[0]) as i32, (spot[1] - corner[1]) as i32];
        let outlines = self.sheet(tile.zoom).0.iter().enumerate();
        let pieces = outlines.filter_map(|(zone, outline)| {
            let parts = assembled(rings(frame.cut(outline)));
            let parts = parts.iter().map(|part| part.iter().map(|ring| ring.iter().map(near).collect()).collect());
            let piece = Piece { zone, parts: parts.collect() };
            (!piece.parts.is_empty()).then_some(piece)
        });
        pieces.collect()
    }

    fn sheet(&self, zoom: u8) -> &Sheet {
        self.sheets[usize::from(zoom)].get_or_init(|| Sheet::of(self.thinned(zoom), steps_across(zoom)))
    }

    /// Each zoom is thinned from the next deeper one, which has less to look at than the whole.
    fn thinned(&self, zoom: u8) -> &Coverage {
        self.thinned[usize::from(zoom)]
            .get_or_init(|| self.thinned(zoom + 1).simplified(THINNED_STEPS / steps_across(zoom) as f64))
    }
}

/// Grid steps across the world.
fn steps_across(zoom: u8) -> i64 {
    EXTENT << zoom
}

/// The tile of a zoom in which a place lies, by longitude and latitude.
pub fn tile_at(longitude: f64, latitude: f64, zoom: u8) -> Tile {
    let across = f64::from(1_u32 << zoom);
    let at = world(Coord { x: longitude, y: latitude }) * across;
    let number = |v: f64| v.floor().clamp(0.0, across - 1.0) as u32;
    Tile { zoom, row: number(at.y), column: number(at.x) }
}

/// Degrees on the square of side 1 of WebMercatorQuad, from its north-western corner (EPSG:3857).
fn world(degrees: Coord) -> Coord {
    let latitude = degrees.y.clamp(-LATITUDE_MAX, LATITUDE_MAX).to_radians();
    let x = (degrees.x + 180.0) / 360.0;
    Coord { x: x.clamp(0.0, 1.0), y: (0.5 - latitude.tan().asinh() / std::f64::consts::TAU).clamp(0.0, 1.0) }
}

impl Sheet {
    fn of(coverage: &Coverage, steps: i64) -> Self {
        let on_grid = coverage.mapped(|c| c * steps as f64);
        let hot = Hot::of(on_grid.arcs());
        let arcs: Vec<Vec<Spot>> = on_grid.arcs().iter().map(|arc| hot.snapped(arc)).collect();
        let outline = |zone: usize| {
            let mut edges = BTreeSet::new();
            for part in on_grid.parts(zone) {
                for (i, ring) in part.iter().enumerate() {
                    // The exterior comes first; a hole turns the other way.
                    let forwards = (turn(on_grid.arcs(), ring) > 0.0) == (i == 0);
                    for walk in ring {
                        for pair in arcs[walk.arc].windows(2) {
                            let edge = if walk.backwards == forwards { (pair[1], pair[0]) } else { (pair[0], pair[1]) };
                            // Ground that has no width on the grid is walked along on both sides.
                            if !edges.remove(&(edge.1, edge.0)) {
                                edges.insert(edge);
                            }
                        }
                    }
                }
            }
            Outline::of(edges.into_iter().collect())
        };
        Self((0..on_grid.len()).map(outline).collect())
    }
}

/// Twice the area a ring encloses, by the surveyor's formula.
fn turn(arcs: &[Vec<Coord>], ring: &Ring) -> f64 {
    let origin = ring.first().map_or(Coord::zero(), |walk| arcs[walk.arc][0]);
    let doubled = ring.iter().map(|walk| {
        let pairs = arcs[walk.arc].windows(2).map(|pair| {
            let (a, b) = (pair[0] - origin, pair[1] - origin);
            a.x * b.y - b.x * a.y
        });
        let sum: f64 = pairs.sum();
        if walk.backwards { -sum } else { sum }
    });
    doubled.sum()
}

/// Grid places that draw edges to themselves: vertices, and where edges meet the lines along which tiles are cut.
struct Hot(RTree<[f64; 2]>);

impl Hot {
    fn of(arcs: &[Vec<Coord>]) -> Self {
        let mut spots: BTreeSet<Spot> = BTreeSet::new();
        for arc in arcs {
            spots.extend(arc.iter().map(|c| rounded(*c)));
            for edge in arc.windows(2) {
                let [a, b] = [edge[0], edge[1]];
                spots.extend(cuts(a.x, b.x).map(|line| [line, rounded_at(a.y, b.y, share(a.x, b.x, line))]));
                spots.extend(cuts(a.y, b.y).map(|line| [rounded_at(a.x, b.x, share(a.y, b.y, line)), line]));
            }
        }
        Self(RTree::bulk_load(spots.into_iter().map(|s| s.map(|v| v as f64)).collect()))
    }

    /// An arc as a way along grid places.
    fn snapped(&self, arc: &[Coord]) -> Vec<Spot> {
        let mut way: Vec<Spot> = Vec::with_capacity(arc.len());
        for edge in arc.windows(2) {
            let (a, b) = (edge[0], edge[1]);
            let along = b - a;
            let around = AABB::from_corners(
                [a.x.min(b.x) - HALF, a.y.min(b.y) - HALF],
                [a.x.max(b.x) + HALF, a.y.max(b.y) + HALF],
            );
            let met = self.0.locate_in_envelope(&around).filter(|spot| passes(a, b, **spot));
            let mut met: Vec<(f64, Spot)> =
                met.map(|s| ((s[0] - a.x) * along.x + (s[1] - a.y) * along.y, s.map(|v| v as i64))).collect();
            met.sort_by(|p, q| p.0.total_cmp(&q.0).then(p.1.cmp(&q.1)));
            way.extend(met.into_iter().map(|(_, spot)| spot));
            way.dedup();
        }
        way
    }
}

const HALF: f64 = 0.5;

/// The square around a grid place lacks its upper sides, as rounding has it; by this much, which is far above what doubles
/// lose on any grid.
const UPPER_SIDE: f64 = 1.0 / (1 << 20) as f64;

fn rounded(c: Coord) -> Spot {
    [(c.x + HALF).floor() as i64, (c.y + HALF).floor() as i64]
}

/// The lines of cut that lie between two values: both edges of every tile's buffer.
fn cuts(a: f64, b: f64) -> impl Iterator<Item = i64> {
    let (low, high) = (a.min(b), a.max(b));
    let first = (low / EXTENT as f64).floor() as i64 - 1;
    let last = (high / EXTENT as f64).ceil() as i64 + 1;
    let lines = (first..=last).flat_map(|tile| [tile * EXTENT - BUFFER, tile * EXTENT + BUFFER]);
    lines.filter(move |line| (*line as f64) > low && (*line as f64) < high)
}

/// How far along the way from `a` to `b` a line lies.
fn share(a: f64, b: f64, line: i64) -> f64 {
    (line as f64 - a) / (b - a)
}

fn rounded_at(a: f64, b: f64, share: f64) -> i64 {
    (a + (b - a) * share + HALF).floor() as i64
}

/// Whether an edge passes through the square around a grid place.
fn passes(a: Coord, b: Coord, spot: [f64; 2]) -> bool {
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (start, end, centre) in [(a.x, b.x, spot[0]), (a.y, b.y, spot[1])] {
        let (low, high) = (centre - HALF, centre + HALF - UPPER_SIDE);
        let way = end - start;
        if way == 0.0 {
            if start < low || start > high {
                return false;
            }
            continue;
        }
        let (p, q) = ((low - start) / way, (high - start) / way);
        (from, to) = (from.max(p.min(q)), to.min(p.max(q)));
    }
    from <= to
}

impl Outline {
    fn of(edges: Vec<Edge>) -> Self {
        let reach = |pick: fn(i64, i64) -> i64, start: i64| {
            edges.iter().fold([start; 2], |at, (spot, _)| [pick(at[0], spot[0]), pick(at[1], spot[1])])
        };
        let (low, high) = (reach(i64::min, i64::MAX), reach(i64::max, i64::MIN));
        Self { edges, low, high }
    }
}

/// The ground of a tile with its buffer.
struct Frame {
    low: Spot,
    high: Spot,
}

impl Frame {
    /// The border of what a zone has within the frame.
    fn cut(&self, outline: &Outline) -> Vec<Edge> {
        let apart = |axis: usize| outline.high[axis] <= self.low[axis] || outline.low[axis] >= self.high[axis];
        if outline.edges.is_empty() || apart(0) || apart(1) {
            return vec![];
        }
        let inner = |axis: usize| outline.low[axis] > self.low[axis] && outline.high[axis] < self.high[axis];
        if inner(0) && inner(1) {
            return outline.edges.clone();
        }
        let mut edges: Vec<Edge> = outline.edges.iter().filter(|edge| self.holds(edge)).copied().collect();
        let touched: BTreeSet<Spot> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
        let [left, top] = self.low;
        let [right, bottom] = self.high;
        // Once around, the frame's ground on the left.
        let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
        for (i, from) in corners.into_iter().enumerate() {
            let to = corners[(i + 1) % corners.len()];
            // Along which axis this side runs.
            let along = i % 2;
            let mut stops: Vec<Spot> = touched.iter().filter(|s| s[1 - along] == from[1 - along]).copied().collect();
            stops.extend([from, to]);
            stops.sort_by_key(|s| s[along]);
            stops.dedup();
            if to[along] < from[along] {
                stops.reverse();
            }
            let inwards = to_sign(i == 0 || i == 3);
            for pair in stops.windows(2) {
                if outline.lies_beside(pair[0], pair[1], along, inwards) {
                    edges.push((pair[0], pair[1]));
                }
            }
        }
        edges
    }

    /// Whether an edge runs through the frame: edges end where they meet its sides, so one outside ends outside.
    fn holds(&self, (from, to): &Edge) -> bool {
        let within = |axis: usize| {
            let (low, high) = (from[axis].min(to[axis]), from[axis].max(to[axis]));
            let on_a_side = low == high && (low == self.low[axis] || low == self.high[axis]);
            low >= self.low[axis] && high <= self.high[axis] && !on_a_side
        };
        within(0) && within(1)
    }
}

fn to_sign(positive: bool) -> i64 {
    if positive { 1 } else { -1 }
}

impl Outline {
    /// Whether the ground right beside a stretch of the frame's side, inwards, is the zone's: a ray from its middle meets
    /// the border an odd number of times.
    fn lies_beside(&self, from: Spot, to: Spot, along: usize, inwards: i64) -> bool {
        let across = 1 - along;
        // Twice the middle, which is a whole number.
        let middle = from[along] + to[along];
        let meets = |(a, b): &&Edge| {
            if (2 * a[along] <= middle) == (2 * b[along] <= middle) {
                return false;
            }
            // The edge at the middle, seen from the side, times twice its length.
            let length = b[along] - a[along];
            let beyond = 2 * (a[across] - from[across]) * length + (middle - 2 * a[along]) * (b[across] - a[across]);
            beyond * to_sign(length > 0) * inwards > 0
        };
        self.edges.iter().filter(meets).count() % 2 == 1
    }
}

/// Walks along edges with the ground on the left, and cuts the walk wherever it comes back to a place: each ring is simple.
fn rings(mut edges: Vec<Edge>) -> Vec<Vec<Spot>> {
    edges.sort_unstable();
    let mut onward: BTreeMap<Spot, Vec<Spot>> = BTreeMap::new();
    for (from, to) in &edges {
        onward.entry(*from).or_default().push(*to);
    }
    let mut rings = Vec::new();
    for (start, _) in edges {
        let mut walk: Vec<Spot> = Vec::new();
        let mut seen: HashMap<Spot, usize> = HashMap::new();
        let mut here = start;
        loop {
            if let Some(since) = seen.get(&here).copied() {
                let ring: Vec<Spot> = walk.drain(since..).collect();
                for spot in &ring {
                    seen.remove(spot);
                }
                rings.push(ring);
            }
            let Some(ways) = onward.get_mut(&here).filter(|ways| !ways.is_empty()) else { break };
            let next = match walk.last() {
                Some(last) if ways.len() > 1 => ways.remove(sharpest(*last, here, ways)),
                _ => ways.swap_remove(0),
            };
            seen.insert(here, walk.len());
            walk.push(here);
            here = next;
        }
    }
    rings
}

/// Of the ways on from a place, the one that bounds the same ground: the first met turning clockwise from where one came.
fn sharpest(last: Spot, here: Spot, ways: &[Spot]) -> usize {
    let from_here = |spot: Spot| [spot[0] - here[0], spot[1] - here[1]];
    let back = from_here(last);
    let cross = |a: Spot, b: Spot| a[0] * b[1] - a[1] * b[0];
    let before = |a: Spot, b: Spot| {
        let half = |d: Spot| cross(back, d) > 0;
        match (half(a), half(b)) {
            (false, true) => true,
            (true, false) => false,
            _ => cross(a, b) < 0,
        }
    };
    (1..ways.len()).fold(0, |best, i| if before(from_here(ways[i]), from_here(ways[best])) { i } else { best })
}

/// Twice the area of a ring, by the surveyor's formula: positive for an exterior one.
fn doubled_area(ring: &[Spot]) -> i64 {
    let Some(&[x, y]) = ring.first() else { return 0 };
    let pairs = ring.iter().zip(ring.iter().cycle().skip(1));
    pairs.map(|(a, b)| (a[0] - x) * (b[1] - y) - (b[0] - x) * (a[1] - y)).sum()
}

/// Rings as parts: each hole goes to the least exterior ring around it.
fn assembled(rings: Vec<Vec<Spot>>) -> Vec<Vec<Vec<Spot>>> {
    let (mut parts, mut holes) = (Vec::new(), Vec::new());
    for ring in rings {
        match doubled_area(&ring) {
            0 => {}
            area if area > 0 => parts.push((area, vec![ring])),
            _ => holes.push(ring),
        }
    }
    parts.sort_by_key(|(area, _)| *area);
    for hole in holes {
        let around = parts.iter_mut().find(|(_, part)| surrounds(&part[0], &hole));
        if let Some((_, part)) = around {
            part.push(hole);
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Whether a ring runs around another that does not cross it: rings may touch at vertices, so the middle of an edge is
/// looked at.
fn surrounds(ring: &[Spot], other: &[Spot]) -> bool {
    let [a, b] = [other[0], other[1 % other.len()]];
    let middle = [a[0] + b[0], a[1] + b[1]];
    let meets = |(a, b): &(&Spot, &Spot)| {
        if (2 * a[1] <= middle[1]) == (2 * b[1] <= middle[1]) {
            return false;
        }
        let height = b[1] - a[1];
        let beyond = (2 * a[0] - middle[0]) * height + (middle[1] - 2 * a[1]) * (b[0] - a[0]);
        beyond * to_sign(height > 0) > 0
    };
    ring.iter().zip(ring.iter().cycle().skip(1)).filter(meets).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::coverage::REACH_DEGREES;
    use crate::steps::coverage::tests::chequers;
    use geo::{MapCoords, MultiPolygon};

    /// Cells of about 1.5 km in Burgundy, some with enclaves and islands.
    fn drawn(seed: u64) -> Drawing {
        let placed = |c: Coord| Coord { x: 5.0 + 0.02 * c.x, y: 47.3 + 0.02 * c.y };
        let zones: Vec<MultiPolygon> = chequers(3, 24, seed).iter().map(|zone| zone.map_coords(placed)).collect();
        Drawing::of(&Coverage::of(&zones, REACH_DEGREES))
    }

    /// Every tile of a zoom that the zones may touch.
    fn tiles(zoom: u8) -> Vec<Tile> {
        let (first, last) = (tile_at(4.98, 47.4, zoom), tile_at(5.1, 47.06, zoom));
        let (west, east) = (first.column, last.column);
        (first.row..=last.row).flat_map(|row| (west..=east).map(move |column| Tile { zoom, row, column })).collect()
    }

    type Border = Vec<([i32; 2], [i32; 2])>;

    fn border(pieces: &[Piece]) -> Border {
        let rings = pieces.iter().flat_map(|piece| piece.parts.iter().flatten());
        let mut border: Border =
            rings.flat_map(|ring| ring.iter().copied().zip(ring.iter().copied().cycle().skip(1))).collect();
        border.sort_unstable();
        border
    }

    fn on_frame((a, b): &([i32; 2], [i32; 2])) -> bool {
        let sides = [-BUFFER as i32, (EXTENT + BUFFER) as i32];
        (0..2).any(|axis| a[axis] == b[axis] && sides.contains(&a[axis]))
    }

    fn cross((a, b): ([i32; 2], [i32; 2]), (c, d): ([i32; 2], [i32; 2])) -> bool {
        let side = |p: [i32; 2], q: [i32; 2], r: [i32; 2]| {
            let v = |s: [i32; 2]| [i64::from(s[0] - p[0]), i64::from(s[1] - p[1])];
            let (q, r) = (v(q), v(r));
            (q[0] * r[1] - q[1] * r[0]).signum()
        };
        side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0
    }

    #[test]
    fn in_every_tile_of_every_zoom_zones_meet_without_crack_or_overlap() {
        let drawing = drawn(11);
        let mut shown = BTreeSet::new();
        for zoom in 0..=ZOOM_MAX {
            for tile in tiles(zoom) {
                let pieces = drawing.pieces(tile);
                let border = border(&pieces);
                assert!(border.is_sorted_by(|p, q| p < q), "{tile:?}: two zones on one side of an edge");
                for (i, edge) in border.iter().enumerate() {
                    let crossed = border[i + 1..].iter().find(|other| cross(*edge, **other));
                    assert_eq!(crossed, None, "{tile:?}: {edge:?}");
                }
                // What no neighbour walks the other way lies around all zones: were there a crack, it would be a hole.
                let alone = border.iter().filter(|(a, b)| border.binary_search(&(*b, *a)).is_err());
                let wide = |s: &[i32; 2]| s.map(i64::from);
                let outside = rings(alone.map(|(a, b)| (wide(a), wide(b))).collect());
                assert!(outside.iter().all(|ring| doubled_area(ring) > 0), "{tile:?}: a crack");
                for piece in &pieces {
                    shown.insert((zoom, piece.zone));
                    for part in &piece.parts {
                        for (i, ring) in part.iter().enumerate() {
                            let area = doubled_area(&ring.iter().map(wide).collect::<Vec<_>>());
                            assert_eq!(area > 0, i == 0, "{tile:?}: exterior rings are positive, holes negative");
                            let places: BTreeSet<_> = ring.iter().collect();
                            assert!(places.len() == ring.len() && ring.len() >= 3, "{tile:?}: a ring is simple");
                        }
                    }
                }
            }
        }
        let zones = |zoom: u8| shown.iter().filter(|(z, _)| *z == zoom).count();
        assert_eq!((zones(0), zones(11), zones(ZOOM_MAX)), (0, 14, 14), "too small to be seen, then all are");
    }

    #[test]
    fn two_tiles_show_the_same_where_both_show_it() {
        let drawing = drawn(12);
        let (buffer, extent) = (BUFFER as i32, EXTENT as i32);
        let mut compared = 0;
        for zoom in 9..=ZOOM_MAX {
            for tile in tiles(zoom) {
                for (axis, next) in
                    [(0, Tile { column: tile.column + 1, ..tile }), (1, Tile { row: tile.row + 1, ..tile })]
                {
                    let strip = |pieces: &[Piece], start: i32| -> Vec<(usize, Border)> {
                        let of = |piece: &Piece| {
                            let own = border(std::slice::from_ref(piece)).into_iter().filter(|edge| {
                                let within = |s: [i32; 2]| (start - buffer..=start + buffer).contains(&s[axis]);
                                // The sides of each frame are its own; the lines of cut along the strip are no border.
                                let along = edge.0[axis] == edge.1[axis] && (edge.0[axis] - start).abs() == buffer;
                                within(edge.0) && within(edge.1) && !on_frame(edge) && !along
                            });
                            let moved = |mut s: [i32; 2]| {
                                s[axis] -= start;
                                s
                            };
                            (piece.zone, own.map(|(a, b)| (moved(a), moved(b))).collect::<Border>())
                        };
                        pieces.iter().map(of).filter(|(_, border)| !border.is_empty()).collect()
                    };
                    let (here, there) = (strip(&drawing.pieces(tile), extent), strip(&drawing.pieces(next), 0));
                    compared += here.len();
                    assert_eq!(here, there, "{tile:?} and {next:?}");
                }
            }
        }
        assert!(compared > 50, "{compared} borders lie across a seam");
    }

    #[test]
    fn a_tile_within_a_zone_is_filled_and_one_beside_it_empty() {
        let corner = |x: f64, y: f64| Coord { x, y };
        let ring = vec![corner(5.0, 47.0), corner(6.0, 47.0), corner(6.0, 48.0), corner(5.0, 48.0), corner(5.0, 47.0)];
        let hole = vec![corner(5.9, 47.9), corner(5.9, 47.91), corner(5.91, 47.9), corner(5.9, 47.9)];
        let zone = MultiPolygon(vec![geo::Polygon::new(ring.into(), vec![hole.into()])]);
        let drawing = Drawing::of(&Coverage::of([&zone], REACH_DEGREES));
        let at = |zoom: u8, x: f64, y: f64| drawing.pieces(tile_at(x, y, zoom));
        let (low, high) = (-BUFFER as i32, (EXTENT + BUFFER) as i32);
        let full = vec![vec![[low, low], [high, low], [high, high], [low, high]]];
        assert_eq!(at(14, 5.5, 47.5), [Piece { zone: 0, parts: vec![full] }]);
        assert_eq!(at(14, 4.5, 47.5), []);
        assert_eq!(at(8, 5.9, 47.9)[0].parts[0].len(), 2, "a hole");
        assert_eq!(at(0, 5.5, 47.5)[0].parts[0].len(), 1, "a hole too small to be seen");
    }

    #[test]
    fn the_ends_of_the_earth_are_within_the_world() {
        let zone = |west: f64, east: f64, south: f64, north: f64| {
            MultiPolygon(vec![geo::Rect::new((west, south), (east, north)).to_polygon()])
        };
        let whole = Drawing::of(&Coverage::of([&zone(-180.0, 180.0, -90.0, 90.0)], REACH_DEGREES));
        for (zoom, row, column) in [(0, 0, 0), (1, 1, 1), (14, 0, 16_383), (14, 16_383, 0)] {
            let pieces = whole.pieces(Tile { zoom, row, column });
            assert_eq!(pieces.len(), 1, "{zoom} {row} {column}");
        }
    }
}
