//! The folder of a protected release: what may be shown, what its owner keeps, and the way back for a later `--after`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde_json::Value;

use super::output::{Readers, WholeFolder};
use crate::model::{Reject, Unreadable};
use crate::steps::read::microdata::{MicroTable, microdata};
use crate::steps::secrecy::{
    Cell, Column, Coordinate, Dossier, Earlier, EarlierTable, Leads, Microdata, ProtectedTable, Spec, Table,
    TableDimension,
};

/// What `release.json` says it is.
pub const FORMAT: &str = "arpent protected tables 1";
/// The witnesses, for `arpent audit --certificate`.
pub const CERTIFICATE: &str = "private/certificate.jsonl";
/// Largest file read: as much as a table kept in memory may hold.
const FILE_BYTES_MAX: u64 = crate::steps::read::table::WHOLE_BYTES_MAX;
/// The columns after those of the dimensions.
const FIGURES: [&str; 3] = ["establishments", "headcount", "status"];

/// A file of the folder: its path inside, and its bytes. What lies under `private/` is for the owner's account alone.
pub type Content = (String, Vec<u8>);

pub use crate::steps::bytes::sha256_hex as digest;

/// Reads a file whole.
pub fn bytes_of(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let refuse =
        |code, found: String| Unreadable::file(code, path.display().to_string(), found, "a file that can be read");
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, _) = opened.map_err(|e| refuse("input_unreadable", format!("a file that cannot be opened ({e})")))?;
    if size > FILE_BYTES_MAX {
        return Err(refuse("file_too_big", format!("{size} bytes, more than {FILE_BYTES_MAX}")));
    }
    std::fs::read(path).map_err(|e| refuse("input_unreadable", format!("a file that cannot be read ({e})")))
}

/// Reads a specification; the error names the key or the line.
pub fn spec_of(path: &Path, bytes: &[u8]) -> Result<Spec, Unreadable> {
    let file = path.display().to_string();
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Unreadable::file("spec_not_utf8", &file, "bytes that are not UTF-8", "TOML in UTF-8"))?;
    Spec::parse(text).map_err(|bad| {
        Unreadable(Reject {
            code: "spec_wrong",
            file,
            row: None,
            field: Some(bad.place),
            found: bad.found,
            expected: bad.expected,
        })
    })
}

/// Reads the microdata a specification asks for.
pub fn micro_of(path: &Path, bytes: Vec<u8>, spec: &Spec) -> Result<MicroTable, Vec<Reject>> {
    microdata(&path.display().to_string(), bytes.into(), &spec.columns(), &spec.contributor, &spec.weight)
}

/// The records as the strongroom takes them.
pub fn records(table: &MicroTable) -> Microdata {
    let contributors: Vec<&str> =
        table.contributors.iter().map(|at| table.contributor_names[*at as usize].as_str()).collect();
    let columns = table.columns.iter().map(|column| Column {
        name: column.name.clone(),
        labels: column.labels.clone(),
        codes: column.codes.iter().map(|code| Some(*code)).collect(),
    });
    Microdata::new(table.ids.clone(), &contributors, table.weights.clone(), columns.collect())
}

/// The header of a table's file; an error when two of its columns have one name.
pub fn header(table: &Table) -> Result<Vec<String>, Unreadable> {
    let mut header: Vec<String> = table.dimensions.iter().flat_map(|d| [d.clone(), format!("{d}_level")]).collect();
    header.extend(FIGURES.map(str::to_owned));
    match header.iter().enumerate().find(|(at, name)| header[..*at].contains(name)) {
        None => Ok(header),
        Some((_, name)) => Err(Unreadable::file(
            "output_column_twice",
            format!("table `{}`", table.name),
            format!("two output columns `{name}`"),
            "dimensions named otherwise",
        )),
    }
}

/// A table as CSV, in the order of its coordinates: totals first, coarse levels before fine ones, codes by their bytes.
pub fn table_csv(header: &[String], table: &ProtectedTable) -> Vec<u8> {
    let mut csv = Csv::new(header);
    for (at, cell) in table.cells() {
        for (coordinate, dimension) in at.iter().zip(&table.dimensions) {
            match coordinate {
                Coordinate::Total => csv.fields(["TOTAL", "TOTAL"]),
                Coordinate::Code { level, code } => csv.fields([&**code, &dimension.levels[usize::from(*level)]]),
            }
        }
        match cell {
            Cell::Open { establishments, headcount } => {
                csv.fields([establishments.to_string().as_str(), &headcount.to_string(), "published"]);
            }
            Cell::Suppressed => csv.fields(["", "", "withheld"]),
        }
        csv.end_row();
    }
    csv.bytes()
}

/// What a later release needs of the records: the identifier as `siret`, the contributor, the weight and the codes.
pub fn micro_csv(spec: &Spec, table: &MicroTable) -> Vec<u8> {
    type TextOfRow<'a> = Box<dyn Fn(usize) -> String + 'a>;
    let mut columns: Vec<(&str, TextOfRow<'_>)> = vec![
        ("siret", Box::new(|row| table.ids[row].clone())),
        (&spec.contributor, Box::new(|row| table.contributor_names[table.contributors[row] as usize].clone())),
        (&spec.weight, Box::new(|row| table.weights[row].to_string())),
    ];
    for column in &table.columns {
        columns.push((&column.name, Box::new(|row| column.labels[column.codes[row] as usize].clone())));
    }
    // One column may serve twice, such as a contributor that is a dimension too.
    let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let mut at = 0;
    columns.retain(|(name, _)| {
        at += 1;
        !names[..at - 1].contains(name)
    });
    let mut csv = Csv::new(columns.iter().map(|column| column.0));
    for row in 0..table.ids.len() {
        columns.iter().for_each(|(_, text)| csv.fields([text(row).as_str()]));
        csv.end_row();
    }
    csv.bytes()
}

/// Why each cell has its fate, for the owner.
pub fn reasons_csv(dossier: &Dossier) -> Vec<u8> {
    let mut csv = Csv::new(["table", "cell", "fate", "rules"]);
    for reason in &dossier.reasons {
        csv.fields([reason.table.as_str(), &reason.cell, reason.fate, &reason.rules]);
        csv.end_row();
    }
    csv.bytes()
}

/// For every cell that a rule makes unsafe: the interval an outsider can still prove is at least `proven_low` to
/// `proven_high`, the rules ask for `level_low` to `level_high`.
pub fn certificate_csv(dossier: &Dossier) -> Vec<u8> {
    let columns = ["cells", "value", "proven_low", "proven_high", "level_low", "level_high", "means"];
    let mut csv = Csv::new(columns);
    for proof in &dossier.certificate {
        csv.fields([proof.cells.as_str()]);
        let (value, level) = (proof.value, proof.level);
        let (proven_low, proven_high) = (value.saturating_sub(proof.below), value.saturating_add(proof.above));
        let (level_low, level_high) = (value.saturating_sub(level), value.saturating_add(level));
        for figure in [value, proven_low, proven_high, level_low, level_high] {
            csv.fields([figure.to_string().as_str()]);
        }
        csv.fields([proof.means]);
        csv.end_row();
    }
    csv.bytes()
}

/// The digests of the private files and of `release.json`, in the form of `sha256sum -c` run inside `private/`.
pub fn sums(contents: &[Content]) -> Vec<u8> {
    let line = |(path, bytes): &Content| {
        let name = path.strip_prefix("private/").map_or(format!("../{path}"), str::to_owned);
        format!("{}  {name}\n", digest(bytes))
    };
    contents.iter().map(line).collect::<String>().into_bytes()
}

/// Comma, LF, UTF-8.
struct Csv(csv::Writer<Vec<u8>>);

impl Csv {
    fn new<S: AsRef<str>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut csv = Self(csv::Writer::from_writer(Vec::new()));
        header.into_iter().for_each(|name| csv.fields([name.as_ref()]));
        csv.end_row();
        csv
    }
    fn fields<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) {
        fields.into_iter().for_each(|field| self.0.write_field(field).expect("memory takes what is written"));
    }
    fn end_row(&mut self) {
        self.0.write_record(None::<&[u8]>).expect("every row is as long as the header");
    }
    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes what is written")
    }
}

/// Writes the folder whole or not at all. What stands there is replaced only when it is an empty folder or an earlier
/// output of arpent's own.
pub fn write(target: &Path, contents: &[Content]) -> Result<(), Unreadable> {
    refuse_foreign(target)?;
    // Beside the folder itself, where a link leads to it.
    let real = std::fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    let written = WholeFolder::create(&real, Readers::Usual).and_then(|mut folder| {
        for (path, bytes) in contents {
            let readers = if path.starts_with("private/") { Readers::Owner } else { Readers::Usual };
            folder.add(path, bytes, readers)?;
        }
        folder.replace()
    });
    written.map_err(|error| {
        let place = target.display().to_string();
        Unreadable::file("output_unwritable", place, error.to_string(), "a folder that can be written")
    })
}

/// Refuses a target that holds anything but an earlier output.
pub fn refuse_foreign(target: &Path) -> Result<(), Unreadable> {
    let refuse = |found: String| {
        let expected = "a new folder, an empty one, or an earlier output of this command";
        Err(Unreadable::file("output_foreign", target.display().to_string(), found, expected))
    };
    let entries = match std::fs::read_dir(target) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return refuse(format!("no folder that can be read ({e})")),
    };
    let mut ours = true;
    let mut empty = true;
    for entry in entries {
        let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
        empty = false;
        ours &= ["tables", "private", "release.json"].iter().any(|known| name == *known);
    }
    let signed = || release_json(target).is_ok();
    if empty || (ours && signed()) { Ok(()) } else { refuse("a folder with other content".to_owned()) }
}

fn release_json(folder: &Path) -> Result<(Value, Vec<u8>), Unreadable> {
    let path = folder.join("release.json");
    let bytes = bytes_of(&path)?;
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) if value["format"] == FORMAT => Ok((value, bytes)),
        Ok(_) | Err(_) => {
            let place = path.display().to_string();
            Err(Unreadable::file("release_foreign", place, "another content", format!("a release of {FORMAT}")))
        }
    }
}

/// An earlier release read back.
pub struct ReadBack {
    /// What the strongroom takes.
    pub earlier: Earlier,
    /// SHA-256 of its `release.json`.
    pub digest: String,
    /// The same of the releases it was made after.
    pub after: Vec<String>,
    /// The fingerprint of its policy.
    pub policy: String,
    /// The digest of the release that it corrects.
    pub revises: Option<String>,
}

/// Reads a release back, every file checked against its digest.
pub fn read(folder: &Path) -> Result<ReadBack, Vec<Reject>> {
    let one = |unreadable: Unreadable| vec![unreadable.0];
    let (json, release_bytes) = release_json(folder).map_err(one)?;
    let sums_path = folder.join("private/SHA256SUMS");
    let sums = String::from_utf8(bytes_of(&sums_path).map_err(one)?).unwrap_or_default();
    let sums: BTreeMap<&str, &str> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(digest, name)| (name, digest)).collect();
    let checked = |path: &str, expected: Option<&str>, bytes: Vec<u8>| {
        if expected == Some(digest(&bytes).as_str()) {
            return Ok(bytes);
        }
        let place = folder.join(path).display().to_string();
        Err(one(Unreadable::file(
            "release_damaged",
            place,
            "bytes that changed since they were written",
            "the bytes of the release",
        )))
    };
    let load = |path: &str| bytes_of(&folder.join(path)).map_err(one);
    checked("release.json", sums.get("../release.json").copied(), release_bytes.clone())?;
    let spec_bytes = checked("private/spec.toml", sums.get("spec.toml").copied(), load("private/spec.toml")?)?;
    let micro_bytes =
        checked("private/microdata.csv", sums.get("microdata.csv").copied(), load("private/microdata.csv")?)?;

    let spec = spec_of(&folder.join("private/spec.toml"), &spec_bytes).map_err(one)?;
    let micro = micro_of(&folder.join("private/microdata.csv"), micro_bytes, &spec)?;
    let mut tables = Vec::new();
    for table in &spec.tables {
        let path = format!("tables/{}.csv", table.name);
        let bytes = checked(&path, json["outputs"][path.as_str()].as_str(), load(&path)?)?;
        let dimensions: Vec<TableDimension> = table
            .dimensions
            .iter()
            .map(|d| TableDimension { name: d.clone(), levels: spec.dimensions[d].levels.clone() })
            .collect();
        let cells = cells_of(&folder.join(&path), &dimensions, &bytes).map_err(one)?;
        tables.push(EarlierTable { name: table.name.clone(), cells });
    }
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    Ok(ReadBack {
        earlier: Earlier {
            name: folder.display().to_string(),
            micro: records(&micro),
            spec,
            tables,
            leads: Leads::default(),
            for_partners: json["profile"] == "partner",
        },
        digest: digest(&release_bytes),
        after: texts(&json["inputs"]["after"]),
        policy: json["policy"]["fingerprint"].as_str().unwrap_or_default().to_owned(),
        revises: json["inputs"]["revises"].as_str().map(str::to_owned),
    })
}

/// Reads the cells of a table's file, as [`table_csv`] writes them.
pub fn cells_of(
    path: &Path,
    dimensions: &[TableDimension],
    bytes: &[u8],
) -> Result<BTreeMap<Vec<Coordinate>, Cell>, Unreadable> {
    let refuse = |row: usize, found: &str, expected: &str| {
        Unreadable::record("release_table", path.display().to_string(), row, found, expected)
    };
    let width = 2 * dimensions.len() + FIGURES.len();
    let mut cells = BTreeMap::new();
    for (at, record) in csv::Reader::from_reader(bytes).records().enumerate() {
        let row = at + 2;
        let record = record.map_err(|_| refuse(row, "a row that is not CSV", "CSV in UTF-8"))?;
        if record.len() != width {
            return Err(refuse(row, "another number of columns", "two columns a dimension and three more"));
        }
        let mut place = Vec::new();
        for (d, dimension) in dimensions.iter().enumerate() {
            let (code, level) = (&record[2 * d], &record[2 * d + 1]);
            place.push(match dimension.levels.iter().position(|l| l == level) {
                Some(at) => Coordinate::Code { level: at as u8, code: code.into() },
                None if (code, level) == ("TOTAL", "TOTAL") => Coordinate::Total,
                None => return Err(refuse(row, "an unknown level", "a level of the dimension, or TOTAL")),
            });
        }
        let figure = |at: usize| record[width - FIGURES.len() + at].parse::<u64>();
        let cell = match (figure(0), figure(1), &record[width - 1]) {
            (Ok(establishments), Ok(headcount), "published") => Cell::Open { establishments, headcount },
            (Err(_), Err(_), "withheld") if record[width - 3].is_empty() && record[width - 2].is_empty() => {
                Cell::Suppressed
            }
            _ => {
                return Err(refuse(
                    row,
                    "other figures",
                    "two whole numbers and `published`, or nothing and `withheld`",
                ));
            }
        };
        if cells.insert(place, cell).is_some() {
            return Err(refuse(row, "a cell met before", "each cell once"));
        }
    }
    Ok(cells)
}
