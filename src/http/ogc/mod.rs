//! OGC API Features, Parts 1 to 3: zonings are collections, zones are features, and published figures are their
//! properties. A zoning has a collection in the current release, and one for good in each release that is published.

mod contract;
pub mod drawings;
pub mod query;
pub mod queryables;
pub mod systems;
pub mod view;

use super::App;
use super::answer::{aside, document};
use super::page;
use super::problem::Problem;
use super::state::{Place, Shelved};
use super::tiles::topojson::{QUANTIZATION, steps, topology};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use query::{Ask, Format, SELECTORS, Wanted};
use serde::Serialize;
use std::sync::Arc;

/// Parameters of the list of zones alone.
const ITEMS_OWN: [&str; 10] =
    ["f", QUANTIZATION, "limit", "offset", "bbox", "bbox-crs", "datetime", "filter", "filter-lang", "filter-crs"];

/// Parameters of one zone or many.
const OF_ZONES: [&str; 5] = ["crs", "precision", "simplify", "properties", "skipGeometry"];

/// Formats of everything but zones.
pub const DOCUMENTS: [Format; 2] = [Format::Json, Format::Html];

/// `/`
pub async fn landing(app: App, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let on_shelf = app.shelf.look();
    let release = &on_shelf.shelved()?.release;
    document(&ask, release.id.as_str(), view::media_of(format, view::JSON), || match format {
        Format::Html => page::landing(&ask, release, &on_shelf),
        Format::Json | Format::Csv | Format::Topojson => json(&view::landing(&ask, release)),
    })
}

/// `/conformance`
pub async fn conformance(ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    document(&ask, "", view::media_of(format, view::JSON), || match format {
        Format::Html => page::conformance(&ask),
        Format::Json | Format::Csv | Format::Topojson => json(&view::conformance()),
    })
}

/// `/api`
pub async fn api(app: App, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let on_shelf = app.shelf.look();
    document(&ask, &on_shelf.name(), view::media_of(format, view::OPENAPI), || match format {
        Format::Html => page::api(&ask, contract::openapi_30()),
        Format::Json | Format::Csv | Format::Topojson => json(&contract::served_at(&ask.base, &on_shelf)),
    })
}

/// `/collections`
pub async fn collections(app: App, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let on_shelf = app.shelf.look();
    let release = &on_shelf.shelved()?.release;
    document(&ask, &on_shelf.name(), view::media_of(format, view::JSON), || match format {
        Format::Html => page::collections(&ask, release, &on_shelf),
        Format::Json | Format::Csv | Format::Topojson => json(&view::collections(&ask, &on_shelf)),
    })
}

/// `/collections/{zoning}`
pub async fn collection(app: App, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let on_shelf = app.shelf.look();
    let place = on_shelf.place(&zoning)?;
    let media = view::media_of(format, view::JSON);
    let mut reply = document(&ask, &on_shelf.name(), media, || match format {
        Format::Html => page::collection(&ask, &on_shelf, &place),
        Format::Json | Format::Csv | Format::Topojson => json(&view::collection(&ask, &on_shelf, &place)),
    })?;
    link_headers(reply.headers_mut(), &[view::queryables_link(&ask, &place)]);
    Ok(reply)
}

/// `/collections/{zoning}/schema`
pub async fn schema(app: App, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    ask.format(&[Format::Json])?;
    let place = app.shelf.look().place(&zoning)?;
    document(&ask, place.release().id.as_str(), view::SCHEMA, || json(&view::schema(&ask, &place)))
}

/// `/collections/{zoning}/queryables`
pub async fn queryables(app: App, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    ask.format(&[Format::Json])?;
    let place = app.shelf.look().place(&zoning)?;
    document(&ask, place.release().id.as_str(), view::SCHEMA, || json(&view::queryables(&ask, &place)))
}

/// `/collections/{zoning}/items`
pub async fn items(app: App, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    let place = app.shelf.look().place(&zoning)?;
    aside(move || items_in(&place, &ask)).await
}

/// The zones of a drafted release.
pub(in crate::http) fn items_of(shelved: &Arc<Shelved>, zoning: &str, ask: &Ask) -> Result<Response, Problem> {
    items_in(&Place::of(shelved, zoning, zoning)?, ask)
}

fn items_in(place: &Place, ask: &Ask) -> Result<Response, Problem> {
    ask.only(&[&ITEMS_OWN[..], &OF_ZONES, &SELECTORS].concat())?;
    let format = ask.format(&[Format::Json, Format::Html, Format::Csv, Format::Topojson])?;
    ask.fits(format)?;
    let wanted = ask.wanted(place)?;
    let steps = steps(ask)?;
    let page = view::page(place, &wanted);
    let media = view::media_of(format, view::GEOJSON);
    let mut reply = document(ask, place.release().id.as_str(), media, || match format {
        Format::Json => json(&view::items(ask, place, &wanted, &page)),
        Format::Html => page::items(ask, place, &wanted, &page),
        Format::Csv => view::csv(place, &wanted, &page),
        Format::Topojson => json(&topology(ask, place, &wanted, &page, steps)),
    })?;
    link_headers(reply.headers_mut(), &view::page_links(ask, place, &wanted, &page, format));
    link_headers(reply.headers_mut(), &[view::queryables_link(ask, place), view::licence_link(ask, place.release())]);
    content_crs(reply.headers_mut(), format, &wanted);
    Ok(reply)
}

/// `/collections/{zoning}/items/{code}`
pub async fn item(app: App, Path((zoning, code)): Path<(String, String)>, ask: Ask) -> Result<Response, Problem> {
    let place = app.shelf.look().place(&zoning)?;
    aside(move || item_in(&place, &code, &ask)).await
}

fn item_in(place: &Place, code: &str, ask: &Ask) -> Result<Response, Problem> {
    ask.only(&[&["f"][..], &OF_ZONES, &SELECTORS].concat())?;
    let format = ask.format(&DOCUMENTS)?;
    let zones = &place.zoning().zones;
    let number = zones.iter().position(|z| z.code.as_str() == code).ok_or_else(|| {
        let expected = match (zones.first(), zones.last()) {
            (Some(first), Some(last)) => {
                format!("one of the {} codes of {}, from {} to {}", zones.len(), place.id, first.code, last.code)
            }
            _ => format!("a zone; {} has none", place.id),
        };
        Problem::refused(StatusCode::NOT_FOUND, "unknown_zone", "path", format!("zone `{code}`"), expected)
    })?;
    let wanted = ask.wanted(place)?;
    let media = view::media_of(format, view::GEOJSON);
    let mut reply = document(ask, place.release().id.as_str(), media, || match format {
        Format::Html => page::item(ask, place, &zones[number], &wanted),
        Format::Json | Format::Csv | Format::Topojson => json(&view::item(ask, place, number, &wanted)),
    })?;
    content_crs(reply.headers_mut(), format, &wanted);
    Ok(reply)
}

pub(in crate::http) fn json(view: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(view).map_err(|e| Problem::failure(&e.to_string()))
}

fn content_crs(headers: &mut HeaderMap, format: Format, wanted: &Wanted) {
    if format == Format::Json
        && let Ok(crs) = HeaderValue::from_str(&format!("<{}>", wanted.system.uri()))
    {
        headers.insert(HeaderName::from_static("content-crs"), crs);
    }
}

/// `Link` headers (RFC 8288) for those who read no body.
fn link_headers(headers: &mut HeaderMap, links: &[view::Link]) {
    for link in links.iter().filter(|l| ["next", "prev", "alternate", "license", view::QUERYABLES_REL].contains(&l.rel))
    {
        let told = format!("<{}>; rel=\"{}\"; type=\"{}\"", link.href, link.rel, link.media);
        if let Ok(value) = HeaderValue::from_str(&told) {
            headers.append(header::LINK, value);
        }
    }
}

#[cfg(test)]
mod suite;
