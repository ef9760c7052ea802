//! Sealed bytes: our own binary form, short, exact, with a digest at its end that is checked before anything is read.
//!
//! Whole numbers are LEB128, texts are their length and their UTF-8, and nothing read is trusted: a length is checked
//! against what is left before any memory is asked for.

use sha2::{Digest, Sha256};

/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// SHA-256, in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Bytes that are not what arpent once wrote. Nothing was taken from them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: found {found}, expected {expected}")]
pub struct Damaged {
    /// What was being read.
    pub place: &'static str,
    /// What was found.
    pub found: &'static str,
    /// What would have been accepted.
    pub expected: &'static str,
}

/// Writes sealed bytes.
pub(crate) struct Sealer {
    bytes: Vec<u8>,
}

impl Sealer {
    /// Begins with the line that names the form and its version.
    pub fn new(form: &str) -> Self {
        Self { bytes: form.as_bytes().to_vec() }
    }
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
    /// A number of either sign, small ones short.
    pub fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }
    /// How many things follow.
    pub fn count(&mut self, count: usize) {
        self.number(count as u64);
    }
    /// The exact bits.
    pub fn float(&mut self, float: f64) {
        self.bytes.extend(float.to_bits().to_le_bytes());
    }
    pub fn blob(&mut self, blob: &[u8]) {
        self.count(blob.len());
        self.bytes.extend(blob);
    }
    pub fn text(&mut self, text: &str) {
        self.blob(text.as_bytes());
    }
    /// Adds the digest of everything before it.
    pub fn close(mut self) -> Vec<u8> {
        let digest = Sha256::digest(&self.bytes);
        self.bytes.extend(digest);
        self.bytes
    }
}

/// Reads sealed bytes whose digest holds.
pub(crate) struct Opened<'a> {
    left: &'a [u8],
    place: &'static str,
}

impl<'a> Opened<'a> {
    /// Checks the digest, then the line that names the form.
    pub fn new(bytes: &'a [u8], form: &str, place: &'static str) -> Result<Self, Damaged> {
        let damaged = |found, expected| Damaged { place, found, expected };
        let Some(end) = bytes.len().checked_sub(DIGEST_BYTES) else {
            return Err(damaged("fewer bytes than a digest has", "bytes that end with their SHA-256"));
        };
        let (content, digest) = bytes.split_at(end);
        if Sha256::digest(content)[..] != *digest {
            return Err(damaged(
                "bytes that changed since they were written",
                "bytes that fit the SHA-256 at their end",
            ));
        }
        let Some(left) = content.strip_prefix(form.as_bytes()) else {
            return Err(damaged("bytes of another form or version", "the form this version of arpent writes"));
        };
        Ok(Self { left, place })
    }
    /// An error at this place.
    pub fn damaged(&self, found: &'static str, expected: &'static str) -> Damaged {
        Damaged { place: self.place, found, expected }
    }
    fn take(&mut self, n: usize) -> Result<&'a [u8], Damaged> {
        let (taken, left) =
            self.left.split_at_checked(n).ok_or_else(|| self.damaged("an end too early", "more bytes"))?;
        self.left = left;
        Ok(taken)
    }
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }
    pub fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged("a number of more than 64 bits", "64 bits at most"))
    }
    pub fn signed(&mut self) -> Result<i64, Damaged> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
    /// How many things follow; each takes one byte at least, so a count above the bytes left is false.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if count > self.left.len() {
            return Err(self.damaged("a count above the bytes left", "as many things as counted"));
        }
        Ok(count)
    }
    pub fn float(&mut self) -> Result<f64, Damaged> {
        let bits = self.take(8)?.try_into().expect("eight bytes were taken");
        Ok(f64::from_bits(u64::from_le_bytes(bits)))
    }
    pub fn blob(&mut self) -> Result<&'a [u8], Damaged> {
        let n = self.count()?;
        self.take(n)
    }
    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        let blob = self.blob()?;
        std::str::from_utf8(blob).map_err(|_| self.damaged("a text that is not UTF-8", "UTF-8"))
    }
    /// Everything was read.
    pub fn end(self) -> Result<(), Damaged> {
        if self.left.is_empty() { Ok(()) } else { Err(self.damaged("bytes left over", "nothing more")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_has_64_bits_at_most() {
        let ff = [0xff; 9];
        for (last, read) in [(&[0x01][..], Ok(u64::MAX)), (&[0x02], Err(())), (&[0x81, 0x00], Err(())), (&[], Err(()))]
        {
            let mut sealer = Sealer::new("");
            ff.iter().chain(last).for_each(|b| sealer.byte(*b));
            let bytes = sealer.close();
            assert_eq!(Opened::new(&bytes, "", "test").unwrap().number().map_err(|_| ()), read, "{last:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_read_back(n in any::<u64>(), signed in any::<i64>(), bits in any::<u64>(), text in ".*", byte in any::<u8>()) {
            let mut sealer = Sealer::new("form\n");
            sealer.number(n);
            sealer.signed(signed);
            sealer.float(f64::from_bits(bits));
            sealer.text(&text);
            sealer.byte(byte);
            let bytes = sealer.close();
            prop_assert!(Opened::new(&bytes, "farm\n", "test").is_err());
            let mut opened = Opened::new(&bytes, "form\n", "test").unwrap();
            prop_assert_eq!(opened.number().unwrap(), n);
            prop_assert_eq!(opened.signed().unwrap(), signed);
            prop_assert_eq!(opened.float().unwrap().to_bits(), bits);
            prop_assert_eq!(opened.text().unwrap(), text);
            prop_assert_eq!(opened.byte().unwrap(), byte);
            prop_assert!(opened.byte().is_err());
            opened.end().unwrap();
        }
    }
}
