//! Filters as those who write them mean them; each language says again what it was told.

use super::*;
use proptest::prelude::*;

const QUERYABLES: [Queryable; 4] = [
    Queryable { name: "zone", kind: Kind::Text },
    Queryable { name: "effectif", kind: Kind::Number },
    Queryable { name: "date_maj", kind: Kind::DateTime },
    Queryable { name: "actuelle", kind: Kind::Bool },
];

type Parser = fn(&str, &[Queryable]) -> Result<Filter, Fault>;

/// A zone, its headcount unless it is withheld, and the year of its date.
struct Zone(&'static str, Option<f64>, i32);

impl Row for Zone {
    fn value(&self, column: usize) -> Value<'_> {
        match column {
            0 => Value::Text(self.0),
            1 => self.1.map_or(Value::Null, Value::Number),
            2 => Value::DateTime(format!("{}-03-01T00:00:00Z", self.2).parse().unwrap()),
            _ => Value::Bool(self.2 == 2026),
        }
    }
}

/// The codes of the zones that a filter keeps.
fn kept(parse: Parser, text: &str) -> String {
    let zones = [
        Zone("S01", Some(120.0), 2025),
        Zone("S02", None, 2026),
        Zone("S'3", Some(0.0), 2026),
        Zone("T_4", None, 2025),
    ];
    let filter = parse(text, &QUERYABLES).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    zones.iter().filter(|zone| filter.keeps(*zone)).map(|zone| zone.0).collect::<Vec<_>>().join(" ")
}

#[test]
fn odata_filters_keep_what_they_say() {
    for (text, expected) in [
        ("effectif gt 100", "S01"),
        ("effectif le 120.0", "S01 S'3"),
        ("effectif eq 0", "S'3"),
        // Null equals itself alone, and has no order.
        ("effectif eq null", "S02 T_4"),
        ("effectif ne null", "S01 S'3"),
        ("null ne effectif", "S01 S'3"),
        ("effectif ne 120", "S02 S'3 T_4"),
        ("not (effectif eq 120)", "S02 S'3 T_4"),
        ("not (effectif gt 100)", "S'3"),
        ("not (effectif in (120))", "S02 S'3 T_4"),
        ("effectif gt 100 or zone eq 'S02'", "S01 S02"),
        ("effectif gt 100 and zone eq 'S02'", ""),
        ("not (effectif gt 100 and zone eq 'S02')", "S01 S'3 T_4"),
        // `and` binds closer than `or`.
        ("zone eq 'S01' or zone eq 'S02' and effectif eq 1", "S01"),
        ("(zone eq 'S01' or zone eq 'S02') and date_maj ge 2026-01-01T00:00:00Z", "S02"),
        ("zone eq 'S''3'", "S'3"),
        ("zone in ('S01', 'T_4','?')", "S01 T_4"),
        ("contains(zone,'0')", "S01 S02"),
        ("startswith(zone,'S') and not endswith(zone,'2')", "S01 S'3"),
        ("date_maj ge 2025-06-01 and date_maj lt 2026-03-01T01:00:00+01:00", ""),
        ("date_maj ge 2025-06-01 and date_maj le 2026-03-01T01:00:00+01:00", "S02 S'3"),
        ("actuelle", "S02 S'3"),
        ("not actuelle", "S01 T_4"),
        ("actuelle eq false", "S01 T_4"),
        ("((effectif) ge ((100)))", "S01"),
        ("1 eq 1", "S01 S02 S'3 T_4"),
    ] {
        assert_eq!(kept(odata::parse, text), expected, "{text}");
    }
}

#[test]
fn cql2_filters_keep_what_they_say() {
    for (text, expected) in [
        ("effectif > 100", "S01"),
        ("effectif<=120", "S01 S'3"),
        ("100 < effectif", "S01"),
        ("effectif IS NULL", "S02 T_4"),
        ("effectif is not null", "S01 S'3"),
        // A comparison with null is unknown, and so is its opposite.
        ("effectif <> 120", "S'3"),
        ("NOT effectif = 120", "S'3"),
        ("effectif NOT IN (120)", "S'3"),
        ("effectif NOT BETWEEN 1 AND 200", "S'3"),
        ("NOT (effectif = 120 AND zone = 'S02')", "S01 S'3 T_4"),
        ("effectif BETWEEN 0 AND 120", "S01 S'3"),
        ("\"zone\" = 'S''3'", "S'3"),
        ("zone LIKE 'S%'", "S01 S02 S'3"),
        ("zone LIKE '_0_' AND zone NOT LIKE '%1'", "S02"),
        ("zone LIKE 'T\\_4' OR zone LIKE 'S\\_1'", "T_4"),
        // A backslash before a quote, and control characters (/req/cql2-text/escaping).
        ("zone = 'S\\'3'", "S'3"),
        ("zone LIKE '%\\'%'", "S'3"),
        ("zone = 'S01\\n' OR zone <> 'S\\\\'", "S01 S02 S'3 T_4"),
        ("'a\tb' = 'a\\tb' AND '\u{7}\u{8}\u{b}\u{c}\r' = '\\a\\b\\v\\f\\r'", "S01 S02 S'3 T_4"),
        ("'S%' LIKE 'S\\%' AND NOT 'S0' LIKE 'S\\%'", "S01 S02 S'3 T_4"),
        ("'\\\\' LIKE '\\\\'", "S01 S02 S'3 T_4"),
        ("effectif > +1.2E2 OR effectif = .0 OR effectif = 7.", "S'3"),
        ("(effectif > 100) IS NULL", "S02 T_4"),
        ("NOT (effectif > 100) IS NULL AND (effectif IS NULL) IS NOT NULL", "S01 S'3"),
        ("true", "S01 S02 S'3 T_4"),
        ("FALSE OR actuelle", "S02 S'3"),
        ("date_maj IN ('2026-03-01T00:00:00Z', TIMESTAMP('2020-01-01T00:00:00Z'))", "S02 S'3"),
        ("zone IN ('S01','T_4')", "S01 T_4"),
        ("date_maj >= DATE('2026-01-01')", "S02 S'3"),
        ("date_maj < TIMESTAMP('2026-03-01T00:00:00Z')", "S01 T_4"),
        ("actuelle = TRUE", "S02 S'3"),
        ("NOT actuelle", "S01 T_4"),
        ("zone='S01' or zone='S02' and effectif=1", "S01"),
    ] {
        assert_eq!(kept(cql2::parse, text), expected, "{text}");
    }
}

#[test]
fn a_refusal_says_where_what_and_what_else() {
    let deep = format!("{}1 eq 1{}", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1));
    let long = format!("zone eq '{}'", "x".repeat(FILTER_BYTES_MAX));
    let many = format!("effectif in ({}1)", "1,".repeat(NODES_MAX));
    let (odata, cql2): (Parser, Parser) = (odata::parse, cql2::parse);
    for (parse, text, position, found, expected, beyond) in [
        (odata, "", 1, "the end", "a column, a value", false),
        (odata, "siret eq 'x'", 1, "`siret`", "zone, effectif, date_maj, actuelle", false),
        (odata, "Zone eq 'x'", 1, "`Zone`", "zone, effectif", false),
        (odata, "zone eq 3", 9, "a number", "a text to compare with `zone`, which is a text", false),
        (odata, "effectif eq zone", 13, "`zone`, which is a text", "a number to compare with `effectif`", false),
        (odata, "zone in ('a',3)", 14, "a number", "a text", false),
        (odata, "date_maj gt '2024-01-01'", 13, "a text", "a date and time", false),
        (odata, "date_maj gt 2024-01-01T00:00:00", 13, "`2024`", "2024-12-31T00:00:00Z", false),
        (odata, "effectif gt null", 10, "`gt`", "`eq` or `ne`", false),
        (odata, "effectif = 3", 10, "`=`", "a comparison", false),
        (odata, "effectif eq 3 zone", 15, "`zone`", "`and`, `or` or the end", false),
        (odata, "effectif eq 3 AND zone eq 'a'", 15, "`AND`", "`and`, `or` or the end", false),
        (odata, "not effectif eq 3", 5, "`effectif`", "a condition", false),
        (odata, "(effectif eq 3", 15, "the end", "`)`", false),
        (odata, "zone eq 'é", 11, "the end", "`'` after the text", false),
        (odata, "effectif in ()", 14, "`)`", "a column, a value", false),
        (odata, "effectif in (zone)", 14, "`zone`", "a value as written", false),
        (odata, "effectif eq 5L", 13, "`5L`", "a number", false),
        (odata, "effectif eq 1e999", 13, "`1e999`", "a number", false),
        (odata, "effectif mul 2 eq 4", 10, "`mul`", "one of eq, ne", true),
        (odata, "tolower(zone) eq 'a'", 1, "`tolower`", "contains, startswith, endswith", true),
        (odata, "conatins(zone,'a')", 1, "`conatins`", "contains, startswith, endswith", false),
        (odata, "contains(effectif,'a')", 1, "`contains`", "a column of texts", false),
        (odata, &deep, 34, "`1`", "32 levels", false),
        (odata, &long, 1, "8202 bytes", "8192 bytes", false),
        (odata, &many, 2013, "`,`", "1000 columns and values", false),
        (cql2, "effectif", 1, "`effectif`", "a condition", false),
        (cql2, "siret = 'x'", 1, "`siret`", "zone, effectif", false),
        (cql2, "effectif eq 3", 10, "`eq`", "a comparison", false),
        (cql2, "effectif LIKE '1%'", 15, "`'`", "after a text", false),
        (cql2, "zone = 'S01\\'", 14, "the end", "`'` after the text", false),
        (cql2, "effectif = 1+2", 12, "`1`", "a number", false),
        (cql2, "date_maj IN ('hier')", 14, "a text", "a date and time", false),
        (cql2, "zone LIKE 3", 11, "`3`", "a text such as", false),
        (cql2, "effectif = NULL", 12, "`NULL`", "`IS NULL`", false),
        (cql2, "date_maj > '2024-01-01'", 12, "a text", "a date and time", false),
        (cql2, "date_maj > DATE('hier')", 17, "`'`", "'2024-12-31'", false),
        (cql2, "S_INTERSECTS(zone, 'x')", 1, "`S_INTERSECTS`", "DATE, TIMESTAMP", true),
        (cql2, "effectif BETWEEN 1 OR 2", 20, "`OR`", "`AND`", false),
        (cql2, "effectif NOT 3", 14, "`3`", "`IN`, `BETWEEN` or `LIKE`", false),
        (cql2, "and", 1, "`and`", "a column", false),
    ] {
        let fault = parse(text, &QUERYABLES).expect_err(text);
        assert_eq!((fault.position, fault.found.as_str(), fault.beyond), (position, found, beyond), "{text}: {fault}");
        assert!(fault.expected.contains(expected), "{text}: {fault}");
    }
}

#[test]
fn no_pattern_takes_long() {
    let text = "a".repeat(200);
    for (pattern, expected) in
        [("%a".repeat(150), true), (format!("{}b", "%a".repeat(150)), false), ("\\".to_owned(), false)]
    {
        assert_eq!(like(&text, &pattern), expected);
    }
    for (text, pattern, expected) in [
        ("", "", true),
        ("", "%", true),
        ("", "_", false),
        ("abc", "a%c", true),
        ("abcabd", "%ab_", true),
        ("a%b", "a\\%b", true),
        ("axb", "a\\%b", false),
        ("é", "_", true),
        ("\\", "\\\\", true),
        ("\\", "\\", true),
    ] {
        assert_eq!(like(text, pattern), expected, "{text} {pattern}");
    }
}

/// How a language writes what it can say.
struct Language {
    and: &'static str,
    or: &'static str,
    not: &'static str,
    comparisons: [&'static str; 6],
    is_null: &'static str,
    backslash: &'static str,
    instant: fn(&DateTime<Utc>) -> String,
}

const ODATA: Language = Language {
    and: " and ",
    or: " or ",
    not: "not ",
    comparisons: ["eq", "ne", "lt", "le", "gt", "ge"],
    is_null: " eq null",
    backslash: "\\",
    instant: |i| i.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
};
const CQL2: Language = Language {
    and: " AND ",
    or: " OR ",
    not: "NOT ",
    comparisons: ["=", "<>", "<", "<=", ">", ">="],
    is_null: " IS NULL",
    backslash: "\\\\",
    instant: |i| format!("TIMESTAMP('{}')", i.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
};

impl Language {
    fn condition(&self, condition: &Condition) -> String {
        let joined = |parts: &[Condition], word: &str| {
            parts.iter().map(|part| format!("({})", self.condition(part))).collect::<Vec<_>>().join(word)
        };
        match condition {
            Condition::All(parts) => joined(parts, self.and),
            Condition::Any(parts) => joined(parts, self.or),
            Condition::Not(part) => format!("{}({})", self.not, self.condition(part)),
            Condition::Compare(left, comparison, right) => {
                format!("{} {} {}", self.operand(left), self.comparisons[*comparison as usize], self.operand(right))
            }
            Condition::In(operand, list) => {
                let list: Vec<String> = list.iter().map(|literal| self.literal(literal)).collect();
                format!("{} in ({})", self.operand(operand), list.join(", "))
            }
            Condition::Between(operand, low, high) => {
                format!("{} BETWEEN {} AND {}", self.operand(operand), self.operand(low), self.operand(high))
            }
            // A pattern has escapes of its own, which stay.
            Condition::Like(operand, pattern) => {
                format!("{} LIKE '{}'", self.operand(operand), pattern.replace('\'', "''"))
            }
            Condition::Text(operand, part, piece) => {
                let name = ["contains", "startswith", "endswith"][*part as usize];
                format!("{name}({},{})", self.operand(operand), self.literal(&Literal::Text(piece.clone())))
            }
            Condition::IsNull(operand) => format!("{}{}", self.operand(operand), self.is_null),
            Condition::IsUnknown(part) => format!("({}){}", self.condition(part), self.is_null),
        }
    }

    fn operand(&self, operand: &Operand) -> String {
        match operand {
            Operand::Column(column) => QUERYABLES[*column].name.to_owned(),
            Operand::Literal(literal) => self.literal(literal),
        }
    }

    fn literal(&self, literal: &Literal) -> String {
        match literal {
            Literal::Text(text) => format!("'{}'", text.replace('\\', self.backslash).replace('\'', "''")),
            Literal::Number(number) => number.to_string(),
            Literal::DateTime(instant) => (self.instant)(instant),
            Literal::Bool(bool) => bool.to_string(),
        }
    }
}

/// A literal of the kind of a column.
fn literal(column: usize) -> BoxedStrategy<Literal> {
    match QUERYABLES[column].kind {
        Kind::Text => "\\PC{0,8}".prop_map(Literal::Text).boxed(),
        Kind::Number => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Literal::Number).boxed(),
        Kind::DateTime => (-30_000_000_000_i64..200_000_000_000, 0_u32..1_000_000_000)
            .prop_map(|(s, ns)| Literal::DateTime(DateTime::from_timestamp(s, ns).unwrap()))
            .boxed(),
        Kind::Bool => any::<bool>().prop_map(Literal::Bool).boxed(),
    }
}

fn operand(column: usize) -> BoxedStrategy<Operand> {
    prop_oneof![Just(Operand::Column(column)), literal(column).prop_map(Operand::Literal)].boxed()
}

fn conditions(of_odata: bool) -> BoxedStrategy<Condition> {
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
    let columns = 0..QUERYABLES.len();
    let comparison = prop::sample::select(vec![Equal, NotEqual, Less, AtMost, Greater, AtLeast]);
    let compare = (columns.clone(), comparison)
        .prop_flat_map(|(c, by)| (operand(c), operand(c)).prop_map(move |(l, r)| Condition::Compare(l, by, r)));
    let list = columns.clone().prop_flat_map(|c| {
        (operand(c), prop::collection::vec(literal(c), 1..4)).prop_map(|(o, list)| Condition::In(o, list))
    });
    let null = columns.clone().prop_flat_map(operand).prop_map(Condition::IsNull);
    let own = match of_odata {
        true => (operand(0), prop::sample::select(vec![Part::Anywhere, Part::Start, Part::End]), "\\PC{0,6}")
            .prop_map(|(o, part, piece)| Condition::Text(o, part, piece))
            .boxed(),
        false => prop_oneof![
            "\\PC{0,6}".prop_map(|text| Condition::Like(Operand::Column(0), text.replace('\\', "\\\\"))),
            columns.prop_flat_map(|c| {
                (operand(c), operand(c), operand(c)).prop_map(|(o, low, high)| Condition::Between(o, low, high))
            }),
        ]
        .boxed(),
    };
    prop_oneof![compare, list, null, own]
        .prop_recursive(5, 24, 4, move |inner| {
            let wrapped = if of_odata { Condition::Not } else { Condition::IsUnknown };
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Any),
                inner.clone().prop_map(|condition| Condition::Not(Box::new(condition))),
                inner.prop_map(move |condition| wrapped(Box::new(condition))),
            ]
        })
        .boxed()
}

proptest! {
    #[test]
    fn odata_says_again_what_it_was_told(condition in conditions(true)) {
        let text = ODATA.condition(&condition);
        prop_assert_eq!(odata::parse(&text, &QUERYABLES), Ok(Filter { condition, nulls: Nulls::Values }), "{}", text);
    }

    #[test]
    fn cql2_says_again_what_it_was_told(condition in conditions(false)) {
        let text = CQL2.condition(&condition);
        prop_assert_eq!(cql2::parse(&text, &QUERYABLES), Ok(Filter { condition, nulls: Nulls::Unknown }), "{}", text);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,40}", words in prop::collection::vec(
        prop::sample::select(vec!["(", ")", "not", "and", "or", "zone", "effectif", "eq", "=", "in", "'a'", "'", "\"",
            "1", "-", ",", "null", "contains", "DATE", "like", "between", "is", "é"]), 0..24)
    ) {
        for text in [text, words.join(" "), words.concat()] {
            for parse in [odata::parse as Parser, cql2::parse] {
                if let Err(fault) = parse(&text, &QUERYABLES) {
                    prop_assert!((1..=text.chars().count() + 1).contains(&fault.position), "{}: {}", text, fault);
                }
            }
        }
    }
}
