//! Points to be placed: an identifier and two coordinates a row, in the order read.
//!
//! Every row becomes a point, in its order; one without a usable coordinate says why.

use std::borrow::Cow;

use arrow_array::{Array, Int64Array};

use super::table::{Batch, Column, Input, Kind, NumberFault, Numbers, STREAM_BYTES_MAX, Table, Texts, Whole, whole};
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
    whole_ids: bool,
}

/// Identifiers, in the type of their column. `Debug` shows how many, never what.
#[derive(Clone)]
pub enum Ids {
    /// Texts; empty where a broken row holds none.
    Texts(Texts),
    /// Whole numbers of a Parquet file, which stay numbers; null where there is none.
    Whole(Int64Array),
}

impl Ids {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Whole(numbers) => numbers.len(),
        }
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// One of them as text; empty where there is none.
    pub fn text(&self, at: usize) -> Cow<'_, str> {
        match self {
            Self::Texts(texts) => Cow::Borrowed(&texts[at]),
            Self::Whole(numbers) if numbers.is_null(at) => Cow::Borrowed(""),
            Self::Whole(numbers) => Cow::Owned(numbers.value(at).to_string()),
        }
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} identifiers", self.len())
    }
}

/// Consecutive points, column by column.
#[derive(Debug, Clone)]
pub struct PointBatch {
    /// Where each row is in its file, as refusals say it: the line of a text or the row of a sheet, as an editor shows it, or
    /// the row of a Parquet file from 1.
    pub places: Vec<usize>,
    /// Identifiers as read.
    pub ids: Ids,
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
    let whole_ids = table.is_whole(id);
    let mut wanted = vec![(id, if whole_ids { Kind::Whole } else { Kind::Text })];
    wanted.extend(place.wanted());
    table.select(&wanted)?;
    Ok(Points { table, chosen, place, whole_ids })
}

impl Points {
    /// The columns read.
    pub fn chosen(&self) -> &ChosenColumns {
        &self.chosen
    }
    /// Whether identifiers are [`Ids::Whole`].
    pub fn whole_ids(&self) -> bool {
        self.whole_ids
    }
    /// The table they are read from.
    pub fn table(&self) -> &Table {
        &self.table
    }
    /// Lets batches be smaller: see [`Table::in_batches_of`].
    pub fn in_batches_of(&mut self, rows: usize) {
        self.table.in_batches_of(rows);
    }
    /// The points in parts that can be read side by side, in their order: see [`Table::parts`].
    pub fn parts(self) -> impl Iterator<Item = Self> + Send {
        let Self { table, chosen, place, whole_ids } = self;
        table.parts().map(move |table| Self { table, chosen: chosen.clone(), place: place.clone(), whole_ids })
    }
    /// The next points; `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<PointBatch>, Unreadable> {
        let Some(mut batch) = self.table.next_batch()? else { return Ok(None) };
        let name = self.table.name();
        let places = Places::read(&mut batch, 1, &self.place);
        let n = batch.len();
        let ids = match batch.take(0) {
            Column::Text(texts) => Ids::Texts(texts),
            Column::Whole(numbers) => Ids::Whole(numbers),
            Column::Number(_) => unreachable!("identifiers are no measures"),
        };
        if batch.broken.is_empty() && places.are_plain() {
            let Places { x, y, .. } = places;
            let (x, y, unplaced) = (x.values, y.values, vec![None; n]);
            let (places, epsg, rejected) = (batch.places, Vec::new(), Vec::new());
            return Ok(Some(PointBatch { places, ids, x, y, epsg, unplaced, rejected }));
        }
        let mut points = PointBatch {
            places: batch.places.clone(),
            ids,
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
                places.at(index).map_err(|fault| match fault {
                    Misplaced::Unplaced(why) => why,
                    Misplaced::Bad(cell) => {
                        points.rejected.push(cell.reject(name, &self.table, &self.place, batch.places[index]));
                        Unplaced::NoCoordinate
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
#[derive(Debug, Clone)]
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

    /// Whether every row is two finite numbers and nothing else: then they are the points.
    fn are_plain(&self) -> bool {
        // Without a branch a row.
        let sound = |n: &Numbers| n.faults.iter().fold(true, |all, fault| all & fault.is_none());
        let places = self.x.values.iter().zip(&self.y.values);
        let place = |(&x, &y): (&f64, &f64)| x.is_finite() & y.is_finite() & !((x == 0.0) & (y == 0.0));
        self.epsg.is_none()
            && self.quality.is_none()
            && sound(&self.x)
            && sound(&self.y)
            && places.fold(true, |all, xy| all & place(xy))
    }

    /// The `qualite_xy` of a row.
    pub(super) fn quality(&self, index: usize) -> Whole {
        self.quality.as_ref().map_or(Whole::Empty, |quality| whole(&quality[index]))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int32Array};
    use proptest::prelude::*;

    use super::super::table::samples::{gz, parquet};
    use super::*;

    fn read(bytes: Vec<u8>) -> (ChosenColumns, PointBatch) {
        let mut points = points("p", bytes.into(), &PointColumns::default(), None).unwrap();
        let batch = points.next_batch().unwrap().unwrap();
        assert!(points.next_batch().unwrap().is_none());
        (points.chosen().clone(), batch)
    }

    #[test]
    fn columns_are_found_by_their_usual_names_and_bring_their_system() {
        for (header, id, x, y, epsg, crs) in [
            ("id,x,y", "id", "x", "y", None, Crs::LAMBERT93),
            ("Y,X,SIRET", "SIRET", "X", "Y", None, Crs::LAMBERT93),
            ("id,siret,Lon,Lat", "siret", "Lon", "Lat", None, Crs::WGS84),
            ("siret,longitude,latitude,epsg", "siret", "longitude", "latitude", Some("epsg"), Crs::WGS84),
            ("siret,x,y,epsg,x_longitude,y_latitude", "siret", "x", "y", Some("epsg"), Crs::LAMBERT93),
            ("siret,x_longitude,y_latitude", "siret", "x_longitude", "y_latitude", None, Crs::WGS84),
            // One half of a pair is no pair.
            ("id,x,lon,lat", "id", "lon", "lat", None, Crs::WGS84),
        ] {
            let points = points("p", header.as_bytes().to_vec().into(), &PointColumns::default(), None).unwrap();
            let chosen = points.chosen();
            assert_eq!((chosen.id.as_str(), chosen.x.as_str(), chosen.y.as_str()), (id, x, y), "{header}");
            assert_eq!((chosen.epsg.as_deref(), &chosen.crs), (epsg, &crs), "{header}");
        }
    }

    #[test]
    fn named_columns_win_and_epsg_speaks_of_x_and_y_alone() {
        let header = "code,siret,x,y,epsg,x_longitude,y_latitude,east,north";
        let open = |id: Option<&str>, xy: Option<(&str, &str)>, crs: Option<Crs>| {
            let named = PointColumns {
                id: id.map(str::to_owned),
                x: xy.map(|xy| xy.0.to_owned()),
                y: xy.map(|xy| xy.1.to_owned()),
            };
            points("p", header.as_bytes().to_vec().into(), &named, crs.as_ref()).map(|p| p.chosen().clone())
        };
        let chosen = open(Some("CODE"), Some(("x_longitude", "y_latitude")), None).unwrap();
        assert_eq!((chosen.id.as_str(), &chosen.crs, &chosen.epsg), ("code", &Crs::WGS84, &None));
        let chosen = open(None, Some(("east", "north")), None).unwrap();
        assert_eq!((&chosen.crs, &chosen.epsg), (&Crs::LAMBERT93, &None));
        let chosen = open(None, None, Some(Crs::Epsg(3947))).unwrap();
        assert_eq!((&chosen.crs, chosen.epsg.as_deref()), (&Crs::Epsg(3947), Some("epsg")));
        assert_eq!(open(Some("nom"), None, None).unwrap_err().0.code, "column_missing");
    }

    #[test]
    fn a_wrong_header_is_answered_with_what_was_found_and_expected() {
        for (header, answer) in [
            ("siren;x;y", "p: found the columns `siren`, `x`, `y`, expected a column `siret` or `id` [column_missing]"),
            (
                "siret;x;lat",
                "p: found the columns `siret`, `x`, `lat`, expected coordinates in columns `x` and `y`, or \
                 `x_longitude` and `y_latitude`, or `longitude` and `latitude`, or `lon` and `lat`, in any case \
                 [coordinates_missing]",
            ),
        ] {
            let error = points("p", header.as_bytes().to_vec().into(), &PointColumns::default(), None).err().unwrap();
            assert_eq!(error.to_string(), answer);
        }
    }

    #[test]
    fn every_row_is_a_point_or_says_why_not() {
        let rows = [
            ("a;652000.5;6862000;2154;11", (652000.5, 6862000.0), None, None),
            ("b;652000,5;6862000;;", (652000.5, 6862000.0), None, None),
            ("c;;6862000;;", (f64::NAN, f64::NAN), Some(Unplaced::NoCoordinate), None),
            ("d;0;0;;", (f64::NAN, f64::NAN), Some(Unplaced::Zero), None),
            ("e;0;1;;", (0.0, 1.0), None, None),
            ("f;NaN;1;;", (f64::NAN, f64::NAN), Some(Unplaced::NotFinite), None),
            ("g;1;-inf;;", (f64::NAN, f64::NAN), Some(Unplaced::NotFinite), None),
            ("h;1;[ND];;", (f64::NAN, f64::NAN), Some(Unplaced::NoCoordinate), Some("coordinate_not_a_number")),
            ("i;1;2;2975;33", (f64::NAN, f64::NAN), Some(Unplaced::RandomInCommune), None),
            ("j;1;2;Lambert;11", (f64::NAN, f64::NAN), Some(Unplaced::NoCoordinate), Some("epsg_not_a_code")),
            ("k;1;2", (f64::NAN, f64::NAN), Some(Unplaced::NoCoordinate), Some("row_ragged")),
            ("l;1;2;2975;32", (1.0, 2.0), None, None),
        ];
        let text = rows.iter().fold("id;x;y;epsg;qualite_xy\n".to_owned(), |text, row| text + row.0 + "\n");
        let (_, batch) = read(text.into_bytes());
        assert_eq!((0..batch.ids.len()).map(|at| batch.ids.text(at)).collect::<String>(), "abcdefghijkl");
        let mut rejected = batch.rejected.iter();
        for (at, (line, (x, y), unplaced, code)) in rows.into_iter().enumerate() {
            let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
            assert!(same(batch.x[at], x) && same(batch.y[at], y), "{line}");
            assert_eq!(batch.unplaced[at], unplaced, "{line}");
            if let Some(code) = code {
                let reject = rejected.next().unwrap();
                assert_eq!((reject.code, reject.row), (code, Some(at + 2)), "{line}");
            }
        }
        assert_eq!(rejected.next(), None);
        assert_eq!((batch.epsg[0], batch.epsg[1], batch.epsg[11]), (Some(2154), None, Some(2975)));
    }

    #[test]
    fn parquet_gives_the_points_that_csv_gives() {
        let columns = parquet(vec![
            ("siret", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("qualite_xy", Arc::new(Float64Array::from(vec![Some(11.0), Some(33.0), None]))),
            ("x", Arc::new(Float64Array::from(vec![Some(6.5), Some(1.0), None]))),
            ("y", Arc::new(Int32Array::from(vec![Some(49), Some(1), Some(2)]))),
            ("epsg", Arc::new(Int32Array::from(vec![Some(4326), None, Some(2154)]))),
        ]);
        let text = b"siret,x,y,epsg,qualite_xy\n1,6.5,49,4326,11\n2,1,1,,33\n3,,2,2154,\n".to_vec();
        let (from_parquet, from_csv) = (read(columns), read(text));
        assert_eq!(from_parquet.0, from_csv.0);
        let shape = |b: &PointBatch| {
            let ids = (0..b.ids.len()).map(|at| b.ids.text(at).into_owned()).collect::<Vec<_>>();
            (ids, b.epsg.clone(), b.unplaced.clone())
        };
        assert_eq!(shape(&from_parquet.1), shape(&from_csv.1));
        assert_eq!((from_parquet.1.x[0], from_parquet.1.y[0]), (6.5, 49.0));
    }

    #[test]
    fn the_establishments_of_metz_are_all_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/territories/metz/sirene_metz_geo.csv.gz");
        let Ok(bytes) = std::fs::read(path) else {
            println!("skipped: no ../shared");
            return;
        };
        let (chosen, batch) = read(bytes);
        assert_eq!((chosen.x.as_str(), chosen.crs), ("longitude", Crs::WGS84));
        assert_eq!(batch.ids.len(), 3_094);
        assert_eq!(batch.unplaced.iter().filter(|u| **u == Some(Unplaced::Zero)).count(), 76);
        assert_eq!(batch.unplaced.iter().filter(|u| u.is_none()).count(), 3_094 - 76);
        assert_eq!(batch.rejected, []);
    }

    proptest! {
        #[test]
        fn no_rows_make_the_reader_of_points_panic_or_lose_one(
            lines in prop::collection::vec("[0-9a-zA,.e+-]{0,12}", 0..20),
            zipped in any::<bool>(),
        ) {
            let expected = lines.iter().filter(|line| !line.is_empty()).count();
            let text = lines.iter().fold("id,x,y,epsg,qualite_xy\n".to_owned(), |text, line| text + line + "\n");
            let bytes = if zipped { gz(text.as_bytes()) } else { text.into_bytes() };
            let mut points = points("p", bytes.into(), &PointColumns::default(), None).unwrap();
            let batch = points.next_batch().unwrap();
            prop_assert_eq!(batch.map_or(0, |batch| batch.ids.len()), expected);
        }
    }
}
