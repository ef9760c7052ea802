//! The zones of `arpent assign`: read and judged, or taken as an index that was kept.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::AssignArgs;
use super::report::{Clock, reject_json};
use crate::cli::files;
use crate::cli::files::ZoneArgs;
use crate::cli::output::WholeFile;
use crate::model::{Reject, Unreadable, ZoneCode, Zoning};
use crate::steps::index::{KeptIndex, ZoneIndex};
use crate::steps::read::Files;
use crate::steps::read::zones::zones;
use crate::steps::reproject;
use crate::steps::validate::validate_alone;

/// What the report says of the zones.
pub(super) struct ZonesRead {
    pub(super) file: String,
    pub(super) layer: String,
    pub(super) code_field: String,
    pub(super) crs: String,
    pub(super) count: usize,
    /// Whether the index was kept from another time.
    pub(super) kept: bool,
    /// Zones left out and warnings; neither stops the work, unless `--expect` counts the zones.
    pub(super) remarks: Vec<Value>,
}

/// Whether a file is there that arpent never kept an index in: it is not to be written over.
fn holds_something_else(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(INDEX_MARK.len() as u64).read_to_end(&mut start));
    read.is_ok() && !start.is_empty() && start != INDEX_MARK
}

/// How every index that was ever kept begins, whatever its form.
const INDEX_MARK: &[u8] = b"arpent index ";

/// An index to place with.
pub(super) struct Ready {
    pub(super) index: ZoneIndex,
    pub(super) codes: Vec<ZoneCode>,
    pub(super) zones: ZonesRead,
    /// The index to be kept, once all else is done.
    pub(super) kept: Option<WholeFile>,
}

impl Ready {
    /// The kept index when it is that of these zones, else a new one, fit for about so many points.
    pub(super) fn get(args: &AssignArgs, points: u64, clock: &mut Clock) -> Result<Self, Vec<Reject>> {
        let one = |unreadable: Unreadable| vec![unreadable.0];
        let begun = Instant::now();
        let files = args.zones.as_deref().map(files::load).transpose().map_err(one)?;
        let asked = files.as_ref().filter(|_| args.index.is_some()).map(|files| fingerprint(files, args));
        clock.spent("zones", begun);
        if let Some(path) = &args.index {
            let begun = Instant::now();
            match Self::kept(path, asked.as_deref()) {
                Ok(ready) => {
                    clock.spent("index", begun);
                    let expected = args.expect.unwrap_or(ready.codes.len());
                    if ready.codes.len() == expected {
                        return Ok(ready);
                    }
                    let found = format!("{} zones", ready.codes.len());
                    let file = path.display().to_string();
                    return Err(one(Unreadable::file("zone_count", file, found, format!("{expected} zones"))));
                }
                Err(found) if files.is_none() => {
                    let expected = "an index that this version of arpent kept, or --zones to build it from";
                    return Err(one(Unreadable::file("index_unreadable", path.display().to_string(), found, expected)));
                }
                Err(_) if holds_something_else(path) => {
                    let (found, expected) = ("a file that is no index", "an index, or a new name to keep one under");
                    return Err(one(Unreadable::file("index_unreadable", path.display().to_string(), found, expected)));
                }
                // It is built again from the zones.
                Err(_) => {}
            }
        }
        let files = files.expect("clap asks for --zones where there is no --index");
        let begun = Instant::now();
        let (zoning, zones) = read_zones(args, &files)?;
        drop(files);
        clock.spent("zones", begun);
        let begun = Instant::now();
        // An index to be kept will serve other points too.
        let index = match &args.index {
            Some(_) => ZoneIndex::new(&zoning),
            None => ZoneIndex::for_points(&zoning, points),
        };
        let codes: Vec<ZoneCode> = zoning.zones().iter().map(|zone| zone.code.clone()).collect();
        drop(zoning);
        clock.spent("index", begun);
        let begun = Instant::now();
        let kept = args.index.as_deref().zip(asked).map(|(path, asked)| keep(path, &index, &codes, &zones, &asked));
        let kept = kept.transpose().map_err(one)?.flatten();
        clock.spent("keep", begun);
        Ok(Self { index, codes, zones, kept })
    }

    /// Reads a kept index; an error says what was found instead.
    fn kept(path: &Path, asked: Option<&str>) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("a file that cannot be opened ({error})"))?;
        let KeptIndex { index, codes, about } = KeptIndex::read(BufReader::new(file))?;
        let about: Value = serde_json::from_str(&about).map_err(|_| "an index that does not say of what".to_owned())?;
        let text = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
        if asked.is_some_and(|asked| asked != text("fingerprint")) {
            return Err("an index of other zones".to_owned());
        }
        let remarks = about["remarks"].as_array().cloned();
        let remarks = remarks.ok_or_else(|| "an index that does not say what its zones were warned for".to_owned())?;
        let zones = ZonesRead {
            file: text("file"),
            layer: text("layer"),
            code_field: text("zone_id"),
            crs: text("crs"),
            count: codes.len(),
            kept: true,
            remarks,
        };
        Ok(Self { index, codes, zones, kept: None })
    }
}

/// What tells one set of zones from another: the bytes of the files, and how they were to be read.
fn fingerprint(files: &Files, args: &AssignArgs) -> String {
    let mut digest = Sha256::new();
    for (name, bytes) in &files.parts {
        // The folder of a file is not part of what it holds.
        let extension = name.rsplit('.').next().unwrap_or_default().to_lowercase();
        digest.update(format!("{extension} {}\n", bytes.len()));
        digest.update(bytes);
    }
    let ZoneArgs { layer, zone_id, zones_crs } = &args.zone_args;
    digest.update(format!("{layer:?} {zone_id:?} {zones_crs:?}"));
    digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Writes a draft of the index; nothing when it has a form that is not kept.
fn keep(
    path: &Path,
    index: &ZoneIndex,
    codes: &[ZoneCode],
    zones: &ZonesRead,
    fingerprint: &str,
) -> Result<Option<WholeFile>, Unreadable> {
    let about = json!({
        "fingerprint": fingerprint,
        "file": zones.file,
        "layer": zones.layer,
        "zone_id": zones.code_field,
        "crs": zones.crs,
        "remarks": zones.remarks,
    });
    let unwritable = |error: std::io::Error| {
        let file = path.display().to_string();
        Unreadable::file("output_unwritable", file, error.to_string(), "a place that can be written")
    };
    let mut into = BufWriter::new(WholeFile::create(path)?);
    let codes: Vec<&ZoneCode> = codes.iter().collect();
    let kept = index.keep(&codes, &about.to_string(), &mut into).map_err(unwritable)?;
    let file = into.into_inner().map_err(|error| unwritable(error.into_error()))?;
    Ok(kept.then_some(file))
}

fn read_zones(args: &AssignArgs, files: &Files) -> Result<(Zoning, ZonesRead), Vec<Reject>> {
    let one = |unreadable: Unreadable| vec![unreadable.0];
    let layer = zones(files, &args.zone_args.options()).map_err(one)?;
    let mut remarks = layer.warnings;
    remarks.extend(layer.records.rejected);
    let in_metres = reproject::zones(layer.records.accepted).map_err(one)?;
    remarks.extend(in_metres.rejected);
    // Overlaps and gaps are for `arpent inspect`.
    let (zoning, _) = validate_alone(&layer.layer, in_metres.accepted, args.expect).map_err(|refused| {
        let mut errors = refused.errors;
        errors.extend(remarks.iter().cloned());
        errors
    })?;
    let read = ZonesRead {
        file: args.zones.as_deref().unwrap_or(Path::new("")).display().to_string(),
        layer: layer.layer,
        code_field: layer.code_field,
        crs: layer.crs.to_string(),
        count: zoning.zones().len(),
        kept: false,
        remarks: remarks.iter().map(reject_json).collect(),
    };
    Ok((zoning, read))
}
