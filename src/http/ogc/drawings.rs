//! Contours as they were asked for lately: a request in another system does not work out again what the one before did.

use super::systems::{System, brought};
use crate::steps::publish::{Release, ReleasedZone, ReleasedZoning};
use geo::{CoordsIter, MultiPolygon};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Most corners kept over all drawings: 64 megabytes, which is some hundred drawings of the sectors of a metropolis.
const CORNERS_KEPT: usize = 4 << 20;

/// Drawings kept, the one asked for last in front. Clones share them.
#[derive(Clone, Default)]
pub struct Drawings(Arc<Mutex<VecDeque<Drawing>>>);

struct Drawing {
    named: Named,
    contours: Arc<Vec<MultiPolygon>>,
    corners: usize,
}

/// What a drawing is of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    release: String,
    zoning: String,
    system: System,
}

/// The contours of a zoning, in the order of its zones, x first.
pub enum Contours<'r> {
    /// As the release has them.
    AsReleased(&'r [ReleasedZone]),
    /// As they were drawn.
    Drawn(Arc<Vec<MultiPolygon>>),
}

impl Contours<'_> {
    /// That of a zone, by its place in the zoning.
    pub fn get(&self, number: usize) -> &MultiPolygon {
        match self {
            Self::AsReleased(zones) => zones[number].contour.degrees(),
            Self::Drawn(contours) => &contours[number],
        }
    }
}

impl Drawings {
    /// The contours of a zoning in a system.
    pub fn of<'r>(&self, release: &Release, zoning: &'r ReleasedZoning, system: System) -> Contours<'r> {
        let Some(way) = system.way() else { return Contours::AsReleased(&zoning.zones) };
        let named = Named { release: release.id.to_string(), zoning: zoning.id.clone(), system };
        if let Some(contours) = self.known(&named) {
            return Contours::Drawn(contours);
        }
        // Drawn outside the lock: two that ask at once both draw, and nobody waits.
        let drawn = zoning.zones.iter().map(|zone| brought(zone.contour.degrees(), &way)).collect();
        let contours = Arc::new(drawn);
        self.keep(named, Arc::clone(&contours));
        Contours::Drawn(contours)
    }

    fn known(&self, named: &Named) -> Option<Arc<Vec<MultiPolygon>>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|drawing| drawing.named == *named)?;
        let drawing = kept.remove(at)?;
        let contours = drawing.contours.clone();
        kept.push_front(drawing);
        Some(contours)
    }

    fn keep(&self, named: Named, contours: Arc<Vec<MultiPolygon>>) {
        let corners = contours.iter().map(CoordsIter::coords_count).sum();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|drawing| drawing.named != named);
        kept.push_front(Drawing { named, contours, corners });
        let mut sum = 0;
        // The newest stays, however large: it is being answered.
        let fits = kept.iter().take_while(|drawing| {
            sum += drawing.corners;
            sum <= CORNERS_KEPT
        });
        let fits = fits.count().max(1);
        kept.truncate(fits);
    }
}
