//! The catalogue as harvesters meet it.

use crate::http::tests::{house, release, send};
use crate::http::{Shelf, Site, TakenBack, router};
use crate::model::ReleaseId;
use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

async fn graph(house: &Router) -> Vec<Value> {
    let answer = send(house, Method::GET, "/catalogue", &[]).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/ld+json"));
    answer.json()["@graph"].as_array().unwrap().clone()
}

fn find<'g>(graph: &'g [Value], name: &str) -> &'g Value {
    let address = format!("https://emploi.example.fr/catalogue#{name}");
    graph.iter().find(|node| node["@id"] == address.as_str()).unwrap_or_else(|| panic!("{name} is not there"))
}

fn shelf() -> (Shelf, Router) {
    let shelf = Shelf::new();
    let site = Site { public_url: Some("https://emploi.example.fr".into()) };
    (shelf.clone(), router(shelf, site))
}

#[tokio::test]
async fn each_zoning_is_a_dataset_whose_files_are_as_long_as_it_says() {
    let house = house();
    let graph = graph(&house).await;
    for (name, distributions) in [("secteurs", 9), ("tableaux", 4)] {
        let dataset = find(&graph, name);
        let all = dataset["dcat:distribution"].as_array().unwrap();
        assert_eq!(all.len(), distributions, "{name}");
        for distribution in all {
            let address = distribution["dcat:accessURL"]["@id"].as_str().unwrap();
            let path = address.strip_prefix("https://emploi.example.fr").unwrap();
            let answer = send(&house, Method::GET, path, &[]).await;
            assert_eq!(answer.status, StatusCode::OK, "{address}");
            if let Some(size) = distribution["dcat:byteSize"]["@value"].as_str() {
                assert_eq!(size, answer.body.len().to_string(), "{address}");
            }
            // Tiles are found by a list of them, which is JSON.
            if distribution["dct:title"]["@value"].as_str().unwrap().contains("tuiles") {
                continue;
            }
            let media = distribution["dcat:mediaType"]["@id"].as_str().unwrap();
            let told = answer.header("content-type").split(';').next().unwrap().to_owned();
            assert!(media.ends_with(&format!("/media-types/{told}")), "{media} is {told}");
            assert_eq!(distribution["dct:license"]["@id"], "https://www.etalab.gouv.fr/licence-ouverte-open-licence");
        }
    }
    for service in ["ogc-api-features", "ogc-api-tiles", "odata"] {
        let service = find(&graph, service);
        assert!(!service["dcat:servesDataset"].as_array().unwrap().is_empty());
        for relation in ["dcat:endpointURL", "dcat:endpointDescription"] {
            let address = service[relation]["@id"].as_str().unwrap();
            let path = address.strip_prefix("https://emploi.example.fr").unwrap();
            assert_eq!(send(&house, Method::GET, path, &[]).await.status, StatusCode::OK, "{address}");
        }
    }
    let dataset = find(&graph, "secteurs");
    assert_eq!(dataset["dct:temporal"]["dcat:startDate"]["@value"], "2023-12-31");
    assert_eq!(dataset["dct:temporal"]["dcat:endDate"]["@value"], "2024-12-31");
    assert_eq!(dataset["dct:spatial"]["dcat:bbox"]["@value"], "POLYGON((5 47.3,5.06 47.3,5.06 47.31,5 47.31,5 47.3))");
    assert_eq!(dataset["dct:publisher"]["foaf:name"]["@value"], "Urssaf et MSA");
}

#[tokio::test]
async fn what_was_replaced_says_so_and_what_was_taken_back_leaves_a_tombstone() {
    let (shelf, house) = shelf();
    let named = |name: &str| {
        let mut release = release();
        release.id = ReleaseId::from_digest(name);
        release
    };
    let empty = send(&house, Method::GET, "/catalogue", &[]).await;
    assert_eq!(empty.status, StatusCode::SERVICE_UNAVAILABLE);
    let mut tags = Vec::new();
    for name in ["aaaa", "bbbb", "cccc"] {
        shelf.put(named(name));
        tags.push(send(&house, Method::GET, "/catalogue", &[]).await.header("etag").to_owned());
    }
    let gone = |release: &str| TakenBack {
        release: named(release).id.to_string(),
        at: "2026-04-02T00:00:00Z".into(),
        reason: "Une erreur <b>de saisie</b>.".into(),
    };
    shelf.take_back(gone("cccc"));
    tags.push(send(&house, Method::GET, "/catalogue", &[]).await.header("etag").to_owned());
    tags.dedup();
    assert_eq!(tags.len(), 4, "each state has a name of its own");

    let id = |name: &str| format!("publication-{}", named(name).id);
    let graph = graph(&house).await;
    let catalogue = find(&graph, "catalogue");
    assert_eq!(catalogue["dcat:dataset"].as_array().unwrap().len(), 3, "nothing is current");
    assert!(find(&graph, &id("aaaa"))["adms:status"]["@id"].as_str().unwrap().ends_with("/DEPRECATED"));
    let tombstone = find(&graph, &id("cccc"));
    assert!(tombstone["adms:status"]["@id"].as_str().unwrap().ends_with("/WITHDRAWN"));
    assert_eq!(tombstone["prov:invalidatedAtTime"]["@value"], "2026-04-02T00:00:00Z");
    assert_eq!(tombstone["adms:versionNotes"], json!({"@language": "fr", "@value": "Une erreur <b>de saisie</b>."}));
    assert!(tombstone.get("dcat:distribution").is_none() && tombstone.get("dct:spatial").is_none());
    let page = send(&house, Method::GET, "/catalogue", &[("accept", "text/html")]).await;
    assert_eq!(page.status, StatusCode::OK);
    let page = page.text();
    for words in ["Publications retirées", "2 avril 2026", "Une erreur &lt;b&gt;de saisie", "Publications remplacées"]
    {
        assert!(page.contains(words), "{words}");
    }
}

#[tokio::test]
async fn pages_tell_search_engines_what_they_show() {
    let mut release = release();
    release.zonings[0].title = "Secteurs </script><script>alert(1)</script>".into();
    let (shelf, house) = shelf();
    shelf.put(release);
    for (path, datasets) in [("/collections/secteurs", 1), ("/collections/secteurs/items", 1), ("/catalogue", 1)] {
        let page = send(&house, Method::GET, path, &[("accept", "text/html")]).await.text();
        let start = "<script type=\"application/ld+json\">";
        let script = page.split(start).nth(1).unwrap().split("</script>").next().unwrap();
        let told: Value = serde_json::from_str(script).unwrap();
        let all = if told.is_array() { told.as_array().unwrap().clone() } else { vec![told] };
        assert_eq!(all.len(), datasets, "{path}");
        assert_eq!((&all[0]["@type"], &all[0]["identifier"]), (&json!("Dataset"), &json!("secteurs")));
        assert_eq!(all[0]["temporalCoverage"], "2023-12-31/2024-12-31");
        assert_eq!(all[0]["spatialCoverage"]["geo"]["box"], "47.3 5 47.31 5.06");
        assert_eq!(page.matches("<script").count(), 1, "{path}: no label opens another");
    }
}

#[tokio::test]
async fn a_format_is_asked_for_by_name_or_by_accept() {
    let house = house();
    for (query, accept, status, media) in [
        ("", "", 200, "application/ld+json"),
        ("", "application/ld+json", 200, "application/ld+json"),
        ("", "text/html;q=0.5, application/ld+json", 200, "application/ld+json"),
        ("", "text/html", 200, "text/html; charset=utf-8"),
        ("?f=jsonld", "text/html", 200, "application/ld+json"),
        ("?f=json", "", 200, "application/ld+json"),
        ("?f=html", "", 200, "text/html; charset=utf-8"),
        ("?f=rdf", "", 400, "application/problem+json"),
        ("?format=jsonld", "", 400, "application/problem+json"),
    ] {
        let answer = send(&house, Method::GET, &format!("/catalogue{query}"), &[("accept", accept)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, media), "{query} {accept}");
    }
    let answer = send(&house, Method::GET, "/catalogue", &[]).await;
    let again = send(&house, Method::GET, "/catalogue", &[("if-none-match", answer.header("etag"))]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}
