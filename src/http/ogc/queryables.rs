//! What a filter of zones may name, and a zone as a filter sees it (OGC API Features, Part 3).

use super::query::{Ask, PROPERTIES};
use super::systems::System;
use super::view::{figures, status};
use crate::http::filter::{Filter, Kind, Queryable, Row, Value, cql2};
use crate::http::problem::Problem;
use crate::http::state::Place;
use crate::steps::publish::{ReleasedZone, Selection};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};

/// The one language of filters.
const LANGUAGE: &str = "cql2-text";

/// The properties of a zone that a filter may name: those it has, in the same order.
pub const QUERYABLES: [Queryable; PROPERTIES.len()] = {
    let mut queryables = [Queryable { name: "", kind: Kind::Text }; PROPERTIES.len()];
    let mut at = 0;
    while at < PROPERTIES.len() {
        let kind = match PROPERTIES[at].as_bytes() {
            b"effectif" | b"etablissements" | b"millesime" => Kind::Number,
            b"derniere_mise_a_jour" => Kind::DateTime,
            _ => Kind::Text,
        };
        queryables[at] = Queryable { name: PROPERTIES[at], kind };
        at += 1;
    }
    queryables
};

impl Ask {
    /// The filter of a request for zones.
    pub(super) fn filter(&self, place: &Place) -> Result<Option<Filter>, Problem> {
        for name in ["filter-lang", "filter-crs"] {
            if self.get(name).is_some() && self.get("filter").is_none() {
                return Err(Problem::bad_parameter(name, "no `filter` beside it", "a `filter`"));
            }
        }
        if let Some(language) = self.get("filter-lang").filter(|language| *language != LANGUAGE) {
            return Err(Problem::bad_parameter("filter-lang", language, LANGUAGE));
        }
        // Filters hold no geometry yet, so that any system we know changes nothing.
        self.get("filter-crs").map(|uri| System::named("filter-crs", uri)).transpose()?;
        let Some(text) = self.get("filter") else { return Ok(None) };
        // A release without a notice has no such property.
        let has_notice = !place.release().provenance.notice.is_empty();
        let known = if has_notice { &QUERYABLES[..] } else { &QUERYABLES[..PROPERTIES.len() - 1] };
        cql2::parse(text, known).map(Some).map_err(|fault| {
            let place = format!("parameter `filter`, character {}", fault.position);
            let code = if fault.beyond { "filter_not_supported" } else { "bad_filter" };
            Problem::refused(StatusCode::BAD_REQUEST, code, place, &fault.found, fault.expected)
        })
    }
}

/// A zone as a filter sees it: what is withheld is null, as on the wire.
pub struct ZoneRow<'p> {
    place: &'p Place,
    zone: &'p ReleasedZone,
    selection: &'p Selection,
    shown: Option<(u64, u64)>,
    updated: Option<DateTime<Utc>>,
}

impl<'p> ZoneRow<'p> {
    /// A zone with the figures of a selection.
    pub fn of(place: &'p Place, zone: &'p ReleasedZone, selection: &'p Selection) -> Self {
        let shown = figures(place.release(), &place.zoning().id, zone.code.as_str(), selection);
        Self { place, zone, selection, shown, updated: place.release().provenance.updated.parse().ok() }
    }
}

impl Row for ZoneRow<'_> {
    fn value(&self, column: usize) -> Value<'_> {
        let number = |figure: Option<u64>| figure.map_or(Value::Null, |figure| Value::Number(figure as f64));
        let provenance = &self.place.release().provenance;
        match PROPERTIES[column] {
            "code" => Value::Text(self.zone.code.as_str()),
            "libelle" => Value::Text(&self.zone.label),
            "effectif" => number(self.shown.map(|shown| shown.0)),
            "etablissements" => number(self.shown.map(|shown| shown.1)),
            "effectif_statut" | "etablissements_statut" => Value::Text(status(self.shown)),
            "millesime" => Value::Number(f64::from(self.selection.vintage)),
            "naf" => Value::Text(self.selection.naf.as_deref().unwrap_or("total")),
            "tranche" => Value::Text(self.selection.tranche.as_deref().unwrap_or("total")),
            "source_donnees" => Value::Text(self.selection.source.as_deref().unwrap_or("total")),
            "source" => Value::Text(&provenance.source),
            "derniere_mise_a_jour" => self.updated.map_or(Value::Null, Value::DateTime),
            "perimetre" => Value::Text(&self.place.zoning().version),
            _ => Value::Text(&provenance.notice),
        }
    }
}
