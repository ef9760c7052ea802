//! Step 5: each point gets exactly one zone, or the answer that it has none.
//!
//! The rule, the same for any order of rows, of zones and of threads:
//! 1. among the zones that hold the point in their interior, the one whose code comes first bytewise;
//! 2. otherwise, among the zones that have it on their border, the one whose code comes first bytewise, and the point is
//!    reported as `border`;
//! 3. otherwise none.
//!
//! In a coverage without overlap the first case has one zone, so codes decide on borders only.

use super::index::{Position, ZoneIndex};

/// The zone of a point, as its place in [`crate::model::Zoning::zones`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// In the interior of this zone.
    Inside(u32),
    /// On a shared edge or vertex, or on the outer border.
    OnBorder {
        /// The zone it is given to.
        chosen: u32,
        /// The other zones that have it on their border, ascending.
        others: Vec<u32>,
    },
    /// In no zone.
    Outside,
}

impl Placement {
    /// The zone it is given to.
    pub fn zone(&self) -> Option<u32> {
        match self {
            Self::Inside(zone) => Some(*zone),
            Self::OnBorder { chosen, .. } => Some(*chosen),
            Self::Outside => None,
        }
    }
}

/// Points below which a second thread costs more than it brings.
const POINTS_A_THREAD: usize = 16_384;

/// Places points given as columns of EPSG:2154 metres; a coordinate that is not finite is `Outside`.
///
/// # Panics
/// When the columns differ in length: a mistake of the caller.
pub fn assign(index: &ZoneIndex, x: &[f64], y: &[f64]) -> Vec<Placement> {
    assert_eq!(x.len(), y.len());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (x.len() / POINTS_A_THREAD).clamp(1, cores);
    let mut placements = vec![Placement::Outside; x.len()];
    let share = x.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for ((x, y), out) in x.chunks(share).zip(y.chunks(share)).zip(placements.chunks_mut(share)) {
            let work = move || {
                for ((&x, &y), out) in x.iter().zip(y).zip(out) {
                    *out = place(index, x, y);
                }
            };
            if threads == 1 { work() } else { drop(scope.spawn(work)) }
        }
    });
    placements
}

fn place(index: &ZoneIndex, x: f64, y: f64) -> Placement {
    let mut inside = u32::MAX;
    let mut border = Vec::new();
    for zone in index.candidates(x, y) {
        if zone > inside {
            continue; // whatever it says, a zone of a lower code has the point in its interior
        }
        match index.position(zone, x, y) {
            Position::Inside => inside = zone,
            Position::Border => border.push(zone),
            Position::Outside => {}
        }
    }
    if inside != u32::MAX {
        return Placement::Inside(inside);
    }
    border.sort_unstable();
    match border.split_first() {
        Some((&chosen, others)) => Placement::OnBorder { chosen, others: others.to_vec() },
        None => Placement::Outside,
    }
}
