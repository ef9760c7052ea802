//! Grouping tables: which zone belongs to which group, one row a member, such as the IRIS of each quarter.

use super::table::{Batch, Input, Kind, Table, WHOLE_BYTES_MAX};
use super::zones::FEATURES_MAX;
use crate::model::{Read, Reject, Unreadable};

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Line of a text file, or row, from 1.
    pub line: usize,
    /// The code of the zone.
    pub member: String,
    /// The code of its group.
    pub group: String,
    /// The name of the group, when the table has one.
    pub label: Option<String>,
}

/// A grouping table as read.
#[derive(Debug, Clone)]
pub struct GroupTable {
    /// The name of its file.
    pub name: String,
    /// One a row, and the rows that are none.
    pub members: Read<Member>,
    /// The columns taken: member, group, name.
    pub columns: (String, String, Option<String>),
}

/// Usual names of the member's code, the most telling first.
const MEMBER_NAMES: [&str; 12] = [
    "membre",
    "member",
    "code_membre",
    "code_iris",
    "codeiris",
    "dcomiris",
    "iris",
    "code_zone",
    "code_insee",
    "codgeo",
    "code_commune",
    "depcom",
];
/// Usual names of the group's code, the most telling first.
const GROUP_NAMES: [&str; 14] = [
    "groupe",
    "group",
    "code_groupe",
    "group_code",
    "code_quartier",
    "codequartier",
    "quartier",
    "code_secteur",
    "secteur",
    "grd_quart",
    "triris",
    "quartmno",
    "code_regroupement",
    "regroupement",
];
/// Usual names of the group's name, the most telling first.
const LABEL_NAMES: [&str; 12] = [
    "nom_groupe",
    "lib_groupe",
    "libelle_groupe",
    "group_label",
    "nom_quartier",
    "lib_quartier",
    "libelle_quartier",
    "nom_secteur",
    "lib_secteur",
    "libelle",
    "label",
    "nom",
];

/// Reads a grouping table: its columns by their usual names in any case, or in the order member, group, name when the
/// table has just two or three columns.
///
/// # Errors
/// A file that is no table, or whose columns cannot be told; rows without a code are rejected one by one.
pub fn groups(name: &str, input: impl Into<Input>) -> Result<GroupTable, Unreadable> {
    let mut table = Table::open(name, input.into(), WHOLE_BYTES_MAX)?;
    let (member, group, by_name) = match (table.column_among(&MEMBER_NAMES), table.column_among(&GROUP_NAMES)) {
        (Some(member), Some(group)) if member != group => (member, group, true),
        _ if (2..=3).contains(&table.headers().len()) => (0, 1, false),
        _ => {
            let expected = "columns `member` and `group`, or a table of member, group and name alone";
            return Err(table.header_refused("no_group_column", expected));
        }
    };
    let other = |at: &usize| *at != member && *at != group;
    let label = table.column_among(&LABEL_NAMES).filter(other);
    let label = label.or((!by_name && table.headers().len() == 3).then_some(2));
    let header = |at: usize| table.headers()[at].clone();
    let columns = (header(member), header(group), label.map(header));
    let wanted: Vec<(usize, Kind)> = [member, group].into_iter().chain(label).map(|at| (at, Kind::Text)).collect();
    table.select(&wanted)?;
    let mut members = Read { accepted: Vec::new(), rejected: Vec::new() };
    while let Some(batch) = table.next_batch()? {
        if members.accepted.len() + batch.places.len() > FEATURES_MAX {
            let found = format!("more than {FEATURES_MAX} rows");
            return Err(Unreadable::file("too_many_rows", name, found, "a row for each zone"));
        }
        take(name, &columns, &batch, &mut members);
    }
    Ok(GroupTable { name: name.to_owned(), members, columns })
}

fn take(name: &str, columns: &(String, String, Option<String>), batch: &Batch, into: &mut Read<Member>) {
    let mut broken = batch.broken.iter().peekable();
    for (at, &line) in batch.places.iter().enumerate() {
        if let Some(found) = broken.next_if(|b| b.index == at) {
            into.rejected.push(found.reject.clone());
            continue;
        }
        let cell = |column: usize| batch.texts(column)[at].trim().to_owned();
        let blank = |field: &str, expected: &str| {
            let Unreadable(reject) = Unreadable::record("no_code", name, line, "a blank", expected);
            Reject { field: Some(field.to_owned()), ..reject }
        };
        let (member, group) = (cell(0), cell(1));
        if member.is_empty() {
            into.rejected.push(blank(&columns.0, "the code of a zone"));
        } else if group.is_empty() {
            into.rejected.push(blank(&columns.1, "the code of a group"));
        } else {
            let label = columns.2.as_ref().map(|_| cell(2)).filter(|label| !label.is_empty());
            into.accepted.push(Member { line, member, group, label });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_by_name_or_by_place() {
        for (text, columns) in [
            ("Code_IRIS;Quartier;Nom_quartier\n1;A;Nord\n", Some(("Code_IRIS", "Quartier", Some("Nom_quartier")))),
            ("quartier,population,iris\nA,5,1\n", Some(("iris", "quartier", None))),
            ("x\ty\n1\tA\n", Some(("x", "y", None))),
            ("x;y;z\n1;A;Nord\n", Some(("x", "y", Some("z")))),
            ("a;b;c;d\n1;A;x;y\n", None),
        ] {
            let read = groups("t.csv", text.as_bytes().to_vec());
            let found = read.as_ref().map(|t| (t.columns.0.as_str(), t.columns.1.as_str(), t.columns.2.as_deref()));
            assert_eq!(found.ok(), columns, "{text:?}");
            if let Ok(table) = &read {
                assert_eq!(
                    (table.members.accepted[0].member.as_str(), table.members.accepted[0].group.as_str()),
                    ("1", "A")
                );
            }
        }
    }

    #[test]
    fn a_row_without_a_code_is_told_by_its_line() {
        let table = groups("t.csv", b"iris;quartier;nom\n1;A;Nord\n;A;Nord\n3;;Sud\n4;B;\n".to_vec()).unwrap();
        let lines: Vec<usize> = table.members.accepted.iter().map(|m| m.line).collect();
        assert_eq!((lines, table.members.accepted[1].label.as_deref()), (vec![2, 5], None));
        let told: Vec<_> = table.members.rejected.iter().map(|r| (r.row, r.field.as_deref())).collect();
        assert_eq!(told, [(Some(3), Some("iris")), (Some(4), Some("quartier"))]);
    }
}
