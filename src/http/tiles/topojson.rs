//! A page of zones as TopoJSON 1.0: each border is written once, and zones name it.

use crate::http::ogc::query::{Ask, Format, Wanted};
use crate::http::ogc::view::{Page, mentions, page_links, properties, round};
use crate::http::problem::Problem;
use crate::http::state::{Place, around};
use crate::http::tiles::view::{Arcs, Topology};
use crate::steps::coverage::{Coverage, REACH_DEGREES, Ring, Walk};
use geo::orient::{Direction, Orient};
use geo::{Coord, MultiPolygon};
use serde_json::{Value, json};

/// The parameter that asks for whole numbers.
pub const QUANTIZATION: &str = "quantization";

/// Fewest and most steps across the box of a quantized answer: below, zones have no form; above, doubles cannot tell.
const STEPS: std::ops::RangeInclusive<u32> = 2..=1_000_000_000;

/// Steps across the box of the answer, where they are asked for.
///
/// # Errors
/// Steps out of range.
pub fn steps(ask: &Ask) -> Result<Option<u32>, Problem> {
    let Some(text) = ask.get(QUANTIZATION) else { return Ok(None) };
    let steps = text.parse().ok().filter(|steps| STEPS.contains(steps)).map(Some);
    let (least, most) = (STEPS.start(), STEPS.end());
    steps.ok_or_else(|| Problem::bad_parameter(QUANTIZATION, text, format!("a whole number, {least} to {most}")))
}

/// The page as a topology; its properties are those of GeoJSON.
pub fn topology(ask: &Ask, place: &Place, wanted: &Wanted, page: &Page<'_>, steps: Option<u32>) -> Topology {
    let contours: Vec<MultiPolygon> = match wanted.skip_geometry {
        true => Vec::new(),
        false => {
            let drawn = place.contours(wanted.system, wanted.simplify_m);
            page.numbers.iter().map(|number| drawn.get(*number).orient(Direction::Default)).collect()
        }
    };
    let coverage = Coverage::of(&contours, REACH_DEGREES);
    let grid = steps.and_then(|steps| Grid::over(&contours, steps));
    let arcs: Vec<Vec<[f64; 2]>> =
        coverage.arcs().iter().map(|arc| written(arc, grid.as_ref(), wanted.decimals)).collect();
    let zones = page.zones.iter().enumerate().map(|(i, zone)| {
        let mut geometry = json!({
            "type": null,
            "id": zone.code.as_str(),
            "properties": properties(place, zone, wanted),
        });
        if !wanted.skip_geometry {
            geometry["type"] = "MultiPolygon".into();
            geometry["arcs"] = coverage.parts(i).iter().filter_map(|part| named(part, &arcs)).collect();
        }
        geometry
    });
    let zones: Vec<Value> = zones.collect();
    // A reader knows the format by its first words.
    let mut topology = json!({ "type": "Topology" });
    if let Some(grid) = &grid {
        topology["transform"] = json!({ "scale": grid.scale, "translate": grid.origin });
    }
    if let Some(bounds) = around(contours.iter()) {
        let (low, high) = (bounds.min(), bounds.max());
        topology["bbox"] = [low.x, low.y, high.x, high.y].map(|v| round(v, wanted.decimals)).to_vec().into();
    }
    let vintage = wanted.selection.as_ref().map(|selection| selection.vintage);
    topology["numberMatched"] = page.matched.into();
    topology["numberReturned"] = page.zones.len().into();
    topology["timeStamp"] = place.release().provenance.updated.as_str().into();
    for (name, value) in json!(mentions(place.release(), place.zoning(), vintage)).as_object().into_iter().flatten() {
        topology[name] = value.clone();
    }
    topology["links"] = json!(page_links(ask, place, wanted, page, Format::Topojson));
    topology["objects"] = json!({ place.zoning().id.as_str(): { "type": "GeometryCollection", "geometries": zones } });
    let arcs = match &grid {
        None => Arcs::Places(arcs),
        Some(_) => Arcs::Steps(arcs.iter().map(|arc| deltas(arc)).collect()),
    };
    Topology { told: topology, arcs }
}

/// The grid of a quantized answer.
struct Grid {
    origin: [f64; 2],
    scale: [f64; 2],
}

impl Grid {
    fn over(contours: &[MultiPolygon], steps: u32) -> Option<Self> {
        let bounds = around(contours.iter())?;
        let scale = |span: f64| if span > 0.0 { span / f64::from(steps - 1) } else { 1.0 };
        let origin = [bounds.min().x, bounds.min().y];
        Some(Self { origin, scale: [scale(bounds.width()), scale(bounds.height())] })
    }
}

/// An arc as written, without the corners that rounding brings onto the one before; both ends stay.
fn written(arc: &[Coord], grid: Option<&Grid>, decimals: i32) -> Vec<[f64; 2]> {
    let place = |c: &Coord| match grid {
        None => [round(c.x, decimals), round(c.y, decimals)],
        Some(grid) => {
            [((c.x - grid.origin[0]) / grid.scale[0]).round(), ((c.y - grid.origin[1]) / grid.scale[1]).round()]
        }
    };
    let mut places: Vec<[f64; 2]> = arc.iter().map(place).collect();
    let last = places.last().copied();
    places.dedup();
    if places.len() == 1 {
        places.extend(last);
    }
    places
}

/// Each place told from the one before, in whole steps.
fn deltas(arc: &[[f64; 2]]) -> Vec<[i64; 2]> {
    let mut last = [0_i64; 2];
    let steps = arc.iter().map(|place| {
        let here = place.map(|v| v as i64);
        let step = [here[0] - last[0], here[1] - last[1]];
        last = here;
        step
    });
    steps.collect()
}

/// The rings of a part by their arcs (`~n` is arc `n` walked backwards); none where rounding leaves the part no ground.
fn named(part: &[Ring], arcs: &[Vec<[f64; 2]>]) -> Option<Value> {
    // A closed ring has three corners at least.
    let has_ground = |ring: &&Ring| {
        let steps: usize =
            ring.iter().map(|walk| arcs[walk.arc].windows(2).filter(|pair| pair[0] != pair[1]).count()).sum();
        steps >= 3
    };
    let number = |walk: &Walk| {
        let arc = walk.arc as i64;
        if walk.backwards { !arc } else { arc }
    };
    let exterior = part.first().filter(has_ground)?;
    let holes = part[1..].iter().filter(has_ground);
    let rings = std::iter::once(exterior).chain(holes).map(|ring| ring.iter().map(number).collect::<Vec<_>>());
    Some(json!(rings.collect::<Vec<_>>()))
}
