//! A zoning made of another: quarters as unions of IRIS, given as a table of codes instead of contours (R31).

use super::dissolve::dissolve;
use super::read::groups::{GroupTable, Member};
use super::validate::{Checks, Refused, TopologyReport, ZoneInMetres, is_sound, united, validate_against};
use crate::model::{Lambert93, Reject, Unreadable, Zone, Zoning};
use std::collections::BTreeMap;

/// What may be left open in a grouping table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupOptions {
    /// Whether zones that the table does not name are left out; otherwise they are faults.
    pub partial: bool,
}

/// A grouping that holds.
#[derive(Debug, Clone)]
pub struct Grouping {
    /// The groups, each contour the union of its members.
    pub zoning: Zoning,
    /// How the groups lie beside each other.
    pub topology: TopologyReport,
    /// For each group its members, both in the order of codes.
    pub members: BTreeMap<String, Vec<String>>,
    /// What the operator should know, though nothing was refused for it.
    pub warnings: Vec<Reject>,
}

/// Codes listed in one message.
const CODES_SHOWN: usize = 20;

/// Unites the members of each group. Where members share their borders vertex for vertex, as IRIS do, the union is exact:
/// its vertices are theirs; where they overlap or do not quite meet, it is rounded to a tenth of a millimetre, and said.
///
/// # Errors
/// Every row that names no zone of `zoning`, a zone named twice, a group with two names, zones that no row names (unless
/// the table may be partial), and what is wrong with the groups as contours.
pub fn group(
    zoning: &Zoning,
    table: &GroupTable,
    options: GroupOptions,
    checks: &Checks<'_>,
) -> Result<Grouping, Box<Refused>> {
    let (found, mut errors, mut warnings) = sort_out(zoning, table, options);
    errors.extend(table.members.rejected.iter().cloned());
    let mut zones = Vec::new();
    for (code, group) in &found {
        let contours = || group.zones.iter().map(|zone| zone.contour.metres());
        let mut contour = dissolve(contours());
        if !is_sound(&contour) {
            let Some(union) = united(contours()) else {
                let found = format!("members of group `{code}` that lie across each other by the million");
                let expected = "members that share their borders";
                errors.push(Unreadable::record("tangled", &table.name, group.line, found, expected).0);
                continue;
            };
            contour = union;
            let found = format!("members of group `{code}` that overlap or do not quite meet");
            let expected = "members that share their borders; their union was rounded to a tenth of a millimetre";
            warnings.push(Unreadable::record("members_overlap", &table.name, group.line, found, expected).0);
        }
        zones.push(ZoneInMetres {
            record: group.line,
            code: code.clone(),
            label: group.label.clone(),
            contour: Lambert93::vouch(contour),
        });
    }
    match validate_against(&table.name, zones, checks) {
        Ok((zoning, topology)) if errors.is_empty() => {
            let codes = |group: &Group<'_>| group.zones.iter().map(|z| z.code.as_str().to_owned()).collect();
            let members = found.iter().map(|(code, group)| (code.clone(), codes(group))).collect();
            Ok(Grouping { zoning, topology, members, warnings })
        }
        Ok((_, topology)) => Err(Box::new(Refused { errors: in_order(errors), topology })),
        Err(refused) => {
            errors.extend(refused.errors);
            Err(Box::new(Refused { errors: in_order(errors), topology: refused.topology }))
        }
    }
}

fn in_order(mut errors: Vec<Reject>) -> Vec<Reject> {
    errors.sort_by_key(|error| error.row.unwrap_or(usize::MAX));
    errors
}

/// The members of one group.
struct Group<'a> {
    line: usize,
    label: Option<String>,
    zones: Vec<&'a Zone>,
}

/// Members by group; what is wrong with the table, and what is only worth knowing.
fn sort_out<'a>(
    zoning: &'a Zoning,
    table: &GroupTable,
    options: GroupOptions,
) -> (BTreeMap<String, Group<'a>>, Vec<Reject>, Vec<Reject>) {
    let (mut groups, mut errors, mut warnings) = (BTreeMap::<String, Group<'a>>::new(), Vec::new(), Vec::new());
    let fault =
        |code, line, found: String, expected: &str| Unreadable::record(code, &table.name, line, found, expected).0;
    let mut first: BTreeMap<&str, &Member> = BTreeMap::new();
    for member in &table.members.accepted {
        let at = zoning.zones().binary_search_by(|zone| zone.code.as_str().cmp(&member.member));
        let Ok(at) = at else {
            let found = format!("member `{}`, which is no zone", shown(&member.member));
            errors.push(fault("unknown_member", member.line, found, "the code of a zone of the layer"));
            continue;
        };
        if let Some(before) = first.insert(&member.member, member) {
            let found = format!("member `{}`, which line {} names too", member.member, before.line);
            if before.group == member.group {
                warnings.push(fault("member_twice", member.line, found, "one line a member; it was counted once"));
            } else {
                let expected = "one line a member, since a zone lies in one group";
                errors.push(fault("member_twice", member.line, found, expected));
            }
            continue;
        }
        let group = groups.entry(member.group.clone()).or_insert_with(|| Group {
            line: member.line,
            label: member.label.clone(),
            zones: Vec::new(),
        });
        match (&group.label, &member.label) {
            (Some(a), Some(b)) if a != b => {
                let found = format!("group `{}` named `{}`", shown(&member.group), shown(b));
                let expected = format!("`{}`, as line {} names it", shown(a), group.line);
                errors.push(fault("two_labels", member.line, found, &expected));
            }
            (None, Some(label)) => group.label = Some(label.clone()),
            _ => {}
        }
        group.zones.push(&zoning.zones()[at]);
    }
    for group in groups.values_mut() {
        group.zones.sort_by(|a, b| a.code.cmp(&b.code));
    }
    let forgotten: Vec<&str> =
        zoning.zones().iter().map(|zone| zone.code.as_str()).filter(|code| !first.contains_key(code)).collect();
    if !forgotten.is_empty() {
        let codes = forgotten.iter().take(CODES_SHOWN).map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
        let more = if forgotten.len() > CODES_SHOWN { ", …" } else { "" };
        let found = format!("no line for {} of {} zones: {codes}{more}", forgotten.len(), zoning.zones().len());
        if options.partial {
            let expected = "a line for each zone; these belong to no group";
            warnings.push(Unreadable::file("member_forgotten", &table.name, found, expected).0);
        } else {
            let expected = "a line for each zone, or the word that the table is partial";
            errors.push(Unreadable::file("member_forgotten", &table.name, found, expected).0);
        }
    }
    (groups, errors, warnings)
}

/// A text of a table as a message shows it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::read::groups::groups;
    use crate::steps::read::{Files, ZoneOptions, zones};
    use crate::steps::reproject;
    use crate::steps::validate::validate_alone;
    use geo::{Area, CoordsIter, LineString, MultiPolygon, Polygon};
    use std::collections::HashSet;

    fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Vec<(f64, f64)> {
        vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    }

    fn zoning_of(zones: Vec<(&str, Vec<LineString>)>) -> Zoning {
        let zones = zones.into_iter().enumerate().map(|(i, (code, rings))| {
            let mut rings = rings.into_iter();
            let polygon = Polygon::new(rings.next().unwrap(), rings.collect());
            ZoneInMetres {
                record: i + 1,
                code: code.into(),
                label: None,
                contour: Lambert93::vouch(MultiPolygon(vec![polygon])),
            }
        });
        validate_alone("layer", zones.collect(), None).unwrap().0
    }

    /// Four squares of 100.1 m around a corner, and one in a lake of the last of them.
    fn five() -> Zoning {
        let at = |x: f64, y: f64| LineString::from(rectangle(x * 100.1, y * 100.1, 100.1, 100.1));
        let lake = || LineString::from(rectangle(150.0, 150.0, 10.0, 10.0));
        zoning_of(vec![
            ("1", vec![at(0.0, 0.0)]),
            ("2", vec![at(1.0, 0.0)]),
            ("3", vec![at(0.0, 1.0)]),
            ("4", vec![at(1.0, 1.0), lake()]),
            ("5", vec![lake()]),
        ])
    }

    fn grouped(text: &str, partial: bool) -> Result<Grouping, Vec<String>> {
        let table = groups("t.csv", text.as_bytes().to_vec()).unwrap();
        group(&five(), &table, GroupOptions { partial }, &Checks::default())
            .map_err(|refused| refused.errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn members_become_one_contour_without_their_shared_borders() {
        for (text, groups) in [
            ("iris;quartier\n1;A\n2;A\n3;A\n4;A\n5;A\n", &[("A", 1, 0, 8)][..]),
            ("iris;quartier\n1;A\n2;A\n3;B\n4;B\n5;C\n", &[("A", 1, 0, 6), ("B", 1, 1, 6), ("C", 1, 0, 4)]),
            // Two that meet at a corner stay two parts; a lake that is filled is gone.
            ("iris;quartier\n1;A\n4;A\n5;A\n2;B\n3;B\n", &[("A", 2, 0, 8), ("B", 2, 0, 8)]),
        ] {
            let grouping = grouped(text, false).unwrap();
            assert_eq!(grouping.warnings, [], "{text}");
            let found: Vec<_> = grouping
                .zoning
                .zones()
                .iter()
                .map(|zone| {
                    let contour = zone.contour.metres();
                    let holes: usize = contour.iter().map(|p| p.interiors().len()).sum();
                    let outside: usize = contour.iter().map(|p| p.exterior().0.len() - 1).sum();
                    (zone.code.as_str(), contour.0.len(), holes, outside)
                })
                .collect();
            assert_eq!(found, groups, "{text}");
            let area_m2: f64 = grouping.zoning.zones().iter().map(|zone| zone.contour.area_m2()).sum();
            assert!((area_m2 - 4.0 * 100.1 * 100.1).abs() < 1e-9, "{text}: {area_m2}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_by_its_lines() {
        let whole = "iris;quartier;nom\n1;A;Nord\n2;A;Nord\n3;A;Nord\n4;B;Sud\n";
        for (more, partial, told) in [
            ("5;B;Sud\n", false, &[][..]),
            ("", true, &[]),
            ("", false, &["no line for 1 of 5 zones: `5`"]),
            ("5;B;Sud\n9;B;Sud\n", false, &["row 7: found member `9`, which is no zone"]),
            ("5;B;Sud\n1;B;Sud\n", false, &["row 7: found member `1`, which line 2 names too"]),
            ("5;B;Est\n", false, &["row 6: found group `B` named `Est`, expected `Sud`, as line 5 names it"]),
            ("5;B;Sud\n;B;Sud\n", false, &["row 7, field `iris`: found a blank"]),
        ] {
            let found = grouped(&format!("{whole}{more}"), partial).err().unwrap_or_default();
            assert_eq!(found.len(), told.len(), "{more:?}: {found:#?}");
            assert!(found.iter().zip(told).all(|(found, told)| found.contains(told)), "{more:?}: {found:#?}");
        }
        let twice = grouped(&format!("{whole}5;B;Sud\n5;B;Sud\n"), false).unwrap();
        assert_eq!((twice.warnings[0].code, twice.warnings[0].row), ("member_twice", Some(7)));
        assert_eq!(twice.members["B"], ["4", "5"]);
    }

    #[test]
    fn members_that_overlap_are_united_and_it_is_said() {
        let zoning = zoning_of(vec![
            ("1", vec![rectangle(0.0, 0.0, 100.0, 100.0).into()]),
            ("2", vec![rectangle(50.0, 50.0, 100.0, 100.0).into()]),
        ]);
        let table = groups("t.csv", b"iris;quartier\n1;A\n2;A\n".to_vec()).unwrap();
        let grouping = group(&zoning, &table, GroupOptions::default(), &Checks::default()).unwrap();
        assert_eq!(grouping.warnings[0].code, "members_overlap");
        assert!((grouping.zoning.zones()[0].contour.area_m2() - 17_500.0).abs() < 0.1);
    }

    #[test]
    fn communes_are_the_exact_unions_of_their_iris() {
        let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/territories/bas-rhin"));
        if !path.exists() {
            println!("skipped: no ../shared");
            return;
        }
        let part = |e: &str| {
            let name = format!("CONTOURS-IRIS_D067.{e}");
            let bytes = std::fs::read(path.join(&name)).unwrap();
            (name, bytes)
        };
        let files = Files { name: "D067.shp".into(), parts: ["shp", "dbf", "shx", "prj"].map(part).to_vec() };
        let layer = zones(&files, &ZoneOptions::default()).unwrap();
        let metres = reproject::zones(layer.records.accepted).unwrap().accepted;
        let (iris, _) = validate_alone("iris", metres, None).unwrap();
        let rows = iris.zones().iter().map(|z| format!("{};{}\n", z.code, &z.code.as_str()[..5])).collect::<String>();
        let table = groups("t.csv", format!("iris;commune_groupe\n{rows}").into_bytes()).unwrap();
        let grouping = group(&iris, &table, GroupOptions::default(), &Checks::default()).unwrap();
        assert_eq!((grouping.zoning.zones().len(), grouping.warnings.len()), (527, 0));
        assert!(grouping.topology.findings.iter().all(|f| f.kind.severity().code() == "note"), "{}", grouping.topology);
        let bits = |c: geo::Coord| (c.x.to_bits(), c.y.to_bits());
        let vertices: HashSet<_> =
            iris.zones().iter().flat_map(|z| z.contour.metres().coords_iter().map(bits).collect::<Vec<_>>()).collect();
        for commune in grouping.zoning.zones() {
            let members = iris.zones().iter().filter(|z| z.code.as_str().starts_with(commune.code.as_str()));
            let members_m2: f64 = members.map(|z| z.contour.metres().unsigned_area()).sum();
            assert!((commune.contour.area_m2() - members_m2).abs() < 1e-6 * members_m2.sqrt(), "{}", commune.code);
            assert!(commune.contour.metres().coords_iter().all(|c| vertices.contains(&bits(c))), "{}", commune.code);
        }
    }
}
