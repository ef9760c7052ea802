//! Which zones of a zoning lie beside each other: those that share a stretch of border.

use crate::model::Zoning;
use crate::steps::validate::SLIVER_WIDTH_M;
use geo::{BoundingRect, Coord, LineString, MultiPolygon, Polygon, Rect};

/// Two zones whose contours run together over less than this meet at a corner, however the corner is drawn.
pub const BORDER_MIN_M: f64 = 10.0;

/// Pairs of zones that share a border, as places in the zoning, in order; the lower place first.
///
/// Borders are shared where two contours run within [`SLIVER_WIDTH_M`] of each other, so that neighbours whose vertices
/// differ, or whose common border was drawn twice, are found too.
pub fn neighbours(zoning: &Zoning) -> Vec<(usize, usize)> {
    let contours: Vec<&MultiPolygon> = zoning.zones().iter().map(|zone| zone.contour.metres()).collect();
    let mut boxes: Vec<(usize, Rect)> =
        contours.iter().enumerate().filter_map(|(at, c)| Some((at, wider(c.bounding_rect()?)))).collect();
    boxes.sort_by(|a, b| a.1.min().x.total_cmp(&b.1.min().x).then(a.0.cmp(&b.0)));
    let mut pairs = Vec::new();
    for (i, (one, box_of_one)) in boxes.iter().enumerate() {
        let reached = boxes[i + 1..].iter().take_while(|(_, other)| other.min().x <= box_of_one.max().x);
        for (other, box_of_other) in reached {
            let Some(common) = common(box_of_one, box_of_other) else { continue };
            let of_one = edges(contours[*one], &common);
            let of_other = edges(contours[*other], &common);
            if run_together(&of_one, &of_other) {
                pairs.push((*one.min(other), *one.max(other)));
            }
        }
    }
    pairs.sort_unstable();
    pairs
}

fn wider(r: Rect) -> Rect {
    let by = SLIVER_WIDTH_M / 2.0;
    Rect::new((r.min().x - by, r.min().y - by), (r.max().x + by, r.max().y + by))
}

fn common(a: &Rect, b: &Rect) -> Option<Rect> {
    let (west, south) = (a.min().x.max(b.min().x), a.min().y.max(b.min().y));
    let (east, north) = (a.max().x.min(b.max().x), a.max().y.min(b.max().y));
    (west <= east && south <= north).then(|| Rect::new((west, south), (east, north)))
}

/// Edges whose box meets this one.
fn edges(contour: &MultiPolygon, within: &Rect) -> Vec<(Coord, Coord)> {
    let rings = contour.iter().flat_map(|p: &Polygon| std::iter::once(p.exterior()).chain(p.interiors()));
    let edges = rings.flat_map(LineString::lines).map(|line| (line.start, line.end));
    edges.filter(|(a, b)| common(&Rect::new(*a, *b), within).is_some()).collect()
}

fn run_together(of_one: &[(Coord, Coord)], of_other: &[(Coord, Coord)]) -> bool {
    let mut length = 0.0;
    for edge in of_one {
        let around = wider(wider(Rect::new(edge.0, edge.1)));
        for beside in of_other.iter().filter(|(a, b)| common(&Rect::new(*a, *b), &around).is_some()) {
            length += overlap_m(*edge, *beside);
            if length >= BORDER_MIN_M {
                return true;
            }
        }
    }
    false
}

/// Over how many metres of its length one edge has the other beside it.
fn overlap_m((a, b): (Coord, Coord), (c, d): (Coord, Coord)) -> f64 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let length = dx.hypot(dy);
    if length == 0.0 {
        return 0.0;
    }
    let along = |p: Coord| ((p.x - a.x) * dx + (p.y - a.y) * dy) / length;
    let away = |p: Coord| ((p.x - a.x) * dy - (p.y - a.y) * dx) / length;
    let ((from, off_from), (to, off_to)) = ((along(c), away(c)), (along(d), away(d)));
    if from == to {
        return 0.0;
    }
    // The part of the other edge beside this one, and within the width of a border drawn twice: both are linear in t.
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut keep = |at_0: f64, at_1: f64, least: f64, most: f64| {
        let slope = at_1 - at_0;
        if slope == 0.0 {
            if at_0 < least || at_0 > most {
                high = -1.0;
            }
            return;
        }
        let (t0, t1) = ((least - at_0) / slope, (most - at_0) / slope);
        low = low.max(t0.min(t1));
        high = high.min(t0.max(t1));
    };
    keep(from, to, 0.0, length);
    keep(off_from, off_to, -SLIVER_WIDTH_M, SLIVER_WIDTH_M);
    if high > low { (high - low) * (to - from).abs() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Crs, Declared, ZoneRecord};
    use crate::steps::{reproject, validate::validate};
    use geo::wkt;

    fn pairs(contours: &[MultiPolygon]) -> Vec<(usize, usize)> {
        let record = |(i, contour): (usize, &MultiPolygon)| ZoneRecord {
            record: i + 1,
            code: format!("Z{i}"),
            label: None,
            contour: Declared { crs: Crs::LAMBERT93, geometry: contour.clone() },
        };
        let records = contours.iter().enumerate().map(record).collect();
        let zones = reproject::zones(records).unwrap().accepted;
        neighbours(&validate("z", zones, None).unwrap().0)
    }

    #[test]
    fn zones_are_neighbours_when_they_share_a_stretch_of_border() {
        let square = |x: f64, y: f64, side: f64| -> MultiPolygon {
            let (x, y) = (600_000.0 + x, 6_600_000.0 + y);
            let ring = vec![(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)];
            Polygon::new(LineString::from(ring), vec![]).into()
        };
        for (what, other, expected) in [
            ("the same edge", square(100.0, 0.0, 100.0), true),
            ("a part of an edge, no vertex in common", square(100.0, 25.0, 50.0), true),
            ("eleven metres", square(100.0, 89.0, 100.0), true),
            ("nine metres", square(100.0, 91.0, 100.0), false),
            ("a corner", square(100.0, 100.0, 100.0), false),
            ("drawn twice, half a metre apart", square(100.5, 0.0, 100.0), true),
            ("a lane of two metres between", square(102.0, 0.0, 100.0), false),
            ("far away", square(500.0, 0.0, 100.0), false),
        ] {
            let found = pairs(&[square(0.0, 0.0, 100.0), other]);
            assert_eq!(found == [(0, 1)], expected, "{what}: {found:?}");
        }
        // Two halves that meet along a slanted line, and one zone inside another.
        let halves: [MultiPolygon; 2] = [
            wkt!(MULTIPOLYGON(((600000. 6600000.,600100. 6600000.,600000. 6600100.,600000. 6600000.)))),
            wkt!(MULTIPOLYGON(((600100. 6600000.,600100. 6600100.,600050. 6600050.,600100. 6600000.)))),
        ];
        assert_eq!(pairs(&halves), [(0, 1)]);
        let ring: MultiPolygon = wkt!(MULTIPOLYGON((
            (600000. 6600000.,600100. 6600000.,600100. 6600100.,600000. 6600100.,600000. 6600000.),
            (600040. 6600040.,600040. 6600060.,600060. 6600060.,600060. 6600040.,600040. 6600040.))));
        assert_eq!(pairs(&[square(40.0, 40.0, 20.0), ring]), [(0, 1)]);
        assert_eq!(pairs(&[square(0.0, 0.0, 100.0)]), []);
    }
}
