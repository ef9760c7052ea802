//! Step 4: zones become an index.
//!
//! Two forms give the same answers: a tree of bounding boxes suits few points, a grid of cells masses of them. Both are
//! those of the crate `arpent-index`, which knows coordinates alone; here are zones, their codes, and the choice.

use std::io::{self, Read, Write};

use arpent_index::{Cells, Kept, Rings, Tree};

use crate::model::{ZoneCode, Zoning};

pub use arpent_index::Around;

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
        let cells = (points / POINTS_A_ZONE > zones as u64).then(|| Cells::new(rings)).flatten();
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
    /// lies on the border or [`Self::OVERLAP`] when other zones hold it too, or [`Self::NONE`]. A coordinate that is not
    /// finite has none. The rule is that of [`crate::steps::assign`].
    ///
    /// # Panics
    /// When the columns differ in length: a mistake of the caller.
    pub fn place(&self, x: &[f64], y: &[f64], answers: &mut [u32]) {
        assert!(x.len() == y.len() && x.len() == answers.len(), "columns of one length");
        match &self.form {
            Form::Tree(tree) => tree.place(x, y, answers),
            Form::Cells(cells) => cells.place(x, y, answers),
        }
    }

    /// The answer for a point that no zone has.
    pub const NONE: u32 = arpent_index::NONE;
    /// Set in an answer when the point lies on the border of the zone.
    pub const BORDER: u32 = arpent_index::BORDER;
    /// Set in an answer when the point lies in the interior of the zone and of others, whose codes come later.
    pub const OVERLAP: u32 = arpent_index::OVERLAP;

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

/// An index with what is needed to use it without its zoning.
pub struct KeptIndex {
    /// The index.
    pub index: ZoneIndex,
    /// The codes of its zones, in their order.
    pub codes: Vec<ZoneCode>,
    /// What the keeper wrote about it, such as the digest of the file it was built from.
    pub about: String,
}

impl ZoneIndex {
    /// Writes the index with the codes of its zones and a text about it. `Ok(false)` when it has the form for few points,
    /// which is not kept.
    pub fn keep(&self, codes: &[&ZoneCode], about: &str, into: impl Write) -> io::Result<bool> {
        let Form::Cells(cells) = &self.form else { return Ok(false) };
        cells.keep(codes.iter().map(|code| code.as_str()), about, into)?;
        Ok(true)
    }
}

impl KeptIndex {
    /// Reads back what [`ZoneIndex::keep`] wrote, from its first byte to its last.
    ///
    /// # Errors
    /// What cannot be read, or is not whole, or is of another form or version: the message says which.
    pub fn read(from: impl Read) -> Result<Self, String> {
        let Kept { cells, codes, about } = Kept::read(from)?;
        let codes: Option<Vec<ZoneCode>> = codes.iter().map(|code| code.parse().ok()).collect();
        // The rule on borders rests on this order.
        let codes = codes.filter(|codes| codes.is_sorted_by(|a, b| a < b)).ok_or("texts that are torn")?;
        Ok(Self { index: ZoneIndex { form: Form::Cells(cells), zones: codes.len() }, codes, about })
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
