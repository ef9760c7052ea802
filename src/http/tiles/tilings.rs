//! Zonings prepared for tiles: made when the first tile is asked for, kept for those after.

use crate::http::state::Place;
use crate::steps::coverage::{Coverage, REACH_DEGREES};
use crate::steps::tiling::Drawing;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Zonings kept prepared, the one asked for last in front: three of each of eight releases. The IRIS of a department take
/// about ten megabytes with all their zooms.
const KEPT_MAX: usize = 24;

/// What is prepared. Clones share it.
#[derive(Clone, Default)]
pub struct Tilings(Arc<Mutex<VecDeque<Kept>>>);

struct Kept {
    release: String,
    zoning: String,
    drawing: Arc<OnceLock<Drawing>>,
}

impl Tilings {
    /// The zones of a place, drawn for every zoom. Those who ask at once wait for one drawing, so this is no call for a
    /// thread that serves others meanwhile.
    pub fn of(&self, place: &Place) -> Arc<OnceLock<Drawing>> {
        let drawing = self.slot(place);
        drawing.get_or_init(|| {
            let contours = place.zoning().zones.iter().map(|zone| zone.contour.degrees());
            Drawing::of(&Coverage::of(contours, REACH_DEGREES))
        });
        drawing
    }

    fn slot(&self, place: &Place) -> Arc<OnceLock<Drawing>> {
        let (release, zoning) = (place.release().id.as_str(), &place.zoning().id);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            kept.iter().position(|k| k.release == release && k.zoning == *zoning).and_then(|at| kept.remove(at));
        let slot = known.unwrap_or_else(|| Kept {
            release: release.to_owned(),
            zoning: zoning.clone(),
            drawing: Arc::default(),
        });
        let drawing = slot.drawing.clone();
        kept.push_front(slot);
        kept.truncate(KEPT_MAX);
        drawing
    }
}
