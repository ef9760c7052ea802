//! What was refused, where, and why.

use std::fmt;

/// Records sorted into accepted and rejected: one bad row never loses the good ones.
#[derive(Debug, Clone)]
pub struct Read<T> {
    /// In the order read.
    pub accepted: Vec<T>,
    /// In the order read.
    pub rejected: Vec<Reject>,
}

/// One refused record: place, found, expected. `found` never repeats a SIRET or a headcount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// A stable code, such as `siret_key`.
    pub code: &'static str,
    /// File or layer, when one upload holds several.
    pub file: String,
    /// Line of a text file or record of a layer, from 1; `None` for the file as a whole.
    pub row: Option<usize>,
    /// Column or field.
    pub field: Option<String>,
    /// What was found.
    pub found: String,
    /// What would have been accepted.
    pub expected: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(row) = self.row {
            write!(f, ": row {row}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", field `{field}`")?;
        }
        write!(f, ": found {}, expected {} [{}]", self.found, self.expected, self.code)
    }
}

/// A file that cannot be used at all: place, found, expected, as for [`Reject`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub Reject);

impl Unreadable {
    /// For a file as a whole.
    pub fn file(
        code: &'static str,
        file: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self(Reject { code, file: file.into(), row: None, field: None, found: found.into(), expected: expected.into() })
    }
    /// For one record of a file, when that record makes the whole unusable.
    pub fn record(
        code: &'static str,
        file: impl Into<String>,
        row: usize,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self(Reject {
            code,
            file: file.into(),
            row: Some(row),
            field: None,
            found: found.into(),
            expected: expected.into(),
        })
    }
}
