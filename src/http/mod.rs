//! The public face: every route on this page. Handlers are given a [`Shelf`], hence a release, and nothing else.
//! The routes of staff are a room of their own, [`staff`], behind keys.

mod answer;
pub mod filter;
mod health;
mod odata;
mod ogc;
mod page;
mod problem;
mod staff;
mod state;
mod tiles;

pub use problem::{About, Problem};
pub use state::{Shelf, Site, Stock, TakenBack};

use crate::pipeline::office::Office;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{Any, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;

/// Largest body a public door reads, in bytes: reading takes none, so this leaves room for a careless client and no more.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// Longest time an answer may take, in seconds: releases lie in memory and answers take milliseconds; 30 s is what
/// reverse proxies commonly wait.
pub const ANSWER_SECONDS_MAX: u64 = 30;

/// What handlers are given.
#[derive(Clone)]
struct App {
    shelf: Shelf,
    site: Arc<Site>,
    metrics: health::Metrics,
}

/// The public routes; `openapi.yaml` has the same ones.
fn routes() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/", get(ogc::landing)),
        ("/conformance", get(ogc::conformance)),
        ("/api", get(ogc::api)),
        ("/collections", get(ogc::collections)),
        ("/collections/{zoning}", get(ogc::collection)),
        ("/collections/{zoning}/schema", get(ogc::schema)),
        ("/collections/{zoning}/queryables", get(ogc::queryables)),
        ("/collections/{zoning}/items", get(ogc::items)),
        ("/collections/{zoning}/items/{code}", get(ogc::item)),
        ("/collections/{zoning}/tiles", get(tiles::tile_sets)),
        ("/collections/{zoning}/tiles/{tileMatrixSetId}", get(tiles::tile_set)),
        ("/collections/{zoning}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}", get(tiles::tile)),
        ("/tileMatrixSets", get(tiles::tile_matrix_sets)),
        ("/tileMatrixSets/{tileMatrixSetId}", get(tiles::tile_matrix_set)),
        ("/odata", get(odata::root)),
        ("/odata/", get(odata::root)),
        ("/odata/$metadata", get(odata::metadata)),
        ("/odata/Aggregats", get(odata::aggregates)),
        ("/odata/AggregatsHistorique", get(odata::history)),
        ("/odata/Zones", get(odata::zones)),
        ("/odata/Contours", get(odata::contours)),
        ("/odata/Publications", get(odata::publications)),
        ("/odata/{resource}", get(odata::resource)),
        ("/odata/{resource}/{part}", get(odata::count)),
        ("/livez", get(health::live)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
    ]
}

/// The public service over a shelf.
///
/// ```
/// use arpent::http::{Shelf, Site, router};
/// let shelf = Shelf::new();
/// let service = router(shelf.clone(), Site { public_url: Some("https://emploi.example.fr".into()) });
/// assert!(shelf.current().is_err(), "503 until a release is put on the shelf");
/// # drop(service);
/// ```
pub fn router(shelf: Shelf, site: Site) -> Router {
    assemble(routes(), None, App { shelf, site: Arc::new(site), metrics: health::Metrics::default() })
}

/// The same with the acts of staff beside it, each behind a key.
pub fn router_with_staff(shelf: Shelf, site: Site, office: Office) -> Router {
    assemble(routes(), Some(office), App { shelf, site: Arc::new(site), metrics: health::Metrics::default() })
}

fn assemble(routes: Vec<(&'static str, MethodRouter<App>)>, office: Option<Office>, app: App) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([
            header::ACCEPT,
            header::IF_NONE_MATCH,
            header::AUTHORIZATION,
            HeaderName::from_static("odata-maxversion"),
            HeaderName::from_static("odata-version"),
            HeaderName::from_static("prefer"),
            HeaderName::from_static("x-api-key"),
        ])
        .expose_headers([header::ETAG, header::LINK, HeaderName::from_static("content-crs"), request_id.clone()])
        .vary([]);
    let timeout = Duration::from_secs(ANSWER_SECONDS_MAX);
    let public = routes.into_iter().fold(Router::new(), |router, (path, method)| match &office {
        Some(office) if path.starts_with("/odata") => {
            router.route(path, method.layer(from_fn_with_state(office.clone(), staff::offered)))
        }
        _ => router.route(path, method),
    });
    // The layer written last is met first.
    let mut router: Router = public
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
        .with_state(app.clone());
    if let Some(office) = office {
        router = router.merge(staff::router(staff::Staff { office, app: app.clone() }));
    }
    router
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(problem::dress))
        .layer(from_fn(odata::speak))
        .layer(CompressionLayer::new())
        .layer(from_fn(finish))
        .layer(cors)
        .layer(from_fn_with_state(app.clone(), health::watch))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
}

/// A strong ETag names bytes (RFC 9110, 8.8.1), so a compressed answer needs another one than the plain answer.
async fn finish(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let (Some(coding), Some(tag)) = (headers.get(header::CONTENT_ENCODING), headers.get(header::ETAG))
        && let (Ok(coding), Ok(tag)) = (coding.to_str(), tag.to_str())
        && let Ok(tag) = HeaderValue::from_str(&format!("{}-{coding}\"", tag.trim_end_matches('"')))
    {
        headers.insert(header::ETAG, tag);
    }
    answer
}

#[cfg(test)]
mod tests;
