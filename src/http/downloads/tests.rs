//! Files as their readers find them: each is read back and held against the GeoJSON of the same selection.

use super::FileFormat;
use crate::http::tests::{Answer, house, release, send};
use crate::http::{Shelf, Site, Stock, TakenBack, router};
use crate::model::ReleaseId;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use axum::http::{Method, StatusCode};
use calamine::{Data, Reader, Xlsx};
use flatgeobuf::FallibleStreamingIterator;
use flatgeobuf::{FeatureProperties, FgbReader};
use geo::{Area, MultiPolygon};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::Arc;

/// A row as read back: columns by name, a missing value as the empty text.
pub type Row = BTreeMap<String, String>;

async fn get(path: &str) -> Answer {
    send(&house(), Method::GET, path, &[]).await
}

/// What the GeoJSON says of a selection.
async fn geojson(query: &str) -> Vec<Row> {
    let answer = get(&format!("/collections/secteurs/items?{query}")).await.json();
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let row = |feature: &Value| {
        feature["properties"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    answer["features"].as_array().unwrap().iter().map(row).collect()
}

pub fn read(format: FileFormat, bytes: &[u8]) -> Vec<Row> {
    match format {
        FileFormat::Csv => read_csv(bytes, b','),
        FileFormat::Xlsx => read_xlsx(bytes),
        FileFormat::GeoPackage => read_geopackage(bytes),
        FileFormat::Shapefile => read_shapefile(bytes),
        FileFormat::FlatGeobuf => read_flatgeobuf(bytes),
        FileFormat::Parquet => read_parquet(bytes),
    }
}

fn read_csv(bytes: &[u8], delimiter: u8) -> Vec<Row> {
    csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes).deserialize().map(Result::unwrap).collect()
}

fn read_xlsx(bytes: &[u8]) -> Vec<Row> {
    let mut workbook: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).unwrap();
    assert_eq!(workbook.sheet_names(), ["Chiffres", "Sources et secret"]);
    let about = workbook.worksheet_range("Sources et secret").unwrap();
    let said: BTreeMap<String, String> = about.rows().map(|row| (row[0].to_string(), row[1].to_string())).collect();
    for (title, words) in [
        ("Source", "Urssaf et MSA"),
        ("Licence", "Licence Ouverte 2.0"),
        ("Dernière mise à jour", "2026-03-01T00:00:00Z"),
        ("Périmètre", "2025"),
        ("Attention", "Données fictives."),
    ] {
        assert_eq!(said[title], words);
    }
    assert!(said["Secret statistique"].contains("secret statistique") && said.contains_key("Colonne « effectif »"));
    let sheet = workbook.worksheet_range("Chiffres").unwrap();
    let names: Vec<String> = sheet.rows().next().unwrap().iter().map(ToString::to_string).collect();
    let text = |cell: &Data| match cell {
        Data::Float(number) => format!("{number}"),
        other => other.to_string(),
    };
    sheet.rows().skip(1).map(|row| names.iter().cloned().zip(row.iter().map(text)).collect()).collect()
}

fn read_geopackage(bytes: &[u8]) -> Vec<Row> {
    let mut file = rusqlite::Connection::open_in_memory().unwrap();
    file.deserialize_read_exact("main", bytes, bytes.len(), true).unwrap();
    let told: String = file.query_row("SELECT metadata FROM gpkg_metadata", [], |row| row.get(0)).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["source"], &told["licence"]), (&"Urssaf et MSA".into(), &"Licence Ouverte 2.0".into()));
    let mut rows = file.prepare("SELECT * FROM secteurs ORDER BY fid").unwrap();
    let names: Vec<String> = rows.column_names().into_iter().map(str::to_owned).collect();
    rows.query_map([], |row| {
        let value = |at: usize| match row.get_ref_unwrap(at) {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            rusqlite::types::ValueRef::Blob(blob) => {
                assert_eq!(&blob[..2], b"GP");
                String::new()
            }
            _ => String::new(),
        };
        Ok(names.iter().enumerate().map(|(at, name)| (name.clone(), value(at))).collect())
    })
    .unwrap()
    .map(Result::unwrap)
    .collect()
}

fn read_shapefile(bytes: &[u8]) -> Vec<Row> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut entry = |name: &str| {
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let read_me = String::from_utf8(entry("LISEZMOI.txt")).unwrap();
    for words in
        ["Source : Urssaf et MSA", "Licence : Licence Ouverte 2.0", "2026-03-01", "eff_statut (effectif_statut)"]
    {
        assert!(read_me.contains(words), "{words}");
    }
    assert_eq!(entry("secteurs.cpg"), b"UTF-8");
    assert!(entry("secteurs.prj").starts_with(b"GEOGCS[\"GCS_WGS_1984\""));
    let shapes =
        shapefile::ShapeReader::with_shx(Cursor::new(entry("secteurs.shp")), Cursor::new(entry("secteurs.shx")));
    let table = dbase::Reader::new(Cursor::new(entry("secteurs.dbf"))).unwrap();
    let mut reader = shapefile::Reader::new(shapes.unwrap(), table);
    let long: BTreeMap<&str, &str> =
        super::rows::Extract::tables(&release(), 2024).columns().into_iter().map(|c| (c.short, c.name)).collect();
    let text = |value: dbase::FieldValue| match value {
        dbase::FieldValue::Character(text) => text.unwrap_or_default(),
        dbase::FieldValue::Numeric(number) => number.map_or_else(String::new, |number| format!("{number}")),
        other => panic!("{other:?}"),
    };
    reader
        .read_as::<shapefile::Polygon, dbase::Record>()
        .unwrap()
        .into_iter()
        .map(|(shape, record)| {
            assert_eq!(MultiPolygon::<f64>::try_from(shape).unwrap().0.len(), 1);
            record.into_iter().map(|(name, value)| (long[name.as_str()].to_owned(), text(value))).collect()
        })
        .collect()
}

fn read_flatgeobuf(bytes: &[u8]) -> Vec<Row> {
    let mut source = Cursor::new(bytes);
    let reader = FgbReader::open(&mut source).unwrap();
    let header = reader.header();
    assert_eq!((header.crs().unwrap().code(), header.features_count()), (4326, 6));
    let told: Value = serde_json::from_str(header.metadata().unwrap()).unwrap();
    assert_eq!((&told["source"], &told["licence"]), (&"Urssaf et MSA".into(), &"Licence Ouverte 2.0".into()));
    let names: Vec<String> = header.columns().unwrap().iter().map(|column| column.name().to_owned()).collect();
    let mut features = reader.select_all().unwrap();
    let mut rows = Vec::new();
    while let Some(feature) = features.next().unwrap() {
        assert!(feature.fbs_feature().geometry().is_some());
        let mut row: Row = names.iter().map(|name| (name.clone(), String::new())).collect();
        row.extend(feature.properties().unwrap());
        rows.push(row);
    }
    rows.sort_by(|a, b| a["code"].cmp(&b["code"]));
    rows
}

fn read_parquet(bytes: &[u8]) -> Vec<Row> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::copy_from_slice(bytes)).unwrap();
    let told = builder.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let told = |name: &str| told.iter().find(|pair| pair.key == name).and_then(|pair| pair.value.clone()).unwrap();
    assert_eq!((told("source").as_str(), told("licence").as_str()), ("Urssaf et MSA", "Licence Ouverte 2.0"));
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let value = |column: &dyn Array, at: usize| match column.data_type() {
        _ if column.is_null(at) => String::new(),
        arrow_schema::DataType::Utf8 => column.as_string::<i32>().value(at).to_owned(),
        arrow_schema::DataType::Int32 => column.as_primitive::<Int32Type>().value(at).to_string(),
        arrow_schema::DataType::Int64 => column.as_primitive::<Int64Type>().value(at).to_string(),
        _ => String::new(),
    };
    let rows = |batch: &RecordBatch| -> Vec<Row> {
        let schema = batch.schema();
        let row =
            |at| schema.fields().iter().zip(batch.columns()).map(|(f, c)| (f.name().clone(), value(c, at))).collect();
        (0..batch.num_rows()).map(row).collect()
    };
    batches.iter().flat_map(rows).collect()
}

#[tokio::test]
async fn every_format_holds_the_figures_of_the_geojson_and_says_where_they_come_from() {
    for query in ["millesime=2024", "millesime=2023&naf=G", "naf=47", "source=msa"] {
        let expected = geojson(query).await;
        assert!(expected.iter().any(|row| row["effectif"].is_empty()), "{query}: something is withheld");
        for format in FileFormat::OF_ZONES {
            let path = format!("/telechargements/secteurs.{}?{query}", format.extension());
            let answer = get(&path).await;
            assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, format.media()), "{path}");
            let rows = read(format, &answer.body);
            assert_eq!(rows.len(), expected.len(), "{path}");
            for (row, expected) in rows.iter().zip(&expected) {
                for (name, value) in expected {
                    assert_eq!(row[name], *value, "{path}: {name} of {}", expected["code"]);
                }
                assert_eq!(row["licence"], "Licence Ouverte 2.0", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn the_same_release_gives_the_same_bytes() {
    for format in FileFormat::OF_ZONES {
        let path = format!("/telechargements/secteurs.{}", format.extension());
        let (one, other) = (get(&path).await, get(&path).await);
        assert!(one.body == other.body && one.header("etag") == other.header("etag"), "{path}");
    }
}

#[tokio::test]
async fn a_file_is_named_held_and_asked_for_as_any_other_document() {
    let house = house();
    for (path, name) in [
        ("secteurs.csv", "secteurs-2024.csv"),
        ("secteurs.csv?dialecte=excel", "secteurs-2024-excel.csv"),
        ("secteurs.shp.zip?naf=G&millesime=2023", "secteurs-2023-naf-G.shp.zip"),
        ("secteurs.gpkg?source=msa", "secteurs-2024-source-msa.gpkg"),
        ("tableaux.parquet?millesime=2023", "tableaux-2023.parquet"),
    ] {
        let path = format!("/telechargements/{path}");
        let answer = send(&house, Method::GET, &path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-disposition"), format!("attachment; filename=\"{name}\""));
        let again = send(&house, Method::GET, &path, &[("if-none-match", answer.header("etag"))]).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        let head = send(&house, Method::HEAD, &path, &[]).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        assert_eq!(head.header("content-length"), answer.body.len().to_string(), "{path}");
    }
    for (path, status, code) in [
        ("secteurs.csv?dialecte=libre", 400, "bad_parameter"),
        ("secteurs.xlsx?dialecte=excel", 400, "unknown_parameter"),
        ("secteurs.csv?f=csv", 400, "unknown_parameter"),
        ("secteurs.csv?naf=G&naf=C", 400, "repeated_parameter"),
        ("secteurs.csv?naf=ZZ", 400, "bad_parameter"),
        ("secteurs.csv?naf=G&source=msa", 404, "crossing_not_published"),
        ("secteurs.csv?millesime=1999", 400, "bad_parameter"),
        ("tableaux.csv?naf=G", 400, "unknown_parameter"),
        ("tableaux.csv?millesime=1999", 400, "bad_parameter"),
        ("tableaux.gpkg", 404, "unknown_file"),
        ("secteurs.doc", 404, "unknown_file"),
        ("secteurs", 404, "unknown_file"),
        (".csv", 404, "unknown_collection"),
        ("quartiers.csv", 404, "unknown_collection"),
    ] {
        let answer = send(&house, Method::GET, &format!("/telechargements/{path}"), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (status, Some(code)), "{path}");
    }
}

#[tokio::test]
async fn files_of_an_earlier_release_stay_under_its_name_until_it_is_taken_back() {
    let shelf = Shelf::new();
    let house = router(shelf.clone(), Site::default());
    let named = |name: &str, label: &str| {
        let mut release = release();
        release.id = ReleaseId::from_digest(name);
        release.zonings[0].zones[0].label = label.to_owned();
        release
    };
    shelf.put(named("aaaa", "Avant"));
    shelf.put(named("bbbb", "Après"));
    for start in ["secteurs", "tableaux"] {
        for (name, label) in [("", "Après"), ("@aaaa", "Avant"), ("@bbbb", "Après")] {
            let path = format!("/telechargements/{start}{name}.csv");
            let answer = send(&house, Method::GET, &path, &[]).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert!(answer.text().contains(label), "{path}");
            let file = format!("filename=\"{start}{}-2024.csv\"", name.replace('@', "-"));
            assert!(answer.header("content-disposition").ends_with(&file), "{path}");
        }
    }
    let gone = TakenBack { release: "aaaa".into(), at: "2026-04-02T00:00:00Z".into(), reason: "Une erreur.".into() };
    shelf.fill(Stock { current: Some(Arc::new(named("bbbb", "Après"))), withdrawn: vec![gone], ..Stock::default() });
    for (path, status) in [
        ("secteurs@aaaa.csv", 410),
        ("tableaux@aaaa.csv", 410),
        ("secteurs@cccc.csv", 404),
        ("tableaux@cccc.csv", 404),
        ("secteurs@bbbb.csv", 200),
    ] {
        let answer = send(&house, Method::GET, &format!("/telechargements/{path}"), &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_french_excel_opens_the_dialect_and_takes_no_label_for_a_formula() {
    let labels = ["=1+1", "+33", "-5", "@SUM(A1)", "\tA", "Bel-Air = parc"];
    let mut release = release();
    for (zone, label) in release.zonings[0].zones.iter_mut().zip(labels) {
        zone.label = label.to_owned();
    }
    let shelf = Shelf::new();
    shelf.put(release);
    let house = router(shelf, Site::default());
    let answer = send(&house, Method::GET, "/telechargements/secteurs.csv?dialecte=excel", &[]).await;
    let text = answer.text().strip_prefix('\u{feff}').unwrap().to_owned();
    assert!(text.starts_with("code;libelle;effectif;") && text.contains("\r\n"));
    let rows = read_csv(text.as_bytes(), b';');
    let found: Vec<&str> = rows.iter().map(|row| row["libelle"].as_str()).collect();
    assert_eq!(found, ["'=1+1", "'+33", "'-5", "'@SUM(A1)", "'\tA", "Bel-Air = parc"]);
    // The other dialect is for programs: it gives the labels as they are.
    let plain = send(&house, Method::GET, "/telechargements/secteurs.csv", &[]).await;
    let found: Vec<String> = read_csv(&plain.body, b',').iter().map(|row| row["libelle"].clone()).collect();
    assert_eq!(found, labels);
}

#[tokio::test]
async fn the_long_table_holds_every_published_cell_once_and_nothing_else() {
    for (format, vintage) in [(FileFormat::Csv, 2023), (FileFormat::Parquet, 2024)] {
        let path = format!("/telechargements/tableaux.{}?millesime={vintage}", format.extension());
        let rows = read(format, &get(&path).await.body);
        let key = |row: &Row| ["code", "naf", "tranche", "source_donnees"].map(|name| row[name].clone());
        let keys: BTreeSet<_> = rows.iter().map(key).collect();
        assert_eq!(keys.len(), rows.len(), "each cell once");
        let mut seen = 0;
        for query in ["", "naf=G", "naf=47", "naf=C", "naf=10", "source=msa", "source=urssaf"] {
            for zone in geojson(&format!("millesime={vintage}&{query}")).await {
                let told = rows.iter().find(|row| key(row) == key(&zone));
                let Some(told) = told else {
                    assert_eq!(zone["effectif"], "0", "only a cell without an establishment is left out: {zone:?}");
                    continue;
                };
                seen += 1;
                for name in
                    ["libelle", "effectif", "effectif_statut", "etablissements", "etablissements_statut", "perimetre"]
                {
                    assert_eq!(told[name], zone[name], "{path}: {zone:?}");
                }
            }
        }
        let totals = rows.iter().filter(|row| row["code"] == "total").count();
        assert_eq!(seen + totals, rows.len(), "{path}: nothing but zones and totals of all zones");
        assert!(rows.iter().any(|row| row["effectif_statut"] == "secret" && row["effectif"].is_empty()));
    }
}

#[tokio::test]
async fn contours_turn_as_each_format_has_it() {
    let bytes = get("/telechargements/secteurs.shp.zip").await.body;
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut shp = Vec::new();
    zip.by_name("secteurs.shp").unwrap().read_to_end(&mut shp).unwrap();
    let shapes = shapefile::ShapeReader::new(Cursor::new(shp)).unwrap().read_as::<shapefile::Polygon>().unwrap();
    for shape in shapes {
        let ring: Vec<[f64; 2]> = shape.rings()[0].points().iter().map(|point| [point.x, point.y]).collect();
        let twice: f64 = ring.windows(2).map(|w| w[0][0] * w[1][1] - w[1][0] * w[0][1]).sum();
        assert!(twice < 0.0, "clockwise, as ESRI has it");
    }
    let release = release();
    let extract = super::rows::Extract::zones(&release, &release.zonings[0], Default::default());
    for row in extract.rows() {
        assert!(row.contour().unwrap().signed_area() > 0.0, "counter-clockwise, as GeoParquet has it");
    }
}

#[tokio::test]
async fn the_list_names_files_that_are_there() {
    let house = house();
    for query in ["", "?naf=G&millesime=2023"] {
        let list = send(&house, Method::GET, &format!("/telechargements{query}"), &[]).await.json();
        assert_eq!((&list["source"], &list["licence"]), (&"Urssaf et MSA".into(), &"Licence Ouverte 2.0".into()));
        let page =
            send(&house, Method::GET, &format!("/telechargements{query}"), &[("accept", "text/html")]).await.text();
        let page = page.replace("&#x2f;", "/").replace("&amp;", "&");
        let files = list["fichiers"].as_array().unwrap();
        assert_eq!(files.len(), 6 + 2 * 2);
        for file in files {
            let href = file["href"].as_str().unwrap();
            let path = href.strip_prefix("https://emploi.example.fr").unwrap();
            let answer = send(&house, Method::GET, path, &[]).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (StatusCode::OK, file["type"].as_str().unwrap())
            );
            assert!(answer.header("content-disposition").contains(file["nom"].as_str().unwrap()), "{href}");
            assert!(page.contains(href), "{href} is on the page");
        }
    }
    let refused = send(&house, Method::GET, "/telechargements?naf=ZZ", &[]).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (StatusCode::BAD_REQUEST, Some("bad_parameter")));
}
