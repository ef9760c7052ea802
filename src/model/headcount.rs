//! Headcounts and their brackets.

/// Employees on the last day of the period, each counting for one (Urssaf, effectif en fin de période).
///
/// A missing headcount is `None` where it is stored, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Headcount(u32);

/// Largest headcount accepted for one establishment; the largest French site has about 20 000.
pub const HEADCOUNT_MAX: u32 = 1_000_000;

impl Headcount {
    /// A headcount in employees; `None` above [`HEADCOUNT_MAX`].
    pub fn new(employees: u32) -> Option<Self> {
        (employees <= HEADCOUNT_MAX).then_some(Self(employees))
    }
    /// Employees.
    pub fn employees(self) -> u32 {
        self.0
    }
}

/// A bracket of headcounts, by its Sirene code (INSEE, `trancheEffectifsEtablissement`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bracket(usize);

/// Code, least and greatest number of employees.
const BRACKETS: [(&str, u32, u32); 15] = [
    ("00", 0, 0),
    ("01", 1, 2),
    ("02", 3, 5),
    ("03", 6, 9),
    ("11", 10, 19),
    ("12", 20, 49),
    ("21", 50, 99),
    ("22", 100, 199),
    ("31", 200, 249),
    ("32", 250, 499),
    ("41", 500, 999),
    ("42", 1_000, 1_999),
    ("51", 2_000, 4_999),
    ("52", 5_000, 9_999),
    ("53", 10_000, HEADCOUNT_MAX),
];

impl Bracket {
    /// The bracket a headcount falls in.
    pub fn of(headcount: Headcount) -> Self {
        let at = BRACKETS.iter().position(|b| headcount.0 <= b.2);
        Self(at.expect("the last bracket reaches HEADCOUNT_MAX"))
    }
    /// The bracket of a Sirene code; `None` for `NN` (no employee known) and for anything else.
    pub fn from_code(code: &str) -> Option<Self> {
        BRACKETS.iter().position(|b| b.0 == code).map(Self)
    }
    /// The Sirene code.
    pub fn code(self) -> &'static str {
        BRACKETS[self.0].0
    }
    /// Least and greatest number of employees.
    pub fn bounds(self) -> (u32, u32) {
        (BRACKETS[self.0].1, BRACKETS[self.0].2)
    }
    /// All brackets, smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BRACKETS.len()).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_meet_without_gap() {
        for (employees, code) in [(0, "00"), (1, "01"), (2, "01"), (3, "02"), (249, "31"), (250, "32"), (10_000, "53")]
        {
            assert_eq!(Bracket::of(Headcount::new(employees).unwrap()).code(), code, "{employees}");
        }
        for pair in BRACKETS.windows(2) {
            assert_eq!(pair[0].2 + 1, pair[1].1, "{} then {}", pair[0].0, pair[1].0);
        }
    }
}
