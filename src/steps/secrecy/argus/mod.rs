//! The files of τ-ARGUS, the tool of the European statistical offices, so that a statistician can check us with it, and
//! the instances of the literature on cell suppression, so that they can be run here.
//!
//! | file | holds | here |
//! |---|---|---|
//! | `.asc`, `.rda` | records of fixed width, and what their columns are | [`fixed`] |
//! | `.hrc` | the codes of a hierarchical variable | [`hierarchy`] |
//! | `.tab`, `.rda` | the cells of a table, and what their fields are | [`table`], as an instance [`pose`] |
//! | `.hst` | what is known of cells before protection: status, cost, levels | [`apriori`] |
//! | `.jj` | cells with bounds, costs and levels, and the equations between them | [`jj`] |
//!
//! The forms are those of the τ-ARGUS manual (version 4.2, chapter 5) and of the instances of Fischetti and Salazar.
//! All of them hold raw figures: what is written here is for the owner alone. A fault says place, found and expected,
//! and `found` repeats no figure.

pub mod apriori;
pub mod fixed;
pub mod hierarchy;
pub mod jj;
pub mod pose;
pub mod shield;
pub mod table;
pub mod unfold;
pub mod write;

use crate::model::Unreadable;

/// Largest file read, in bytes: the instances of the literature end far below.
pub const FILE_BYTES_MAX: usize = 256 << 20;

/// Most digits after the point; τ-ARGUS writes three at most of itself.
const PLACES_MAX: u32 = 9;

/// Greatest number taken, in units of the last digit: every sum of a million of them fits 128 bits, and each fits 64.
const UNITS_MAX: i128 = 4_000_000_000_000_000_000;

/// A number as written: so many units of 10^-places.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Decimal {
    units: i64,
    places: u32,
}

impl Decimal {
    /// Reads a number with a point or a comma, and perhaps a power of ten; `None` for anything else, such as `NaN`.
    fn read(text: &str) -> Option<Self> {
        let (digits, power) = match text.split_once(['e', 'E']) {
            Some((digits, power)) => (digits, power.parse::<i32>().ok().filter(|p| (-18..=18).contains(p))?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, part) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
        if (whole.is_empty() && part.is_empty()) || !(whole.bytes().chain(part.bytes())).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part = part.trim_end_matches('0');
        let mut units = 0_i128;
        for digit in whole.bytes().chain(part.bytes()) {
            units = units * 10 + i128::from(digit - b'0');
            if units > UNITS_MAX {
                return None;
            }
        }
        let mut places = i32::try_from(part.len()).ok()? - power;
        while places < 0 && units != 0 {
            (units, places) = (units * 10, places + 1);
            if units > UNITS_MAX {
                return None;
            }
        }
        while places > 0 && units % 10 == 0 {
            (units, places) = (units / 10, if units == 0 { 0 } else { places - 1 });
        }
        let places = u32::try_from(places.max(0)).ok().filter(|p| *p <= PLACES_MAX)?;
        let units = i64::try_from(units).ok()?;
        Some(Self { units: if negative { -units } else { units }, places })
    }

    /// The same number in units of 10^-places; `None` when it is too large.
    fn in_units_of(self, places: u32) -> Option<i64> {
        let units = i128::from(self.units) * 10_i128.checked_pow(places.checked_sub(self.places)?)?;
        if units.abs() > UNITS_MAX { None } else { i64::try_from(units).ok() }
    }

    /// The number, when it is whole and not negative.
    fn whole(self) -> Option<u64> {
        if self.places == 0 { u64::try_from(self.units).ok() } else { None }
    }
}

/// Units of 10^-places as text, without needless zeros.
fn decimal(units: i64, places: u32) -> String {
    let size = 10_u64.pow(places);
    let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    let part = format!("{:0width$}", units % size, width = places as usize);
    let part = if places == 0 { "" } else { part.trim_end_matches('0') };
    if part.is_empty() { format!("{sign}{}", units / size) } else { format!("{sign}{}.{part}", units / size) }
}

/// The lines of a file, without their ends.
fn lines(file: &str, bytes: &[u8]) -> Result<Vec<String>, Unreadable> {
    Ok(byte_lines(file, bytes)?.map(text).collect())
}

/// The same as bytes, for columns are counted in bytes.
fn byte_lines<'a>(file: &str, bytes: &'a [u8]) -> Result<impl Iterator<Item = &'a [u8]>, Unreadable> {
    if bytes.len() > FILE_BYTES_MAX {
        let expected = format!("{FILE_BYTES_MAX} at most");
        return Err(Unreadable::file("file_too_big", file, format!("{} bytes", bytes.len()), expected));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    Ok(whole.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

/// UTF-8, or what Windows wrote before it.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        for (text, expected) in [
            ("0", Some("0")),
            ("12", Some("12")),
            ("-1", Some("-1")),
            ("+1.50", Some("1.5")),
            ("16847646,84", Some("16847646.84")),
            ("0.000", Some("0")),
            ("1e3", Some("1000")),
            ("2.5E-02", Some("0.025")),
            (".5", Some("0.5")),
            ("5.", Some("5")),
            ("4000000000000000000", Some("4000000000000000000")),
            ("4000000000000000001", None),
            ("1e18", Some("1000000000000000000")),
            ("1e19", None),
            ("0e18", Some("0")),
            ("1e-10", None),
            ("0.1234567891", None),
            ("NaN", None),
            ("inf", None),
            ("1e999999999999", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1 2", None),
            ("0x10", None),
            ("--1", None),
        ] {
            let read = Decimal::read(text);
            assert_eq!(read.map(|d| decimal(d.units, d.places)).as_deref(), expected, "{text}");
        }
    }
}
