//! Contours as they were asked for lately: a request in another system does not work out again what the one before did.

use super::systems::{System, brought};
use crate::steps::coverage::{Coverage, REACH_DEGREES};
use crate::steps::publish::{Release, ReleasedZone, ReleasedZoning};
use geo::{BoundingRect, CoordsIter, MultiPolygon};
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
    simplify_m: u32,
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
    /// The contours of a zoning in a system, simplified within a tolerance in metres; zero leaves them as they are.
    pub fn of<'r>(
        &self,
        release: &Release,
        zoning: &'r ReleasedZoning,
        system: System,
        simplify_m: u32,
    ) -> Contours<'r> {
        if system.way().is_none() && simplify_m == 0 {
            return Contours::AsReleased(&zoning.zones);
        }
        // Both orders of degrees are drawn alike.
        let system = if system.way().is_none() { System::Crs84 } else { system };
        let named = Named { release: release.id.to_string(), zoning: zoning.id.clone(), system, simplify_m };
        if let Some(contours) = self.known(&named) {
            return Contours::Drawn(contours);
        }
        // Drawn outside the lock: two that ask at once both draw, and nobody waits.
        let contours = Arc::new(draw(&zoning.zones, system, simplify_m));
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

/// Contours simplified in degrees, whatever the system, so that the same corners stay in each.
fn draw(zones: &[ReleasedZone], system: System, simplify_m: u32) -> Vec<MultiPolygon> {
    let released = zones.iter().map(|zone| zone.contour.degrees());
    let contours: Vec<MultiPolygon> = match simplify_m {
        0 => released.cloned().collect(),
        metres => simplified(&released.collect::<Vec<_>>(), f64::from(metres)),
    };
    match system.way() {
        None => contours,
        Some(way) => contours.iter().map(|contour| brought(contour, &way)).collect(),
    }
}

/// A degree of latitude, in metres, by the metre's first definition; a tolerance needs no better.
const DEGREE_M: f64 = 1e7 / 90.0;

/// Contours with fewer corners, simplified as one. Corners are weighed by the ground of their triangles, so that degrees
/// serve as metres do once a tolerance is told in them.
fn simplified(contours: &[&MultiPolygon], metres: f64) -> Vec<MultiPolygon> {
    let boxes = contours.iter().filter_map(|contour| contour.bounding_rect());
    let latitude = boxes.map(|b| b.center().y).sum::<f64>() / (contours.len().max(1) as f64);
    let degrees = metres / (DEGREE_M * latitude.to_radians().cos().sqrt());
    let coverage = Coverage::of(contours.iter().copied(), REACH_DEGREES).simplified(degrees);
    (0..contours.len()).map(|zone| coverage.polygons(zone)).collect()
}
