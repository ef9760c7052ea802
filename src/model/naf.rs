//! The French nomenclature of activities, NAF rév. 2.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// An activity: one of the 732 sub-classes of NAF rév. 2 (INSEE, decree 2007-1888), in force since 2008.
///
/// Read with or without its dot (`47.11F`, `4711F`). A code outside the list is an error: nothing is mapped by prefix.
/// NAF 2025, official from January 2027, will be another edition beside this one; the two never meet in one table.
///
/// ```
/// use arpent::model::Naf;
/// let naf: Naf = "4711F".parse().unwrap();
/// assert_eq!((naf.code(), naf.division(), naf.section()), ("47.11F", "47", "G"));
/// assert!("47.99Z".parse::<Naf>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Naf(u16);

/// `data/codes/naf_rev2.tsv`: sub-class, division, section, label of the division, label of the section; by sub-class.
static SUBCLASSES: LazyLock<Vec<[&'static str; 5]>> = LazyLock::new(|| {
    include_str!("../../data/codes/naf_rev2.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| {
            let mut fields = line.split('\t');
            std::array::from_fn(|_| fields.next().expect("data/codes/naf_rev2.tsv has five columns"))
        })
        .collect()
});

static BY_CODE: LazyLock<HashMap<&'static str, u16>> =
    LazyLock::new(|| SUBCLASSES.iter().enumerate().map(|(i, row)| (row[0], i as u16)).collect());

/// The code is not one of the 732 sub-classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found `{found}`, expected one of the 732 sub-classes of NAF rév. 2, such as 47.11F")]
pub struct UnknownNaf {
    /// What was read, cut to ten characters.
    pub found: String,
}

impl FromStr for Naf {
    type Err = UnknownNaf;
    fn from_str(text: &str) -> Result<Self, UnknownNaf> {
        let text = text.trim();
        let unknown = || UnknownNaf { found: text.chars().take(10).collect() };
        let dotted;
        let code = if text.len() == 5 && text.is_ascii() {
            dotted = format!("{}.{}", &text[..2], &text[2..]);
            &dotted
        } else {
            text
        };
        BY_CODE.get(code).map(|&i| Self(i)).ok_or_else(unknown)
    }
}

impl Naf {
    /// The sub-class, dotted: `47.11F`.
    pub fn code(self) -> &'static str {
        SUBCLASSES[self.0 as usize][0]
    }
    /// The division, two digits: `47`.
    pub fn division(self) -> &'static str {
        SUBCLASSES[self.0 as usize][1]
    }
    /// The section, one letter: `G`.
    pub fn section(self) -> &'static str {
        SUBCLASSES[self.0 as usize][2]
    }
    /// Every sub-class, in the order of the nomenclature.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SUBCLASSES.len() as u16).map(Self)
    }
    /// The label of a section (`G`) or a division (`47`), in French.
    pub fn label(code: &str) -> Option<&'static str> {
        let (column, label) = if code.len() == 1 { (2, 4) } else { (1, 3) };
        SUBCLASSES.iter().find(|row| row[column] == code).map(|row| row[label])
    }
}

impl fmt::Debug for Naf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Display for Naf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A code of NAF 2025, kept beside [`Naf`] and never compared with it: two digits, two digits, a letter.
///
/// No list of its codes is published in a form we could carry, so the shape alone is checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Naf2025([u8; 5]);

impl FromStr for Naf2025 {
    type Err = UnknownNaf;
    fn from_str(text: &str) -> Result<Self, UnknownNaf> {
        let text = text.trim();
        let code: Vec<u8> = match text.as_bytes() {
            [a, b, b'.', rest @ ..] => [&[*a, *b], rest].concat(),
            code => code.to_vec(),
        };
        match <[u8; 5]>::try_from(code) {
            Ok(code) if code[..4].iter().all(u8::is_ascii_digit) && code[4].is_ascii_uppercase() => Ok(Self(code)),
            _ => Err(UnknownNaf { found: text.chars().take(10).collect() }),
        }
    }
}

impl fmt::Display for Naf2025 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = std::str::from_utf8(&self.0).expect("digits and a letter");
        write!(f, "{}.{}", &code[..2], &code[2..])
    }
}
impl fmt::Debug for Naf2025 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_nomenclature_has_its_published_sizes() {
        assert_eq!(Naf::all().count(), 732);
        assert_eq!(Naf::all().map(Naf::division).collect::<BTreeSet<_>>().len(), 88);
        assert_eq!(Naf::all().map(Naf::section).collect::<BTreeSet<_>>().len(), 21);
    }

    #[test]
    fn a_code_of_2025_is_kept_as_written_and_judged_by_its_shape() {
        for (text, said) in [("47.11F", Some("47.11F")), (" 6210Y ", Some("62.10Y")), ("47.1F", None), ("4711f", None)]
        {
            assert_eq!(text.parse::<Naf2025>().ok().map(|naf| naf.to_string()).as_deref(), said, "{text}");
        }
    }

    #[test]
    fn a_code_outside_the_list_is_refused() {
        for text in ["", "0000Z", "47", "47.11", "é711F", "47.11f"] {
            assert!(text.parse::<Naf>().is_err(), "{text}");
        }
    }
}
