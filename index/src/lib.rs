//! Which zone holds a point, in plain coordinates: no file, no code of a zone, no rule on who is asked.
//!
//! Two forms give the same answers. [`Tree`], of bounding boxes, is built in a moment and suits few points; [`Cells`] cost
//! a little for each vertex, answer most points by one look-up, and suit masses of them. Sides of edges are decided by
//! Shewchuk's exact orientation predicate in both: no tolerance, no rounding.
//!
//! It is a crate of its own so that it is compiled for speed.

mod batch;
mod build;
mod cells;
mod exact;
mod kept;
mod large;
mod nearest;
mod tree;

pub use build::Rings;
pub use cells::{BORDER, Cells, NONE, OVERLAP};
pub use kept::Kept;
pub use tree::Tree;

/// The zones around a point, each ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// Zones that hold it in their interior.
    pub inside: Vec<u32>,
    /// Zones that have it on their border.
    pub border: Vec<u32>,
}
