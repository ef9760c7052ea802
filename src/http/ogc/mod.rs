//! OGC API Features, Part 1: zonings are collections, zones are features, and published figures are their properties.

mod contract;
pub mod query;
pub mod view;

use super::App;
use super::answer::document;
use super::page;
use super::problem::Problem;
use super::state::Shelved;
use crate::steps::publish::{Release, ReleasedZoning};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use query::{Ask, Format, SELECTORS};
use serde::Serialize;
use std::sync::Arc;

/// Formats of everything but zones.
const DOCUMENTS: [Format; 2] = [Format::Json, Format::Html];

/// `/`
pub async fn landing(State(app): State<App>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let shelved = app.shelf.shelved()?;
    let release = &shelved.release;
    document(&ask, release.id.as_str(), view::media_of(format, view::JSON), || match format {
        Format::Html => page::landing(&ask, release),
        Format::Json | Format::Csv => json(&view::landing(&ask, release)),
    })
}

/// `/conformance`
pub async fn conformance(ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    document(&ask, "", view::media_of(format, view::JSON), || match format {
        Format::Html => page::conformance(&ask),
        Format::Json | Format::Csv => json(&view::conformance()),
    })
}

/// `/api`
pub async fn api(ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    document(&ask, "", view::media_of(format, view::OPENAPI), || match format {
        Format::Html => page::api(&ask, contract::openapi_30()),
        Format::Json | Format::Csv => json(&contract::served_at(&ask.base)),
    })
}

/// `/collections`
pub async fn collections(State(app): State<App>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let shelved = app.shelf.shelved()?;
    let release = &shelved.release;
    document(&ask, release.id.as_str(), view::media_of(format, view::JSON), || match format {
        Format::Html => page::collections(&ask, release),
        Format::Json | Format::Csv => json(&view::collections(&ask, release)),
    })
}

/// `/collections/{zoning}`
pub async fn collection(State(app): State<App>, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&DOCUMENTS)?;
    let shelved = app.shelf.shelved()?;
    let (release, zoning) = find(&shelved, &zoning)?;
    document(&ask, release.id.as_str(), view::media_of(format, view::JSON), || match format {
        Format::Html => page::collection(&ask, release, zoning),
        Format::Json | Format::Csv => json(&view::collection(&ask, release, zoning)),
    })
}

/// `/collections/{zoning}/schema`
pub async fn schema(State(app): State<App>, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let format = ask.format(&[Format::Json])?;
    let shelved = app.shelf.shelved()?;
    let (release, zoning) = find(&shelved, &zoning)?;
    document(&ask, release.id.as_str(), view::media_of(format, view::SCHEMA), || {
        json(&view::schema(&ask, release, zoning))
    })
}

/// `/collections/{zoning}/items`
pub async fn items(State(app): State<App>, Path(zoning): Path<String>, ask: Ask) -> Result<Response, Problem> {
    items_of(&app.shelf.shelved()?, &zoning, &ask)
}

/// The zones of a release, served or drafted.
pub(in crate::http) fn items_of(shelved: &Arc<Shelved>, zoning: &str, ask: &Ask) -> Result<Response, Problem> {
    let own = ["f", "limit", "offset", "bbox", "bbox-crs", "crs", "datetime", "properties", "skipGeometry"];
    ask.only(&[&own[..], &SELECTORS].concat())?;
    let format = ask.format(&[Format::Json, Format::Html, Format::Csv])?;
    let (release, zoning) = find(shelved, zoning)?;
    let wanted = ask.wanted(shelved, zoning)?;
    let page = view::page(zoning, &wanted);
    let mut reply = document(ask, release.id.as_str(), view::media_of(format, view::GEOJSON), || match format {
        Format::Json => json(&view::items(ask, release, zoning, &wanted, &page)),
        Format::Html => page::items(ask, shelved, zoning, &wanted, &page),
        Format::Csv => view::csv(release, zoning, &wanted, &page).map_err(|e| Problem::failure(&e.to_string())),
    })?;
    link_headers(reply.headers_mut(), &view::page_links(ask, zoning, &wanted, &page, format));
    content_crs(reply.headers_mut(), format);
    Ok(reply)
}

/// `/collections/{zoning}/items/{code}`
pub async fn item(
    State(app): State<App>,
    Path((zoning, code)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Problem> {
    ask.only(&[&["f", "crs", "properties", "skipGeometry"][..], &SELECTORS].concat())?;
    let format = ask.format(&DOCUMENTS)?;
    let shelved = app.shelf.shelved()?;
    let (release, zoning) = find(&shelved, &zoning)?;
    let zone = zoning.zones.iter().find(|z| z.code.as_str() == code).ok_or_else(|| {
        let expected = match (zoning.zones.first(), zoning.zones.last()) {
            (Some(first), Some(last)) => {
                format!(
                    "one of the {} codes of {}, from {} to {}",
                    zoning.zones.len(),
                    zoning.id,
                    first.code,
                    last.code
                )
            }
            _ => format!("a zone; {} has none", zoning.id),
        };
        Problem::refused(StatusCode::NOT_FOUND, "unknown_zone", "path", format!("zone `{code}`"), expected)
    })?;
    let wanted = ask.wanted(&shelved, zoning)?;
    let mut reply = document(&ask, release.id.as_str(), view::media_of(format, view::GEOJSON), || match format {
        Format::Html => page::item(&ask, &shelved, zoning, zone, &wanted),
        Format::Json | Format::Csv => json(&view::item(&ask, release, zoning, zone, &wanted)),
    })?;
    content_crs(reply.headers_mut(), format);
    Ok(reply)
}

/// The zoning of a path, with its release.
pub(in crate::http) fn find<'s>(
    shelved: &'s Arc<Shelved>,
    id: &str,
) -> Result<(&'s Release, &'s ReleasedZoning), Problem> {
    let zoning = shelved.release.zoning(id).ok_or_else(|| {
        let known: Vec<&str> = shelved.release.zonings.iter().map(|z| z.id.as_str()).collect();
        let expected = format!("one of {}", known.join(", "));
        Problem::refused(StatusCode::NOT_FOUND, "unknown_collection", "path", format!("collection `{id}`"), expected)
    })?;
    Ok((&shelved.release, zoning))
}

pub(in crate::http) fn json(view: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(view).map_err(|e| Problem::failure(&e.to_string()))
}

fn content_crs(headers: &mut HeaderMap, format: Format) {
    if format == Format::Json
        && let Ok(crs) = HeaderValue::from_str(&format!("<{}>", query::CRS84))
    {
        headers.insert(HeaderName::from_static("content-crs"), crs);
    }
}

/// `Link` headers (RFC 8288) for those who read no body.
fn link_headers(headers: &mut HeaderMap, links: &[view::Link]) {
    for link in links.iter().filter(|l| ["next", "prev", "alternate"].contains(&l.rel)) {
        let media = link.media.unwrap_or(view::JSON);
        if let Ok(value) = HeaderValue::from_str(&format!("<{}>; rel=\"{}\"; type=\"{media}\"", link.href, link.rel)) {
            headers.append(header::LINK, value);
        }
    }
}
