//! Points to be placed: an identifier and two coordinates a row, in the order read.
//!
//! Every row becomes a point, in its order; one without a usable coordinate says why.

use super::table::{Batch, Input, Kind, NumberFault, Numbers, STREAM_BYTES_MAX, Table, Texts, Whole, whole};
use crate::model::establishment::Unplaced;
use crate::model::{Crs, Reject, Unreadable};

/// Names of the identifier, in the order preferred.
const ID_NAMES: [&str; 2] = ["siret", "id"];

/// Pairs of coordinate columns in the order preferred, and the system each means when nothing else says so. Sirene's
/// geolocation file has both `x`, `y` with a system for each row and `x_longitude`, `y_latitude`: the first are the
/// surveyed ones.
const PAIRS: [(&str, &str, Crs); 4] = [
    ("x", "y", Crs::LAMBERT93),
    ("x_longitude", "y_latitude", Crs::WGS84),
    ("longitude", "latitude", Crs::WGS84),
    ("lon", "lat", Crs::WGS84),
];

/// The value of `qualite_xy` for a random point in the commune (INSEE, géolocalisation des établissements Sirene).
const RANDOM_IN_COMMUNE: Whole = Whole::Value(33);

/// Columns named by the operator; those left out are found by their usual names.
#[derive(Debug, Clone, Default)]
pub struct PointColumns {
    /// The identifier.
    pub id: Option<String>,
    /// The x coordinate or longitude; named together with `y`.
    pub x: Option<String>,
    /// The y coordinate or latitude; named together with `x`.
    pub y: Option<String>,
}

/// The columns of a table of points, by name, and the system of its coordinates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenColumns {
    /// The identifier.
    pub id: String,
    /// The x coordinate or longitude.
    pub x: String,
    /// The y coordinate or latitude.
    pub y: String,
    /// The EPSG code of each row, when the file has one.
    pub epsg: Option<String>,
    /// The quality of each coordinate, when the file has one.
    pub quality: Option<String>,
    /// The system of the rows which do not state their own.
    pub crs: Crs,
}

/// A table of points, read in batches.
pub struct Points {
    table: Table,
    chosen: ChosenColumns,
    place: PlaceColumns,
}

/// Consecutive points, column by column.
#[derive(Debug, Clone)]
pub struct PointBatch {
    /// Number of the first among the rows of the table, from 1.
    pub first_row: usize,
    /// Identifiers as read; empty where a broken row holds none.
    pub ids: Texts,
    /// East coordinates or longitudes; NaN where the point is unplaced.
    pub x: Vec<f64>,
    /// North coordinates or latitudes; NaN where the point is unplaced.
    pub y: Vec<f64>,
    /// The EPSG code of each row, `None` where the row states none; empty when the file has no such column.
    pub epsg: Vec<Option<u32>>,
    /// Why a point cannot be placed.
    pub unplaced: Vec<Option<Unplaced>>,
    /// Rows that are broken, or hold a text where a number belongs. They are points too, unplaced ones.
    pub rejected: Vec<Reject>,
}

/// Opens a table of points and chooses its columns. `crs`, when given, is the system of the coordinates of every row
/// that does not state its own.
pub fn points(name: &str, input: Input, named: &PointColumns, crs: Option<&Crs>) -> Result<Points, Unreadable> {
    let mut table = Table::open(name, input, STREAM_BYTES_MAX)?;
    let id = match &named.id {
        Some(id) => table.require(id)?,
        None => table.require_among("column_missing", &ID_NAMES)?,
    };
    let place = PlaceColumns::find(&table, named, crs)?;
    let name_of = |at: usize| table.headers()[at].clone();
    let chosen = ChosenColumns {
        id: name_of(id),
        x: name_of(place.x),
        y: name_of(place.y),
        epsg: place.epsg.map(name_of),
        quality: place.quality.map(name_of),
        crs: place.crs.clone(),
    };
    let mut wanted = vec![(id, Kind::Text)];
    wanted.extend(place.wanted());
    table.select(&wanted)?;
    Ok(Points { table, chosen, place })
}

impl Points {
    /// The columns read.
    pub fn chosen(&self) -> &ChosenColumns {
        &self.chosen
    }
    /// The table they are read from.
    pub fn table(&self) -> &Table {
        &self.table
    }
    /// The next points; `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<PointBatch>, Unreadable> {
        let Some(mut batch) = self.table.next_batch()? else { return Ok(None) };
        let name = self.table.name();
        let places = Places::read(&mut batch, 1, &self.place);
        let n = batch.len();
        let mut points = PointBatch {
            first_row: batch.first_row,
            ids: batch.take_texts(0),
            x: Vec::with_capacity(n),
            y: Vec::with_capacity(n),
            epsg: Vec::with_capacity(if self.place.epsg.is_some() { n } else { 0 }),
            unplaced: Vec::with_capacity(n),
            rejected: Vec::new(),
        };
        let mut broken = batch.broken.into_iter().peekable();
        for index in 0..n {
            let mut place = if let Some(broken) = broken.next_if(|broken| broken.index == index) {
                points.rejected.push(broken.reject);
                Err(Unplaced::NoCoordinate)
            } else {
                places.at(index).or_else(|fault| match fault {
                    Misplaced::Unplaced(why) => Err(why),
                    Misplaced::Bad(cell) => {
                        points.rejected.push(cell.reject(name, &self.table, &self.place, batch.places[index]));
                        Err(Unplaced::NoCoordinate)
                    }
                })
            };
            if let Ok(Place { random_in_commune: true, .. }) = place {
                place = Err(Unplaced::RandomInCommune);
            }
            let (x, y) = place.map_or((f64::NAN, f64::NAN), |place| (place.x, place.y));
            points.x.push(x);
            points.y.push(y);
            if self.place.epsg.is_some() {
                points.epsg.push(place.ok().and_then(|place| place.epsg));
            }
            points.unplaced.push(place.err());
        }
        Ok(Some(points))
    }
}

/// The columns which say where a row stands.
pub(super) struct PlaceColumns {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) epsg: Option<usize>,
    pub(super) quality: Option<usize>,
    /// The system of rows which state none.
    pub(super) crs: Crs,
}

impl PlaceColumns {
    pub(super) fn find(table: &Table, named: &PointColumns, crs: Option<&Crs>) -> Result<Self, Unreadable> {
        let pair = |(x, y, crs): &(&str, &str, Crs)| Some((table.column(x)?, table.column(y)?, crs.clone()));
        let (x, y, usual) = match (&named.x, &named.y) {
            (Some(x), Some(y)) => {
                let (x, y) = (table.require(x)?, table.require(y)?);
                let usual = PAIRS.iter().filter_map(pair).find(|usual| (usual.0, usual.1) == (x, y));
                (x, y, usual.map_or(Crs::LAMBERT93, |usual| usual.2))
            }
            (None, None) => PAIRS.iter().find_map(pair).ok_or_else(|| {
                let pairs = PAIRS.map(|(x, y, _)| format!("`{x}` and `{y}`"));
                let expected = format!("coordinates in columns {}, in any case", pairs.join(", or "));
                table.header_refused("coordinates_missing", &expected)
            })?,
            (Some(_), None) | (None, Some(_)) => {
                return Err(Unreadable::file(
                    "coordinates_half_named",
                    table.name(),
                    "the name of one coordinate column",
                    "both named, or neither",
                ));
            }
        };
        // In a file which has `x` and `y` beside the chosen pair, `epsg` speaks of the former.
        let elsewhere = pair(&PAIRS[0]).is_some_and(|xy| (xy.0, xy.1) != (x, y));
        Ok(Self {
            x,
            y,
            epsg: table.column("epsg").filter(|_| !elsewhere),
            quality: table.column("qualite_xy"),
            crs: crs.cloned().unwrap_or(usual),
        })
    }

    /// What to select, in the order [`Places::read`] takes it back.
    pub(super) fn wanted(&self) -> Vec<(usize, Kind)> {
        let mut wanted = vec![(self.x, Kind::Number), (self.y, Kind::Number)];
        wanted.extend([self.epsg, self.quality].into_iter().flatten().map(|at| (at, Kind::Text)));
        wanted
    }
}

/// The place columns of a batch.
pub(super) struct Places {
    x: Numbers,
    y: Numbers,
    epsg: Option<Texts>,
    quality: Option<Texts>,
}

/// Where a row stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    /// The row's own system, where it states one.
    pub(super) epsg: Option<u32>,
    /// `qualite_xy` 33.
    pub(super) random_in_commune: bool,
}

pub(super) enum Misplaced {
    /// Data that says, in its way, that there is no place.
    Unplaced(Unplaced),
    /// A cell that cannot be read.
    Bad(BadCell),
}

#[derive(Clone, Copy)]
pub(super) enum BadCell {
    X,
    Y,
    Epsg,
}

impl BadCell {
    pub(super) fn reject(self, name: &str, table: &Table, columns: &PlaceColumns, row: usize) -> Reject {
        let (code, at, expected) = match self {
            Self::X => ("coordinate_not_a_number", columns.x, "a number, or nothing"),
            Self::Y => ("coordinate_not_a_number", columns.y, "a number, or nothing"),
            Self::Epsg => {
                ("epsg_not_a_code", columns.epsg.unwrap_or(columns.x), "an EPSG code such as 2154, or nothing")
            }
        };
        Reject {
            code,
            file: name.to_owned(),
            row: Some(row),
            field: table.headers().get(at).cloned(),
            found: "a text which is none".to_owned(),
            expected: expected.to_owned(),
        }
    }
}

impl Places {
    /// Takes the columns of [`PlaceColumns::wanted`], the first of which is the batch's column `first`.
    pub(super) fn read(batch: &mut Batch, first: usize, columns: &PlaceColumns) -> Self {
        let quality_at = first + 2 + usize::from(columns.epsg.is_some());
        Self {
            x: batch.take_numbers(first),
            y: batch.take_numbers(first + 1),
            epsg: columns.epsg.map(|_| batch.take_texts(first + 2)),
            quality: columns.quality.map(|_| batch.take_texts(quality_at)),
        }
    }

    /// Where a row stands, or why nobody can say.
    pub(super) fn at(&self, index: usize) -> Result<Place, Misplaced> {
        let (x, y) = (self.x.values[index], self.y.values[index]);
        match (self.x.faults[index], self.y.faults[index]) {
            (Some(NumberFault::NotANumber), _) => return Err(Misplaced::Bad(BadCell::X)),
            (_, Some(NumberFault::NotANumber)) => return Err(Misplaced::Bad(BadCell::Y)),
            (Some(NumberFault::Empty), _) | (_, Some(NumberFault::Empty)) => {
                return Err(Misplaced::Unplaced(Unplaced::NoCoordinate));
            }
            (None, None) => {}
        }
        if !x.is_finite() || !y.is_finite() {
            return Err(Misplaced::Unplaced(Unplaced::NotFinite));
        }
        if x == 0.0 && y == 0.0 {
            return Err(Misplaced::Unplaced(Unplaced::Zero));
        }
        let epsg = match self.epsg.as_ref().map_or(Whole::Empty, |epsg| whole(&epsg[index])) {
            Whole::Empty => None,
            Whole::Value(code) => Some(u32::try_from(code).map_err(|_| Misplaced::Bad(BadCell::Epsg))?),
            Whole::Negative | Whole::Fraction | Whole::TooLarge | Whole::NotANumber => {
                return Err(Misplaced::Bad(BadCell::Epsg));
            }
        };
        let random_in_commune =
            self.quality.as_ref().is_some_and(|quality| whole(&quality[index]) == RANDOM_IN_COMMUNE);
        Ok(Place { x, y, epsg, random_in_commune })
    }
}
