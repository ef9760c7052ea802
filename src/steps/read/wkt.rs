//! Well-known text of a `.prj`: is it one, and is it a system we can name by its code.

use crate::model::Crs;

/// Words a system's text may begin with (ESRI and OGC WKT1, ISO 19162 WKT2).
const KEYWORDS: [&str; 12] = [
    "PROJCS",
    "GEOGCS",
    "PROJCRS",
    "PROJECTEDCRS",
    "GEOGCRS",
    "GEOGRAPHICCRS",
    "GEODCRS",
    "COMPD_CS",
    "COMPOUNDCRS",
    "BOUNDCRS",
    "LOCAL_CS",
    "FITTED_CS",
];

/// Bytes of the longest description: the longest of the register have some twenty thousand.
const BYTES_MAX: usize = 65_536;

/// The system a `.prj` describes; French systems met under ESRI's names become codes, all else stays text.
///
/// Fails with what was found when the text is no description of a system.
pub(super) fn crs(prj: &[u8]) -> Result<Crs, String> {
    if prj.len() > BYTES_MAX {
        return Err(format!("{} bytes", prj.len()));
    }
    let text = String::from_utf8_lossy(prj.strip_prefix(b"\xef\xbb\xbf").unwrap_or(prj));
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}');
    let keyword = text.split(['[', '(']).next().unwrap_or_default().trim().to_ascii_uppercase();
    if !KEYWORDS.contains(&keyword.as_str()) {
        let start: String = text.chars().take(30).map(|c| if c.is_control() { ' ' } else { c }).collect();
        return Err(if text.is_empty() {
            "an empty file".to_owned()
        } else {
            format!("text that starts with `{start}`")
        });
    }
    let name: String = text.split('"').nth(1).unwrap_or_default().to_ascii_uppercase();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(known(&keyword, &name).map_or_else(|| Crs::Wkt(text.to_owned()), Crs::Epsg))
}

/// The code of a French or world system by the letters and digits of its name, as ESRI, OGC and IGN write it.
fn known(keyword: &str, name: &str) -> Option<u32> {
    if keyword.starts_with("GEOG") {
        return matches!(name, "GCSWGS1984" | "WGS84" | "WGS1984").then_some(4326);
    }
    if !keyword.starts_with("PROJ") {
        return None;
    }
    let local = ["RGF1993", "RGF93"].iter().find_map(|datum| name.strip_prefix(datum))?;
    let local = local.strip_prefix("V1").unwrap_or(local);
    if local == "LAMBERT93" {
        return Some(2154);
    }
    let parallel: u32 = local.strip_prefix("CC")?.parse().ok()?;
    (42..=50).contains(&parallel).then_some(3900 + parallel)
}

/// Whether the coordinates of a system are degrees, so that 180 and 90 bound them.
pub(super) fn is_degrees(crs: &Crs) -> bool {
    match crs {
        // WGS 84, RGF93 v1, RGF93 v2b, ETRS89, NTF
        Crs::Epsg(code) => matches!(code, 4326 | 4171 | 9777 | 4258 | 4275),
        Crs::Wkt(text) => text.starts_with("GEOG") && !text.contains("\"Grad\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_named_by_their_code_when_we_know_it() {
        for (prj, code) in [
            (r#"PROJCS["RGF93_Lambert_93",GEOGCS["#, Some(2154)),
            (r#"PROJCS["RGF_1993_Lambert_93",GEOGCS["#, Some(2154)),
            ("\u{feff}PROJCS[\"RGF93 v1 / Lambert-93\",", Some(2154)),
            (r#"PROJCS["RGF_1993_CC47","#, Some(3947)),
            (r#"PROJCS["RGF93 / CC50","#, Some(3950)),
            (r#"PROJCS["RGF93_CC51","#, None),
            (r#"PROJCS["RGF93_CC41","#, None),
            (r#"PROJCS["RGF93 v2b / Lambert-93","#, None),
            (r#"PROJCS["NTF_Lambert_93","#, None),
            (r#"GEOGCS["GCS_WGS_1984",DATUM["#, Some(4326)),
            (r#"GEOGCS["WGS 84","#, Some(4326)),
            (r#"GEOGCS["GCS_RGF_1993","#, None),
            (r#"COMPD_CS["RGF93_Lambert_93","#, None),
        ] {
            match (crs(prj.as_bytes()).unwrap(), code) {
                (Crs::Epsg(found), Some(code)) => assert_eq!(found, code, "{prj}"),
                (Crs::Wkt(text), None) => assert_eq!(text, prj),
                (other, _) => panic!("{prj}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_web_page_is_no_system() {
        let endless = "PROJCS[".repeat(10_000);
        for (prj, found) in [
            (endless.as_str(), "70000 bytes"),
            ("<html>", "`<html>`"),
            ("", "empty"),
            ("EPSG:2154", "`EPSG:2154`"),
            ("\u{1}", "starts"),
        ] {
            assert!(crs(prj.as_bytes()).unwrap_err().contains(found), "{prj}");
        }
    }
}
