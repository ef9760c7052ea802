//! Which column of a table is what: by known names in any spelling, or as the operator says.

use std::fmt;
use std::str::FromStr;

use super::table::{Table, shown};
use crate::model::Unreadable;

/// What a column of a register, of headcounts or of Sirene may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The number of the establishment.
    Siret,
    /// Employees at the year-end.
    Headcount,
    /// The activity, in NAF rév. 2.
    Naf,
    /// The activity, in NAF 2025.
    Naf2025,
    /// The nomenclature that [`Role::Naf`] follows.
    Nomenclature,
    /// The year-end: a year, or its 31 December.
    Vintage,
    /// Who sent the headcount.
    Source,
    /// East coordinate or longitude.
    X,
    /// North coordinate or latitude.
    Y,
    /// The system of the coordinates.
    Epsg,
    /// `qualite_xy`.
    Quality,
    /// `statutDiffusion`.
    Diffusion,
    /// Whether the establishment is open (A) or closed (F) today.
    State,
    /// The code of the commune.
    Commune,
    /// The code of the IRIS within its commune, four digits.
    LocalIris,
    /// The account that declares the headcount.
    Account,
}

/// The role, its name in mappings, and the names its column is known by: small letters and digits alone, best first.
const ROLES: [(Role, &str, &[&str]); 16] = [
    (
        Role::Siret,
        "siret",
        &["siret", "numerosiret", "numsiret", "nosiret", "nsiret", "codesiret", "siretetablissement", "idsiret"],
    ),
    (
        Role::Headcount,
        "effectif",
        &[
            "effectif",
            "headcount",
            "effectifs",
            "effectifsalarie",
            "effectifssalaries",
            "effectiftotal",
            "effectiffinperiode",
            "nbsalaries",
            "nombresalaries",
            "salaries",
        ],
    ),
    (
        Role::Naf,
        "naf",
        &["naf", "ape", "activiteprincipaleetablissement", "apet700", "codenaf", "codeape", "nafrev2", "apen700"],
    ),
    (
        Role::Naf2025,
        "naf2025",
        &["activiteprincipalenaf25etablissement", "naf2025", "naf25", "ape2025", "codenaf2025", "codeape2025"],
    ),
    (
        Role::Nomenclature,
        "nomenclature",
        &["nomenclatureactiviteprincipaleetablissement", "nomenclature", "nomenclaturenaf"],
    ),
    (Role::Vintage, "millesime", &["millesime", "annee", "vintage", "year", "datesituation", "dateeffectif"]),
    (Role::Source, "source", &["source"]),
    (Role::X, "x", &["x"]),
    (Role::Y, "y", &["y"]),
    (Role::Epsg, "epsg", &["epsg"]),
    (Role::Quality, "qualite_xy", &["qualitexy"]),
    (Role::Diffusion, "diffusion", &["statutdiffusionetablissement", "statutdiffusion", "diffusion"]),
    (Role::State, "etat", &["etatadministratifetablissement", "etatadministratif", "etat"]),
    (Role::Commune, "commune", &["plgcodecommune", "codecommuneetablissement", "codecommune", "depcom", "commune"]),
    (Role::LocalIris, "iris_local", &["plgiris"]),
    (Role::Account, "compte", &["compte", "numerocompte", "numcompte", "idcompte", "nocompte"]),
];

impl Role {
    fn entry(self) -> &'static (Role, &'static str, &'static [&'static str]) {
        ROLES.iter().find(|entry| entry.0 == self).expect("every role has its line")
    }
    /// Its name in mappings: `siret`.
    pub fn name(self) -> &'static str {
        self.entry().1
    }
}

/// What the operator says of the columns; the others are found by their names.
///
/// As text, one line a role: `siret=NUM_SIRET`. A role with nothing behind it (`naf2025=`) is taken from no column. The
/// text of a mapping reads back as the same mapping, so that it can be kept for a sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    said: Vec<(Role, String)>,
}

/// Why a text is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mapping, line {line}: found {found}, expected {expected}")]
pub struct BadMapping {
    /// From 1.
    pub line: usize,
    /// What was found.
    pub found: String,
    /// What would have been accepted.
    pub expected: String,
}

impl Mapping {
    /// Reads a mapping: one `role=column` a line; blank lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// The first line that is none, with its number.
    pub fn parse(text: &str) -> Result<Self, BadMapping> {
        let mut mapping = Self::default();
        for (line, said) in (1..).zip(text.lines().map(str::trim)) {
            if said.is_empty() || said.starts_with('#') {
                continue;
            }
            let refuse = |found: String, expected: String| BadMapping { line, found, expected };
            let Some((role, column)) = said.split_once('=') else {
                return Err(refuse("no `=`".to_owned(), "a role and a column, as in `siret=NUM_SIRET`".to_owned()));
            };
            let Some(&(role, name, _)) = ROLES.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(role.trim()))
            else {
                let names: Vec<&str> = ROLES.iter().map(|(_, name, _)| *name).collect();
                return Err(refuse(format!("the role {}", shown(role.trim())), format!("one of {}", names.join(", "))));
            };
            if mapping.said.iter().any(|(other, _)| *other == role) {
                return Err(refuse(format!("the role `{name}` again"), "each role once".to_owned()));
            }
            mapping.said.push((role, column.trim().to_owned()));
        }
        Ok(mapping)
    }

    /// What is said, in the order it was.
    pub fn iter(&self) -> impl Iterator<Item = (Role, &str)> {
        self.said.iter().map(|(role, column)| (*role, column.as_str()))
    }

    /// The column said for a role; empty when it is to be taken from none.
    pub fn of(&self, role: Role) -> Option<&str> {
        self.said.iter().find(|(said, _)| *said == role).map(|(_, column)| column.as_str())
    }
}

impl FromStr for Mapping {
    type Err = BadMapping;
    fn from_str(text: &str) -> Result<Self, BadMapping> {
        Self::parse(text)
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said.iter().try_for_each(|(role, column)| writeln!(f, "{}={column}", role.name()))
    }
}

/// Which columns were taken for what, and which were left: the operator reads it, and corrects it by a [`Mapping`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnReport {
    /// The role, and the name of its column.
    pub taken: Vec<(Role, String)>,
    /// Names of columns that were not read.
    pub ignored: Vec<String>,
}

impl ColumnReport {
    pub(super) fn take(&mut self, role: Role, table: &Table, at: usize) {
        self.taken.push((role, table.headers()[at].clone()));
    }
    /// Names what is left, once every column is taken.
    pub(super) fn leave_the_rest(&mut self, table: &Table) {
        let left = table.headers().iter().filter(|name| !self.taken.iter().any(|(_, taken)| taken == *name));
        self.ignored = left.map(|name| shown(name).trim_matches('`').to_owned()).collect();
    }
    /// The name of a role's column.
    pub fn of(&self, role: Role) -> Option<&str> {
        self.taken.iter().find(|(taken, _)| *taken == role).map(|(_, column)| column.as_str())
    }
}

/// The column of a role: as the mapping says, or by its names, whatever their capitals, accents, blanks and strokes.
pub(super) fn find(table: &Table, mapping: &Mapping, role: Role) -> Result<Option<usize>, Unreadable> {
    match mapping.of(role) {
        Some("") => Ok(None),
        Some(column) => table.require(column).map(Some),
        None => {
            let headers: Vec<String> = table.headers().iter().map(|name| squeezed(name)).collect();
            let known = role.entry().2;
            Ok(known.iter().find_map(|name| headers.iter().position(|header| header == name)))
        }
    }
}

/// The column of a role that must be there.
pub(super) fn require(table: &Table, mapping: &Mapping, role: Role) -> Result<usize, Unreadable> {
    find(table, mapping, role)?.ok_or_else(|| missing(table, role))
}

pub(super) fn missing(table: &Table, role: Role) -> Unreadable {
    let names: Vec<String> = role.entry().2.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let expected = format!("a column {}; or say which: {}=COLUMN", names.join(" or "), role.name());
    table.header_refused("column_missing", &expected)
}

/// Names of a role in a message.
const NAMES_SHOWN: usize = 4;

/// Small letters and digits alone, without accents.
fn squeezed(name: &str) -> String {
    let plain = |c: char| match c {
        'à' | 'â' | 'ä' => 'a',
        'ç' => 'c',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'î' | 'ï' => 'i',
        'ô' | 'ö' => 'o',
        'ù' | 'û' | 'ü' => 'u',
        c => c,
    };
    name.chars().flat_map(char::to_lowercase).map(plain).filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(header: &str) -> Table {
        Table::open("t", header.as_bytes().to_vec().into(), 1 << 20).unwrap()
    }

    #[test]
    fn a_column_is_known_in_any_spelling_and_by_what_the_operator_says() {
        for (header, mapping, role, at) in [
            ("a,SIRET", "", Role::Siret, Some(1)),
            ("a,Numéro SIRET", "", Role::Siret, Some(1)),
            ("n°_siret,a", "", Role::Siret, Some(0)),
            ("code,siret", "siret=code", Role::Siret, Some(0)),
            ("activitePrincipaleNAF25Etablissement,activitePrincipaleEtablissement", "", Role::Naf, Some(1)),
            ("activitePrincipaleNAF25Etablissement,activitePrincipaleEtablissement", "", Role::Naf2025, Some(0)),
            ("effectif moyen annuel,b", "", Role::Headcount, None),
            ("naf25,naf", "naf2025=", Role::Naf2025, None),
            ("siren,b", "", Role::Siret, None),
        ] {
            let found = find(&table(header), &Mapping::parse(mapping).unwrap(), role).unwrap();
            assert_eq!(found, at, "{header} {mapping}");
        }
        let said = Mapping::parse("siret=absent").unwrap();
        assert_eq!(find(&table("siret,b"), &said, Role::Siret).unwrap_err().0.code, "column_missing");
    }

    #[test]
    fn a_mapping_reads_back_as_it_was_written() {
        let text = "siret=NUM SIRET\neffectif=Eff. au 31/12\nnaf2025=\n";
        let mapping = Mapping::parse(&format!("# of the MSA\n\n {text}")).unwrap();
        assert_eq!(mapping.to_string(), text);
        assert_eq!(mapping.to_string().parse(), Ok(mapping));
        for (text, said) in [
            ("siret", "mapping, line 1: found no `=`, expected a role and a column, as in `siret=NUM_SIRET`"),
            ("siret=a\nsiret=b", "mapping, line 2: found the role `siret` again, expected each role once"),
            ("73282932000074=a", "mapping, line 1: found the role (a name without letters), expected one of siret"),
        ] {
            assert!(Mapping::parse(text).unwrap_err().to_string().starts_with(said), "{text}");
        }
    }

    #[test]
    fn every_role_has_names_of_its_own() {
        let mut names: Vec<&str> = ROLES.iter().flat_map(|(_, _, known)| known.iter().copied()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|name| squeezed(name) == *name));
    }
}
