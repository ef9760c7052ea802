//! The review: whom to look at, and what people decide. Only keys that may see single establishments come here.

use super::Staff;
use super::acts::{CSV, shown};
use super::delivery::Told;
use super::once::{Reply, act};
use crate::http::ogc;
use crate::http::ogc::query::Ask;
use crate::http::problem::Problem;
use crate::model::Source;
use crate::pipeline::office::{LINES_MAX, NEAR_M_MAX, ReviewAsked, TOP_MAX, Who};
use crate::steps::review::{NEAR_M, TOP, Terms};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::str::FromStr;

/// Lines in an answer that does not say how many: the largest of some fifty sectors.
const LINES: usize = 1_000;

/// `/api/v1/review`
pub async fn worklist(State(staff): State<Staff>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&[
        "zoning",
        "version",
        "registers",
        "keep",
        "top",
        "near",
        "since",
        "list",
        "zone",
        "limit",
        "offset",
        "f",
    ])?;
    let as_table = table_wanted(&ask)?;
    let text = |name: &str| ask.get(name).map(str::to_owned);
    let zoning = text("zoning")
        .ok_or_else(|| Problem::bad_parameter("zoning", "", "the zoning to review, one of /api/v1/zonings"))?;
    let list = match ask.get("list") {
        None | Some("largest" | "ambiguous") => text("list"),
        Some("in_both") if as_table => text("list"),
        Some(other) => {
            let expected = "largest or ambiguous, or with f=csv in_both";
            return Err(Problem::bad_parameter("list", other, expected));
        }
    };
    let keep = ask
        .get("keep")
        .map(|code| Source::from_code(code).ok_or_else(|| Problem::bad_parameter("keep", code, "urssaf or msa")));
    let since = ask
        .get("since")
        .map(|day| day.parse().map_err(|()| Problem::bad_parameter("since", day, "a day, such as 2026-01-01")));
    let registers = ask.get("registers").into_iter().flat_map(|list| list.split(',')).map(str::to_owned);
    let asked = ReviewAsked {
        zoning,
        version: text("version"),
        registers: registers.collect(),
        keep: keep.transpose()?,
        terms: Terms {
            top: number(&ask, "top", TOP, |n| *n <= TOP_MAX, &format!("0 to {TOP_MAX} of each zone"))?,
            near_m: number(
                &ask,
                "near",
                NEAR_M,
                |m| (0.0..=NEAR_M_MAX).contains(m),
                &format!("metres, 0 to {NEAR_M_MAX}"),
            )?,
            since: since.transpose()?,
        },
        list,
        zone: text("zone"),
        offset: number(&ask, "offset", 0, |_| true, "how many lines are passed over")?,
        limit: number(&ask, "limit", LINES, |n| (1..=LINES_MAX).contains(n), &format!("1 to {LINES_MAX} lines"))?,
    };
    let in_both = asked.list.as_deref() == Some("in_both");
    let reviewed = staff.office.worklist(asked).await?;
    Ok(match as_table {
        true if in_both => shown(CSV, reviewed.in_both_csv()),
        true => shown(CSV, reviewed.csv()),
        false => shown(ogc::view::JSON, reviewed.json().to_string()),
    })
}

/// `/api/v1/decisions`
pub async fn decisions(State(staff): State<Staff>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    Ok(match table_wanted(&ask)? {
        true => shown(CSV, staff.office.decisions_csv().await?),
        false => shown(ogc::view::JSON, staff.office.decisions().await?.to_string()),
    })
}

/// `POST /api/v1/decisions`: one as JSON, or the lines of a CSV file.
pub async fn decide(State(staff): State<Staff>, who: Who, headers: HeaderMap, told: Told) -> Result<Response, Problem> {
    let (office, sender) = (staff.office.clone(), who.clone());
    let digest = match &told {
        Told::Json(asked) => asked.digest.clone(),
        Told::Table { digest, .. } => digest.clone(),
    };
    act(&staff, &who, &headers, digest, async move {
        let body = match told {
            Told::Json(asked) => office.decide(&sender, &asked.json).await?,
            Told::Table { bytes, .. } => office.decide_all(&sender, "decisions.csv", bytes).await?,
        };
        Ok(Reply { status: StatusCode::CREATED, location: "/api/v1/decisions".to_owned(), body })
    })
    .await
}

fn table_wanted(ask: &Ask) -> Result<bool, Problem> {
    match ask.get("f") {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(other) => Err(Problem::bad_parameter("f", other, "json or csv")),
    }
}

fn number<T: FromStr>(
    ask: &Ask,
    name: &str,
    usual: T,
    fits: impl Fn(&T) -> bool,
    expected: &str,
) -> Result<T, Problem> {
    let Some(text) = ask.get(name) else { return Ok(usual) };
    text.parse().ok().filter(fits).ok_or_else(|| Problem::bad_parameter(name, text, expected))
}
