//! The bytes of an upload, and which format they are in. Nothing here touches a disk.

use super::encoding::CP850;
use crate::model::Unreadable;
use std::borrow::Cow;
use std::io::{Cursor, Read as _};

/// The parts of one upload: a single `.zip`, `.geojson` or `.gpkg`, or a `.shp` with the files beside it.
#[derive(Clone)]
pub struct Files {
    /// The name its owner knows it by.
    pub name: String,
    /// Name and bytes of each part.
    pub parts: Vec<(String, Vec<u8>)>,
}

/// Names and sizes; never the bytes.
impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes = self.parts.iter().map(|(name, bytes)| format!("{name} ({} bytes)", bytes.len()));
        write!(f, "{}: {}", self.name, sizes.collect::<Vec<_>>().join(", "))
    }
}

/// The files of one shapefile, whichever of them there are.
#[derive(Default)]
pub(super) struct Bundle<'a> {
    /// Name of the layer: the file name without folder and extension.
    pub name: String,
    /// Geometry.
    pub shp: Option<Cow<'a, [u8]>>,
    /// Index of the geometry.
    pub shx: Option<Cow<'a, [u8]>>,
    /// Attributes.
    pub dbf: Option<Cow<'a, [u8]>>,
    /// System of coordinates.
    pub prj: Option<Cow<'a, [u8]>>,
    /// Encoding of the attributes.
    pub cpg: Option<Cow<'a, [u8]>>,
    /// The same, as GeoServer writes it.
    pub cst: Option<Cow<'a, [u8]>>,
}

/// What an upload turned out to be.
pub(super) enum Format<'a> {
    /// One or more shapefiles.
    Shapefiles(Vec<Bundle<'a>>),
    /// One GeoJSON text.
    GeoJson(&'a [u8]),
    /// One GeoPackage.
    GeoPackage(&'a [u8]),
}

/// Entries accepted in one archive: a shapefile has seven at most, and 1 000 holds all the layers of a region.
pub const ZIP_ENTRIES_MAX: usize = 1_000;
/// Heads of entries met in the bytes of one archive before it is opened: archives packed in it have some too.
const DIRECTORY_MAX: usize = 10 * ZIP_ENTRIES_MAX;
/// Bytes accepted once unpacked: the whole CONTOURS-IRIS of France takes about 130 MB.
pub const ZIP_UNPACKED_MAX: u64 = 512 * 1024 * 1024;
/// Times an archive may grow. Real layers reach 20, tables full of blanks 100; only a bomb passes 400.
pub const ZIP_RATIO_MAX: u64 = 400;
/// Below this size growth harms nobody, and tiny archives of blanks grow a lot.
pub const ZIP_RATIO_FROM: u64 = 16 * 1024 * 1024;

/// Finds the format by looking at the bytes; the name only helps to word a refusal.
pub(super) fn open(files: &Files) -> Result<Format<'_>, Unreadable> {
    let extension = |name: &str| name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
    let by_extension = files.parts.iter().find(|(name, _)| extension(name) == "shp");
    let Some((name, bytes)) = by_extension.or(files.parts.first()) else {
        return Err(Unreadable::file("empty_file", &files.name, "nothing", "a zone file"));
    };
    let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if by_extension.is_some() {
        return Ok(Format::Shapefiles(bundles(files.parts.iter().map(|(n, b)| (n.clone(), Cow::Borrowed(&b[..]))))));
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return unzip(&files.name, bytes).map(Format::Shapefiles);
    }
    if bytes.starts_with(b"SQLite format 3\0") {
        return Ok(Format::GeoPackage(bytes));
    }
    if json.trim_ascii_start().starts_with(b"{") {
        return Ok(Format::GeoJson(json));
    }
    if bytes.is_empty() {
        return Err(Unreadable::file("empty_file", name, "0 bytes", "a zone file"));
    }
    let (code, expected) = match extension(name).as_str() {
        "zip" => ("not_a_zip", "a zip archive; pack or send it again"),
        "json" | "geojson" => ("not_geojson", "GeoJSON text, which starts with `{`"),
        "gpkg" => ("not_a_geopackage", "a GeoPackage, which is an SQLite database"),
        "dbf" | "shx" | "prj" | "cpg" | "cst" => ("no_shapefile", "its .shp beside it"),
        _ => ("unknown_format", "a shapefile (.shp or .zip), GeoJSON or GeoPackage"),
    };
    let start: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
    Err(Unreadable::file(code, name, format!("a file that starts with the bytes {}", start.join(" ")), expected))
}

/// Groups parts by their path without extension, in any letter case; keeps the groups which have a `.shp`.
fn bundles<'a>(parts: impl Iterator<Item = (String, Cow<'a, [u8]>)>) -> Vec<Bundle<'a>> {
    let mut groups: Vec<(String, Bundle<'a>)> = Vec::new();
    for (path, bytes) in parts {
        let Some((stem, extension)) = path.rsplit_once('.') else { continue };
        let key = stem.to_lowercase();
        let at = groups.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
            let name = stem.rsplit('/').next().unwrap_or(stem).to_owned();
            groups.push((key, Bundle { name, ..Bundle::default() }));
            groups.len() - 1
        });
        let bundle = &mut groups[at].1;
        let slot = match extension.to_ascii_lowercase().as_str() {
            "shp" => &mut bundle.shp,
            "shx" => &mut bundle.shx,
            "dbf" => &mut bundle.dbf,
            "prj" => &mut bundle.prj,
            "cpg" => &mut bundle.cpg,
            "cst" => &mut bundle.cst,
            _ => continue,
        };
        slot.get_or_insert(bytes);
    }
    groups.into_iter().map(|(_, bundle)| bundle).filter(|bundle| bundle.shp.is_some()).collect()
}

fn unzip(file: &str, bytes: &[u8]) -> Result<Vec<Bundle<'static>>, Unreadable> {
    let broken = |e: &dyn std::fmt::Display| {
        Unreadable::file("not_a_zip", file, format!("a broken archive ({e})"), "a zip archive; pack or send it again")
    };
    let too_big = |found: String, expected: String| Unreadable::file("zip_too_big", file, found, expected);
    // Opening an archive reads its whole directory, so that its length is counted first.
    let announced = bytes.windows(4).filter(|w| w == b"PK\x01\x02").count();
    if announced > DIRECTORY_MAX {
        return Err(too_big(format!("{announced} entries"), format!("{ZIP_ENTRIES_MAX} at most")));
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    if archive.len() > ZIP_ENTRIES_MAX {
        return Err(too_big(format!("{} entries", archive.len()), format!("{ZIP_ENTRIES_MAX} at most")));
    }
    let mut parts = Vec::new();
    let mut names = Vec::new();
    let mut unpacked = 0_u64;
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|e| broken(&e))?;
        let raw = entry.name_raw();
        let path = String::from_utf8(raw.to_vec()).unwrap_or_else(|_| CP850.decode(raw)).replace('\\', "/");
        if path.starts_with('/')
            || path.contains(':')
            || path.contains('\0')
            || path.split('/').any(|step| step == "..")
        {
            let shown: String = path.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(Unreadable::file(
                "unsafe_path",
                file,
                format!("an entry named `{shown}`"),
                "paths inside the archive: pack the files again, without the folders above them",
            ));
        }
        let hidden = path.split('/').any(|step| step.starts_with('.') || step == "__MACOSX");
        let extension = path.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        if entry.is_dir() || hidden {
            continue;
        }
        if !matches!(extension.as_str(), "shp" | "shx" | "dbf" | "prj" | "cpg" | "cst") {
            names.push(path);
            continue;
        }
        if entry.encrypted() {
            return Err(Unreadable::file(
                "zip_encrypted",
                file,
                format!("`{path}` behind a password"),
                "an open archive",
            ));
        }
        drop(entry);
        // The size an archive announces is a claim; what is counted here is what comes out.
        let mut content = Vec::new();
        let left = (ZIP_UNPACKED_MAX - unpacked).min(ratio_limit(bytes.len()).saturating_sub(unpacked));
        let mut entry = archive.by_index(i).map_err(|e| broken(&e))?;
        entry.by_ref().take(left + 1).read_to_end(&mut content).map_err(|e| broken(&e))?;
        unpacked += content.len() as u64;
        if content.len() as u64 > left {
            let expected = format!("{ZIP_UNPACKED_MAX} at most, and {ZIP_RATIO_MAX} times the archive at most");
            return Err(too_big(format!("more than {} bytes once unpacked", unpacked - 1), expected));
        }
        parts.push((path, Cow::Owned(content)));
    }
    let inside: Vec<String> = parts.iter().map(|(path, _)| path.clone()).chain(names).take(8).collect();
    let found = bundles(parts.into_iter());
    if found.is_empty() {
        let inside = if inside.is_empty() { "nothing".to_owned() } else { inside.join(", ") };
        return Err(Unreadable::file(
            "no_shapefile",
            file,
            format!("an archive of {inside}"),
            "a .shp in the archive, with its .shx, .dbf and .prj",
        ));
    }
    Ok(found)
}

/// What an archive of this size may unpack to.
fn ratio_limit(packed: usize) -> u64 {
    (packed as u64).saturating_mul(ZIP_RATIO_MAX).max(ZIP_RATIO_FROM)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write as _;

    /// An archive of the entries given.
    pub(in crate::steps::read) fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn refused(name: &str, bytes: Vec<u8>) -> &'static str {
        let files = Files { name: name.into(), parts: vec![(name.into(), bytes)] };
        match open(&files) {
            Ok(_) => "accepted",
            Err(Unreadable(reject)) => reject.code,
        }
    }

    #[test]
    fn an_archive_is_judged_before_it_is_trusted() {
        let blanks = vec![b' '; ZIP_RATIO_FROM as usize + 1];
        let many: Vec<(String, &[u8])> = (0..=ZIP_ENTRIES_MAX).map(|i| (format!("{i}.shp"), &b""[..])).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        for (entries, verdict) in [
            (&[("a.shp", &b"x"[..])][..], "accepted"),
            (&[("deep/er/A.SHP", b"x")], "accepted"),
            (&[("a.txt", b"x")], "no_shapefile"),
            (&[("__MACOSX/a.shp", b"x")], "no_shapefile"),
            (&[(".a.shp", b"x")], "no_shapefile"),
            (&[], "no_shapefile"),
            (&[("../a.shp", b"x")], "unsafe_path"),
            (&[("b/../../a.txt", b"x")], "unsafe_path"),
            (&[("/a.shp", b"x")], "unsafe_path"),
            (&[("..\\a.shp", b"x")], "unsafe_path"),
            (&[("C:\\a.shp", b"x")], "unsafe_path"),
            (&[("a.shp", &blanks[1..])], "accepted"),
            (&[("a.shp", &blanks)], "zip_too_big"),
            (&[("a.shp", &blanks[1..]), ("a.dbf", b"x")], "zip_too_big"),
            (&many[1..], "accepted"),
            (&many, "zip_too_big"),
        ] {
            assert_eq!(refused("u.zip", zip_of(entries)), verdict, "{:?}", entries.first().map(|e| e.0));
        }
    }

    #[test]
    fn a_file_is_known_by_its_bytes_and_refused_by_its_name() {
        for (name, bytes, verdict) in [
            ("a.zip", &b"no zip"[..], "not_a_zip"),
            ("a.zip", b"PK\x03\x04 broken", "not_a_zip"),
            ("a.txt", b"\xef\xbb\xbf {}", "accepted"),
            ("a.geojson", b"[]", "not_geojson"),
            ("a.gpkg", b"PK", "not_a_geopackage"),
            ("a.dbf", b"\x03", "no_shapefile"),
            ("a.kml", b"<kml>", "unknown_format"),
            ("a.zip", b"", "empty_file"),
        ] {
            assert_eq!(refused(name, bytes.to_vec()), verdict, "{name} {bytes:?}");
        }
    }

    #[test]
    fn the_parts_of_a_layer_meet_whatever_their_case() {
        let bytes = zip_of(&[("x/Sect.SHP", b"1"), ("x/sect.Dbf", b"2"), ("SECT.prj", b"3"), ("x/sect.shp.xml", b"4")]);
        let found = unzip("u.zip", &bytes).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].dbf.as_deref()), ("Sect", Some(&b"2"[..])));
        assert!(found[0].prj.is_none(), "the .prj lies in another folder");
    }
}
