//! The map of a page: contours as an inline drawing, coloured by headcount, hatched where the figure is withheld.

use super::number;
use crate::steps::publish::ReleasedZone;
use geo::BoundingRect;
use minijinja::{Value, context};
use std::fmt::Write;

/// Width of the drawing, in pixels of its own frame; it scales with the page.
const WIDTH: f64 = 800.0;

/// Greatest height, so that a tall territory still fits a screen.
const HEIGHT_MAX: f64 = 640.0;

/// Margin around the territory, in pixels.
const MARGIN: f64 = 6.0;

/// Classes of the choropleth: five is what readers tell apart at a glance on a sequential scale.
const CLASSES: usize = 5;

/// The drawing of zones and their headcounts (`None` is withheld): paths with their class and title, and a legend.
pub fn draw(zones: &[(&ReleasedZone, Option<u64>)]) -> Value {
    let frame = Frame::around(zones.iter().filter_map(|(zone, _)| zone.contour.degrees().bounding_rect()));
    let breaks = breaks(zones.iter().filter_map(|z| z.1).filter(|n| *n > 0).collect());
    let class = |headcount: Option<u64>| match headcount {
        None => "secret".to_owned(),
        Some(0) => "zero".to_owned(),
        Some(n) => format!("c{}", breaks.iter().position(|b| n <= b.1).unwrap_or(breaks.len().saturating_sub(1)) + 1),
    };
    let paths: Vec<Value> = zones
        .iter()
        .map(|(zone, headcount)| {
            let figure = match headcount {
                None => "secret statistique".to_owned(),
                Some(n) => format!("{} {}", number(*n), if *n > 1 { "salariés" } else { "salarié" }),
            };
            let title = format!("{} : {figure}", zone.label);
            context! { d => frame.path(zone.contour.degrees()), class => class(*headcount), title }
        })
        .collect();
    let mut legend: Vec<Value> = breaks
        .iter()
        .enumerate()
        .map(|(i, (least, most))| {
            let text = match least == most {
                true => number(*least),
                false => format!("{} à {}", number(*least), number(*most)),
            };
            let noun = if *most > 1 { "salariés" } else { "salarié" };
            context! { class => format!("c{}", i + 1), text => format!("{text} {noun}") }
        })
        .collect();
    if zones.iter().any(|z| z.1 == Some(0)) {
        legend.insert(0, context! { class => "zero", text => "aucun salarié" });
    }
    if zones.iter().any(|z| z.1.is_none()) {
        legend.push(context! { class => "secret", text => "secret statistique" });
    }
    context! { width => frame.width.ceil(), height => frame.height.ceil(), paths, legend }
}

/// Least and greatest published headcount of each class; classes hold about as many zones each.
fn breaks(mut open: Vec<u64>) -> Vec<(u64, u64)> {
    open.sort_unstable();
    let mut breaks: Vec<(u64, u64)> = Vec::new();
    for class in 0..CLASSES {
        let members = &open[open.len() * class / CLASSES..open.len() * (class + 1) / CLASSES];
        // Equal headcounts share a class, so one may swallow the start of the next.
        let from = breaks.last().map_or(0, |b| b.1 + 1);
        let members: Vec<u64> = members.iter().copied().filter(|n| *n >= from).collect();
        if let (Some(least), Some(most)) = (members.first(), members.last()) {
            breaks.push((*least, *most));
        }
    }
    breaks
}

/// Degrees to pixels: equirectangular, true at the middle of the territory; a city needs no more.
struct Frame {
    west: f64,
    north: f64,
    shrink: f64,
    scale: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn around(bounds: impl Iterator<Item = geo::Rect>) -> Self {
        let (mut west, mut south, mut east, mut north) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
        for b in bounds {
            (west, south) = (west.min(b.min().x), south.min(b.min().y));
            (east, north) = (east.max(b.max().x), north.max(b.max().y));
        }
        if west > east {
            (west, south, east, north) = (0.0, 0.0, 0.0, 0.0);
        }
        let shrink = ((south + north) / 2.0).to_radians().cos().abs().max(1e-3);
        // A territory without extent still gets a frame.
        let (wide, tall) = (((east - west) * shrink).max(1e-9), (north - south).max(1e-9));
        let scale = ((WIDTH - 2.0 * MARGIN) / wide).min((HEIGHT_MAX - 2.0 * MARGIN) / tall);
        let (width, height) = (wide * scale + 2.0 * MARGIN, tall * scale + 2.0 * MARGIN);
        Self { west, north, shrink, scale, width, height }
    }

    /// Path data in tenths of a pixel; a vertex that falls on the one before is dropped, as no eye would see it.
    fn path(&self, contour: &geo::MultiPolygon) -> String {
        let mut path = String::new();
        for ring in contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            let mut last = None;
            for c in ring.coords() {
                let x = ((c.x - self.west) * self.shrink * self.scale + MARGIN) * 10.0;
                let y = ((self.north - c.y) * self.scale + MARGIN) * 10.0;
                let here = (x.round() as i64, y.round() as i64);
                if last == Some(here) {
                    continue;
                }
                let command = if last.is_none() { 'M' } else { 'L' };
                let tenths = |n: i64| format!("{}.{}", n / 10, (n % 10).abs());
                let _ = write!(path, "{command}{} {}", tenths(here.0), tenths(here.1));
                last = Some(here);
            }
            if last.is_some() {
                path.push('Z');
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_figure_once_and_equal_figures_share_one() {
        for (open, classes) in [
            (vec![], vec![]),
            (vec![7], vec![(7, 7)]),
            (vec![1, 2, 3, 4, 5], vec![(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]),
            (vec![5, 5, 5, 5, 5], vec![(5, 5)]),
            (vec![10, 1, 2, 9, 3, 8, 4, 7, 5, 6], vec![(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]),
            (vec![1, 1, 1, 1, 2, 3], vec![(1, 1), (2, 3)]),
        ] {
            assert_eq!(breaks(open.clone()), classes, "{open:?}");
        }
    }
}
