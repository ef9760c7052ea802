//! Shapefiles, read with every length checked against the bytes there are (ESRI Shapefile Technical Description, 1998).
//!
//! Records are found by walking the `.shp`; the `.shx` is only compared with it, so a wrong index does no harm.

use super::dbf::{self, Table};
use super::encoding::{Decision, decide};
use super::files::Bundle;
use super::rings::{NESTING_MAX, assemble};
use super::wkt;
use super::zones::{FEATURES_MAX, LayerReport, Raw, Row};
use crate::model::{Crs, Reject, Unreadable};
use geo::{Coord, LineString};

/// Bytes of the main file header, of the index too.
const HEADER: usize = 100;
/// First four bytes of a `.shp` and of a `.shx`, big-endian.
const FILE_CODE: i32 = 9994;
/// Bytes of a polygon record before its part offsets: type, box, number of parts, number of points.
const POLYGON_HEAD: usize = 44;
/// Rings accepted in one record: the most broken coasts of France have a few thousand islands, and nesting them costs
/// up to the square of their number.
const RINGS_MAX: usize = 20_000;

/// What the headers of a shapefile say, without its records.
pub(super) fn survey(bundle: &Bundle<'_>) -> Result<LayerReport, Unreadable> {
    let file = format!("{}.shp", bundle.name);
    let shp = bundle.shp.as_deref().unwrap_or_default();
    let kind = header(&file, shp)?;
    let mut problems: Vec<Reject> = missing(bundle, true).into_iter().collect();
    let (mut fields, mut encoding) = (Vec::new(), "unknown".to_owned());
    if let Some(bytes) = bundle.dbf.as_deref() {
        match dbf::open(&format!("{}.dbf", bundle.name), bytes) {
            Ok(table) => {
                let decision = encoding_of(bundle, &table);
                fields = table.fields(decision.encoding);
                encoding = format!("{} ({})", decision.encoding.name(), decision.why);
                problems.extend(
                    decision
                        .doubt
                        .map(|(code, found, expected)| whole(code, &format!("{}.dbf", bundle.name), found, expected)),
                );
            }
            Err(Unreadable(problem)) => problems.push(problem),
        }
    }
    let crs = match bundle.prj.as_deref().map(wkt::crs) {
        Some(Ok(crs)) => Some(crs),
        Some(Err(found)) => {
            problems.push(prj_error(bundle, found).0);
            None
        }
        None => None,
    };
    let features = match walk(&file, kind, shp).map_err(|fault| blamed(bundle, fault)) {
        Ok(walked) => {
            problems.extend(bundle.shx.as_deref().and_then(|shx| wrong_index(bundle, shx, &walked.records)));
            problems.extend(walked.warnings);
            walked.records.len()
        }
        Err(Unreadable(problem)) => {
            problems.push(problem);
            0
        }
    };
    let corner = |at: usize| double(shp, at).filter(|v| v.is_finite());
    let extent = match [corner(36), corner(44), corner(52), corner(60)] {
        [Some(west), Some(south), Some(east), Some(north)] if features > 0 => Some([west, south, east, north]),
        _ => None,
    };
    Ok(LayerReport {
        name: bundle.name.clone(),
        format: "shapefile",
        geometry: type_name(kind),
        polygonal: is_polygon(kind),
        features,
        fields,
        crs,
        encoding,
        extent,
        problems,
    })
}

/// Every record of a polygon layer; `crs` is the system the operator names, which stands above the `.prj`.
pub(super) fn read(bundle: &Bundle<'_>, crs: Option<&Crs>) -> Result<Raw, Unreadable> {
    let file = format!("{}.shp", bundle.name);
    let shp = bundle.shp.as_deref().unwrap_or_default();
    let kind = header(&file, shp)?;
    let Some(dbf) = bundle.dbf.as_deref() else {
        return Err(Unreadable(missing(bundle, crs.is_none()).expect("the .dbf is missing")));
    };
    let crs = match (crs, bundle.prj.as_deref()) {
        (Some(crs), _) => crs.clone(),
        (None, Some(prj)) => wkt::crs(prj).map_err(|found| prj_error(bundle, found))?,
        (None, None) => return Err(Unreadable(missing(bundle, true).expect("the .prj is missing"))),
    };
    let walked = walk(&file, kind, shp).map_err(|fault| blamed(bundle, fault))?;
    let mut warnings = Vec::new();
    let table_file = format!("{}.dbf", bundle.name);
    let table = dbf::open(&table_file, dbf)?;
    if table.rows != walked.records.len() {
        let expected = format!("{}, the number of shapes in {file}", walked.records.len());
        return Err(Unreadable::file("dbf_count", table_file, format!("{} rows", table.rows), expected));
    }
    let Decision { encoding, .. } = encoding_of(bundle, &table);
    let fields = table.fields(encoding);

    let mut nesting = NESTING_MAX;
    let (mut rows, mut deleted, mut reversed) = (Vec::new(), Vec::new(), Vec::new());
    for (i, content) in walked.records.iter().enumerate() {
        let record = i + 1;
        let contour = match polygon(&file, record, kind, content)? {
            Ok(rings) => {
                let Some(made) = assemble(rings, &mut nesting) else {
                    let found = "rings within rings by the thousand";
                    return Err(Unreadable::record(
                        "too_many_rings",
                        file,
                        record,
                        found,
                        "contours as a person would draw them",
                    ));
                };
                if !made.as_esri_says {
                    reversed.push(record);
                }
                Ok(made.contour)
            }
            Err(reject) => Err(reject),
        };
        if table.is_deleted(i) {
            deleted.push(record);
        } else {
            rows.push(Row { record, cells: table.cells(i, encoding), contour });
        }
    }
    if !deleted.is_empty() {
        let found = format!("a deletion mark on {} rows ({})", deleted.len(), list(&deleted));
        warnings.push(whole(
            "deleted_rows",
            &table_file,
            found,
            "live rows; these and their shapes are left out".into(),
        ));
    }
    if !reversed.is_empty() {
        let found = format!("rings that run the wrong way in {} records ({})", reversed.len(), list(&reversed));
        let expected = "clockwise contours and counter-clockwise holes; holes were told by where they lie".into();
        warnings.push(whole("ring_order", &file, found, expected));
    }
    Ok(Raw { fields, crs, rows, warnings })
}

fn whole(code: &'static str, file: &str, found: String, expected: String) -> Reject {
    Unreadable::file(code, file, found, expected).0
}

/// Records as a person would list them, the first ten.
fn list(records: &[usize]) -> String {
    let first: Vec<String> = records.iter().take(10).map(usize::to_string).collect();
    first.join(", ") + if records.len() > 10 { "…" } else { "" }
}

/// One problem that names all the parts missing; the index is named when something needed is missing too.
fn missing(bundle: &Bundle<'_>, needs_prj: bool) -> Option<Reject> {
    let parts =
        [(".shx", bundle.shx.is_none()), (".dbf", bundle.dbf.is_none()), (".prj", bundle.prj.is_none() && needs_prj)];
    let parts: Vec<&str> = parts.iter().filter(|(_, missing)| *missing).map(|(part, _)| *part).collect();
    let (code, expected) = match parts[..] {
        [] => return None,
        [".shx"] => ("missing_shx", "an index; the shapes were found without it".to_owned()),
        [".prj"] | [".shx", ".prj"] => (
            "missing_part",
            format!("{} beside the .shp, or the system given by its code (EPSG:N)", parts.join(" and ")),
        ),
        _ => ("missing_part", format!("{} beside the .shp: send all the files of the layer", parts.join(" and "))),
    };
    Some(whole(code, &format!("{}.shp", bundle.name), format!("no {}", parts.join(", no ")), expected))
}

fn prj_error(bundle: &Bundle<'_>, found: String) -> Unreadable {
    let expected = "well-known text such as PROJCS[…], or the system given by its code (EPSG:N)";
    Unreadable::file("prj_not_wkt", format!("{}.prj", bundle.name), found, expected)
}

fn encoding_of(bundle: &Bundle<'_>, table: &Table<'_>) -> Decision {
    decide(bundle.cpg.as_deref().or(bundle.cst.as_deref()), table.language_byte, table.texts())
}

fn big(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..)?.get(..4)?.try_into().ok()?))
}
fn little(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..)?.get(..4)?.try_into().ok()?))
}
fn double(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(bytes.get(at..)?.get(..8)?.try_into().ok()?))
}

/// Checks the file code and gives the type of shape the header declares.
fn header(file: &str, shp: &[u8]) -> Result<i32, Unreadable> {
    let refuse =
        |found: String| Unreadable::file("not_a_shapefile", file, found, format!("a shapefile, file code {FILE_CODE}"));
    match big(shp, 0) {
        Some(FILE_CODE) if shp.len() >= HEADER => Ok(little(shp, 32).unwrap_or_default()),
        Some(FILE_CODE) => Err(refuse(format!("{} bytes, less than a header", shp.len()))),
        Some(code) => Err(refuse(format!("file code {code}"))),
        None => Err(refuse(format!("{} bytes", shp.len()))),
    }
}

fn is_polygon(kind: i32) -> bool {
    matches!(kind, 5 | 15 | 25)
}

fn type_name(kind: i32) -> String {
    let name = match kind {
        0 => "Null",
        1 => "Point",
        3 => "PolyLine",
        5 => "Polygon",
        8 => "MultiPoint",
        11 => "PointZ",
        13 => "PolyLineZ",
        15 => "PolygonZ",
        18 => "MultiPointZ",
        21 => "PointM",
        23 => "PolyLineM",
        25 => "PolygonM",
        28 => "MultiPointM",
        31 => "MultiPatch",
        other => return format!("type {other}"),
    };
    name.to_owned()
}

/// What to do about a coordinate that is none.
const NOT_FINITE: &str = "finite coordinates; mend this shape where it was drawn, and export it again";
/// What to do about a copy that ends too early.
const CUT_SHORT: &str = "a whole .shp; the copy was cut short, and must be sent again";
/// What to do about lengths that contradict each other.
const DAMAGED: &str = "a length that holds the shape and fits the file; it is damaged, and must be exported again";
/// Bytes of the smallest record, head and type.
const RECORD_MIN: usize = 12;

/// The bytes that a polygon announces for itself; none for other shapes, and for counts that are none.
fn needed(kind: i32, content: &[u8]) -> Option<usize> {
    if !is_polygon(kind) || little(content, 0) != Some(kind) {
        return None;
    }
    let parts = usize::try_from(little(content, 36)?).ok()?.checked_mul(4)?;
    let points = usize::try_from(little(content, 40)?).ok()?.checked_mul(16)?;
    parts.checked_add(points)?.checked_add(POLYGON_HEAD)
}

struct Walked<'a> {
    /// The content of each record, its type first.
    records: Vec<&'a [u8]>,
    warnings: Vec<Reject>,
}

/// Finds the records by their announced lengths, none of which may pass the end of the file.
fn walk<'a>(file: &str, kind: i32, shp: &'a [u8]) -> Result<Walked<'a>, Unreadable> {
    // The header counts 16-bit words. Some writers leave it wrong by a few; it is only used to word a refusal.
    let announced = usize::try_from(big(shp, 24).unwrap_or_default()).unwrap_or_default().saturating_mul(2);
    let mut walked = Walked { records: Vec::new(), warnings: Vec::new() };
    let mut at = HEADER.min(shp.len());
    while at < shp.len() {
        let record = walked.records.len() + 1;
        let left = shp.len() - at;
        // Unsigned: lengths above 2³¹ words are nonsense either way, and must not become small.
        let length = big(shp, at + 4).map(|words| u64::from(words.cast_unsigned()) * 2);
        let content =
            length.and_then(|length| shp[at + 8..].get(..usize::try_from(length).ok()?)).filter(|c| c.len() >= 4);
        let Some(content) = content else {
            if announced <= shp.len() + 1 && (at + 1 >= announced || left < RECORD_MIN) {
                let found = format!("{left} stray bytes after record {}", record - 1);
                walked.warnings.push(whole(
                    "stray_bytes",
                    file,
                    found,
                    "nothing after the last record; they are ignored".into(),
                ));
                break;
            }
            let place = |code, found: String, expected: &str| Unreadable::record(code, file, record, found, expected);
            return Err(match length {
                Some(length) if announced <= shp.len() || length > announced as u64 => {
                    place("record_length", format!("a length of {length} bytes where {} are left", left - 8), DAMAGED)
                }
                _ => place("truncated", format!("the end of the file {left} bytes into the record"), CUT_SHORT),
            });
        };
        if record > FEATURES_MAX {
            return Err(Unreadable::file(
                "too_many_features",
                file,
                format!("more than {FEATURES_MAX} records"),
                "fewer records",
            ));
        }
        if let Some(needed) = needed(kind, content).filter(|&needed| needed > content.len()) {
            let found = format!("a length of {} bytes for a shape of {needed}", content.len());
            return Err(Unreadable::record("record_length", file, record, found, DAMAGED));
        }
        walked.records.push(content);
        at += 8 + content.len();
    }
    if announced > shp.len() + 1 {
        let record = walked.records.len() + 1;
        let found = format!("the end of the file at byte {} of {announced}", shp.len());
        return Err(Unreadable::record("truncated", file, record, found, CUT_SHORT));
    }
    Ok(walked)
}

/// A wrong length shows at the record after it; the index, when it says otherwise, tells which record it is.
fn blamed(bundle: &Bundle<'_>, fault: Unreadable) -> Unreadable {
    let (shp, shx) = (bundle.shp.as_deref().unwrap_or_default(), bundle.shx.as_deref().unwrap_or_default());
    let bytes = |file: &[u8], at: usize| big(file, at).and_then(|words| usize::try_from(words).ok()?.checked_mul(2));
    for i in 0..fault.0.row.filter(|_| fault.0.code == "record_length").unwrap_or(0) {
        let (Some(at), Some(indexed)) = (bytes(shx, HEADER + 8 * i), bytes(shx, HEADER + 8 * i + 4)) else { break };
        let Some(own) = at.checked_add(4).and_then(|at| bytes(shp, at)) else { break };
        if own != indexed {
            let found = format!("a length of {own} bytes where the .shx says {indexed}");
            return Unreadable::record("record_length", fault.0.file, i + 1, found, DAMAGED);
        }
    }
    fault
}

/// Compares the index with the records found; a difference is only worth a warning.
fn wrong_index(bundle: &Bundle<'_>, shx: &[u8], records: &[&[u8]]) -> Option<Reject> {
    let file = format!("{}.shx", bundle.name);
    let expected = format!("the {} records of the .shp, which were read without it", records.len());
    let entries = shx.get(HEADER..).unwrap_or_default();
    if big(shx, 0) != Some(FILE_CODE) {
        return Some(whole("wrong_shx", &file, "a file that is no index".into(), expected));
    }
    if entries.len() / 8 != records.len() {
        return Some(whole("wrong_shx", &file, format!("{} entries", entries.len() / 8), expected));
    }
    let mut at = HEADER;
    for (i, content) in records.iter().enumerate() {
        let offset = big(entries, i * 8).map(|words| u64::from(words.cast_unsigned()) * 2);
        if offset != Some(at as u64) {
            let found = format!("entry {} that points at byte {}, not {at}", i + 1, offset.unwrap_or_default());
            return Some(whole("wrong_shx", &file, found, expected));
        }
        at += 8 + content.len();
    }
    None
}

/// The rings of a record, heights and measures dropped; a record without a polygon is a reject, nonsense stops the file.
fn polygon(
    file: &str,
    record: usize,
    kind: i32,
    content: &[u8],
) -> Result<Result<Vec<LineString>, Reject>, Unreadable> {
    let own = little(content, 0).unwrap_or_default();
    if own != kind || !is_polygon(own) {
        let reject = |code, found: String| Unreadable::record(code, file, record, found, type_name(kind)).0;
        return Ok(Err(match own {
            0 => reject("null_geometry", "a record without geometry".into()),
            own => reject("wrong_type", format!("a shape of type {}", type_name(own))),
        }));
    }
    let torn = |found: String| Unreadable::record("record_length", file, record, found, DAMAGED);
    let (Some(parts), Some(points)) = (little(content, 36), little(content, 40)) else {
        return Err(torn(format!("a length of {} bytes", content.len())));
    };
    let counts = (usize::try_from(parts), usize::try_from(points));
    let needed = match counts {
        (Ok(parts), Ok(points)) => parts
            .checked_mul(4)
            .zip(points.checked_mul(16))
            .and_then(|(a, b)| a.checked_add(b)?.checked_add(POLYGON_HEAD)),
        _ => None,
    };
    let (Ok(n_parts), Ok(n_points), Some(needed)) = (counts.0, counts.1, needed) else {
        return Err(torn(format!("{parts} rings and {points} points in {} bytes", content.len())));
    };
    if needed > content.len() {
        return Err(torn(format!("{parts} rings and {points} points in {} bytes", content.len())));
    }
    if n_parts > RINGS_MAX {
        let expected = format!("{RINGS_MAX} at most");
        return Err(Unreadable::record("too_many_rings", file, record, format!("{n_parts} rings"), expected));
    }
    if n_parts == 0 || n_points == 0 {
        let found = format!("a shape of {n_parts} rings and {n_points} points");
        return Ok(Err(Unreadable::record("null_geometry", file, record, found, type_name(kind)).0));
    }
    let starts: Vec<usize> =
        (0..n_parts).filter_map(|part| usize::try_from(little(content, POLYGON_HEAD + 4 * part)?).ok()).collect();
    let ordered = starts.len() == n_parts && starts[0] == 0 && starts.windows(2).all(|w| w[0] <= w[1]);
    if !ordered || starts.last().is_some_and(|&last| last > n_points) {
        let found = "rings that do not start in order within the points";
        return Err(Unreadable::record("ring_starts", file, record, found, "starts that rise from 0"));
    }
    let coordinates = &content[POLYGON_HEAD + 4 * n_parts..][..16 * n_points];
    let mut vertices = Vec::with_capacity(n_points);
    for (i, pair) in coordinates.chunks_exact(16).enumerate() {
        let (Some(x), Some(y)) = (double(pair, 0), double(pair, 8)) else { break };
        if !x.is_finite() || !y.is_finite() {
            let found = format!("({x}, {y}) at point {}", i + 1);
            return Err(Unreadable::record("not_finite", file, record, found, NOT_FINITE));
        }
        vertices.push(Coord { x, y });
    }
    let ends = starts.iter().skip(1).copied().chain([n_points]);
    Ok(Ok(starts.iter().zip(ends).map(|(&start, end)| LineString::new(vertices[start..end].to_vec())).collect()))
}
