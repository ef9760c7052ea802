//! Part 3: queryables and filters (OGC 19-079r2).

use super::*;

/// /conf/queryables/get-conformance, /conf/filter/get-conformance, /conf/features-filter/get-conformance
#[tokio::test]
async fn conf_queryables_get_conformance() {
    for class in ["queryables", "filter", "features-filter"] {
        conforms_to(&format!("ogcapi-features-3/1.0/conf/{class}")).await;
    }
}

/// /conf/queryables/get-queryables-uris, /conf/features-filter/get-collections, /conf/features-filter/get-collection
#[tokio::test]
async fn conf_queryables_get_queryables_uris() {
    for id in collections().await {
        let uri = format!("{BASE}/collections/{id}/queryables");
        let described = json_of(&format!("/collections/{id}")).await;
        assert_eq!(linked(&described, QUERYABLES_REL), Some(format!("/collections/{id}/queryables")));
        for path in [format!("/collections/{id}"), format!("/collections/{id}/items")] {
            let head = send(&library(), Method::HEAD, &path, &[]).await;
            let links: Vec<&str> = head.headers.get_all("link").iter().map(|l| l.to_str().unwrap()).collect();
            let named = format!("<{uri}>; rel=\"{QUERYABLES_REL}\"");
            assert!(links.iter().any(|link| link.starts_with(&named)), "{path}: {links:?}");
        }
    }
}

/// /conf/queryables/get-queryables
#[tokio::test]
async fn conf_queryables_get_queryables() {
    assert_eq!(QUERYABLES.map(|queryable| queryable.name), PROPERTIES);
    for id in collections().await {
        let answer = get(&format!("/collections/{id}/queryables")).await;
        assert_eq!(answer.header("content-type"), "application/schema+json");
        let schema = answer.json();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("{BASE}/collections/{id}/queryables"));
        assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
        let properties = schema["properties"].as_object().unwrap();
        for (name, kind) in QUERYABLES.map(|queryable| (queryable.name, queryable.kind)) {
            let (told, format) = match kind {
                Kind::Number => ("integer", Value::Null),
                Kind::DateTime => ("string", json!("date-time")),
                Kind::Text | Kind::Bool => ("string", Value::Null),
            };
            assert_eq!(
                (&properties[name]["type"], &properties[name]["format"]),
                (&json!(told), &format),
                "{id} {name}"
            );
        }
        assert_eq!(properties.len(), PROPERTIES.len(), "{id}");
        jsonschema::validator_for(&schema).unwrap();
    }
}

/// /conf/filter/filter-param, /conf/filter/filter-lang-default: a valid filter and an invalid one, the language named or not.
#[tokio::test]
async fn conf_filter_filter_param() {
    for (name, value) in [("filter", "string"), ("filter-lang", "string")] {
        assert_eq!(parameter(name).await["schema"]["type"], value, "{name}");
    }
    assert_eq!(parameter("filter-lang").await["schema"]["enum"], json!(["cql2-text"]));
    assert_eq!(parameter("filter-crs").await["in"], "query");
    let all = codes(&get(ITEMS).await);
    for language in ["", "filter-lang=cql2-text&"] {
        for queryable in PROPERTIES {
            let [null, other] = ["IS NULL", "IS NOT NULL"].map(|is| encode(&format!("{queryable} {is}"), ""));
            let mut sides = codes(&get(&format!("{ITEMS}?{language}filter={null}")).await);
            sides.extend(codes(&get(&format!("{ITEMS}?{language}filter={other}")).await));
            sides.sort();
            assert_eq!(sides, all, "{queryable}: each zone is on one side");
        }
        let refused = get(&format!("{ITEMS}?{language}filter=THIS%20IS%20NOT%20A%20FILTER")).await;
        is_refused(&refused, language);
    }
    is_refused(&get(&format!("{ITEMS}?filter-lang=cql2-json&filter=true")).await, "cql2-json");
}

/// /conf/filter/expression-construction: what is no queryable is refused, and the answer names those there are.
#[tokio::test]
async fn conf_filter_expression_construction() {
    for filter in [
        "this_is_not_a_queryable IS NULL",
        "effectif>",
        "emplois>1",
        "libelle>1",
        "code='S01",
        "effectif>1)",
        "S_INTERSECTS(geometry,POINT(5 47))",
    ] {
        let answer = get(&format!("{ITEMS}?filter={}", encode(filter, ""))).await;
        is_refused(&answer, filter);
        assert!(answer.json()["place"].as_str().unwrap().contains("`filter`"), "{filter}");
    }
    let told = get(&format!("{ITEMS}?filter=emplois%3E1")).await.json()["detail"].as_str().unwrap().to_owned();
    assert!(told.contains("emplois") && told.contains("effectif") && told.contains("libelle"), "{told}");
}

/// /conf/features-filter/filter-on-items, /conf/features-filter/mixing-expression
#[tokio::test]
async fn conf_features_filter_mixing_expression() {
    let filter = "filter=code%20%3E%20%27S01%27";
    assert_eq!(codes(&get(&format!("{ITEMS}?{filter}")).await), ["S02", "S03", "S04", "S05", "S06"]);
    assert_eq!(codes(&get(&format!("{ITEMS}?{filter}&bbox=5.001,47.301,5.012,47.302")).await), ["S02"]);
    assert_eq!(codes(&get(&format!("{ITEMS}?{filter}&limit=2&offset=1")).await), ["S03", "S04"]);
    let page = json_of(&format!("{ITEMS}?{filter}&limit=2")).await;
    assert_eq!((&page["numberMatched"], linked(&page, "next").unwrap().contains(filter)), (&json!(5), true));
    assert_eq!(codes(&get(&format!("{ITEMS}?{filter}&datetime=2030-01-01/..")).await), Vec::<String>::new());
}

/// A withheld figure is unknown to every comparison and to its opposite, whichever rule withholds it.
#[tokio::test]
async fn a_filter_tells_nothing_of_what_is_withheld() {
    let page = json_of(ITEMS).await;
    let (withheld, shown): (Vec<&Value>, Vec<&Value>) =
        page["features"].as_array().unwrap().iter().partition(|f| f["properties"]["effectif"].is_null());
    let codes = |features: Vec<&Value>| -> Vec<String> {
        features.iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect()
    };
    let (withheld, shown) = (codes(withheld), codes(shown));
    assert!(withheld.len() >= 2 && !shown.is_empty());
    for figure in ["effectif", "etablissements"] {
        for bound in [-1, 0, 2, 5, 1000, 5000, 1_000_000] {
            for condition in [
                format!("{figure} >= {bound}"),
                format!("{figure} = {bound}"),
                format!("{figure} IN ({bound}, 3)"),
                format!("{figure} BETWEEN 0 AND {bound}"),
            ] {
                let (mut sides, opposite) = (kept(&condition).await, kept(&format!("NOT ({condition})")).await);
                assert!(sides.iter().chain(&opposite).all(|code| !withheld.contains(code)), "{condition}");
                sides.extend(opposite);
                sides.sort();
                assert_eq!(sides, shown, "{condition}");
            }
        }
        assert_eq!(kept(&format!("{figure} IS NULL")).await, withheld);
        assert_eq!(kept(&format!("{figure}_statut = 'secret'")).await, withheld);
    }
}
