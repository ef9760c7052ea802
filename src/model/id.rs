//! Identifiers, valid by construction.

use std::fmt;
use std::str::FromStr;

/// The SIREN of La Poste, whose establishments follow a key of their own.
const LA_POSTE: &[u8; 9] = b"356000000";

/// An establishment's number: 14 digits whose key holds.
///
/// The key is Luhn's (INSEE, Sirene). Establishments of La Poste, SIREN 356000000, are also valid when the sum of their
/// 14 digits is a multiple of 5.
///
/// ```
/// use arpent::model::Siret;
/// let siret: Siret = "73282932000074".parse().unwrap();
/// assert_eq!(siret.siren().to_string(), "732829320");
/// assert!("35600000049837".parse::<Siret>().is_ok(), "La Poste");
/// assert!("73282932000075".parse::<Siret>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Siret([u8; 14]);

/// An enterprise's number, the first nine digits of its establishments' numbers; the contributor in secrecy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Siren([u8; 9]);

/// Why a text is not an identifier. The text itself is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Another number of characters than the identifier has.
    #[error("found {found} characters, expected {expected}")]
    Length {
        /// Characters found.
        found: usize,
        /// Characters expected.
        expected: usize,
    },
    /// A character that is not a digit.
    #[error("found a character that is not a digit at position {position}, expected digits only")]
    NotADigit {
        /// Place of the character, from 1.
        position: usize,
    },
    /// The control key does not hold.
    #[error("found digits whose control key fails, expected a key that holds (Luhn)")]
    Key,
}

fn digits<const N: usize>(text: &str) -> Result<[u8; N], BadId> {
    let found = text.chars().count();
    if found != N {
        return Err(BadId::Length { found, expected: N });
    }
    if let Some(at) = text.chars().position(|c| !c.is_ascii_digit()) {
        return Err(BadId::NotADigit { position: at + 1 });
    }
    Ok(text.as_bytes().try_into().expect("N ASCII digits are N bytes"))
}

/// Luhn's sum is a multiple of ten: every second digit from the right counts double, its digits summed.
fn luhn_holds(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let value = u32::from(d - b'0') * if i % 2 == 1 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

impl FromStr for Siret {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let siret: [u8; 14] = digits(text)?;
        let la_poste =
            || siret.starts_with(LA_POSTE) && siret.iter().map(|d| u32::from(d - b'0')).sum::<u32>().is_multiple_of(5);
        if luhn_holds(&siret) || la_poste() { Ok(Self(siret)) } else { Err(BadId::Key) }
    }
}

impl Siret {
    /// The enterprise this establishment belongs to.
    pub fn siren(&self) -> Siren {
        Siren(self.0[..9].try_into().expect("nine of fourteen"))
    }
    /// The fourteen digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ASCII digits")
    }
}

impl FromStr for Siren {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let siren: [u8; 9] = digits(text)?;
        if luhn_holds(&siren) { Ok(Self(siren)) } else { Err(BadId::Key) }
    }
}

impl Siren {
    /// The nine digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ASCII digits")
    }
}

impl fmt::Display for Siret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Display for Siren {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
/// The number is withheld, so that no log can hold a list of establishments by accident.
impl fmt::Debug for Siret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Siret(withheld)")
    }
}
/// The number is withheld, as for [`Siret`].
impl fmt::Debug for Siren {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Siren(withheld)")
    }
}

/// The code of a zone within its zoning: 1 to 64 printable characters, kept as the layer writes it.
///
/// Codes are ordered by their bytes; the border rule of [`crate::steps::assign`] rests on that order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneCode(String);

/// Longest code we accept, in characters; INSEE's longest (IRIS) has 9, and 64 leaves room for local codes.
pub const ZONE_CODE_MAX: usize = 64;

/// Why a text is not a zone code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    /// Nothing but blanks.
    #[error("found an empty code, expected 1 to {ZONE_CODE_MAX} characters")]
    Empty,
    /// Too long.
    #[error("found a code of {0} characters, expected {ZONE_CODE_MAX} at most")]
    TooLong(usize),
    /// A control character.
    #[error("found a control character in the code, expected printable characters")]
    Control,
}

impl FromStr for ZoneCode {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let text = text.trim();
        match text.chars().count() {
            0 => Err(BadCode::Empty),
            n if n > ZONE_CODE_MAX => Err(BadCode::TooLong(n)),
            _ if text.chars().any(char::is_control) => Err(BadCode::Control),
            _ => Ok(Self(text.to_owned())),
        }
    }
}
impl ZoneCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for ZoneCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A release's name: the first 16 hexadecimal digits of the SHA-256 of its content, so equal content has one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseId(String);

impl ReleaseId {
    /// Names content by its SHA-256, given in hexadecimal.
    pub fn from_digest(sha256_hex: &str) -> Self {
        Self(sha256_hex.chars().take(16).collect())
    }
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_siret_holds_only_with_its_key() {
        for (text, verdict) in [
            ("73282932000074", Ok(())),
            ("35600000000048", Ok(())), // La Poste's head office passes Luhn
            ("35600000049837", Ok(())), // fails Luhn, digits sum to 45
            ("35600000049838", Err(BadId::Key)),
            ("73282932000075", Err(BadId::Key)),
            ("7328293200007", Err(BadId::Length { found: 13, expected: 14 })),
            ("732829320000740", Err(BadId::Length { found: 15, expected: 14 })),
            ("7328293200007A", Err(BadId::NotADigit { position: 14 })),
            ("", Err(BadId::Length { found: 0, expected: 14 })),
        ] {
            assert_eq!(text.parse::<Siret>().map(|_| ()), verdict, "{text}");
        }
    }

    #[test]
    fn a_siret_is_never_shown_by_debug() {
        let siret: Siret = "73282932000074".parse().unwrap();
        assert!(!format!("{siret:?} {:?}", siret.siren()).contains("732829320"));
    }
}
