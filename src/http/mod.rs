//! The public face: every route on this page. Handlers are given a [`Shelf`], hence a release, and nothing else.
//! The routes of staff are a room of their own, [`staff`], behind keys.

mod answer;
mod catalogue;
mod connection;
mod downloads;
pub mod filter;
mod front;
mod health;
mod kept;
mod odata;
mod ogc;
mod page;
mod part;
mod problem;
mod proxies;
mod rate;
mod serve;
mod staff;
mod state;
mod tiles;
mod unread;

pub use problem::{About, Problem};
pub use state::{ForPartners, Shelf, Site, Stock, TakenBack};

use crate::config::Limits;
use crate::pipeline::office::Office;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Version, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::cors::{Any, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

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
    files: downloads::Files,
}

/// Handlers of figures take what they are given from the request, which may be one of a partner.
impl FromRequestParts<Self> for App {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Self) -> Result<Self, Infallible> {
        let app = app.clone();
        Ok(match parts.extensions.get::<OfPartner>() {
            Some(OfPartner) => Self { shelf: app.shelf.to_partners(), ..app },
            None => app,
        })
    }
}

/// The mark of a request with a key that is shown what is published for partners, and of the answer to it.
#[derive(Debug, Clone, Copy)]
struct OfPartner;

impl App {
    fn new(shelf: Shelf, site: Site) -> Self {
        let (metrics, files) = (health::Metrics::default(), downloads::Files::default());
        Self { shelf, site: Arc::new(site), metrics, files }
    }
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
        ("/collections/{zoning}/tiles", get(tiles::tile_sets)),
        ("/collections/{zoning}/tiles/{tileMatrixSetId}", get(tiles::tile_set)),
        ("/collections/{zoning}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}", get(tiles::tile)),
        ("/tileMatrixSets", get(tiles::tile_matrix_sets)),
        ("/tileMatrixSets/{tileMatrixSetId}", get(tiles::tile_matrix_set)),
        ("/telechargements", get(downloads::list)),
        ("/telechargements/{file}", get(downloads::file)),
        ("/catalogue", get(catalogue::catalogue)),
        ("/livez", get(health::live)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
    ]
}

/// The public service over a shelf, with the usual limits.
///
/// ```
/// use arpent::http::{Shelf, Site, router};
/// let shelf = Shelf::new();
/// let service = router(shelf.clone(), Site { public_url: Some("https://emploi.example.fr".into()) });
/// assert!(shelf.current().is_err(), "503 until a release is put on the shelf");
/// # drop(service);
/// ```
pub fn router(shelf: Shelf, site: Site) -> Router {
    whole(routes(), shelf, site, None)
}

/// The same with the acts of staff beside it, each behind a key.
pub fn router_with_staff(shelf: Shelf, site: Site, office: Office) -> Router {
    whole(routes(), shelf, site, Some(office))
}

/// Answers until `stop` ends; then says so at `/readyz`, closes the door, and lets requests and jobs under way end.
///
/// With an office the acts of staff are served too.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    shelf: Shelf,
    site: Site,
    office: Option<Office>,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = App::new(shelf, site);
    let house = assemble(routes(), office.clone(), app.clone(), &limits);
    let front = front::Front::of(house, &app, &limits, Some(tokio::runtime::Handle::current()));
    let at_rest = async {
        if let Some(office) = office {
            office.at_rest().await;
        }
    };
    serve::until(stop, listener, front, &app, &limits, at_rest).await
}

fn whole(routes: Vec<(&'static str, MethodRouter<App>)>, shelf: Shelf, site: Site, office: Option<Office>) -> Router {
    let app = App::new(shelf, site);
    let limits = Limits::default();
    front::router(assemble(routes, office, app.clone(), &limits), &app, &limits)
}

/// Everything behind the [`front`].
fn assemble(
    routes: Vec<(&'static str, MethodRouter<App>)>,
    office: Option<Office>,
    app: App,
    limits: &Limits,
) -> Router {
    let named = |names: &[&'static str]| names.iter().map(|name| HeaderName::from_static(name)).collect::<Vec<_>>();
    let asked = [
        "authorization",
        "if-range",
        "odata-maxversion",
        "odata-version",
        "prefer",
        "range",
        "traceparent",
        "x-api-key",
        "x-request-id",
    ];
    let told = ["accept-ranges", "content-crs", "content-disposition", "content-range", "odata-version", "retry-after"];
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([&[header::ACCEPT, header::IF_NONE_MATCH][..], &named(&asked)].concat())
        .expose_headers([&[header::ETAG, header::LINK][..], &named(&told), &named(&["x-request-id"])].concat())
        .vary([]);
    let timeout = Duration::from_secs(ANSWER_SECONDS_MAX);
    let public = routes.into_iter().fold(Router::new(), |router, (path, method)| match &office {
        Some(office) if path.starts_with("/odata") => {
            router.route(path, method.layer(from_fn_with_state(office.clone(), staff::offered)))
        }
        Some(office) if has_figures(path) => {
            router.route(path, method.layer(from_fn_with_state(office.clone(), staff::recognised)))
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
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(packable().and(is_of_odata)))
        .layer(CompressionLayer::new().compress_when(packable()))
        .layer(cors)
        .layer(RequestBodyTimeoutLayer::new(limits.body_pause))
}

/// Whether partners are shown something else at a path outside OData: at every face of a release but the catalogue, which
/// is about what is public.
fn has_figures(path: &str) -> bool {
    ["/", "/api"].contains(&path) || ["/collections", "/telechargements"].iter().any(|face| path.starts_with(face))
}

/// What is worth packing: not what is packed already.
fn packable() -> impl Predicate {
    let packed = |media: &'static str| NotForContentType::const_new(media);
    DefaultPredicate::new()
        .and(packed("application/zip"))
        .and(packed("application/vnd.openxmlformats-officedocument"))
        .and(packed("application/vnd.apache.parquet"))
}

/// Pages of rows are long, and each is asked for once: they are packed at a third of the cost, half as long again.
fn is_of_odata(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"application/json;odata."))
}

#[cfg(test)]
mod gate;
#[cfg(test)]
mod tests;
