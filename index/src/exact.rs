//! The side of an edge on which a point lies, exactly.
//!
//! A determinant in doubles answers nearly always; where its rounding could matter, Shewchuk's adaptive predicate does
//! (J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates, 1997).

/// A vertex: east, north.
pub(crate) type Vertex = [f64; 2];

/// Shewchuk's `ccwerrboundA`: above this share of its terms, the determinant has the right sign.
const BOUND: f64 = (3.0 + 8.0 * f64::EPSILON) * f64::EPSILON / 2.0;

/// A value that is positive when `(x, y)` lies to the left of the way from `a` to `b`, zero when on its line; and whether
/// its sign is sure to be right.
#[inline(always)]
pub(crate) fn quick_side(a: Vertex, b: Vertex, x: f64, y: f64) -> (f64, bool) {
    let left = (a[0] - x) * (b[1] - y);
    let right = (a[1] - y) * (b[0] - x);
    let side = left - right;
    (side, side.abs() > BOUND * (left.abs() + right.abs()))
}

/// The same, whatever it costs.
#[inline]
pub(crate) fn side(a: Vertex, b: Vertex, x: f64, y: f64) -> f64 {
    match quick_side(a, b, x, y) {
        (side, true) => side,
        (_, false) => exact_side(a, b, x, y),
    }
}

#[cold]
fn exact_side(a: Vertex, b: Vertex, x: f64, y: f64) -> f64 {
    let at = |v: Vertex| robust::Coord { x: v[0], y: v[1] };
    robust::orient2d(at(a), at(b), robust::Coord { x, y })
}

/// Whether a point on the line through `a` and `b` lies between them.
pub(crate) fn between(a: Vertex, b: Vertex, x: f64, y: f64) -> bool {
    let within = |p: f64, q: f64, v: f64| v >= p.min(q) && v <= p.max(q);
    within(a[0], b[0], x) && within(a[1], b[1], y)
}

/// The square of the distance from a point to an edge, the same to the last bit whichever end comes first.
pub(crate) fn distance_squared(a: Vertex, b: Vertex, x: f64, y: f64) -> f64 {
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    let (ux, uy) = (b[0] - a[0], b[1] - a[1]);
    let (vx, vy) = (x - a[0], y - a[1]);
    let length = ux * ux + uy * uy;
    let along = if length > 0.0 { ((ux * vx + uy * vy) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (dx, dy) = (vx - along * ux, vy - along * uy);
    dx * dx + dy * dy
}
