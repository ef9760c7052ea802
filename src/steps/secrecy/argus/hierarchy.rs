//! Hierarchies (`.hrc`): a code a line, the leading string once for each level below the first. The total is implied.

use super::lines;
use crate::model::Unreadable;
use std::collections::{HashMap, HashSet};

/// Most codes of a hierarchy.
pub const CODES_MAX: usize = 1_000_000;

/// Most levels of a hierarchy.
pub const LEVELS_MAX: usize = 20;

/// The codes of a hierarchy in the order of the file, each with its depth from 0. A code stands once, whatever its
/// level, and no line is more than one level below the line before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    codes: Vec<(String, usize)>,
}

impl Hierarchy {
    /// Gathers codes with their depths.
    ///
    /// # Errors
    /// The place, from 1, and what is wrong there: found and expected.
    pub fn new(codes: Vec<(String, usize)>) -> Result<Self, (usize, &'static str, &'static str)> {
        let mut seen = HashSet::new();
        let mut last = None;
        for (i, (code, depth)) in codes.iter().enumerate() {
            let deepest = last.map_or(0, |last| last + 1);
            if code.is_empty() {
                return Err((i + 1, "no code", "a code after the leading string"));
            }
            if *depth > deepest {
                return Err((i + 1, "a level left out", "one level below the line before at most"));
            }
            if *depth >= LEVELS_MAX {
                return Err((i + 1, "too many levels", "20 at most"));
            }
            if !seen.insert(code.as_str()) {
                return Err((i + 1, "a code met before", "each code once, whatever its level"));
            }
            last = Some(*depth);
        }
        Ok(Self { codes })
    }

    /// Each code with its depth from 0, in the order of the file.
    pub fn codes(&self) -> &[(String, usize)] {
        &self.codes
    }

    /// Levels, at least one.
    pub fn depth(&self) -> usize {
        self.codes.iter().map(|c| c.1 + 1).max().unwrap_or(1)
    }

    /// For each code that has none below it, the codes from the coarsest level down to itself.
    pub fn paths(&self) -> HashMap<&str, Vec<&str>> {
        let mut above: Vec<&str> = Vec::new();
        let mut paths = HashMap::new();
        for (i, (code, depth)) in self.codes.iter().enumerate() {
            above.truncate(*depth);
            above.push(code);
            if self.codes.get(i + 1).is_none_or(|next| next.1 <= *depth) {
                paths.insert(code.as_str(), above.clone());
            }
        }
        paths
    }
}

/// Reads a hierarchy whose levels are marked by `leading`.
///
/// # Errors
/// A line without a code, a level left out, a code twice, by place, found and expected.
pub fn read(file: &str, bytes: &[u8], leading: &str) -> Result<Hierarchy, Unreadable> {
    if leading.is_empty() {
        return Err(Unreadable::file("hrc_leading", file, "no leading string", "one character or more"));
    }
    let mut codes = Vec::new();
    let mut rows = Vec::new();
    for (i, line) in lines(file, bytes)?.iter().enumerate() {
        let mut rest = line.trim();
        if rest.is_empty() {
            continue;
        }
        if codes.len() == CODES_MAX {
            return Err(Unreadable::record("hrc_line", file, i + 1, "too many codes", format!("{CODES_MAX} at most")));
        }
        let mut depth = 0;
        while let Some(below) = rest.strip_prefix(leading) {
            (rest, depth) = (below, depth + 1);
        }
        codes.push((rest.trim().to_owned(), depth));
        rows.push(i + 1);
    }
    Hierarchy::new(codes)
        .map_err(|(at, found, expected)| Unreadable::record("hrc_line", file, rows[at - 1], found, expected))
}

/// Writes a hierarchy.
pub fn write(hierarchy: &Hierarchy, leading: &str) -> Vec<u8> {
    let lines = hierarchy.codes.iter().map(|(code, depth)| format!("{}{code}\n", leading.repeat(*depth)));
    lines.collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_is_read_and_written_back() {
        let text = "A\n@01\n@02\nB\nC\n@11\n@@111\n";
        let read_back = read("n.hrc", text.as_bytes(), "@").unwrap();
        assert_eq!(write(&read_back, "@"), text.as_bytes());
        assert_eq!(read_back.depth(), 3);
        let paths = read_back.paths();
        assert_eq!(paths["01"], ["A", "01"]);
        assert_eq!(paths["B"], ["B"]);
        assert_eq!(paths["111"], ["C", "11", "111"]);
        assert_eq!(paths.len(), 4);
        assert!(read("n.hrc", &write(&read_back, ".."), "..").unwrap() == read_back);
    }

    #[test]
    fn a_hierarchy_that_is_none_is_refused_by_its_line() {
        for (text, row, found) in [
            ("A\n@@x\n", 2, "a level left out"),
            ("@x\n", 1, "a level left out"),
            ("A\n\n@\n", 3, "no code"),
            ("A\n@x\nB\n@x\n", 4, "a code met before"),
            ("A\n@A\n", 2, "a code met before"),
        ] {
            let error = read("n.hrc", text.as_bytes(), "@").unwrap_err().0;
            assert_eq!((error.row, error.found.as_str()), (Some(row), found), "{text:?}");
        }
        assert_eq!(read("n.hrc", b"A\n", "").unwrap_err().0.code, "hrc_leading");
    }
}
