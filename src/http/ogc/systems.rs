//! The coordinate reference systems answers may be in (OGC API Features, Part 2), and boxes written in them.

use crate::http::problem::Problem;
use crate::steps::reproject::FromDegrees;
use geo::{Intersects, MapCoords, MultiPolygon, Rect};

/// A system answers may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// Longitude, latitude in degrees (OGC CRS84): the one of GeoJSON, and the one meant when none is named.
    Crs84,
    /// Latitude, longitude in degrees (EPSG:4326), in the order of its authority.
    LatitudeFirst,
    /// RGF93 / Lambert-93 (EPSG:2154), metres.
    Lambert93,
    /// RGF93 / CC47 (EPSG:3947), metres.
    ConicZone47,
    /// Web Mercator (EPSG:3857), metres of the equator.
    WebMercator,
}

/// The address of CRS84.
pub const CRS84: &str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84";

impl System {
    /// Every system, in the order collections list them: some clients take the first one of the list.
    pub const ALL: [Self; 5] =
        [Self::Crs84, Self::LatitudeFirst, Self::Lambert93, Self::ConicZone47, Self::WebMercator];

    /// The address that names it.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Crs84 => CRS84,
            Self::LatitudeFirst => "http://www.opengis.net/def/crs/EPSG/0/4326",
            Self::Lambert93 => "http://www.opengis.net/def/crs/EPSG/0/2154",
            Self::ConicZone47 => "http://www.opengis.net/def/crs/EPSG/0/3947",
            Self::WebMercator => "http://www.opengis.net/def/crs/EPSG/0/3857",
        }
    }

    /// The system that the value of a parameter names.
    pub fn named(parameter: &str, uri: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|system| system.uri() == uri).ok_or_else(|| {
            let known = Self::ALL.map(Self::uri).join(", ");
            Problem::bad_parameter(parameter, uri, format!("one of {known}"))
        })
    }

    /// The way from degrees to its metres; none where degrees stay.
    pub fn way(self) -> Option<FromDegrees> {
        match self {
            Self::Crs84 | Self::LatitudeFirst => None,
            Self::Lambert93 => FromDegrees::to(2154),
            Self::ConicZone47 => FromDegrees::to(3947),
            Self::WebMercator => FromDegrees::to(3857),
        }
    }

    /// A place as it is written: in the order of the system's axes.
    pub fn written(self, x: f64, y: f64) -> [f64; 2] {
        match self {
            Self::LatitudeFirst => [y, x],
            Self::Crs84 | Self::Lambert93 | Self::ConicZone47 | Self::WebMercator => [x, y],
        }
    }

    /// Decimals of a coordinate: the fewest one may ask for, and the most, which are written unless fewer are asked for.
    pub fn decimals(self) -> (i32, i32) {
        match self {
            // A hundred metres, below which small zones fall together; a centimetre, finer than any contour we are given.
            Self::Crs84 | Self::LatitudeFirst => (3, 7),
            // Tens of metres would take a sign to write; a centimetre.
            Self::Lambert93 | Self::ConicZone47 | Self::WebMercator => (0, 2),
        }
    }

    fn box_in_words(self) -> &'static str {
        match self {
            Self::Crs84 => "4 numbers (west,south,east,north) or 6 with heights, in degrees",
            Self::LatitudeFirst => "4 numbers (south,west,north,east) or 6 with heights, in degrees, latitude first",
            Self::Lambert93 | Self::ConicZone47 | Self::WebMercator => {
                "4 numbers (west,south,east,north) or 6 with heights, in metres of its system"
            }
        }
    }
}

/// Where zones must be to be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    system: System,
    /// In the system, x before y whatever its axes; two across the antimeridian.
    boxes: Vec<Rect>,
}

impl Area {
    /// Four numbers, or six of which the heights are left aside, along the axes of the system. In degrees, a box whose
    /// west lies east of its east crosses the antimeridian (RFC 7946, 5.2).
    pub fn parse(text: &str, system: System) -> Result<Self, Problem> {
        let bad = |expected: &str| Problem::bad_parameter("bbox", text, expected);
        let numbers: Option<Vec<f64>> =
            text.split(',').map(|n| n.trim().parse::<f64>().ok().filter(|n| n.is_finite())).collect();
        let (least, greatest) = match numbers.as_deref() {
            Some(&[a, b, c, d]) | Some(&[a, b, _, c, d, _]) => ([a, b], [c, d]),
            _ => return Err(bad(system.box_in_words())),
        };
        // Written along the axes: a second swap puts x first again.
        let [west, south] = system.written(least[0], least[1]);
        let [east, north] = system.written(greatest[0], greatest[1]);
        if south > north {
            return Err(bad(&format!("a south that is not above the north: {}", system.box_in_words())));
        }
        let poles = -90.0..=90.0;
        if system.way().is_none() && !(poles.contains(&south) && poles.contains(&north)) {
            return Err(bad(&format!("latitudes from -90 to 90: {}", system.box_in_words())));
        }
        let rect = |west: f64, east: f64| Rect::new((west, south), (east, north));
        match (west <= east, system.way()) {
            (true, _) => Ok(Self { system, boxes: vec![rect(west, east)] }),
            (false, None) => Ok(Self { system, boxes: vec![rect(west, 180.0), rect(-180.0, east)] }),
            (false, Some(_)) => Err(bad(&format!("a west that is not past the east: {}", system.box_in_words()))),
        }
    }

    /// The system it is written in.
    pub fn system(&self) -> System {
        self.system
    }

    /// Whether a contour, given in the system with x first, touches it.
    pub fn touches(&self, contour: &MultiPolygon) -> bool {
        self.boxes.iter().any(|one| contour.intersects(one))
    }
}

/// A contour in degrees, brought to a system, x first.
pub fn brought(contour: &MultiPolygon, way: &FromDegrees) -> MultiPolygon {
    contour.map_coords(|corner| way.point(corner.x, corner.y).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_read_along_the_axes_of_its_system() {
        use System::{ConicZone47, Crs84, Lambert93, LatitudeFirst, WebMercator};
        for (text, system, boxes) in [
            ("5,47,6,48", Crs84, Some(vec![(5.0, 47.0, 6.0, 48.0)])),
            ("47,5,48,6", LatitudeFirst, Some(vec![(5.0, 47.0, 6.0, 48.0)])),
            ("5,47,0,6,48,100", Crs84, Some(vec![(5.0, 47.0, 6.0, 48.0)])),
            ("47,5,0,48,6,100", LatitudeFirst, Some(vec![(5.0, 47.0, 6.0, 48.0)])),
            ("170,47,-170,48", Crs84, Some(vec![(170.0, 47.0, 180.0, 48.0), (-180.0, 47.0, -170.0, 48.0)])),
            ("47,170,48,-170", LatitudeFirst, Some(vec![(170.0, 47.0, 180.0, 48.0), (-180.0, 47.0, -170.0, 48.0)])),
            ("-180,-90,180,90", Crs84, Some(vec![(-180.0, -90.0, 180.0, 90.0)])),
            ("1,89,2,90.1", Crs84, None),
            ("1,-90.1,2,89", Crs84, None),
            ("89,1,90.1,2", LatitudeFirst, None),
            ("1,95,2,96", Lambert93, Some(vec![(1.0, 95.0, 2.0, 96.0)])),
            ("5,48,6,47", Crs84, None),
            ("48,5,47,6", LatitudeFirst, None),
            ("853000,6692000,854000,6693000", Lambert93, Some(vec![(853e3, 6692e3, 854e3, 6693e3)])),
            ("853000,6692000,0,854000,6693000,9", Lambert93, Some(vec![(853e3, 6692e3, 854e3, 6693e3)])),
            ("854000,6692000,853000,6693000", Lambert93, None),
            ("853000,6693000,854000,6692000", ConicZone47, None),
            ("1,2,3", WebMercator, None),
            ("1,2,3,4,5", WebMercator, None),
            ("1,2,3,4,5,6,7", WebMercator, None),
            ("1,2,3,inf", WebMercator, None),
            ("1,2,3,", WebMercator, None),
        ] {
            let read = Area::parse(text, system).ok().map(|area| area.boxes);
            let expected =
                boxes.map(|b| b.into_iter().map(|(w, s, e, n)| Rect::new((w, s), (e, n))).collect::<Vec<_>>());
            assert_eq!(read, expected, "{text} in {system:?}");
        }
    }

    #[test]
    fn a_system_is_known_by_its_address_alone() {
        for system in System::ALL {
            assert_eq!(System::named("crs", system.uri()), Ok(system));
        }
        for other in ["", "EPSG:2154", "http://www.opengis.net/def/crs/EPSG/0/27572", "[EPSG:2154]"] {
            assert!(System::named("crs", other).unwrap_err().detail().contains("0/3947"), "{other}");
        }
    }
}
