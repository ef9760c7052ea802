//! What is asked: whatever the dice say of every route, and rightly of every face.

use super::super::downloads::FileFormat;
use rand::{Rng, RngExt};

/// Questions that every face answers, each with its route: every format, selection and way of choosing.
pub fn right() -> Vec<(&'static str, String)> {
    const ITEMS: &str = "/collections/{zoning}/items";
    let mut all = Vec::new();
    for route in [
        "/",
        "/conformance",
        "/api",
        "/collections",
        "/collections/{zoning}",
        "/collections/{zoning}/tiles",
        "/catalogue",
        "/telechargements",
    ] {
        let path = route.replace("{zoning}", "secteurs");
        all.extend(["json", "html"].map(|f| (route, format!("{path}?f={f}"))));
    }
    for (route, name) in [
        ("/collections/{zoning}/schema", "secteurs"),
        ("/collections/{zoning}/queryables", "secteurs"),
        ("/tileMatrixSets", ""),
    ] {
        all.push((route, route.replace("{zoning}", name)));
    }
    for name in ["secteurs", "secteurs@0123456789abcdef"] {
        for chosen in ["", "naf=G", "naf=C", "naf=47", "naf=25", "source=msa", "source=urssaf"] {
            for asked in [
                "f=json",
                "f=html",
                "f=csv",
                "f=topojson",
                "f=topojson&quantization=1000",
                "skipGeometry=true",
                "properties=effectif",
                "properties=etablissements",
                "limit=2&offset=1",
                "f=html&limit=3&offset=3",
                "filter=effectif+IS+NULL",
                "filter=etablissements+%3E+3&f=csv",
                "datetime=../2020-12-31",
                "crs=http://www.opengis.net/def/crs/EPSG/0/2154&simplify=20",
            ] {
                all.push((
                    ITEMS,
                    format!("/collections/{name}/items?{asked}&{chosen}").trim_end_matches('&').to_owned(),
                ));
            }
            let ask = if chosen.is_empty() { String::new() } else { format!("?{chosen}") };
            let and = if chosen.is_empty() { String::new() } else { format!("&{chosen}") };
            for zone in ["S01", "S02", "S03", "S04", "S05", "S06"] {
                let item = |f: &str| {
                    ("/collections/{zoning}/items/{code}", format!("/collections/{name}/items/{zone}?f={f}{and}"))
                };
                all.extend(["json", "html"].map(item));
            }
            let tiles = format!("/collections/{name}/tiles/WebMercatorQuad");
            let set = |f: &str| ("/collections/{zoning}/tiles/{tileMatrixSetId}", format!("{tiles}?f={f}{and}"));
            all.extend(["json", "html", "tilejson"].map(set));
            let tile = "/collections/{zoning}/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}";
            all.extend(["0/0/0", "10/358/526"].map(|at| (tile, format!("{tiles}/{at}{ask}"))));
            let file = |format: FileFormat| {
                ("/telechargements/{file}", format!("/telechargements/{name}.{}{ask}", format.extension()))
            };
            all.extend(FileFormat::OF_ZONES.map(file));
            all.push(("/telechargements/{file}", format!("/telechargements/{name}.csv?dialecte=excel{and}")));
        }
        let tables = name.replace("secteurs", "tableaux");
        for file in [".csv", ".csv?dialecte=excel", ".parquet"] {
            all.push(("/telechargements/{file}", format!("/telechargements/{tables}{file}")));
        }
    }
    for set in ["Aggregats", "AggregatsHistorique", "Zones", "Contours", "Publications"] {
        let route = *super::super::routes()
            .iter()
            .map(|(route, _)| route)
            .find(|r| r.strip_prefix("/odata/") == Some(set))
            .unwrap();
        all.push((route, format!("/odata/{set}")));
        all.push((route, format!("/odata/{set}?$top=3&$skip=1&$count=true&$orderby=id%20desc")));
        all.push(("/odata/{resource}/{part}", format!("/odata/{set}/$count?$filter=startswith(id,'2')")));
    }
    for asked in [
        "$filter=effectif%20eq%20null",
        "$filter=not%20(effectif%20eq%20null)&$orderby=effectif%20desc",
        "$select=effectif,etablissements",
        "$select=zone,naf,source_donnees,effectif,etablissements&$skip=3",
        "$orderby=etablissements&$top=5",
        "$filter=etablissements%20gt%203%20or%20zone%20eq%20'S03'",
    ] {
        all.push(("/odata/Aggregats", format!("/odata/Aggregats?{asked}")));
        all.push(("/odata/AggregatsHistorique", format!("/odata/AggregatsHistorique?{asked}")));
    }
    for zone in ["total", "S01", "S02", "S03", "S04", "S05", "S06"] {
        let row = format!("Aggregats('2024.secteurs.{zone}.total.total.total')");
        all.push(("/odata/{resource}", format!("/odata/{row}")));
        all.push(("/odata/{resource}", format!("/odata/{row}?$select=effectif")));
    }
    all
}

/// A path of a route and headers, well chosen or not.
pub fn question(route: &str, dice: &mut impl Rng) -> (String, Vec<(&'static str, &'static str)>) {
    let mut path = String::new();
    for (i, piece) in route.split(['{', '}']).enumerate() {
        // The first ones are real: half of all questions get past the path.
        let from = if i % 2 == 0 { &[][..] } else { parts(piece) };
        match from.is_empty() {
            true => path.push_str(piece),
            false => path.push_str(from[if dice.random_bool(0.4) { 0 } else { dice.random_range(0..from.len()) }]),
        }
    }
    let parameters = [0, 0, 1, 1, 1, 2, 2, 3, 5][dice.random_range(0..9)];
    for i in 0..parameters {
        let (name, value) = (pick(NAMES, dice), pick(VALUES, dice));
        path.push_str(&format!("{}{name}={value}", if i == 0 { '?' } else { '&' }));
    }
    let headers = HEADERS.iter().filter(|_| dice.random_bool(0.1)).collect::<Vec<_>>();
    let headers = headers.into_iter().map(|(name, values)| (*name, pick(values, dice))).collect();
    (path, headers)
}

fn pick(from: &[&'static str], dice: &mut impl Rng) -> &'static str {
    from[dice.random_range(0..from.len())]
}

/// What may stand for each part of a path, the real ones first.
fn parts(name: &str) -> &'static [&'static str] {
    match name {
        "zoning" => {
            &["secteurs", "secteurs", "secteurs", "secteurs@0123456789abcdef", "secteurs@ffff", "iris", "@", "%FF", "é"]
        }
        "code" => &["S01", "S02", "S03", "S06", "S99", "total", "", "%00", "<b>"],
        "z" | "row" | "col" | "x" | "y" | "tileMatrix" | "tileRow" | "tileCol" => {
            &["0", "1", "2", "10", "526", "358", "-1", "99", "x", "184467440737095516150"]
        }
        "tms" | "tileMatrixSetId" => &["WebMercatorQuad", "WebMercatorQuad", "WorldCRS84Quad", "x"],
        "resource" => {
            &["Aggregats('x')", "Zones('secteurs.S03')", "Zones", "Aggregats(", "Aggregats%28%27%27%29", "x", "$count"]
        }
        "part" => &["$count", "effectif", "effectif/$value", "$ref", "x"],
        "file" => &[
            "secteurs.csv",
            "secteurs.xlsx",
            "secteurs.gpkg",
            "secteurs.fgb",
            "secteurs.parquet",
            "secteurs.shp.zip",
            "tableaux.csv",
            "tableaux.parquet",
            "secteurs@0123456789abcdef.csv",
            "iris.csv",
            "secteurs.exe",
            ".csv",
            "..",
        ],
        _ => &["0123456789abcdef", "secteurs", "2024", "1", "", "x", "%2e%2e", "'", "csv"],
    }
}

/// Parameters of every face, and values that some of them take.
const NAMES: &[&str] = &[
    "f",
    "limit",
    "offset",
    "bbox",
    "bbox-crs",
    "crs",
    "datetime",
    "properties",
    "skipGeometry",
    "millesime",
    "naf",
    "tranche",
    "source",
    "precision",
    "simplify",
    "filter",
    "filter-lang",
    "filter-crs",
    "quantization",
    "$filter",
    "$select",
    "$orderby",
    "$top",
    "$skip",
    "$count",
    "$search",
    "$apply",
    "$expand",
    "$skiptoken",
    "$format",
    "%24filter",
    "dialecte",
    "limite",
    "q",
    "",
];
const VALUES: &[&str] = &[
    "json",
    "html",
    "csv",
    "topojson",
    "tilejson",
    "mvt",
    "xlsx",
    "gpkg",
    "parquet",
    "fgb",
    "shp",
    "jsonld",
    "xml",
    "0",
    "1",
    "2",
    "3",
    "10",
    "10000",
    "99999999999999999999",
    "-1",
    "1e9",
    "NaN",
    "true",
    "false",
    "2023",
    "2024",
    "1999",
    "G",
    "C",
    "47",
    "10",
    "Z",
    "total",
    "msa",
    "urssaf",
    "insee",
    "5,47,6,48",
    "5,47,0,6,48,100",
    "170,47,-170,48",
    "1,2,3",
    "850000,6680000,860000,6700000",
    "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    "http://www.opengis.net/def/crs/EPSG/0/2154",
    "http://www.opengis.net/def/crs/EPSG/0/4326",
    "http://www.opengis.net/def/crs/EPSG/0/3857",
    "http://www.opengis.net/def/crs/EPSG/0/9999",
    "2024-12-31",
    "../2023-12-31",
    "2024-13-01",
    "../..",
    "code,effectif",
    "effectif",
    "etablissements",
    "code",
    "siret",
    "effectif%3E0",
    "effectif+%3E+1000+OR+effectif+%3C%3D+1000",
    "NOT+effectif+%3D+0",
    "code+IN+(%27S01%27,%27S03%27)",
    "effectif+IS+NULL",
    "effectif%20gt%200",
    "not(effectif%20le%20900000)",
    "effectif%20eq%20null",
    "contains(libelle,%27a%27)",
    "effectif%20desc",
    "code%20asc,effectif%20desc",
    "cql2-text",
    "odata",
    "excel-fr",
    "(((((",
    "%27%3B--",
    "%FF",
    "%00",
    "%F0%9F%92%A9",
    "",
];
const HEADERS: &[(&str, &[&str])] = &[
    ("accept", &["text/html", "application/json", "text/csv", "*/*", "application/geo+json;q=0", "image/png", ",,;q="]),
    ("range", &["bytes=0-9", "bytes=-5", "bytes=99999999-", "bytes=x"]),
    ("if-none-match", &["*", "\"x\"", "W/\"x\"", "\"", "é"]),
    ("host", &["emploi.test", "x\"><script>", "[::1]:80"]),
    ("prefer", &["odata.maxpagesize=2", "respond-async", "odata.maxpagesize=-1"]),
    ("odata-maxversion", &["4.0", "3.0", "x"]),
    ("x-forwarded-proto", &["https", "javascript"]),
    ("forwarded", &["for=6.6.6.6;host=other.test;proto=https"]),
];
