//! CQL2: its text, the basic class and advanced comparisons (OGC 21-065r2).

use super::*;

/// A literal of the kind of a queryable, as the suite has it.
fn literal(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "'foo'",
        Kind::Bool => "true",
        Kind::Number => "1",
        Kind::DateTime => "TIMESTAMP('2022-04-14T14:48:46Z')",
    }
}

/// No zone is kept by both.
async fn are_apart(one: &str, other: &str) {
    let (left, right) = (kept(one).await, kept(other).await);
    assert!(left.iter().all(|code| !right.contains(code)), "{one}: {left:?}, {other}: {right:?}");
}

/// /conf/basic-cql2/basic-test: each queryable says its type.
#[tokio::test]
async fn conf_basic_cql2_basic_test() {
    for class in ["cql2-text", "basic-cql2", "advanced-comparison-operators"] {
        conforms_to(&format!("cql2/1.0/conf/{class}")).await;
    }
    for id in collections().await {
        let listed = json_of(&format!("/collections/{id}/queryables")).await["properties"].clone();
        let types: Vec<&str> = listed.as_object().unwrap().values().map(|q| q["type"].as_str().unwrap()).collect();
        assert!(types.contains(&"string") && types.contains(&"integer"), "{id}: {types:?}");
    }
}

/// /conf/basic-cql2/comparison, /conf/cql2-text/validate (every test here names the language)
#[tokio::test]
async fn conf_basic_cql2_comparison() {
    for (name, value) in QUERYABLES.map(|queryable| (queryable.name, literal(queryable.kind))) {
        for (one, other) in [("=", "<>"), (">", "<="), ("<", ">=")] {
            are_apart(&format!("{name} {one} {value}"), &format!("{name} {other} {value}")).await;
        }
    }
    for (filter, zones) in [
        ("code = 'S01'", vec!["S01"]),
        ("code <> 'S01' AND code < 'S03'", vec!["S02"]),
        ("code >= 'S05' OR code <= 'S01'", vec!["S01", "S05", "S06"]),
        ("NOT code > 'S01'", vec!["S01"]),
        ("libelle = 'Gare, \"nord\"'", vec!["S03"]),
        ("etablissements = 0", vec!["S06"]),
        ("millesime = 2024 AND naf = 'total' AND code = 'S02'", vec!["S02"]),
        ("derniere_mise_a_jour > DATE('2026-02-28') AND code = 'S02'", vec!["S02"]),
        ("perimetre <> '2025'", vec![]),
    ] {
        assert_eq!(kept(filter).await, zones, "{filter}");
    }
}

/// /conf/basic-cql2/is-null
#[tokio::test]
async fn conf_basic_cql2_is_null() {
    for name in PROPERTIES {
        are_apart(&format!("{name} IS NULL"), &format!("{name} is not null")).await;
    }
    assert_eq!(kept("notice IS NULL").await, Vec::<String>::new());
    assert_eq!(kept("(effectif > 0) IS NULL").await, kept("effectif_statut = 'secret'").await);
}

/// /conf/basic-cql2/boolean
#[tokio::test]
async fn conf_basic_cql2_boolean() {
    assert_eq!(kept("true").await, codes(&get(ITEMS).await));
    assert_eq!(kept("FALSE").await, Vec::<String>::new());
}

/// /conf/basic-cql2/logical, /conf/advanced-comparison-operators/logical: every four of some predicates, joined in both ways
/// that the suite has, keep what the sets of each say.
#[tokio::test]
async fn conf_basic_cql2_logical() {
    const KNOWN: [&str; 6] = [
        "code < 'S03'",
        "libelle LIKE '%a%'",
        "millesime = 2024",
        "code IN ('S01', 'S06')",
        "perimetre IS NULL",
        "millesime BETWEEN 2030 AND 2040",
    ];
    let all = codes(&get(ITEMS).await);
    let mut sets = Vec::new();
    for predicate in KNOWN {
        sets.push(kept(predicate).await);
    }
    for first in 0..KNOWN.len() {
        for (second, third, fourth) in [(1, 2, 3), (3, 0, 5), (5, 4, 2), (2, 3, 0)] {
            let [p1, p2, p3, p4] = [first, second, third, fourth].map(|at| KNOWN[at]);
            let holds = |at: usize, zone: &String| sets[at].contains(zone);
            let basic = format!("(NOT ({p2}) AND {p1}) OR ({p3} and {p4}) or not ({p1} OR {p4})");
            let expected: Vec<String> = all
                .iter()
                .filter(|zone| {
                    let [h1, h2, h3, h4] = [first, second, third, fourth].map(|at| holds(at, zone));
                    (!h2 && h1) || (h3 && h4) || !(h1 || h4)
                })
                .cloned()
                .collect();
            assert_eq!(kept(&basic).await, expected, "{basic}");
            let advanced = format!("((NOT {p1} AND {p2}) OR ({p3} and NOT {p4}) or not ({p1} AND {p4}))");
            let expected: Vec<String> = all
                .iter()
                .filter(|zone| {
                    let [h1, h2, h3, h4] = [first, second, third, fourth].map(|at| holds(at, zone));
                    [!h1 && h2, h3 && !h4, !(h1 && h4)].contains(&true)
                })
                .cloned()
                .collect();
            assert_eq!(kept(&advanced).await, expected, "{advanced}");
        }
    }
}

/// /conf/cql2-text/escaping
#[tokio::test]
async fn conf_cql2_text_escaping() {
    let all = codes(&get(ITEMS).await);
    for same in [r"'l\'eau' = 'l''eau'".to_owned(), "'\u{7}\u{8}\t\n\u{b}\u{c}\r' = '\\a\\b\\t\\n\\v\\f\\r'".to_owned()]
    {
        assert_eq!(kept(&same).await, all, "{same}");
    }
}

/// /conf/advanced-comparison-operators/like
#[tokio::test]
async fn conf_advanced_comparison_operators_like() {
    for name in QUERYABLES.iter().filter(|queryable| queryable.kind == Kind::Text).map(|queryable| queryable.name) {
        are_apart(&format!("{name} like '_%'"), &format!("{name} like ''")).await;
        assert_eq!(kept(&format!("{name} LIKE '%'")).await, kept(&format!("{name} like '%%'")).await, "{name}");
        assert_eq!(kept(&format!(r"{name} like '\%\_'")).await, Vec::<String>::new(), "{name}");
    }
    assert_eq!(kept("libelle LIKE 'C%'").await, ["S01"]);
    assert_eq!(kept("code NOT LIKE 'S0_'").await, Vec::<String>::new());
}

/// /conf/advanced-comparison-operators/between
#[tokio::test]
async fn conf_advanced_comparison_operators_between() {
    for name in QUERYABLES.iter().filter(|queryable| queryable.kind == Kind::Number).map(|queryable| queryable.name) {
        are_apart(&format!("{name} BETWEEN 0 AND 100"), &format!("{name} NOT BETWEEN 0 AND 100")).await;
        assert_eq!(kept(&format!("{name} between 100.0 and 1.0")).await, Vec::<String>::new(), "{name}");
    }
    assert_eq!(kept("effectif BETWEEN 0 AND 10").await, ["S06"]);
}

/// /conf/advanced-comparison-operators/in: the suite writes instants as texts here.
#[tokio::test]
async fn conf_advanced_comparison_operators_in() {
    for (name, kind) in QUERYABLES.map(|queryable| (queryable.name, queryable.kind)) {
        let list = match kind {
            Kind::Number => "(1, 2, 3)",
            Kind::Text => "('foo', 'bar')",
            Kind::Bool => "(true)",
            Kind::DateTime => "('2022-04-14T14:52:56Z', '2022-04-14T15:52:56Z')",
        };
        are_apart(&format!("{name} IN {list}"), &format!("{name} not in {list}")).await;
    }
    assert_eq!(kept("code IN ('S06', 'S01', 'S99')").await, ["S01", "S06"]);
    assert_eq!(kept("code = 'S01' AND derniere_mise_a_jour IN (DATE('2026-03-01'))").await, ["S01"]);
}
