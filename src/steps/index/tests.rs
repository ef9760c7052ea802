//! Every form and way of the index beside a plain loop with the exact predicate.

use geo::{Coord, Distance, Euclidean, LineString, MultiPolygon, Point, Polygon, polygon};
use proptest::prelude::*;

use super::*;
use crate::model::ZoneCode;

fn index(contours: &[MultiPolygon], points: u64) -> ZoneIndex {
    let mut rings = Rings::default();
    for (zone, contour) in (0..).zip(contours) {
        for ring in contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            rings.push(zone, &ring.0);
        }
    }
    ZoneIndex::of_rings(&rings, contours.len(), points)
}

/// The plain loop: every edge of every ring of every zone, no box, no strip, no filter.
fn plainly(contours: &[MultiPolygon], x: f64, y: f64) -> Around {
    let at = |c: Coord| robust::Coord { x: c.x, y: c.y };
    let mut around = Around::default();
    if !x.is_finite() || !y.is_finite() {
        return around;
    }
    for (zone, contour) in (0..).zip(contours) {
        let (mut odd, mut border) = (false, false);
        for ring in contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            // Edges without length bound nothing.
            for l in ring.lines().filter(|l| l.start != l.end) {
                let side = robust::orient2d(at(l.start), at(l.end), robust::Coord { x, y });
                let in_box = x >= l.start.x.min(l.end.x)
                    && x <= l.start.x.max(l.end.x)
                    && y >= l.start.y.min(l.end.y)
                    && y <= l.start.y.max(l.end.y);
                border |= side == 0.0 && in_box;
                if (l.start.y <= y) != (l.end.y <= y) {
                    odd ^= (side > 0.0) == (l.end.y > l.start.y);
                }
            }
        }
        if border {
            around.border.push(zone);
        } else if odd {
            around.inside.push(zone);
        }
    }
    around
}

/// The rule of `crate::steps::assign`.
fn ruled(around: &Around) -> u32 {
    let on_border = around.border.first().map(|zone| zone | ZoneIndex::BORDER);
    let overlap = if around.inside.len() > 1 { ZoneIndex::OVERLAP } else { 0 };
    around.inside.first().map(|zone| zone | overlap).or(on_border).unwrap_or(ZoneIndex::NONE)
}

fn answers(index: &ZoneIndex, points: &[(f64, f64)]) -> Vec<u32> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let mut answers = vec![0; points.len()];
    index.place(&x, &y, &mut answers);
    answers
}

/// Both forms, the kept one read back, and sorted batches, against the plain loop.
fn same_everywhere(contours: &[MultiPolygon], points: &[(f64, f64)]) {
    let expected: Vec<Around> = points.iter().map(|&(x, y)| plainly(contours, x, y)).collect();
    let rule: Vec<u32> = expected.iter().map(ruled).collect();
    let (tree, cells) = (index(contours, 0), index(contours, u64::MAX));
    let same = |found: Vec<u32>, what: &str| {
        assert_eq!(found.len(), rule.len(), "{what}");
        for ((point, found), rule) in points.iter().zip(found).zip(&rule) {
            assert_eq!(found, *rule, "{what}, {point:?}");
        }
    };
    same(answers(&tree, points), "tree");
    same(answers(&cells, points), "cells");
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let Form::Cells(form) = &cells.form else { panic!("cells were asked for") };
    let mut sorted = vec![0; points.len()];
    form.place_sorted(&x, &y, &mut sorted);
    same(sorted, "sorted by tiles");
    let kept = KeptIndex::read(&kept(&cells, contours.len())[..]).unwrap_or_else(|why| panic!("{why}"));
    let Form::Cells(read) = &kept.index.form else { panic!("cells were kept") };
    assert!(read == form, "what is read back is what was kept");
    for (&(x, y), expected) in points.iter().zip(&expected) {
        assert_eq!(tree.around(x, y), *expected, "tree, around ({x}, {y})");
        assert_eq!(cells.around(x, y), *expected, "cells, around ({x}, {y})");
    }
}

fn codes(n: usize) -> Vec<ZoneCode> {
    (0..n).map(|zone| format!("Z{zone:06}").parse().unwrap()).collect()
}

fn kept(index: &ZoneIndex, zones: usize) -> Vec<u8> {
    let codes = codes(zones);
    let mut bytes = Vec::new();
    assert!(index.keep(&codes.iter().collect::<Vec<_>>(), "about", &mut bytes).unwrap());
    bytes
}

fn square(left: f64, foot: f64, side: f64) -> Polygon {
    polygon![(x: left, y: foot), (x: left + side, y: foot), (x: left + side, y: foot + side), (x: left, y: foot + side)]
}

fn lattice(from: i32, to: i32, step: f64) -> Vec<(f64, f64)> {
    (from..to).flat_map(|i| (from..to).map(move |j| (f64::from(i) * step, f64::from(j) * step))).collect()
}

#[test]
fn holes_islands_parts_overlaps_and_slivers_are_judged_exactly() {
    let hole = |p: Polygon, hole: Polygon| Polygon::new(p.exterior().clone(), vec![hole.exterior().clone()]);
    let contours = [
        // An island in the hole of the next, and a second part far away.
        MultiPolygon::new(vec![square(3.0, 3.0, 3.0), square(20.0, 20.0, 2.0)]),
        MultiPolygon::new(vec![hole(square(0.0, 0.0, 9.0), square(3.0, 3.0, 3.0))]),
        // Shares an edge with it.
        MultiPolygon::new(vec![square(9.0, 0.0, 9.0)]),
        // Overlaps both, and is the last to get anything.
        MultiPolygon::new(vec![square(7.5, 1.5, 3.0)]),
        // A sliver along a shared edge, and two parts that touch in one vertex.
        MultiPolygon::new(vec![polygon![(x: 9.0, y: 9.0), (x: 18.0, y: 9.0), (x: 18.0, y: 9.0 + 1e-9)]]),
        MultiPolygon::new(vec![square(12.0, 10.0, 2.0), square(14.0, 12.0, 2.0)]),
        // The same square twice.
        MultiPolygon::new(vec![square(-6.0, -6.0, 3.0)]),
        MultiPolygon::new(vec![square(-6.0, -6.0, 3.0)]),
        // Two parts of one zone that share an edge: a point on it lies on the border of its zone.
        MultiPolygon::new(vec![square(-6.0, 12.0, 3.0), square(-3.0, 12.0, 3.0)]),
    ];
    let mut points = lattice(-16, 48, 0.5);
    points.extend([(13.5, 9.0 + 0.5e-9), (13.5, 9.0 + 0.6e-9), (13.5, f64::next_up(9.0)), (18.0, 9.0 + 1e-9)]);
    points.extend([(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, f64::NEG_INFINITY), (1e300, -1e300)]);
    same_everywhere(&contours, &points);
}

#[test]
fn a_corner_of_many_zones_and_many_copies_of_one_take_several_pages() {
    let corner = |i: usize| {
        let at = |i: usize| {
            let angle = i as f64 / 40.0 * std::f64::consts::TAU;
            Coord { x: 100.0 * angle.cos(), y: 100.0 * angle.sin() }
        };
        MultiPolygon::new(vec![Polygon::new(LineString(vec![Coord { x: 0.0, y: 0.0 }, at(i), at(i + 1)]), vec![])])
    };
    let mut contours: Vec<MultiPolygon> = (0..40).map(corner).collect();
    contours.extend((0..40).map(|_| MultiPolygon::new(vec![square(-10.0, -10.0, 20.0)])));
    let mut points = lattice(-25, 25, 0.5);
    points.push((0.0, 0.0));
    same_everywhere(&contours, &points);
}

#[test]
fn no_zone_and_flat_zones_answer_none_or_border() {
    same_everywhere(&[], &[(0.0, 0.0)]);
    let flat = MultiPolygon::new(vec![polygon![(x: 1.0, y: 1.0), (x: 5.0, y: 1.0), (x: 3.0, y: 1.0)]]);
    let point = MultiPolygon::new(vec![polygon![(x: 1.0, y: 1.0), (x: 1.0, y: 1.0), (x: 1.0, y: 1.0)]]);
    same_everywhere(&[flat], &[(2.0, 1.0), (1.0, 1.0), (2.0, 1.1), (6.0, 1.0)]);
    same_everywhere(&[point, MultiPolygon::new(vec![])], &[(1.0, 1.0), (0.0, 0.0)]);
}

/// Squares of a chessboard whose borders are bent in the same way for both neighbours, moved to where France lies.
fn wiggly(across: usize, bends: usize, seed: &[u8], lattice: bool) -> Vec<MultiPolygon> {
    let noise = |a: usize, b: usize, c: usize| {
        let at = (a * 7919 + b * 104_729 + c * 31) % seed.len();
        (f64::from(seed[at]) - 128.0) / 128.0
    };
    let corner = |i: usize, j: usize| {
        let (dx, dy) = (noise(i, j, 1) * 20.0, noise(i, j, 2) * 20.0);
        [700_000.0 + 100.0 * i as f64 + dx, 6_600_000.0 + 100.0 * j as f64 + dy]
    };
    let snap = |v: [f64; 2]| if lattice { v.map(f64::round) } else { v };
    // From one corner to the next, always drawn the same way.
    let border = |from: (usize, usize), to: (usize, usize)| -> Vec<[f64; 2]> {
        let (a, b) = (corner(from.0, from.1), corner(to.0, to.1));
        let bent = (0..=bends).map(|t| {
            let part = t as f64 / bends as f64;
            let sway =
                if t == 0 || t == bends { 0.0 } else { noise(from.0 * 131 + to.0, from.1 * 137 + to.1, t) * 8.0 };
            let along = [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part];
            snap([along[0] + sway, along[1] - sway])
        });
        bent.collect()
    };
    let mut contours = Vec::new();
    for i in 0..across {
        for j in 0..across {
            let mut ring = border((i, j), (i + 1, j));
            ring.extend(border((i + 1, j), (i + 1, j + 1)));
            ring.extend(border((i, j + 1), (i + 1, j + 1)).into_iter().rev());
            ring.extend(border((i, j), (i, j + 1)).into_iter().rev());
            let ring: Vec<Coord> = ring.into_iter().map(|v| Coord { x: v[0], y: v[1] }).collect();
            contours.push(MultiPolygon::new(vec![Polygon::new(LineString(ring), vec![])]));
        }
    }
    contours
}

/// Vertices, middles of edges, their neighbours among doubles, and points anywhere.
fn points_at(contours: &[MultiPolygon], seed: &[u8]) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let rings = contours.iter().flatten().map(Polygon::exterior);
    for (i, line) in rings.flat_map(LineString::lines).enumerate() {
        let (a, b) = (line.start, line.end);
        let middle = ((a.x + b.x) / 2.0, (a.y + b.y) / 2.0);
        points.extend([(a.x, a.y), middle, (middle.0.next_up(), middle.1), (middle.0, middle.1.next_down())]);
        // The height of a vertex, somewhere else: rays through vertices.
        points.push((a.x + f64::from(seed[i % seed.len()]) - 128.0, a.y));
    }
    for (i, &s) in seed.iter().enumerate() {
        let x = 699_900.0 + f64::from(s) * 4.1 + i as f64 * 0.37;
        points.push((x, 6_599_900.0 + f64::from(seed[(i * 13 + 5) % seed.len()]) * 4.3));
    }
    points
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn coverages_are_judged_as_the_plain_loop_does(
        across in 1_usize..6,
        bends in 1_usize..40,
        on_lattice in any::<bool>(),
        seed in prop::collection::vec(any::<u8>(), 64..200),
    ) {
        let contours = wiggly(across, bends, &seed, on_lattice);
        same_everywhere(&contours, &points_at(&contours, &seed));
    }

    #[test]
    fn stars_thrown_over_each_other_are_judged_as_the_plain_loop_does(
        stars in prop::collection::vec((prop::collection::vec(1_u8..40, 3..40), -20_i8..20, -20_i8..20), 1..25),
        points in prop::collection::vec((-60_i8..60, -60_i8..60), 1..300),
    ) {
        // On a coarse lattice, so that points often fall on vertices and edges, and edges on each other.
        let contours: Vec<MultiPolygon> = stars.iter().map(|(radii, east, north)| {
            let ring = radii.iter().enumerate().map(|(i, &r)| {
                let angle = i as f64 / radii.len() as f64 * std::f64::consts::TAU;
                let at = |v: f64, by: i8| (f64::from(r) * v).round() + f64::from(by);
                Coord { x: at(angle.cos(), *east), y: at(angle.sin(), *north) }
            });
            MultiPolygon::new(vec![Polygon::new(ring.collect(), vec![])])
        }).collect();
        let points: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).collect();
        same_everywhere(&contours, &points);
    }

    #[test]
    fn the_distance_is_that_of_the_nearest_edge_of_all(
        across in 1_usize..5,
        bends in 1_usize..30,
        seed in prop::collection::vec(any::<u8>(), 64..120),
    ) {
        let contours = wiggly(across, bends, &seed, false);
        let (tree, cells) = (index(&contours, 0), index(&contours, u64::MAX));
        let edges: Vec<_> = contours.iter().flatten().flat_map(|p| p.exterior().lines()).collect();
        for (x, y) in points_at(&contours, &seed).into_iter().step_by(7).chain([(690_000.0, 6_600_000.0), (700_050.0, 6_700_000.0), (-1e9, 1e9)]) {
            // The distance of geo, which reckons by a way of its own.
            let plain = edges.iter().map(|edge| Euclidean.distance(&Point::new(x, y), edge)).fold(f64::INFINITY, f64::min);
            let found = tree.distance_m(x, y);
            prop_assert!((found - plain).abs() <= 1e-9 * (1.0 + plain), "{} and {}", found, plain);
            // More bends make zones overlap.
            prop_assert_eq!(cells.distance_m(x, y), found);
        }
    }

    #[test]
    fn a_kept_index_which_is_torn_or_changed_is_refused(
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        seal_again in any::<bool>(),
        seed in prop::collection::vec(any::<u8>(), 64..65),
    ) {
        let contours = wiggly(2, 12, &seed, false);
        let bytes = kept(&index(&contours, u64::MAX), contours.len());
        let cut = at.index(bytes.len());
        prop_assert!(KeptIndex::read(&bytes[..cut]).is_err());
        let mut changed = bytes.clone();
        changed[cut] ^= 1 << bit;
        prop_assert!(KeptIndex::read(&changed[..]).is_err());
        if seal_again {
            // Whoever can compute the sum gets an answer or a refusal, never a panic.
            let end = changed.len() - 4;
            let mut sum = flate2::Crc::new();
            sum.update(&changed[..end]);
            changed[end..].copy_from_slice(&sum.sum().to_le_bytes());
            if let Ok(kept) = KeptIndex::read(&changed[..]) {
                answers(&kept.index, &points_at(&contours, &seed));
                kept.index.around(700_050.0, 6_600_050.0);
            }
        }
    }
}
