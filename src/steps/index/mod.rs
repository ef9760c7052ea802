//! Step 4: zones become an index.
//!
//! Two forms give the same answers. A tree of bounding boxes is built in a moment and suits few points; a grid of cells
//! costs a little for each vertex, answers most points by one look-up, and suits masses of them. Sides of edges are decided
//! by Shewchuk's exact orientation predicate in both: no tolerance, no rounding.

mod batch;
mod build;
mod cells;
mod exact;
mod kept;
mod nearest;
mod tree;

use build::Rings;
use cells::Cells;
use tree::Tree;

use crate::model::Zoning;

pub use kept::KeptIndex;

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

/// The zones around a point, each ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// Zones that hold it in their interior.
    pub inside: Vec<u32>,
    /// Zones that have it on their border.
    pub border: Vec<u32>,
}

/// Points for each zone above which cells repay their building, by measure: a point costs the tree about two microseconds
/// and the edges of a zone, and cells cost about a tenth of a microsecond for each vertex.
const POINTS_A_ZONE: u64 = 20;

/// An index over the zones of one zoning, in EPSG:2154 metres. Zones are named by their place in [`Zoning::zones`].
pub struct ZoneIndex {
    form: Form,
    zones: usize,
}

enum Form {
    Tree(Tree),
    Cells(Cells),
}

impl ZoneIndex {
    /// Builds the index for any number of points; cannot fail.
    pub fn new(zoning: &Zoning) -> Self {
        Self::of_rings(&rings(zoning), zoning.zones().len(), u64::MAX)
    }

    /// Builds the index for about so many points, so that building and placing together cost least.
    pub fn for_points(zoning: &Zoning, points: u64) -> Self {
        Self::of_rings(&rings(zoning), zoning.zones().len(), points)
    }

    fn of_rings(rings: &Rings<'_>, zones: usize, points: u64) -> Self {
        let cells = (points / POINTS_A_ZONE > zones as u64).then(|| build::build(rings)).flatten();
        let form = cells.map_or_else(|| Form::Tree(Tree::new(rings, zones)), Form::Cells);
        Self { form, zones }
    }

    /// How many zones it has.
    pub fn zones(&self) -> usize {
        self.zones
    }

    /// Bytes in memory, when it has the form that is kept.
    pub fn bytes(&self) -> Option<usize> {
        match &self.form {
            Form::Tree(_) => None,
            Form::Cells(cells) => Some(cells.bytes()),
        }
    }

    /// Places points of EPSG:2154 metres, one thread: for each the number of its zone, with [`Self::BORDER`] set when it
    /// lies on the border or [`Self::OVERLAP`] when other zones hold it too, or [`Self::NONE`]. A coordinate that is not finite has none. The rule is that of
    /// [`crate::steps::assign`].
    ///
    /// # Panics
    /// When the columns differ in length: a mistake of the caller.
    pub fn place(&self, x: &[f64], y: &[f64], answers: &mut [u32]) {
        assert!(x.len() == y.len() && x.len() == answers.len(), "columns of one length");
        match &self.form {
            Form::Tree(tree) => tree.place(x, y, answers),
            Form::Cells(cells) => batch::place(cells, x, y, answers),
        }
    }

    /// The answer for a point that no zone has.
    pub const NONE: u32 = cells::NONE;
    /// Set in an answer when the point lies on the border of the zone.
    pub const BORDER: u32 = cells::BORDER;
    /// Set in an answer when the point lies in the interior of the zone and of others, whose codes come later.
    pub const OVERLAP: u32 = cells::OVERLAP;

    /// The zones around a point of EPSG:2154 metres.
    pub fn around(&self, x: f64, y: f64) -> Around {
        match &self.form {
            Form::Tree(tree) => tree.around(x, y),
            Form::Cells(cells) => cells.around(x, y),
        }
    }

    /// Metres from a point of EPSG:2154 metres to the nearest edge; infinite when there is none, NaN for a coordinate that
    /// is not finite.
    pub fn distance_m(&self, x: f64, y: f64) -> f64 {
        if !x.is_finite() || !y.is_finite() {
            return f64::NAN;
        }
        match &self.form {
            Form::Tree(tree) => tree.distance_m(x, y),
            Form::Cells(cells) => cells.distance_m(x, y),
        }
    }
}

fn rings(zoning: &Zoning) -> Rings<'_> {
    let mut rings = Rings::default();
    for (zone, contour) in (0..).zip(zoning.zones().iter().map(|zone| zone.contour.metres())) {
        for ring in contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            rings.push(zone, &ring.0);
        }
    }
    rings
}

#[cfg(test)]
mod tests;
