//! OGC API Tiles: each zoning as vector tiles of WebMercatorQuad, with the figures of a selection, and as TopoJSON.

mod mvt;
pub mod tilings;
pub mod topojson;
pub mod view;

use super::App;
use super::answer::document;
use super::ogc::DOCUMENTS;
use super::ogc::query::{Ask, Format, SELECTORS, Wanted};
use super::ogc::view::{JSON, media_of, properties};
use super::page;
use super::problem::Problem;
use super::state::Place;
use crate::steps::tiling::{Tile, ZOOM_MAX};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::ops::RangeInclusive;
use view::{MVT, TILEJSON, WEB_MERCATOR_QUAD};

/// `/tileMatrixSets`
pub async fn tile_matrix_sets(ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    format(&ask, &["json"])?;
    document(&ask, "", JSON, || Ok(view::tile_matrix_sets(&ask).to_string()))
}

/// `/tileMatrixSets/{tileMatrixSetId}`
pub async fn tile_matrix_set(Path(set): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    format(&ask, &["json"])?;
    known(&set)?;
    document(&ask, "", JSON, || Ok(view::tile_matrix_set(&ask).to_string()))
}

/// `/collections/{zoning}/tiles`
pub async fn tile_sets(State(app): State<App>, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let place = app.shelf.look().place(&zoning)?;
    document(&ask, place.release().id.as_str(), media_of(format, JSON), || match format {
        Format::Html => page::tiles(&ask, &place, None),
        Format::Json | Format::Csv | Format::Topojson => Ok(view::tile_sets(&ask, &place).to_string()),
    })
}

/// `/collections/{zoning}/tiles/{tileMatrixSetId}`
pub async fn tile_set(
    State(app): State<App>,
    Path((zoning, set)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Problem> {
    ask.only(&[&["f", "datetime"][..], &SELECTORS].concat())?;
    let as_tilejson = format(&ask, &["json", "html", TILEJSON])? == TILEJSON;
    let format = if as_tilejson { Format::Json } else { ask.format(&DOCUMENTS)? };
    let place = app.shelf.look().place(&zoning)?;
    known(&set)?;
    let wanted = ask.wanted(&place)?;
    document(&ask, place.release().id.as_str(), media_of(format, JSON), || match format {
        Format::Html => page::tiles(&ask, &place, wanted.selection.as_ref()),
        Format::Json | Format::Csv | Format::Topojson if as_tilejson => {
            Ok(view::tile_json(&ask, &place, &wanted).to_string())
        }
        Format::Json | Format::Csv | Format::Topojson => Ok(view::tile_set(&ask, &place, &wanted).to_string()),
    })
}

/// `/collections/{zoning}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}`
pub async fn tile(
    State(app): State<App>,
    Path((zoning, set, zoom, row, column)): Path<(String, String, String, String, String)>,
    ask: Ask,
) -> Result<Response, Problem> {
    ask.only(&[&["f", "datetime"][..], &SELECTORS].concat())?;
    format(&ask, &["mvt"])?;
    let place = app.shelf.look().place(&zoning)?;
    known(&set)?;
    let tile = tile_of(&place, &zoom, &row, &column)?;
    let wanted = ask.wanted(&place)?;
    // The first tile of a zoning draws all its zones, which takes tenths of a second: not on a thread that serves others.
    let answer = tokio::task::spawn_blocking(move || {
        document(&ask, place.release().id.as_str(), MVT, || Ok(bytes(&place, &wanted, tile)))
    });
    answer.await.map_err(|e| Problem::failure(&e.to_string()))?
}

fn bytes(place: &Place, wanted: &Wanted, tile: Tile) -> Vec<u8> {
    let mut layer = mvt::Layer::default();
    if wanted.selection.is_some() {
        let drawing = place.shelved.tilings.of(place);
        let pieces = drawing.get().map(|drawing| drawing.pieces(tile)).unwrap_or_default();
        for piece in pieces {
            let mut properties = properties(place, &place.zoning().zones[piece.zone], wanted);
            properties.insert("licence".to_owned(), place.release().provenance.licence.as_str().into());
            layer.add(&piece.parts, &properties);
        }
    }
    layer.into_tile(&place.zoning().id)
}

/// The value of `f`, the first on offer when it is absent.
fn format<'o>(ask: &Ask, offered: &[&'o str]) -> Result<&'o str, Problem> {
    let Some((_, f)) = ask.params.iter().find(|(name, _)| name == "f") else { return Ok(offered[0]) };
    let found = offered.iter().copied().find(|name| *name == f);
    found.ok_or_else(|| Problem::bad_parameter("f", f, format!("one of {}", offered.join(", "))))
}

/// Refuses another tile matrix set than ours.
fn known(set: &str) -> Result<(), Problem> {
    if set == WEB_MERCATOR_QUAD {
        return Ok(());
    }
    let found = format!("tile matrix set `{set}`");
    Err(Problem::refused(StatusCode::NOT_FOUND, "unknown_tile_matrix_set", "path", found, WEB_MERCATOR_QUAD))
}

/// The tile of a path: zoom, row from the north, column from the west. One outside the limits that the tile set tells is
/// as little there as one outside the world (OGC API Tiles, /req/core/tc-error).
fn tile_of(place: &Place, zoom: &str, row: &str, column: &str) -> Result<Tile, Problem> {
    let within = |name: &str, text: &str, known: RangeInclusive<u32>| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && known.contains(number));
        number.ok_or_else(|| {
            let (found, expected) = (format!("{name} `{text}`"), format!("{} to {}", known.start(), known.end()));
            Problem::refused(StatusCode::NOT_FOUND, "unknown_tile", "path", found, expected)
        })
    };
    let zoom = within("tileMatrix", zoom, 0..=u32::from(ZOOM_MAX))? as u8;
    let (rows, columns) = match view::limits(place, zoom) {
        Some((first, last)) => (first.row..=last.row, first.column..=last.column),
        None => (0..=(1 << zoom) - 1, 0..=(1 << zoom) - 1),
    };
    Ok(Tile { zoom, row: within("tileRow", row, rows)?, column: within("tileCol", column, columns)? })
}

#[cfg(test)]
pub mod tests;
