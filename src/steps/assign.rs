//! Step 5: each point gets exactly one zone, or the answer that it has none.
//!
//! The rule, the same for any order of rows, of zones and of threads:
//! 1. among the zones that hold the point in their interior, the one whose code comes first bytewise;
//! 2. otherwise, among the zones that have it on their border, the one whose code comes first bytewise, and the point is
//!    reported as `border`;
//! 3. otherwise none.
//!
//! In a coverage without overlap the first case has one zone, so codes decide on borders only.

use super::index::ZoneIndex;

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

/// A [`Placement`] in four bytes, for masses of points: who else has it on the border is asked of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// In the interior of this zone.
    Inside(u32),
    /// In the interior of this zone and of others, whose codes come later: zones overlap there.
    Overlap(u32),
    /// On the border, and given to this zone.
    OnBorder(u32),
    /// In no zone.
    Outside,
}

/// The placements of a column of points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placements {
    answers: Vec<u32>,
}

impl Placements {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.answers.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
    /// The zones alone, [`ZoneIndex::NONE`] where there is none, when that is all there is to say: no point lies on a border
    /// or where zones overlap. Else the placements as they are.
    pub fn into_zones(self) -> Result<Vec<u32>, Self> {
        let plain =
            |answer: u32| (answer == ZoneIndex::NONE) | (answer & (ZoneIndex::BORDER | ZoneIndex::OVERLAP) == 0);
        // Without a branch a point.
        let all_plain = self.answers.iter().fold(true, |all, &answer| all & plain(answer));
        if all_plain { Ok(self.answers) } else { Err(self) }
    }
    /// Each, in the order of the points.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Placed> {
        self.answers.iter().map(|&answer| match answer {
            ZoneIndex::NONE => Placed::Outside,
            answer if answer & ZoneIndex::BORDER != 0 => Placed::OnBorder(answer & !ZoneIndex::BORDER),
            answer if answer & ZoneIndex::OVERLAP != 0 => Placed::Overlap(answer & !ZoneIndex::OVERLAP),
            answer => Placed::Inside(answer),
        })
    }
}

/// Points below which a second thread costs more than it brings.
const POINTS_A_THREAD: usize = 65_536;

/// Places points given as columns of EPSG:2154 metres, on as many threads as bring something and `threads_max` at most; a
/// coordinate that is not finite is `Outside`.
///
/// # Panics
/// When the columns differ in length: a mistake of the caller.
pub fn place(index: &ZoneIndex, x: &[f64], y: &[f64], threads_max: usize) -> Placements {
    assert_eq!(x.len(), y.len());
    let threads = (x.len() / POINTS_A_THREAD).clamp(1, threads_max.max(1));
    let mut answers = vec![0; x.len()];
    if threads == 1 {
        index.place(x, y, &mut answers);
        return Placements { answers };
    }
    let share = x.len().div_ceil(threads);
    std::thread::scope(|scope| {
        for ((x, y), answers) in x.chunks(share).zip(y.chunks(share)).zip(answers.chunks_mut(share)) {
            scope.spawn(move || index.place(x, y, answers));
        }
    });
    Placements { answers }
}

/// Places points given as columns of EPSG:2154 metres, and says of those on borders which other zones have them there.
///
/// # Panics
/// When the columns differ in length: a mistake of the caller.
pub fn assign(index: &ZoneIndex, x: &[f64], y: &[f64]) -> Vec<Placement> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let placements = place(index, x, y, cores);
    let whole = |(placed, (&x, &y)): (Placed, (&f64, &f64))| match placed {
        Placed::Inside(zone) | Placed::Overlap(zone) => Placement::Inside(zone),
        Placed::OnBorder(chosen) => {
            let mut others = index.around(x, y).border;
            others.retain(|&zone| zone != chosen);
            Placement::OnBorder { chosen, others }
        }
        Placed::Outside => Placement::Outside,
    };
    placements.iter().zip(x.iter().zip(y)).map(whole).collect()
}
