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

impl Reject {
    /// Where it is: the file, and the row and the field where there are some.
    pub fn place(&self) -> String {
        let row = self.row.map(|row| format!(": row {row}")).unwrap_or_default();
        let field = self.field.as_ref().map(|field| format!(", field `{field}`")).unwrap_or_default();
        format!("{}{row}{field}", self.file)
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {} [{}]", self.place(), self.found, self.expected, self.code)
    }
}

/// Refused records kept for people, and how many there were: a file whose every row is bad must not fill the memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejects {
    /// The first [`REJECTS_KEPT`], in the order read.
    pub kept: Vec<Reject>,
    /// How many more there were.
    pub more: usize,
}

/// Refused records kept of one file: as many as anybody would mend by hand.
pub const REJECTS_KEPT: usize = 10_000;

impl Rejects {
    /// Keeps one, or counts it.
    pub fn push(&mut self, reject: Reject) {
        if self.kept.len() < REJECTS_KEPT {
            self.kept.push(reject);
        } else {
            self.more += 1;
        }
    }
    /// Adds those of another file.
    pub fn append(&mut self, other: &Self) {
        other.kept.iter().for_each(|reject| self.push(reject.clone()));
        self.more += other.more;
    }
    /// How many there were.
    pub fn len(&self) -> usize {
        self.kept.len() + self.more
    }
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Those kept, and after them one that says how many more there were.
    pub fn into_list(mut self, file: &str) -> Vec<Reject> {
        if self.more > 0 {
            let found = format!("{} more refused rows", self.more);
            let expected = format!("{REJECTS_KEPT} at most, which are listed");
            self.kept.push(Unreadable::file("rejects_cut", file, found, expected).0);
        }
        self.kept
    }
    /// The list as CSV, to be sent back to who sent the file: `file,line,field,code,found,expected`.
    pub fn csv(&self) -> String {
        let mut text = "file,line,field,code,found,expected\n".to_owned();
        for r in &self.kept {
            let row = r.row.map_or(String::new(), |row| row.to_string());
            let cells = [&r.file, &row, r.field.as_deref().unwrap_or_default(), r.code, &r.found, &r.expected];
            let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        if self.more > 0 {
            text.push_str(&format!(",,,rejects_cut,{} more refused rows,\n", self.more));
        }
        text
    }
}

/// A cell of a CSV file, quoted where need be. One that a spreadsheet would take for a formula begins with an apostrophe.
pub fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', ';', '"', '\n', '\r', '\t']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Place, found and expected of a sentence that says them: `place: found this, expected that`. The place may be empty.
pub fn parted(sentence: &str) -> Option<(&str, &str, &str)> {
    let (place, rest) = match sentence.strip_prefix("found ") {
        Some(rest) => ("", rest),
        None => sentence.split_once(": found ")?,
    };
    let (found, expected) = rest.split_once(", expected ")?;
    Some((place, found, expected))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_taken_apart_where_it_says_all_three() {
        for (sentence, parts) in [
            ("zoning `a`: found 1 year-end, expected two at least", Some(("zoning `a`", "1 year-end", "two at least"))),
            ("found a cell, expected none: it leaks, expected so", Some(("", "a cell", "none: it leaks, expected so"))),
            ("the audit gave no verdict", None),
            ("place: found something", None),
        ] {
            assert_eq!(parted(sentence), parts, "{sentence}");
        }
    }

    #[test]
    fn a_list_of_refused_rows_is_cut_and_says_so() {
        let mut rejects = Rejects::default();
        for row in 1..=REJECTS_KEPT + 2 {
            let Unreadable(mut reject) = Unreadable::record("naf_unknown", "r.csv", row, "`=cmd, \"x\"`", "a code");
            reject.field = Some("=naf".to_owned());
            rejects.push(reject);
        }
        assert_eq!((rejects.kept.len(), rejects.more, rejects.len()), (REJECTS_KEPT, 2, REJECTS_KEPT + 2));
        let csv = rejects.csv();
        assert_eq!(csv.lines().nth(1), Some("r.csv,1,'=naf,naf_unknown,\"`=cmd, \"\"x\"\"`\",a code"));
        assert_eq!(csv.lines().last(), Some(",,,rejects_cut,2 more refused rows,"));
        assert_eq!(rejects.into_list("r.csv").len(), REJECTS_KEPT + 1);
    }
}
