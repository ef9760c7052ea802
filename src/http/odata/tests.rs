//! OData as Power BI and its like meet it, over the release of the other faces.

use super::protocol;
use crate::http::tests::{Answer, release, send};
use crate::http::{Shelf, Site, Stock, TakenBack, router};
use crate::model::ReleaseId;
use crate::steps::publish::{Provenance, Release};
use crate::steps::secrecy::Coordinate;
use axum::Router;
use axum::http::{Method, StatusCode};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The headers of the Mashup engine, as a refresh of Power BI sends them.
const MASHUP: [(&str, &str); 5] = [
    ("user-agent", "Microsoft.Data.Mashup (https://go.microsoft.com/fwlink/?LinkID=304225)"),
    ("maxdataserviceversion", "3.0"),
    ("odata-maxversion", "4.0"),
    (
        "accept",
        "application/json;odata.metadata=minimal;q=1.0,application/json;odata=minimalmetadata;q=0.9,\
         application/atomsvc+xml;q=0.8,application/atom+xml;q=0.8,application/xml;q=0.7,text/plain;q=0.7",
    ),
    ("accept-encoding", "gzip, deflate"),
];

const JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

fn house_of(shelf: &Shelf) -> Router {
    router(shelf.clone(), Site { public_url: Some("https://emploi.example.fr/".into()) })
}

fn house() -> Router {
    let shelf = Shelf::new();
    shelf.put(release());
    house_of(&shelf)
}

async fn get(house: &Router, path: &str) -> Answer {
    send(house, Method::GET, &path.replace(' ', "%20").replace('"', "%22"), &[]).await
}

async fn rows(house: &Router, path: &str) -> Vec<Value> {
    let answer = get(house, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()["value"].as_array().unwrap().clone()
}

/// The codes of the sectors that a filter keeps, of the plain totals of 2024.
async fn sectors(house: &Router, filter: &str) -> String {
    let path = format!(
        "/odata/Aggregats?$filter=millesime eq 2024 and zone ne 'total' and naf eq 'total' and source_donnees eq 'total' \
         and ({filter})"
    );
    let rows = rows(house, &path).await;
    rows.iter().map(|row| row["zone"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_refresh_of_power_bi_is_answered_as_it_expects() {
    let house = house();
    for (path, media, context) in [
        ("/odata", JSON, "$metadata"),
        ("/odata/", JSON, "$metadata"),
        ("/odata/$metadata", "application/xml", ""),
        ("/odata/%24metadata", "application/xml", ""),
        ("/odata/Aggregats?$top=1000", JSON, "$metadata#Aggregats"),
        ("/odata/Aggregats?%24filter=%28effectif%20gt%20100%29&%24top=0", JSON, "$metadata#Aggregats"),
        ("/odata/Zones", JSON, "$metadata#Zones"),
        ("/odata/Contours", JSON, "$metadata#Contours"),
        ("/odata/Publications", JSON, "$metadata#Publications"),
        ("/odata/AggregatsHistorique", JSON, "$metadata#AggregatsHistorique"),
    ] {
        let zipped = send(&house, Method::GET, path, &MASHUP).await;
        assert_eq!((zipped.status, zipped.header("content-type")), (StatusCode::OK, media), "{path}");
        assert!(["", "gzip"].contains(&zipped.header("content-encoding")), "{path}");
        assert_eq!(zipped.headers.get_all("odata-version").iter().collect::<Vec<_>>(), ["4.0"], "{path}");
        let plain = send(&house, Method::GET, path, &MASHUP[..4]).await;
        if media == JSON {
            let context = format!("https://emploi.example.fr/odata/{context}");
            assert_eq!(plain.json()["@odata.context"], json!(context), "{path}");
            assert!(plain.json()["value"].is_array(), "{path}");
        }
        let head = send(&house, Method::HEAD, path, &MASHUP[..4]).await;
        assert_eq!((head.status, head.body.len(), head.header("etag")), (plain.status, 0, plain.header("etag")));
        let held = [("if-none-match", plain.header("etag"))];
        let again = send(&house, Method::GET, path, &held).await;
        assert_eq!((again.status, again.header("odata-version")), (StatusCode::NOT_MODIFIED, "4.0"), "{path}");
    }
    let service = get(&house, "/odata/").await.json();
    let sets: Vec<&str> = service["value"].as_array().unwrap().iter().map(|set| set["url"].as_str().unwrap()).collect();
    assert_eq!(sets, ["Aggregats", "AggregatsHistorique", "Zones", "Contours", "Publications"]);
}

#[tokio::test]
async fn rows_hold_the_cells_of_the_release_and_nothing_else() {
    let (house, release) = (house(), release());
    let all = rows(&house, "/odata/Aggregats").await;
    let tables = release.vintages.values().flat_map(|tables| tables.iter());
    // A cell of zone and code stands in one table; totals stand in both.
    let cells =
        tables.flat_map(|table| table.cells()).filter(|(at, _)| at.iter().all(|c| *c != Coordinate::Total)).count();
    let is_total = |row: &Value, name: &str| row[name] == "total";
    let crossed = |row: &&Value| !is_total(row, "zone") && (is_total(row, "naf") != is_total(row, "source_donnees"));
    assert_eq!(all.iter().filter(crossed).count(), cells, "each cell of both tables, once");
    let ids: Vec<&str> = all.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    let mut withheld = 0;
    for row in &all {
        let secret = row["effectif"].is_null();
        withheld += usize::from(secret);
        let expected = if secret { "secret" } else { "ok" };
        assert_eq!((&row["effectif_statut"], &row["etablissements_statut"]), (&json!(expected), &json!(expected)));
        assert_eq!(row["etablissements"].is_null(), secret, "{row}");
        for (name, value) in [
            ("source", "Urssaf et MSA"),
            ("derniere_mise_a_jour", "2026-03-01T00:00:00Z"),
            ("date_maj", "2026-03-01T00:00:00Z"),
            ("perimetre", "2025"),
            ("licence", "Licence Ouverte 2.0"),
            ("notice", "Données fictives."),
            ("publication", "0123456789abcdef"),
        ] {
            assert_eq!(row[name], value, "{name}");
        }
        // The same question to the other face.
        if is_total(row, "zone") {
            continue;
        }
        let path = format!(
            "/collections/secteurs/items/{}?millesime={}&naf={}&source={}",
            row["zone"].as_str().unwrap(),
            row["millesime"],
            row["naf"].as_str().unwrap(),
            row["source_donnees"].as_str().unwrap()
        );
        let other = get(&house, &path).await.json()["properties"].clone();
        for name in ["effectif", "effectif_statut", "etablissements", "libelle", "naf", "source_donnees", "millesime"] {
            assert_eq!(row[name], other[name], "{path} {name}");
        }
    }
    assert!(withheld > 0);
    let friche = rows(&house, "/odata/Aggregats?$filter=zone eq 'S06'").await;
    assert_eq!(friche.len(), 2, "nobody is there: a zero each year");
    assert!(friche.iter().all(|row| row["effectif"] == 0 && row["effectif_statut"] == "ok"));
}

#[tokio::test]
async fn filters_see_what_is_shown_and_no_more() {
    let house = house();
    let shown = sectors(&house, "effectif ne null").await;
    let withheld = sectors(&house, "effectif_statut eq 'secret'").await;
    assert!(withheld.contains("S03") && !shown.contains("S03"), "{shown}; {withheld}");
    for (filter, expected) in [
        ("effectif eq null", &withheld),
        ("effectif ge 0", &shown),
        ("effectif lt 0 or effectif ge 0", &shown),
        ("not (effectif lt 0)", &shown),
        ("effectif in (1,2,3) or effectif_statut eq 'secret'", &withheld),
        ("effectif gt 0 and effectif eq null", &String::new()),
        ("startswith(zone,'S0') and contains(libelle,'Gare') and endswith(libelle,'\"')", &"S03".to_owned()),
        ("zone_id in ('secteurs.S06','secteurs.S07')", &"S06".to_owned()),
    ] {
        assert_eq!(sectors(&house, filter).await, *expected, "{filter}");
    }
    // Withheld figures are alike in every order.
    let path = "/odata/Aggregats?$filter=effectif eq null&$select=id,effectif&$orderby=effectif";
    assert_eq!(rows(&house, path).await, rows(&house, &format!("{path} desc")).await);
}

#[tokio::test]
async fn pages_give_each_row_once_in_one_order() {
    let house = house();
    for query in [
        "",
        "$filter=millesime eq 2024",
        "$orderby=effectif desc,zone",
        "$filter=not (zone eq 'S01')&$orderby=libelle&$skip=5&$top=21",
        "$top=3&$count=true",
        "$filter=libelle eq 'Gare, \"nord\"' or contains(zone,'S')&$count=true&$select=zone,effectif",
    ] {
        let whole = rows(&house, &format!("/odata/Aggregats?{query}")).await;
        let mut path = format!("/odata/Aggregats?{query}&api_key=x").replace("?&", "?");
        let mut paged = Vec::new();
        for page in 1.. {
            let request = path.replace(' ', "%20").replace('"', "%22");
            let answer = send(&house, Method::GET, &request, &[("prefer", "odata.maxpagesize=7")]).await;
            assert_eq!((answer.status, answer.header("preference-applied")), (StatusCode::OK, "odata.maxpagesize=7"));
            assert!(answer.header("vary").contains("Accept"));
            let json = answer.json();
            let value = json["value"].as_array().unwrap();
            paged.extend(value.iter().cloned());
            let Some(next) = json["@odata.nextLink"].as_str() else { break };
            assert!(value.len() == 7 && !next.contains("api_key"), "{next}");
            path = next.strip_prefix("https://emploi.example.fr").unwrap().to_owned();
            assert!(page < 40, "{query}");
        }
        assert_eq!(paged, whole, "{query}");
    }
    let counted = get(&house, "/odata/Aggregats?$filter=zone eq 'S06'&$count=true&$top=1").await.json();
    assert_eq!((&counted["@odata.count"], counted["value"].as_array().unwrap().len()), (&json!(2), 1));
    assert!(counted.get("@odata.nextLink").is_none());
    let number = get(&house, "/odata/Aggregats/$count?$filter=zone eq 'S06'").await;
    assert_eq!((number.text().as_str(), number.header("content-type")), ("2", "text/plain;charset=utf-8"));
    let by_figure = rows(&house, "/odata/Aggregats?$orderby=effectif&$select=effectif").await;
    let figures: Vec<Option<u64>> = by_figure.iter().map(|row| row["effectif"].as_u64()).collect();
    assert!(figures.is_sorted() && figures[0].is_none(), "null comes first: {figures:?}");
}

#[tokio::test]
async fn columns_are_selected_and_a_figure_keeps_its_status() {
    let house = house();
    for (select, columns) in [
        ("zone", vec!["zone"]),
        ("effectif, zone", vec!["zone", "effectif", "effectif_statut"]),
        ("etablissements", vec!["etablissements", "etablissements_statut"]),
    ] {
        let json = get(&house, &format!("/odata/Aggregats?$select={select}&$top=1")).await.json();
        let context = format!("https://emploi.example.fr/odata/$metadata#Aggregats({})", columns.join(","));
        assert_eq!(json["@odata.context"], json!(context));
        let found: Vec<&str> = json["value"][0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, columns);
    }
    let row = get(&house, "/odata/Aggregats('2024.secteurs.S03.total.total.total')?$select=effectif").await.json();
    assert_eq!(
        row,
        json!({
            "@odata.context": "https://emploi.example.fr/odata/$metadata#Aggregats(effectif,effectif_statut)/$entity",
            "effectif": null,
            "effectif_statut": "secret",
        })
    );
    let path = "/odata/AggregatsHistorique(id='2024.secteurs.S06.total.total.total',publication='0123456789abcdef')";
    assert_eq!(get(&house, path).await.json()["effectif"], 0);
    let zone = get(&house, "/odata/Zones('secteurs.S01')").await.json();
    assert_eq!(
        (&zone["libelle"], &zone["longitude"], &zone["latitude"]),
        (&json!("Centre"), &json!(5.005), &json!(47.305))
    );
    let contour = get(&house, "/odata/Contours?$filter=code eq 'S01'").await.json()["value"][0]["wkt"].clone();
    assert_eq!(contour, "MULTIPOLYGON (((5 47.3, 5 47.31, 5.01 47.31, 5.01 47.3, 5 47.3)))");
}

#[tokio::test]
async fn a_refusal_says_what_is_possible_as_odata_has_it() {
    let house = house();
    for (path, status, code, words) in [
        ("Aggregats?$search=x", 400, "not_supported", "`$search`"),
        ("Aggregats?$apply=aggregate(effectif with sum as e)", 400, "not_supported", "$filter, $select"),
        ("Aggregats?$expand=Zones", 400, "not_supported", "`$expand`"),
        ("Aggregats?$compute=effectif mul 2 as e", 400, "not_supported", "`$compute`"),
        ("Aggregats?top=3", 400, "unknown_parameter", "$top"),
        ("Aggregats?$top=3&%24top=4", 400, "repeated_parameter", "$top"),
        ("Aggregats?$top=-1", 400, "bad_parameter", "0 or more"),
        ("Aggregats?$filter=contains(libelle,'%FF')", 400, "bad_encoding", "UTF-8"),
        ("Aggregats?$top=", 400, "bad_parameter", "0 or more"),
        ("Aggregats?$skip=many", 400, "bad_parameter", "`many`"),
        ("Aggregats?$count=yes", 400, "bad_parameter", "true or false"),
        ("Aggregats?$filter=", 400, "bad_filter", "character 1"),
        ("Aggregats?$filter=siren eq 'x'", 400, "bad_filter", "effectif_statut"),
        ("Aggregats?$filter=effectif gt 'x'", 400, "bad_filter", "character 13"),
        ("Aggregats?$filter=toupper(zone) eq 'X'", 400, "not_supported", "contains, startswith, endswith"),
        ("Contours?$filter=contains(wkt,'5')", 400, "bad_filter", "zonage"),
        ("Aggregats?$orderby=siren", 400, "bad_parameter", "effectif"),
        ("Aggregats?$orderby=zone up", 400, "bad_parameter", "asc or desc"),
        ("Contours?$orderby=wkt", 400, "bad_parameter", "zonage"),
        ("Zones?$orderby=code,zonage,code desc", 400, "bad_parameter", "each column once"),
        ("Aggregats?$select=siren", 400, "bad_parameter", "effectif"),
        ("Aggregats?$skiptoken=x", 400, "bad_parameter", "next page"),
        ("Aggregats?$skiptoken=fedcba9876543210-7", 410, "stale_page", "first page"),
        ("Publications?$skiptoken=fedcba9876543210-7", 410, "stale_page", "first page"),
        ("Aggregats?$format=atom", 406, "bad_format", "application/json"),
        ("Aggregats?$format=json;odata.metadata=full", 406, "bad_format", "minimal metadata"),
        ("Aggregats?$format=json;", 406, "bad_format", "minimal metadata"),
        ("$metadata?$format=json", 406, "bad_format", "application/xml"),
        ("$metadata?$format=xml;odata.metadata=minimal", 406, "bad_format", "xml, or application/xml"),
        ("Zones/$count?$format=text;IEEE754Compatible=false", 406, "bad_format", "text, or text/plain"),
        ("Aggregats('x')", 404, "unknown_key", "Aggregats"),
        ("Aggregats('x')?$top=1", 400, "unknown_parameter", "$select"),
        ("Aggregats(x)", 400, "bad_key", "id='…'"),
        ("AggregatsHistorique('x')", 400, "bad_key", "publication='…',id='…'"),
        ("Siretiseur", 404, "unknown_set", "AggregatsHistorique"),
        ("Aggregats/effectif", 404, "not_supported", "$select"),
        ("Aggregats/$count?$top=1", 400, "unknown_parameter", "$filter"),
        ("a/b/c", 404, "unknown_path", "/api"),
    ] {
        let answer = send(&house, Method::GET, &format!("/odata/{}", path.replace(' ', "%20")), &MASHUP[..4]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json;odata.metadata=minimal;charset=utf-8", "{path}");
        assert_eq!(answer.headers.get_all("odata-version").iter().count(), 1, "{path}");
        let error = answer.json()["error"].clone();
        assert_eq!((&error["code"], &error["innererror"]["status"]), (&json!(code), &json!(status)), "{path}");
        assert!(error["message"].as_str().unwrap().contains(words), "{path}: {error}");
    }
    let page = send(&house, Method::GET, "/odata/Nowhere", &[("accept", "text/html")]).await;
    assert!(page.json()["error"]["message"].is_string(), "a program reads it, whoever asks");
    let old = send(&house, Method::GET, "/odata/", &[("odata-maxversion", "3.0")]).await;
    assert_eq!((old.status, &old.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_version")));
    let post = send(&house, Method::POST, "/odata/$batch", &[]).await;
    assert_eq!(
        (post.status, post.header("allow"), post.header("odata-version")),
        (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD", "4.0")
    );
}

#[test]
fn keys_are_read_from_addresses() {
    let (one, two) = (&super::AGGREGATES, &super::HISTORY);
    for (face, text, expected) in [
        (one, "'a')", Some(vec!["a"])),
        (one, "'d''Or')", Some(vec!["d'Or"])),
        (one, "id='a,b=c')", Some(vec!["a,b=c"])),
        (two, "publication='p',id='i')", Some(vec!["p", "i"])),
        (two, "id='i', publication='p')", Some(vec!["p", "i"])),
        (one, "'a'", None),
        (one, "'a'))", None),
        (one, "'a','b')", None),
        (one, "siren='a')", None),
        (one, "", None),
        (one, ")", None),
        (one, "'a)", None),
        (two, "'p','i')", None),
        (two, "publication='p')", None),
        (two, "publication='p',publication='p')", None),
    ] {
        let found = protocol::key(face, text).ok();
        assert_eq!(found, expected.map(|key| key.into_iter().map(str::to_owned).collect()), "{text}");
    }
}

/// The elements that CSDL 4.0 has and we use: what each stands in, and which attributes it has.
const CSDL: [(&str, &str, &[&str]); 9] = [
    ("edmx:Edmx", "", &["Version", "xmlns:edmx"]),
    ("edmx:DataServices", "edmx:Edmx", &[]),
    ("Schema", "edmx:DataServices", &["Namespace", "xmlns"]),
    ("EntityType", "Schema", &["Name"]),
    ("Key", "EntityType", &[]),
    ("PropertyRef", "Key", &["Name"]),
    ("Property", "EntityType", &["Name", "Type", "Nullable"]),
    ("EntityContainer", "Schema", &["Name"]),
    ("EntitySet", "EntityContainer", &["Name", "EntityType"]),
];

/// Type, and whether it may be null, by property, by set.
fn model(csdl: &str) -> BTreeMap<String, BTreeMap<String, (String, bool)>> {
    let mut reader = Reader::from_str(csdl);
    let (mut inside, mut types, mut sets) = (vec![String::new()], BTreeMap::new(), BTreeMap::new());
    let mut keys = BTreeSet::new();
    let mut current = String::new();
    loop {
        let event = reader.read_event().unwrap();
        let (element, opens) = match &event {
            Event::Start(element) => (element, true),
            Event::Empty(element) => (element, false),
            Event::End(_) => {
                inside.pop();
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        let name = element.name().as_ref().to_owned();
        let (_, parent, allowed) = CSDL.iter().find(|(known, _, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(inside.last().unwrap(), parent, "{name}");
        let attributes: BTreeMap<String, String> = element
            .attributes()
            .map(|a| a.unwrap())
            .map(|a| (a.key.as_ref().to_owned(), a.value.into_owned()))
            .collect();
        assert!(attributes.keys().all(|a| allowed.contains(&a.as_str())), "{name}: {attributes:?}");
        match name.as_str() {
            "EntityType" => current = attributes["Name"].clone(),
            "PropertyRef" => drop(keys.insert((current.clone(), attributes["Name"].clone()))),
            "Property" => {
                let nullable = attributes.get("Nullable").is_none_or(|nullable| nullable != "false");
                let of: &mut BTreeMap<_, _> = types.entry(current.clone()).or_default();
                let before = of.insert(attributes["Name"].clone(), (attributes["Type"].clone(), nullable));
                assert!(before.is_none(), "{attributes:?}");
            }
            "EntitySet" => drop(sets.insert(attributes["Name"].clone(), attributes["EntityType"].clone())),
            _ => {}
        }
        if opens {
            inside.push(name);
        }
    }
    for (entity, key) in keys {
        let (kind, nullable) = &types[&entity][&key];
        assert!(kind == "Edm.String" && !nullable, "the key {entity}.{key}");
    }
    let typed = |(set, entity): (String, String)| (set, types[entity.strip_prefix("arpent.").unwrap()].clone());
    sets.into_iter().map(typed).collect()
}

#[tokio::test]
async fn every_value_is_of_the_type_that_the_metadata_gives() {
    let shelf = Shelf::new();
    shelf.put(Release { id: ReleaseId::from_digest("feedfacefeedface"), ..release() });
    shelf.put(release());
    let house = house_of(&shelf);
    let csdl = get(&house, "/odata/$metadata").await.text();
    assert!(csdl.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>"), "{csdl}");
    for (set, columns) in model(&csdl) {
        let rows = rows(&house, &format!("/odata/{set}")).await;
        assert!(!rows.is_empty(), "{set}");
        for row in rows {
            let row = row.as_object().unwrap();
            assert!(row.len() == columns.len() && row.keys().all(|name| columns.contains_key(name)), "{set}");
            for (name, (kind, nullable)) in &columns {
                let value = &row[name];
                let fits = match kind.as_str() {
                    _ if value.is_null() => *nullable,
                    "Edm.String" => value.is_string(),
                    "Edm.Int32" | "Edm.Int64" => value.is_i64(),
                    "Edm.Double" => value.is_number(),
                    "Edm.Boolean" => value.is_boolean(),
                    "Edm.DateTimeOffset" => value.as_str().is_some_and(|text| text.len() == 20 && text.ends_with('Z')),
                    _ => false,
                };
                assert!(fits, "{set}.{name}: {value} is no {kind}");
            }
        }
    }
}

/// Another publication, made later.
fn later() -> Release {
    let updated = "2026-09-01T10:00:00.25+02:00".to_owned();
    let provenance = Provenance { updated, ..release().provenance };
    Release { id: ReleaseId::from_digest("fedcba9876543210"), provenance, ..release() }
}

#[tokio::test]
async fn publications_follow_each_other_and_an_incremental_refresh_reads_what_is_new() {
    let shelf = Shelf::new();
    let house = house_of(&shelf);
    assert_eq!(get(&house, "/odata/Aggregats").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&house, "/odata/").await.status, StatusCode::OK, "the base answers whatever is published");
    assert!(rows(&house, "/odata/AggregatsHistorique").await.is_empty());
    shelf.put(release());
    let first = send(&house, Method::GET, "/odata/Aggregats", &[("prefer", "odata.maxpagesize=10")]).await;
    let next = first.json()["@odata.nextLink"].as_str().unwrap().replace("https://emploi.example.fr", "");
    let past = send(&house, Method::GET, "/odata/AggregatsHistorique", &[("prefer", "maxpagesize=10")]).await;
    let next_of_past = past.json()["@odata.nextLink"].as_str().unwrap().replace("https://emploi.example.fr", "");
    let number = rows(&house, "/odata/Aggregats").await.len();
    shelf.put(later());

    let of = |rows: &[Value]| {
        rows.iter().map(|row| row["publication"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let (old, new) = ("0123456789abcdef".to_owned(), "fedcba9876543210".to_owned());
    assert_eq!(of(&rows(&house, "/odata/Aggregats").await), [new.clone()].into());
    assert_eq!(of(&rows(&house, &next).await), [old.clone()].into(), "pages go on with what they began with");
    assert_eq!(get(&house, &next_of_past).await.status, StatusCode::GONE, "this set is another one now");
    let all = rows(&house, "/odata/AggregatsHistorique").await;
    assert_eq!(all.len(), 2 * number);
    assert!(all[..number].iter().all(|row| row["publication"] == *old), "the oldest first");
    let window = |from: &str, to: &str| {
        format!("/odata/AggregatsHistorique?$filter=date_maj ge {from}T00:00:00Z and date_maj lt {to}T00:00:00Z")
    };
    for (from, to, expected) in [
        ("2026-03-01", "2026-09-01", vec![&old]),
        ("2026-09-01", "2026-09-02", vec![&new]),
        ("2026-03-02", "2026-09-01", vec![]),
        ("2026-01-01", "2027-01-01", vec![&old, &new]),
    ] {
        let expected: BTreeSet<String> = expected.into_iter().cloned().collect();
        assert_eq!(of(&rows(&house, &window(from, to)).await), expected, "{from} {to}");
    }
    let told = |rows: Vec<Value>| {
        let one =
            |row: &Value| (row["id"].clone(), row["statut"].clone(), row["actuelle"].clone(), row["motif"].clone());
        rows.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(
        told(rows(&house, "/odata/Publications").await),
        [
            (json!(old), json!("remplacee"), json!(false), Value::Null),
            (json!(new), json!("publiee"), json!(true), Value::Null)
        ]
    );
    assert_eq!(
        rows(&house, "/odata/Publications?$filter=actuelle").await[0]["derniere_mise_a_jour"],
        "2026-09-01T08:00:00Z"
    );

    shelf.fill(Stock {
        current: Some(later().into()),
        earlier: vec![release().into()],
        closed: vec!["abad1dea".to_owned()],
        ..Stock::default()
    });
    assert_eq!(
        get(&house, "/odata/AggregatsHistorique").await.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "not all is open"
    );
    assert_eq!(rows(&house, "/odata/Publications?$filter=id eq 'abad1dea'").await[0]["statut"], "remplacee");
    shelf.fill(Stock { current: Some(later().into()), earlier: vec![release().into()], ..Stock::default() });

    let (at, reason) = ("2026-10-01T09:00:00Z".to_owned(), "Une erreur".to_owned());
    shelf.take_back(TakenBack { release: new.clone(), at, reason });
    let gone = get(&house, "/odata/Aggregats").await;
    assert_eq!((gone.status, &gone.json()["error"]["innererror"]["reason"]), (StatusCode::GONE, &json!("Une erreur")));
    assert_eq!(of(&rows(&house, "/odata/AggregatsHistorique").await), [old.clone()].into());
    let tombstone = &rows(&house, "/odata/Publications?$filter=statut eq 'retiree'").await[0];
    assert_eq!(
        (&tombstone["id"], &tombstone["motif"], &tombstone["retiree_le"], &tombstone["source"]),
        (&json!(new), &json!("Une erreur"), &json!("2026-10-01T09:00:00Z"), &Value::Null)
    );
}
