//! Records as the strongroom sees them: a contributor, a weight, codes by column. It knows no geography.

use std::fmt;

/// One record an establishment: who it belongs to, its weight, its codes. Raw figures: nothing outside reads them back.
#[derive(Clone)]
pub struct Microdata {
    /// Establishment number or row, one a record, for matching one release with the next.
    pub(in crate::steps::secrecy) ids: Vec<String>,
    /// Names of contributors, sorted bytewise.
    pub(in crate::steps::secrecy) contributors: Vec<String>,
    /// Contributor of each record, an index into `contributors`.
    pub(in crate::steps::secrecy) contributor: Vec<u32>,
    /// Weight of each record, in employees.
    pub(in crate::steps::secrecy) weight: Vec<u64>,
    /// Codes of each record, column by column.
    pub(in crate::steps::secrecy) columns: Vec<Column>,
}

/// A column of codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// The codes met, sorted bytewise.
    pub labels: Vec<String>,
    /// One index into `labels` a record; `None` where the record lies outside the dimension.
    pub codes: Vec<Option<u32>>,
}

impl Column {
    /// Gives each text its index; labels are sorted, so indices do not depend on the order of rows.
    pub fn of<S: AsRef<str>>(name: &str, values: &[Option<S>]) -> Self {
        let mut labels: Vec<&str> = values.iter().flatten().map(AsRef::as_ref).collect();
        labels.sort_unstable();
        labels.dedup();
        let index = |v: &str| labels.binary_search(&v).expect("each value is among the labels") as u32;
        let codes = values.iter().map(|v| v.as_ref().map(|v| index(v.as_ref()))).collect();
        Self { name: name.to_owned(), codes, labels: labels.into_iter().map(str::to_owned).collect() }
    }
}

impl Microdata {
    /// Gathers records; every vector has one entry a record.
    ///
    /// # Panics
    /// When lengths differ: that is a mistake of the caller, not of its input.
    pub fn new<S: AsRef<str>>(ids: Vec<String>, contributors: &[S], weight: Vec<u64>, columns: Vec<Column>) -> Self {
        assert!(ids.len() == contributors.len() && ids.len() == weight.len());
        assert!(columns.iter().all(|c| c.codes.len() == ids.len()));
        let mut names: Vec<&str> = contributors.iter().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names.dedup();
        let index = |name: &str| names.binary_search(&name).expect("each name is among the names") as u32;
        let contributor = contributors.iter().map(|name| index(name.as_ref())).collect();
        Self { ids, contributor, weight, columns, contributors: names.into_iter().map(str::to_owned).collect() }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(in crate::steps::secrecy) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

impl fmt::Debug for Microdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, values withheld", self.len())
    }
}
