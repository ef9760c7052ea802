//! CQL2 by its test dataset (OGC 21-065r2, annex A): rows of Natural Earth, and how many of them each predicate keeps.
//!
//! The service has no such layers, so that filters are asked and not the service: it reads and weighs each by the same
//! parser and evaluator.

use crate::http::filter::{Filter, Kind, Queryable, Row, Value, cql2};

/// A layer: its columns, and its rows as text, a missing value as the empty one.
struct Layer(&'static [Queryable], &'static str);

const COUNTRIES: Layer = Layer(
    &[Queryable { name: "NAME", kind: Kind::Text }, Queryable { name: "POP_EST", kind: Kind::Number }],
    include_str!("natural_earth/countries.csv"),
);

const PLACES: Layer = Layer(
    &[
        Queryable { name: "name", kind: Kind::Text },
        Queryable { name: "pop_other", kind: Kind::Number },
        Queryable { name: "date", kind: Kind::DateTime },
        Queryable { name: "start", kind: Kind::DateTime },
        Queryable { name: "boolean", kind: Kind::Bool },
    ],
    include_str!("natural_earth/places.csv"),
);

/// A row, each value beside its kind.
struct Place<'l>(&'l [Queryable], csv::StringRecord);

impl Row for Place<'_> {
    fn value(&self, column: usize) -> Value<'_> {
        let text = &self.1[column];
        match self.0[column].kind {
            _ if text.is_empty() => Value::Null,
            Kind::Text => Value::Text(text),
            Kind::Number => Value::Number(text.parse().unwrap()),
            Kind::Bool => Value::Bool(text == "1"),
            Kind::DateTime if text.len() == 10 => Value::DateTime(format!("{text}T00:00:00Z").parse().unwrap()),
            Kind::DateTime => Value::DateTime(format!("{text}Z").parse().unwrap()),
        }
    }
}

/// How many rows of a layer a filter keeps.
fn kept(layer: &Layer, text: &str) -> usize {
    let filter: Filter = cql2::parse(text, layer.0).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let mut reader = csv::Reader::from_reader(layer.1.as_bytes());
    reader.records().filter(|row| filter.keeps(&Place(layer.0, row.as_ref().unwrap().clone()))).count()
}

/// /conf/basic-cql2/test-data
#[test]
fn conf_basic_cql2_test_data() {
    for (layer, predicate, expected) in BASIC {
        assert_eq!(kept(&layer, predicate), expected, "{predicate}");
    }
}

/// /conf/basic-cql2/logical: the combinations whose rows the suite counts.
#[test]
fn conf_basic_cql2_test_data_logical() {
    for ([p1, p2, p3, p4], expected) in COMBINATIONS {
        let filter = format!("(NOT ({p2}) AND {p1}) OR ({p3} and {p4}) or not ({p1} OR {p4})");
        assert_eq!(kept(&PLACES, &filter), expected, "{filter}");
    }
}

/// /conf/advanced-comparison-operators/test-data
#[test]
fn conf_advanced_comparison_operators_test_data() {
    for (layer, predicate, expected) in ADVANCED {
        assert_eq!(kept(&layer, predicate), expected, "{predicate}");
    }
}

const BASIC: [(Layer, &str, usize); 48] = [
    (COUNTRIES, "NAME='Luxembourg'", 1),
    (COUNTRIES, "NAME>='Luxembourg'", 84),
    (COUNTRIES, "NAME>'Luxembourg'", 83),
    (COUNTRIES, "NAME<='Luxembourg'", 94),
    (COUNTRIES, "NAME<'Luxembourg'", 93),
    (COUNTRIES, "NAME<>'Luxembourg'", 176),
    (COUNTRIES, "POP_EST=37589262", 1),
    (COUNTRIES, "POP_EST>=37589262", 39),
    (COUNTRIES, "POP_EST>37589262", 38),
    (COUNTRIES, "POP_EST<=37589262", 139),
    (COUNTRIES, "POP_EST<37589262", 138),
    (COUNTRIES, "POP_EST<>37589262", 176),
    (PLACES, "name IS NOT NULL", 243),
    (PLACES, "name IS NULL", 0),
    (PLACES, "name='København'", 1),
    (PLACES, "name>='København'", 137),
    (PLACES, "name>'København'", 136),
    (PLACES, "name<='København'", 107),
    (PLACES, "name<'København'", 106),
    (PLACES, "name<>'København'", 242),
    (PLACES, "pop_other IS NOT NULL", 243),
    (PLACES, "pop_other IS NULL", 0),
    (PLACES, "pop_other=1038288", 1),
    (PLACES, "pop_other>=1038288", 123),
    (PLACES, "pop_other>1038288", 122),
    (PLACES, "pop_other<=1038288", 121),
    (PLACES, "pop_other<1038288", 120),
    (PLACES, "pop_other<>1038288", 242),
    (PLACES, r#""date" IS NOT NULL"#, 3),
    (PLACES, r#""date" IS NULL"#, 240),
    (PLACES, r#""date"=DATE('2022-04-16')"#, 1),
    (PLACES, r#""date">=DATE('2022-04-16')"#, 2),
    (PLACES, r#""date">DATE('2022-04-16')"#, 1),
    (PLACES, r#""date"<=DATE('2022-04-16')"#, 2),
    (PLACES, r#""date"<DATE('2022-04-16')"#, 1),
    (PLACES, r#""date"<>DATE('2022-04-16')"#, 2),
    (PLACES, "start IS NOT NULL", 3),
    (PLACES, "start IS NULL", 240),
    (PLACES, "start=TIMESTAMP('2022-04-16T10:13:19Z')", 1),
    (PLACES, "start<=TIMESTAMP('2022-04-16T10:13:19Z')", 2),
    (PLACES, "start<TIMESTAMP('2022-04-16T10:13:19Z')", 1),
    (PLACES, "start>=TIMESTAMP('2022-04-16T10:13:19Z')", 2),
    (PLACES, "start>TIMESTAMP('2022-04-16T10:13:19Z')", 1),
    (PLACES, "start<>TIMESTAMP('2022-04-16T10:13:19Z')", 2),
    (PLACES, "boolean IS NOT NULL", 3),
    (PLACES, "boolean IS NULL", 240),
    (PLACES, "boolean=true", 2),
    (PLACES, "boolean=false", 1),
];

const ADVANCED: [(Layer, &str, usize); 14] = [
    (PLACES, "name LIKE 'B_r%'", 3),
    (PLACES, "name NOT LIKE 'B_r%'", 240),
    (PLACES, "pop_other between 1000000 and 3000000", 75),
    (PLACES, "pop_other not between 1000000 and 3000000", 168),
    (PLACES, "name IN ('Kiev','kobenhavn','Berlin','athens','foo')", 2),
    (PLACES, "name NOT IN ('Kiev','kobenhavn','Berlin','athens','foo')", 241),
    (PLACES, "pop_other in (1038288,1611692,3013258,3013257,3013259)", 3),
    (PLACES, "pop_other not in (1038288,1611692,3013258,3013257,3013259)", 240),
    (PLACES, r#""date" in (DATE('2021-04-16'),DATE('2022-04-16'),DATE('2022-04-18'))"#, 2),
    (PLACES, r#""date" not in (DATE('2021-04-16'),DATE('2022-04-16'),DATE('2022-04-18'))"#, 1),
    (PLACES, "start in (TIMESTAMP('2022-04-16T10:13:19Z'))", 1),
    (PLACES, "start not in (TIMESTAMP('2022-04-16T10:13:19Z'))", 2),
    (PLACES, "boolean in (true)", 2),
    (PLACES, "boolean not in (false)", 2),
];

const COMBINATIONS: [([&str; 4], usize); 77] = [
    (["pop_other<>1038288", "name<>'København'", "pop_other IS NULL", "name<'København'"], 1),
    (["pop_other<>1038288", "name>'København'", "name<='København'", "boolean=true"], 107),
    (["start IS NULL", "pop_other IS NOT NULL", "pop_other IS NOT NULL", "pop_other>1038288"], 124),
    (["pop_other<1038288", "pop_other>1038288", "pop_other IS NULL", "start<TIMESTAMP('2022-04-16T10:13:19Z')"], 121),
    (
        [
            "start=TIMESTAMP('2022-04-16T10:13:19Z')",
            "pop_other<1038288",
            "start=TIMESTAMP('2022-04-16T10:13:19Z')",
            "name<>'København'",
        ],
        2,
    ),
    (["start<=TIMESTAMP('2022-04-16T10:13:19Z')", "name<>'København'", "boolean=true", "name<'København'"], 2),
    (["pop_other=1038288", "start IS NULL", "start<>TIMESTAMP('2022-04-16T10:13:19Z')", "boolean IS NOT NULL"], 242),
    (["start IS NULL", "pop_other>1038288", "start IS NOT NULL", "name>'København'"], 122),
    (["pop_other<1038288", "name<>'København'", "name='København'", "start<TIMESTAMP('2022-04-16T10:13:19Z')"], 2),
    (["start>=TIMESTAMP('2022-04-16T10:13:19Z')", "name IS NOT NULL", "start IS NULL", "pop_other<1038288"], 120),
    (["name>='København'", "start IS NOT NULL", "boolean=true", "start>=TIMESTAMP('2022-04-16T10:13:19Z')"], 137),
    (["start IS NOT NULL", "name>='København'", "start IS NOT NULL", "name IS NOT NULL"], 3),
    (["name IS NULL", "name<'København'", "pop_other IS NOT NULL", "boolean IS NOT NULL"], 243),
    (["start>=TIMESTAMP('2022-04-16T10:13:19Z')", "name>'København'", "pop_other=1038288", "name<'København'"], 3),
    (["start<TIMESTAMP('2022-04-16T10:13:19Z')", "name<='København'", "boolean IS NULL", "name>'København'"], 138),
    (["pop_other IS NOT NULL", "start IS NULL", "pop_other>=1038288", "name>'København'"], 62),
    (["name='København'", "start=TIMESTAMP('2022-04-16T10:13:19Z')", "boolean=true", "pop_other IS NULL"], 243),
    (["name>'København'", "pop_other<1038288", "pop_other>1038288", "name<='København'"], 122),
    (["pop_other<>1038288", "name='København'", "name<='København'", "start>TIMESTAMP('2022-04-16T10:13:19Z')"], 243),
    (
        [
            "start<TIMESTAMP('2022-04-16T10:13:19Z')",
            "start>=TIMESTAMP('2022-04-16T10:13:19Z')",
            "pop_other=1038288",
            "start IS NULL",
        ],
        3,
    ),
    (["name<>'København'", "boolean=true", "start=TIMESTAMP('2022-04-16T10:13:19Z')", "start IS NULL"], 2),
    (
        [
            "name IS NULL",
            "start<>TIMESTAMP('2022-04-16T10:13:19Z')",
            "start<TIMESTAMP('2022-04-16T10:13:19Z')",
            "name IS NULL",
        ],
        243,
    ),
    (
        [
            "start<>TIMESTAMP('2022-04-16T10:13:19Z')",
            "name>'København'",
            "start<=TIMESTAMP('2022-04-16T10:13:19Z')",
            "name IS NOT NULL",
        ],
        3,
    ),
    (["name<>'København'", "pop_other<>1038288", "pop_other<1038288", "start>=TIMESTAMP('2022-04-16T10:13:19Z')"], 2),
    (["boolean IS NULL", "pop_other>1038288", "boolean IS NOT NULL", "pop_other IS NULL"], 122),
    (["pop_other=1038288", "start IS NULL", "start>TIMESTAMP('2022-04-16T10:13:19Z')", "pop_other IS NOT NULL"], 2),
    (["pop_other<>1038288", "start IS NULL", "pop_other>1038288", "boolean=true"], 2),
    (["start>TIMESTAMP('2022-04-16T10:13:19Z')", "pop_other<1038288", "name<='København'", "pop_other=1038288"], 2),
    (
        [
            "start>=TIMESTAMP('2022-04-16T10:13:19Z')",
            "start<=TIMESTAMP('2022-04-16T10:13:19Z')",
            "name<='København'",
            "name<>'København'",
        ],
        107,
    ),
    (["boolean=true", "name IS NOT NULL", "boolean IS NULL", "pop_other=1038288"], 1),
    (["start=TIMESTAMP('2022-04-16T10:13:19Z')", "pop_other=1038288", "pop_other<1038288", "name<>'København'"], 122),
    (
        [
            "pop_other<>1038288",
            "start<=TIMESTAMP('2022-04-16T10:13:19Z')",
            "start IS NOT NULL",
            "start=TIMESTAMP('2022-04-16T10:13:19Z')",
        ],
        3,
    ),
    (["name<>'København'", "pop_other<>1038288", "pop_other IS NOT NULL", "name IS NOT NULL"], 243),
    (["name='København'", "pop_other<1038288", "start IS NOT NULL", "pop_other<>1038288"], 3),
    (
        [
            "name<'København'",
            "start<>TIMESTAMP('2022-04-16T10:13:19Z')",
            "start>TIMESTAMP('2022-04-16T10:13:19Z')",
            "start=TIMESTAMP('2022-04-16T10:13:19Z')",
        ],
        2,
    ),
    (["boolean=true", "pop_other<1038288", "name IS NOT NULL", "start<=TIMESTAMP('2022-04-16T10:13:19Z')"], 3),
    (["pop_other<=1038288", "name<'København'", "pop_other<1038288", "pop_other<1038288"], 243),
    (["pop_other IS NULL", "name<='København'", "name='København'", "start>TIMESTAMP('2022-04-16T10:13:19Z')"], 2),
    (["pop_other<1038288", "name<>'København'", "pop_other<>1038288", "name<>'København'"], 243),
    (
        [
            "start<=TIMESTAMP('2022-04-16T10:13:19Z')",
            "pop_other IS NULL",
            "start<TIMESTAMP('2022-04-16T10:13:19Z')",
            "name IS NOT NULL",
        ],
        2,
    ),
    (["start<>TIMESTAMP('2022-04-16T10:13:19Z')", "name='København'", "boolean IS NULL", "pop_other<>1038288"], 241),
    (["boolean=true", "pop_other<=1038288", "name<>'København'", "pop_other IS NULL"], 2),
    (["name IS NOT NULL", "pop_other<=1038288", "start IS NOT NULL", "boolean IS NOT NULL"], 124),
    (["pop_other<=1038288", "pop_other<1038288", "start>TIMESTAMP('2022-04-16T10:13:19Z')", "pop_other>1038288"], 1),
    (["start IS NOT NULL", "boolean IS NOT NULL", "name>='København'", "pop_other IS NOT NULL"], 137),
    (["start<>TIMESTAMP('2022-04-16T10:13:19Z')", "start IS NOT NULL", "pop_other>1038288", "pop_other<1038288"], 1),
    (["pop_other<=1038288", "name<='København'", "boolean IS NULL", "start IS NOT NULL"], 198),
    (["name>='København'", "name>='København'", "name<='København'", "name>='København'"], 107),
    (["boolean=true", "start<TIMESTAMP('2022-04-16T10:13:19Z')", "boolean IS NOT NULL", "name<'København'"], 2),
    (
        [
            "start>TIMESTAMP('2022-04-16T10:13:19Z')",
            "start>=TIMESTAMP('2022-04-16T10:13:19Z')",
            "pop_other IS NULL",
            "pop_other<=1038288",
        ],
        1,
    ),
    (["pop_other<1038288", "name='København'", "start>=TIMESTAMP('2022-04-16T10:13:19Z')", "name<'København'"], 181),
    (["pop_other<1038288", "pop_other<=1038288", "pop_other IS NULL", "start IS NOT NULL"], 121),
    (["name>='København'", "pop_other>=1038288", "boolean=true", "name IS NOT NULL"], 79),
    (["boolean IS NULL", "name<>'København'", "boolean IS NULL", "pop_other IS NOT NULL"], 240),
    (["pop_other<1038288", "start>=TIMESTAMP('2022-04-16T10:13:19Z')", "name>'København'", "pop_other<=1038288"], 199),
    (["name<='København'", "start>TIMESTAMP('2022-04-16T10:13:19Z')", "name<'København'", "boolean IS NULL"], 106),
    (["pop_other IS NOT NULL", "name<>'København'", "pop_other<1038288", "pop_other<=1038288"], 121),
    (["name>='København'", "start IS NOT NULL", "name>='København'", "name IS NOT NULL"], 137),
    (["pop_other<1038288", "start<TIMESTAMP('2022-04-16T10:13:19Z')", "name IS NULL", "pop_other>=1038288"], 1),
    (["pop_other>=1038288", "name>'København'", "boolean IS NOT NULL", "start IS NOT NULL"], 184),
    (["start IS NOT NULL", "name<>'København'", "name<='København'", "name IS NULL"], 241),
    (["name>='København'", "pop_other<>1038288", "start=TIMESTAMP('2022-04-16T10:13:19Z')", "name<>'København'"], 2),
    (["boolean IS NOT NULL", "pop_other<=1038288", "pop_other=1038288", "start=TIMESTAMP('2022-04-16T10:13:19Z')"], 1),
    (["name IS NOT NULL", "start IS NOT NULL", "start IS NOT NULL", "name>='København'"], 241),
    (["pop_other=1038288", "pop_other IS NOT NULL", "start IS NOT NULL", "name<>'København'"], 2),
    (["start=TIMESTAMP('2022-04-16T10:13:19Z')", "start IS NULL", "pop_other>1038288", "pop_other<=1038288"], 1),
    (["name IS NULL", "start IS NOT NULL", "start=TIMESTAMP('2022-04-16T10:13:19Z')", "name IS NOT NULL"], 1),
    (["boolean IS NOT NULL", "name='København'", "boolean IS NOT NULL", "name IS NOT NULL"], 3),
    (["pop_other<>1038288", "pop_other<>1038288", "pop_other=1038288", "pop_other<=1038288"], 1),
    (
        [
            "pop_other IS NULL",
            "start<>TIMESTAMP('2022-04-16T10:13:19Z')",
            "start>TIMESTAMP('2022-04-16T10:13:19Z')",
            "boolean IS NOT NULL",
        ],
        241,
    ),
    (
        [
            "start<TIMESTAMP('2022-04-16T10:13:19Z')",
            "boolean IS NULL",
            "start>TIMESTAMP('2022-04-16T10:13:19Z')",
            "name<'København'",
        ],
        2,
    ),
    (["pop_other>1038288", "pop_other<>1038288", "start<>TIMESTAMP('2022-04-16T10:13:19Z')", "name<>'København'"], 2),
    (
        [
            "start>=TIMESTAMP('2022-04-16T10:13:19Z')",
            "start=TIMESTAMP('2022-04-16T10:13:19Z')",
            "pop_other=1038288",
            "name IS NOT NULL",
        ],
        2,
    ),
    (
        ["pop_other<=1038288", "start IS NOT NULL", "start<=TIMESTAMP('2022-04-16T10:13:19Z')", "boolean IS NOT NULL"],
        242,
    ),
    (["boolean=true", "start>TIMESTAMP('2022-04-16T10:13:19Z')", "pop_other<1038288", "pop_other<>1038288"], 122),
    (["pop_other>=1038288", "pop_other>1038288", "boolean IS NULL", "pop_other=1038288"], 121),
    (["name<'København'", "pop_other>1038288", "start=TIMESTAMP('2022-04-16T10:13:19Z')", "boolean=true"], 44),
];
