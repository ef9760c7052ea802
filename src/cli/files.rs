//! Zone files from a disk: the bytes a path names, with the files beside a `.shp`.

use super::inspect::epsg;
use crate::model::{Crs, Unreadable};
use crate::steps::read::{Files, ZoneOptions};
use std::path::Path;

/// What a zone file does not say, for every command that reads one.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ZoneArgs {
    /// The layer of the zones, when the file holds several
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// The field that holds the code of each zone
    #[arg(long, value_name = "FIELD")]
    pub zone_id: Option<String>,
    /// The system of the zones, whatever the file says
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    pub zones_crs: Option<Crs>,
}

impl ZoneArgs {
    /// How the readers are told.
    pub fn options(&self) -> ZoneOptions {
        let Self { layer, zone_id, zones_crs } = self.clone();
        ZoneOptions { layer, code_field: zone_id, label_field: None, crs: zones_crs }
    }

    /// Refuses what would not be heeded, where there is no file of zones that it could be said of.
    ///
    /// # Errors
    /// `not_heeded`, with the option.
    pub fn heeded_without_zones(&self) -> Result<(), Unreadable> {
        match self.said() {
            Some(option) => {
                Err(Unreadable::file("not_heeded", option, "no file of zones to read so", "--zones beside it"))
            }
            None => Ok(()),
        }
    }

    /// An option that was given, if one was.
    pub fn said(&self) -> Option<&'static str> {
        let said = [
            ("--layer", self.layer.is_some()),
            ("--zone-id", self.zone_id.is_some()),
            ("--zones-crs", self.zones_crs.is_some()),
        ];
        said.into_iter().find(|(_, said)| *said).map(|(option, _)| option)
    }
}

/// Largest file read: more than the IRIS of the whole country, in any of the formats.
const FILE_MAX: u64 = 1024 * 1024 * 1024;

/// Loads a zone file; for a `.shp` also its `.shx`, `.dbf`, `.prj` and `.cpg`, in any letter case.
///
/// Fails when a file cannot be opened or is larger than one gigabyte.
pub fn load(path: &Path) -> Result<Files, Unreadable> {
    let name = file_name(path);
    let mut parts = vec![part(path)?];
    if extension(path) == "shp" {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
        let siblings = std::fs::read_dir(folder).map_err(|e| cannot_open(folder, &e))?;
        let mut siblings: Vec<_> = siblings.filter_map(|entry| Some(entry.ok()?.path())).collect();
        siblings.sort();
        for sibling in siblings {
            let belongs = sibling.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()) == stem;
            if belongs && matches!(extension(&sibling).as_str(), "shx" | "dbf" | "prj" | "cpg" | "cst") {
                parts.push(part(&sibling)?);
            }
        }
        // The stems may differ in case alone, and a shapefile is told by one stem.
        let stem = name.rsplit_once('.').map_or(name.clone(), |(stem, _)| stem.to_owned());
        for (part, _) in &mut parts {
            *part = part.rsplit_once('.').map_or(part.clone(), |(_, extension)| format!("{stem}.{extension}"));
        }
    }
    Ok(Files { name, parts })
}

/// Opens a table to be read in batches.
///
/// Fails when it cannot be opened.
pub fn open(path: &Path) -> Result<std::fs::File, Unreadable> {
    std::fs::File::open(path).map_err(|e| cannot_open(path, &e))
}

fn part(path: &Path) -> Result<(String, Vec<u8>), Unreadable> {
    let size = std::fs::metadata(path).map_err(|e| cannot_open(path, &e))?.len();
    if size > FILE_MAX {
        let found = format!("{size} bytes");
        return Err(Unreadable::file("file_too_big", path.display().to_string(), found, format!("{FILE_MAX} at most")));
    }
    Ok((file_name(path), std::fs::read(path).map_err(|e| cannot_open(path, &e))?))
}

fn cannot_open(path: &Path, e: &std::io::Error) -> Unreadable {
    let found = match e.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => e.to_string(),
    };
    Unreadable::file("cannot_open", path.display().to_string(), found, "a file that can be read")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_beside_a_shp_come_with_it_in_any_case() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Sect.shp", "SECT.DBF", "sect.Prj", "sect.shp.xml", "other.dbf", "sect.zip"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let files = load(&folder.path().join("Sect.shp")).unwrap();
        let mut names: Vec<&str> = files.parts.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["Sect.DBF", "Sect.Prj", "Sect.shp"]);
        assert_eq!(load(&folder.path().join("sect.zip")).unwrap().parts.len(), 1);
        for missing in ["absent.zip", "absent.shp"] {
            assert_eq!(load(&folder.path().join(missing)).unwrap_err().0.code, "cannot_open", "{missing}");
        }
    }
}
