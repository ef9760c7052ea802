//! What search engines read in a page (schema.org).

use super::{KEYWORDS, TITLE, bounds, days, description};
use crate::http::downloads::{FileFormat, Wanted};
use crate::http::ogc::query::Ask;
use crate::http::ogc::view;
use crate::http::state::Place;
use serde_json::{Value, json};

/// A zoning as a `Dataset`.
pub fn dataset(ask: &Ask, place: &Place) -> Value {
    let (release, zoning, home) = (place.release(), place.zoning(), place.home());
    let about = &release.provenance;
    let files = FileFormat::OF_ZONES.into_iter().filter_map(|format| Some((format, Wanted::totals(place, format)?)));
    let download = |name: &str, media: &str, address: String| json!({ "@type": "DataDownload", "name": name, "encodingFormat": media, "contentUrl": address });
    let mut distribution: Vec<Value> =
        files.map(|(format, wanted)| download(format.title(), format.media(), wanted.lasting_href(ask))).collect();
    distribution.push(download("GeoJSON", view::GEOJSON, ask.href(&format!("{home}/items"), &[])));
    let mut dataset = json!({
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": ask.href(&home, &[]),
        "name": format!("{} : effectif salarié et établissements", place.title()),
        "description": description(zoning),
        "url": ask.href(&home, &[]),
        "identifier": place.id,
        "version": release.id.as_str(),
        "license": view::licence(ask, release).0,
        "creator": { "@type": "Organization", "name": about.source },
        "dateModified": about.updated,
        "inLanguage": "fr",
        "isAccessibleForFree": true,
        "keywords": KEYWORDS,
        "variableMeasured": ["effectif salarié", "nombre d'établissements"],
        "includedInDataCatalog": { "@type": "DataCatalog", "name": TITLE, "url": ask.href("/catalogue", &[]) },
        "distribution": distribution,
    });
    if let Some((first, last)) = days(release) {
        dataset["temporalCoverage"] = format!("{first}/{last}").into();
    }
    if let Some([west, south, east, north]) = bounds([zoning]) {
        let place = format!("{south} {west} {north} {east}");
        dataset["spatialCoverage"] = json!({ "@type": "Place", "geo": { "@type": "GeoShape", "box": place } });
    }
    dataset
}

/// JSON as it may stand in a `<script>` of a page: no `<` can close it.
pub fn script(json: &Value) -> String {
    json.to_string().replace('<', "\\u003c")
}
