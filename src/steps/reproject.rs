//! Step 2: coordinates come to EPSG:2154, and zones go out to CRS84. The only file that calls PROJ.

use super::validate::ZoneInMetres;
use crate::model::{Crs, Lambert93, Read, Reject, Unreadable, Wgs84, ZoneRecord, position_text};
use geo::{Coord, MapCoords, MultiPolygon};
use proj::Proj;

/// Turns coordinates of one system into EPSG:2154 metres, and refuses those the system was not made for.
///
/// PROJ's objects belong to one thread; make one of these a thread.
pub struct Reprojector {
    to_lambert93: Way,
    usable: Bounds,
    lambert93: Bounds,
}

/// A rectangle in the units of a system.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: (f64, f64),
    greatest: (f64, f64),
}

/// Areas of use are drawn around countries and bands; a contour or an address a little outside is still sound.
const MARGIN: f64 = 0.02;

/// How many points of each side of an area of use are projected to bound it.
const DENSIFY: i32 = 21;
/// Points that are checked together: their columns stay in the first cache.
const CHECKED_TOGETHER: usize = 1024;

impl Bounds {
    fn hold(&self, x: f64, y: f64) -> bool {
        (x >= self.least.0) & (x <= self.greatest.0) & (y >= self.least.1) & (y <= self.greatest.1)
    }

    /// Those of the two systems that nearly all files use, as [`Bounds::of`] gives them: asking PROJ's tables takes a
    /// hundred times longer than placing a thousand points.
    fn known(crs: &Crs) -> Option<Self> {
        match *crs {
            Crs::LAMBERT93 => Some(Self { least: (-412_285.0, 5_980_674.5), greatest: (1_354_629.0, 7_260_219.5) }),
            Crs::WGS84 => Some(Self { least: (-187.2, -93.6), greatest: (187.2, 93.6) }),
            Crs::Epsg(_) | Crs::Wkt(_) => None,
        }
    }

    /// The area of use of a system, in its own coordinates; the whole plane when the register gives none.
    fn of(definition: &str) -> Self {
        let everywhere = Self { least: (f64::MIN, f64::MIN), greatest: (f64::MAX, f64::MAX) };
        let area = Proj::new(definition).ok().and_then(|crs| crs.area_of_use().ok()?.0);
        let Some(area) = area else { return everywhere };
        let Ok(from_degrees) = Proj::new_known_crs("EPSG:4326", definition, None) else { return everywhere };
        match from_degrees.transform_bounds(area.west, area.south, area.east, area.north, DENSIFY) {
            Ok([left, bottom, right, top]) if [left, bottom, right, top].iter().all(|v: &f64| v.is_finite()) => {
                let (dx, dy) = ((right - left) * MARGIN, (top - bottom) * MARGIN);
                Self { least: (left - dx, bottom - dy), greatest: (right + dx, top + dy) }
            }
            _ => everywhere,
        }
    }
}

fn definition(crs: &Crs) -> String {
    match crs {
        Crs::Epsg(code) => format!("EPSG:{code}"),
        Crs::Wkt(text) => text.clone(),
    }
}

impl Reprojector {
    /// Prepares the way from a system.
    ///
    /// # Errors
    /// A system that PROJ does not know.
    pub fn new(crs: &Crs) -> Result<Self, Unreadable> {
        let from = definition(crs);
        let to = definition(&Crs::LAMBERT93);
        let unknown = |_| {
            Unreadable::file(
                "crs_unknown",
                "coordinate reference system",
                crs.to_string(),
                "a system that PROJ knows, such as EPSG:2154",
            )
        };
        let to_lambert93 = match Way::closed(crs) {
            Some(way) => way,
            None => Way::Proj(Proj::new_known_crs(&from, &to, None).map_err(unknown)?),
        };
        let bounds = |crs: &Crs| Bounds::known(crs).unwrap_or_else(|| Bounds::of(&definition(crs)));
        Ok(Self { to_lambert93, usable: bounds(crs), lambert93: bounds(&Crs::LAMBERT93) })
    }

    /// One position, or `None` outside the area of use of its system or of Lambert-93.
    pub fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        if !self.usable.hold(x, y) {
            return None;
        }
        let (x, y) = self.to_lambert93.go(x, y)?;
        self.lambert93.hold(x, y).then_some((x, y))
    }

    /// Columns of coordinates, in place. A place outside the area of use becomes NaN; `refused` is told its number and what
    /// it looks like.
    pub fn points(&mut self, x: &mut [f64], y: &mut [f64], mut refused: impl FnMut(usize, Option<Mistaken>)) {
        let parts = x.chunks_mut(CHECKED_TOGETHER).zip(y.chunks_mut(CHECKED_TOGETHER));
        for (part, (x, y)) in parts.enumerate() {
            if matches!(self.to_lambert93, Way::None) {
                // Nearly always all of them may stay as they are, which is known without a branch a point.
                let usable = |x, y| self.usable.hold(x, y) & self.lambert93.hold(x, y);
                if x.iter().zip(&*y).fold(true, |all, (&x, &y)| all & usable(x, y)) {
                    continue;
                }
            }
            for (number, (x, y)) in (part * CHECKED_TOGETHER..).zip(x.iter_mut().zip(y)) {
                let place = self.point(*x, *y);
                if place.is_none() {
                    refused(number, self.mistaken(*x, *y));
                }
                (*x, *y) = place.unwrap_or((f64::NAN, f64::NAN));
            }
        }
    }
}

/// A way to EPSG:2154.
enum Way {
    /// From EPSG:2154.
    None,
    /// From degrees on its ellipsoid.
    Degrees(Conic),
    /// From another conic projection of the same ellipsoid and meridian. Both are conformal, so that one is a power of the
    /// other in the complex plane around the pole, and degrees need not be found on the way.
    Conic { from: Conic, to: Conic },
    /// Any other.
    Proj(Proj),
}

impl Way {
    /// The closed forms of the systems that French files use, a test holds them to a micrometre of PROJ.
    fn closed(crs: &Crs) -> Option<Self> {
        match *crs {
            Crs::LAMBERT93 => Some(Self::None),
            Crs::WGS84 => Some(Self::Degrees(Conic::lambert93())),
            Crs::Epsg(code @ 3942..=3950) => {
                Some(Self::Conic { from: Conic::zone(code - 3900), to: Conic::lambert93() })
            }
            Crs::Epsg(_) | Crs::Wkt(_) => None,
        }
    }

    #[inline]
    fn go(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        match self {
            Self::None => Some((x, y)),
            Self::Degrees(conic) => Some(conic.of_degrees(x, y)),
            Self::Conic { from, to } => Some(from.to(to, x, y)),
            Self::Proj(way) => way.convert((x, y)).ok(),
        }
    }
}

/// A conic conformal projection with two standard parallels, on GRS 80 and the meridian 3° E (IGN, NTG 71; EPSG guidance
/// note 7-2, method 9802).
#[derive(Debug, Clone, Copy)]
struct Conic {
    /// The exponent: the share of a full turn that the cone takes.
    n: f64,
    /// The radius of the equator on the map, in metres.
    equator_m: f64,
    /// The place of the pole, in metres.
    pole: (f64, f64),
}

/// GRS 80: half the great axis in metres, and the inverse flattening.
const GRS80: (f64, f64) = (6_378_137.0, 298.257_222_101);
/// The central meridian, in degrees.
const MERIDIAN: f64 = 3.0;

impl Conic {
    /// EPSG:2154.
    fn lambert93() -> Self {
        Self::new(46.5, (44.0, 49.0), (700_000.0, 6_600_000.0))
    }
    /// The conic zone around a whole parallel from 42 to 50: EPSG:3942 to 3950.
    fn zone(parallel: u32) -> Self {
        let latitude = f64::from(parallel);
        let north_m = 1_000_000.0 * (latitude - 41.0) + 200_000.0;
        Self::new(latitude, (latitude - 0.75, latitude + 0.75), (1_700_000.0, north_m))
    }
    /// By the latitude of origin, the standard parallels, and the coordinates of the origin.
    fn new(origin: f64, parallels: (f64, f64), (east_m, north_m): (f64, f64)) -> Self {
        let (p, q) = (parallels.0.to_radians(), parallels.1.to_radians());
        let width = |latitude: f64| latitude.cos() / (1.0 - eccentricity_squared() * latitude.sin().powi(2)).sqrt();
        let n = (width(p) / width(q)).ln() / (isometric(q) - isometric(p));
        let equator_m = GRS80.0 * width(p) / n * (n * isometric(p)).exp();
        let radius_m = equator_m * (-n * isometric(origin.to_radians())).exp();
        Self { n, equator_m, pole: (east_m, north_m + radius_m) }
    }
    #[inline]
    fn at(&self, radius_m: f64, angle: f64) -> (f64, f64) {
        let (sine, cosine) = angle.sin_cos();
        (self.pole.0 + radius_m * sine, self.pole.1 - radius_m * cosine)
    }
    /// From longitude and latitude in degrees.
    #[inline]
    fn of_degrees(&self, longitude: f64, latitude: f64) -> (f64, f64) {
        let radius_m = self.equator_m * (-self.n * isometric(latitude.to_radians())).exp();
        self.at(radius_m, self.n * (longitude - MERIDIAN).to_radians())
    }
    /// To another one.
    #[inline]
    fn to(&self, other: &Self, x: f64, y: f64) -> (f64, f64) {
        let (east, south) = (x - self.pole.0, self.pole.1 - y);
        let power = other.n / self.n;
        // A radius by its logarithm: one `ln` and one `exp`.
        let radius = ((east * east + south * south) / (self.equator_m * self.equator_m)).ln() / 2.0;
        other.at(other.equator_m * (radius * power).exp(), east.atan2(south) * power)
    }
}

/// The way out of degrees by a closed form: cheap to make, without state, for any thread.
#[derive(Debug, Clone, Copy)]
pub struct FromDegrees(Outwards);

#[derive(Debug, Clone, Copy)]
enum Outwards {
    /// To a conic projection of RGF93, whose degrees are those of CRS84 to what CRS84 tells.
    Conic(Conic),
    /// To EPSG:3857: Mercator on a sphere of the greater radius, whatever the ellipsoid (EPSG guidance note 7-2, method
    /// 1024).
    WebMercator,
}

impl FromDegrees {
    /// To EPSG:2154, to EPSG:3942 to 3950, or to EPSG:3857; none to any other.
    pub fn to(epsg: u32) -> Option<Self> {
        match epsg {
            2154 => Some(Self(Outwards::Conic(Conic::lambert93()))),
            3857 => Some(Self(Outwards::WebMercator)),
            3942..=3950 => Some(Self(Outwards::Conic(Conic::zone(epsg - 3900)))),
            _ => None,
        }
    }

    /// East and north in metres, from longitude and latitude in degrees.
    #[inline]
    pub fn point(&self, longitude: f64, latitude: f64) -> (f64, f64) {
        match &self.0 {
            Outwards::Conic(conic) => conic.of_degrees(longitude, latitude),
            Outwards::WebMercator => {
                let sine = latitude.to_radians().sin();
                (GRS80.0 * longitude.to_radians(), GRS80.0 * 0.5 * ((1.0 + sine) / (1.0 - sine)).ln())
            }
        }
    }
}

fn eccentricity_squared() -> f64 {
    let flattening = 1.0 / GRS80.1;
    flattening * (2.0 - flattening)
}

/// The isometric latitude: the height at which Mercator draws a latitude.
#[inline]
fn isometric(latitude: f64) -> f64 {
    let eccentricity = eccentricity_squared().sqrt();
    let sine = latitude.sin();
    let half_log = |v: f64| 0.5 * ((1.0 + v) / (1.0 - v)).ln();
    half_log(sine) - eccentricity * half_log(eccentricity * sine)
}

/// What coordinates outside the area of use of their system look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistaken {
    /// Usable once x and y change places.
    Swapped,
    /// Degrees in France, in a system of metres.
    Degrees,
    /// Metres of Lambert-93, in another system.
    Lambert93,
}

impl Mistaken {
    /// A stable code for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Degrees => "degrees",
            Self::Lambert93 => "lambert93",
        }
    }
    /// What a code means.
    pub fn said(code: &str) -> &'static str {
        match code {
            "swapped" => "swapped, y before x",
            "degrees" => "like degrees read as metres",
            "lambert93" => "like metres of Lambert-93",
            _ => "mistaken",
        }
    }
}

/// Mainland France and Corsica in degrees, with a margin: west, south, east, north.
const FRANCE_DEGREES: [f64; 4] = [-6.0, 41.0, 10.5, 52.0];

impl Reprojector {
    /// What coordinates outside the area of use look like, when they look like something; they are never mended.
    pub fn mistaken(&self, x: f64, y: f64) -> Option<Mistaken> {
        let [west, south, east, north] = FRANCE_DEGREES;
        let degrees = |x, y| x >= west && x <= east && y >= south && y <= north;
        if self.usable.hold(y, x) && self.point(y, x).is_some() {
            Some(Mistaken::Swapped)
        } else if degrees(x, y) || degrees(y, x) {
            Some(Mistaken::Degrees)
        } else if self.lambert93.hold(x, y) {
            Some(Mistaken::Lambert93)
        } else {
            None
        }
    }
}

/// The way from EPSG:2154 metres to CRS84 degrees, for one thread.
pub struct ToDegrees {
    way: Proj,
}

impl ToDegrees {
    /// Prepares the way.
    ///
    /// # Errors
    /// PROJ without its tables.
    pub fn new() -> Result<Self, Unreadable> {
        let way = Proj::new_known_crs(&definition(&Crs::LAMBERT93), &definition(&Crs::WGS84), None);
        let failed = |error: proj::ProjCreateError| {
            Unreadable::file("reproject", "coordinates", error.to_string(), "PROJ with its tables")
        };
        Ok(Self { way: way.map_err(failed)? })
    }
    /// Longitude and latitude; none for coordinates that are not finite.
    pub fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        if !x.is_finite() || !y.is_finite() {
            return None;
        }
        self.way.convert((x, y)).ok().filter(|(lon, lat): &(f64, f64)| lon.is_finite() && lat.is_finite())
    }
}

/// Zones in EPSG:2154 metres. A zone with a vertex outside the area of use of its system is rejected.
///
/// # Errors
/// A system that PROJ does not know; no zone at all inside the area of use, which is a system wrongly declared.
pub fn zones(records: Vec<ZoneRecord>) -> Result<Read<ZoneInMetres>, Unreadable> {
    let mut read = Read { accepted: Vec::with_capacity(records.len()), rejected: Vec::new() };
    let mut ways: Vec<(Crs, Reprojector)> = Vec::new();
    for ZoneRecord { record, code, label, contour } in records {
        let way = match ways.iter().position(|(crs, _)| *crs == contour.crs) {
            Some(known) => &ways[known].1,
            None => {
                ways.push((contour.crs.clone(), Reprojector::new(&contour.crs)?));
                &ways[ways.len() - 1].1
            }
        };
        let moved = contour.geometry.try_map_coords(|c| way.point(c.x, c.y).map(|(x, y)| Coord { x, y }).ok_or(c));
        match moved {
            Ok(contour) => {
                read.accepted.push(ZoneInMetres { record, code, label, contour: Lambert93::vouch(contour) });
            }
            Err(vertex) => read.rejected.push(Reject {
                code: "outside_crs",
                file: "zones".to_owned(),
                row: Some(record),
                field: None,
                found: {
                    let looks = way.mistaken(vertex.x, vertex.y).map(|mistaken| Mistaken::said(mistaken.code()));
                    let looks = looks.map(|looks| format!(", {looks}")).unwrap_or_default();
                    format!("a vertex at {} for {}{looks}", position_text(vertex.x, vertex.y), contour.crs)
                },
                expected:
                    "coordinates inside the area where that system is used, in France; is the system the right one? Give it by its code (EPSG:N)"
                        .to_owned(),
            }),
        }
    }
    match read.rejected.first() {
        Some(first) if read.accepted.is_empty() => Err(Unreadable(first.clone())),
        _ => Ok(read),
    }
}

/// A contour in CRS84 degrees; equal vertices stay equal, so shared borders stay shared.
///
/// # Errors
/// PROJ's own failure, which a contour inside the area of use does not meet.
pub fn to_wgs84(contours: &[&Lambert93<MultiPolygon>]) -> Result<Vec<Wgs84<MultiPolygon>>, Unreadable> {
    let failed = |error: String| Unreadable::file("reproject", "zones", error, "contours inside France");
    let way = Proj::new_known_crs(&definition(&Crs::LAMBERT93), &definition(&Crs::WGS84), None)
        .map_err(|e| failed(e.to_string()))?;
    let turned = contours.iter().map(|contour| {
        let degrees = contour.metres().try_map_coords(|c| {
            way.convert((c.x, c.y)).map(|(x, y)| Coord { x, y }).map_err(|e| failed(e.to_string()))
        })?;
        Ok(Wgs84::vouch(degrees))
    });
    turned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IGN's circular on Lambert-93 and the conical systems gives no point in Dijon; these were computed with PROJ's
    /// `cs2cs` from the same geographic position, 5.0415 E 47.3220 N, and agree with IGN's formulas to a millimetre.
    #[test]
    fn one_place_has_one_position_whatever_its_system() {
        let lambert93 = Reprojector::new(&Crs::WGS84).unwrap().point(5.0415, 47.3220).unwrap();
        for (crs, tolerance_m) in [(Crs::Epsg(3947), 1e-3), (Crs::Epsg(2154), 1e-6)] {
            let there = Proj::new_known_crs("EPSG:4326", &definition(&crs), None).unwrap();
            let (x, y) = there.convert((5.0415, 47.3220)).unwrap();
            let back = Reprojector::new(&crs).unwrap().point(x, y).unwrap();
            assert!((back.0 - lambert93.0).hypot(back.1 - lambert93.1) < tolerance_m, "{crs}: {back:?} {lambert93:?}");
        }
    }

    #[test]
    fn closed_forms_agree_with_proj_to_a_micrometre_over_the_whole_territory() {
        for code in [4326, 3942, 3943, 3944, 3945, 3946, 3947, 3948, 3949, 3950] {
            let crs = Crs::Epsg(code);
            let closed = Way::closed(&crs).unwrap();
            let proj = Proj::new_known_crs(&definition(&crs), "EPSG:2154", None).unwrap();
            let there = Proj::new_known_crs("EPSG:4326", &definition(&crs), None).unwrap();
            let mut compared = 0;
            for i in 0..=78 {
                for j in 0..=54 {
                    let degrees = (-5.6 + f64::from(i) * 0.2, 41.0 + f64::from(j) * 0.2);
                    let (x, y) = if code == 4326 { degrees } else { there.convert(degrees).unwrap() };
                    let (ours, theirs) = (closed.go(x, y).unwrap(), proj.convert((x, y)).unwrap());
                    let apart_m = (ours.0 - theirs.0).hypot(ours.1 - theirs.1);
                    assert!(apart_m < 1e-6, "{crs} {degrees:?}: {apart_m} m");
                    compared += 1;
                }
            }
            assert_eq!(compared, 79 * 55);
        }
        for crs in [Crs::Epsg(3941), Crs::Epsg(3951), Crs::Epsg(27572)] {
            assert!(Way::closed(&crs).is_none(), "{crs}");
        }
    }

    #[test]
    fn the_way_out_of_degrees_is_that_of_proj() {
        for code in [2154, 3942, 3947, 3950, 3857] {
            let there = Proj::new_known_crs("EPSG:4326", &format!("EPSG:{code}"), None).unwrap();
            let ours = FromDegrees::to(code).unwrap();
            for i in 0..79 {
                for j in 0..55 {
                    let (longitude, latitude) = (-5.6 + f64::from(i) * 0.2, 41.0 + f64::from(j) * 0.2);
                    let (x, y): (f64, f64) = there.convert((longitude, latitude)).unwrap();
                    let (east, north) = ours.point(longitude, latitude);
                    assert!((x - east).hypot(y - north) < 1e-6, "EPSG:{code} ({longitude}, {latitude})");
                }
            }
        }
        for code in [4326, 3941, 3951, 27572, 0] {
            assert!(FromDegrees::to(code).is_none(), "EPSG:{code}");
        }
    }

    #[test]
    fn known_bounds_are_those_of_the_register() {
        for (crs, tolerance) in [(Crs::LAMBERT93, 1.0), (Crs::WGS84, 1e-9)] {
            let (known, found) = (Bounds::known(&crs).unwrap(), Bounds::of(&definition(&crs)));
            let corners = |b: Bounds| [b.least.0, b.least.1, b.greatest.0, b.greatest.1];
            for (known, found) in corners(known).into_iter().zip(corners(found)) {
                assert!((known - found).abs() <= tolerance, "{crs}: {known} {found}");
            }
        }
    }

    #[test]
    fn mistaken_coordinates_are_recognised_and_never_mended() {
        for (crs, x, y, looks) in [
            (Crs::Epsg(2154), 6_692_000.0, 853_000.0, Some(Mistaken::Swapped)),
            (Crs::Epsg(2154), 5.04, 47.32, Some(Mistaken::Degrees)),
            (Crs::Epsg(2154), 47.32, 5.04, Some(Mistaken::Degrees)),
            (Crs::Epsg(4326), 47.32, 5.04, Some(Mistaken::Swapped)),
            (Crs::Epsg(4326), 853_000.0, 6_692_000.0, Some(Mistaken::Lambert93)),
            (Crs::Epsg(3947), 853_000.0, 6_692_000.0, Some(Mistaken::Lambert93)),
            (Crs::Epsg(2154), 1e9, 1e9, None),
            (Crs::Epsg(2154), f64::NAN, 6_692_000.0, None),
        ] {
            let way = Reprojector::new(&crs).unwrap();
            assert_eq!(way.mistaken(x, y), looks, "{crs} ({x}, {y})");
            assert_eq!(way.point(x, y), None, "{crs} ({x}, {y})");
        }
    }

    #[test]
    fn a_column_says_of_each_point_what_the_point_alone_is_told() {
        let mut way = Reprojector::new(&Crs::LAMBERT93).unwrap();
        let n = 2 * CHECKED_TOGETHER + 1;
        let column = |bad: &[usize]| {
            let x: Vec<f64> = (0..n).map(|i| if bad.contains(&i) { 9e9 } else { 700_000.0 + i as f64 }).collect();
            (x, vec![6_600_000.0; n])
        };
        let last = CHECKED_TOGETHER - 1;
        for bad in [vec![], vec![0], vec![last], vec![last + 1, n - 1]] {
            let (mut x, mut y) = column(&bad);
            let mut refused = Vec::new();
            way.points(&mut x, &mut y, |number, _| refused.push(number));
            assert_eq!(refused, bad);
            let (x_before, y_before) = column(&bad);
            for i in 0..n {
                let alone = way.point(x_before[i], y_before[i]);
                assert_eq!(alone, (!bad.contains(&i)).then_some((x[i], y[i])), "point {i}");
                assert_eq!(x[i].is_nan() && y[i].is_nan(), bad.contains(&i));
            }
        }
    }

    #[test]
    fn the_definition_of_lambert_93_holds() {
        // IGN, NTG 71: at the origin 46°30' N, 3° E the coordinates are (700 000, 6 600 000).
        let (x, y) = Reprojector::new(&Crs::WGS84).unwrap().point(3.0, 46.5).unwrap();
        assert!((x - 700_000.0).abs() < 1e-3 && (y - 6_600_000.0).abs() < 1e-3, "({x}, {y})");
    }

    #[test]
    fn coordinates_of_another_system_are_refused() {
        for (crs, x, y, usable) in [
            (Crs::Epsg(2154), 853_000.0, 6_692_000.0, true),
            (Crs::Epsg(2154), 5.04, 47.32, false), // degrees taken for metres
            (Crs::Epsg(2154), 6_692_000.0, 853_000.0, false), // x and y swapped
            (Crs::Epsg(2154), 0.0, 0.0, false),
            (Crs::Epsg(4326), 5.04, 47.32, true),
            (Crs::Epsg(4326), 47.32, 5.04, false), // latitude first: a place in Africa
            (Crs::Epsg(4326), 853_000.0, 6_692_000.0, false),
            (Crs::Epsg(3947), 1_853_000.0, 6_232_000.0, true),
            (Crs::Epsg(3947), 853_000.0, 6_692_000.0, false), // Lambert-93 taken for CC47
            (Crs::Epsg(2154), f64::NAN, 6_692_000.0, false),
            (Crs::Epsg(2154), f64::INFINITY, 6_692_000.0, false),
        ] {
            assert_eq!(Reprojector::new(&crs).unwrap().point(x, y).is_some(), usable, "{crs} ({x}, {y})");
        }
        assert!(Reprojector::new(&Crs::Epsg(999_999)).is_err());
    }
}
