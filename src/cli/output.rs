//! Files written by commands: whole or not at all, as CSV, gzipped CSV or Parquet by their extension.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, builder::StringBuilder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use flate2::{Compression, write::GzEncoder};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as ParquetCompression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::model::Unreadable;
use crate::steps::read::table::Texts;

/// Bytes gathered before a write to disk.
const BUFFER_BYTES: usize = 1 << 20;
/// Names tried for a draft; more leftovers than that beside one target are a sign of something else.
const DRAFTS_MAX: usize = 100;
/// The level of gzip: the fastest, since a table of codes shrinks nearly as well and time is what users wait for.
const GZIP_LEVEL: u32 = 1;

/// A file which appears under its name only once [`commit`](Self::commit) has written it whole. Dropped before that,
/// it leaves nothing behind.
#[derive(Debug)]
pub struct WholeFile {
    target: PathBuf,
    draft: PathBuf,
    file: File,
    committed: bool,
}

impl WholeFile {
    /// Opens a draft beside the target.
    pub fn create(target: &Path) -> Result<Self, Unreadable> {
        let name = target.file_name().ok_or_else(|| cannot_write(target, "the name of no file"))?;
        let mut attempt = 0;
        loop {
            let draft = format!(".{}.{}-{attempt}.draft", name.to_string_lossy(), std::process::id());
            let draft = target.with_file_name(draft);
            match OpenOptions::new().write(true).create_new(true).open(&draft) {
                Ok(file) => return Ok(Self { target: target.to_owned(), draft, file, committed: false }),
                // A draft of the same name outlived a process that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < DRAFTS_MAX => attempt += 1,
                Err(error) => return Err(cannot_write(target, &error.to_string())),
            }
        }
    }

    /// Puts the file under its name, replacing what stood there, once its bytes are on the disk.
    pub fn commit(mut self) -> Result<(), Unreadable> {
        let done = self.file.sync_all().and_then(|()| std::fs::rename(&self.draft, &self.target));
        done.map_err(|error| cannot_write(&self.target, &error.to_string()))?;
        self.committed = true;
        // The new name is on the disk once its folder is; a file system that cannot say so has already renamed.
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Lets the owner's account alone read and write it; before any bytes are in it.
    pub fn restrict(&mut self) -> Result<(), Unreadable> {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        self.file.set_permissions(permissions).map_err(|error| cannot_write(&self.target, &error.to_string()))
    }

    /// Adds bytes.
    pub fn fill(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        self.file.write_all(bytes).map_err(|error| cannot_write(&self.target, &error.to_string()))
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_file(&self.draft);
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn cannot_write(target: &Path, found: &str) -> Unreadable {
    Unreadable::file("output_unwritable", target.display().to_string(), found, "a place that can be written")
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// UTF-8, comma, LF.
    Csv,
    /// The same, gzipped.
    CsvGz,
    /// Parquet, compressed by Zstandard.
    Parquet,
}

impl TableFormat {
    /// The format that a file's extension asks for.
    pub fn of(target: &Path) -> Result<Self, Unreadable> {
        let name = target.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let by_extension = [(".csv", Self::Csv), (".csv.gz", Self::CsvGz), (".parquet", Self::Parquet)];
        by_extension.into_iter().find(|(extension, _)| name.ends_with(extension)).map(|(_, format)| format).ok_or_else(
            || {
                let file = target.display().to_string();
                Unreadable::file("output_format", file, "another extension", "`.csv`, `.csv.gz` or `.parquet`")
            },
        )
    }
}

/// A column of texts to be written.
#[derive(Debug, Clone)]
pub struct OutColumn {
    /// Its name.
    pub name: String,
    /// Whether an empty text is a missing value where the format knows one (Parquet's null).
    pub empty_is_null: bool,
}

/// A table being written, batch by batch.
pub struct TableWriter {
    target: PathBuf,
    columns: Vec<OutColumn>,
    sink: Sink,
}

enum Sink {
    Csv(Box<csv::Writer<BufWriter<WholeFile>>>),
    CsvGz(Box<csv::Writer<GzEncoder<BufWriter<WholeFile>>>>),
    Parquet(SchemaRef, Box<ArrowWriter<WholeFile>>),
}

impl TableWriter {
    /// Opens a table in the format its extension asks for.
    pub fn create(target: &Path, columns: Vec<OutColumn>) -> Result<Self, Unreadable> {
        let format = TableFormat::of(target)?;
        let file = WholeFile::create(target)?;
        let buffered = |file| BufWriter::with_capacity(BUFFER_BYTES, file);
        let sink = match format {
            TableFormat::Csv => Sink::Csv(Box::new(csv::Writer::from_writer(buffered(file)))),
            TableFormat::CsvGz => {
                let gzip = GzEncoder::new(buffered(file), Compression::new(GZIP_LEVEL));
                Sink::CsvGz(Box::new(csv::Writer::from_writer(gzip)))
            }
            TableFormat::Parquet => {
                let field = |column: &OutColumn| Field::new(&column.name, DataType::Utf8, column.empty_is_null);
                let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
                let properties = WriterProperties::builder()
                    .set_compression(ParquetCompression::ZSTD(ZstdLevel::default()))
                    .set_created_by(concat!("arpent ", env!("CARGO_PKG_VERSION")).to_owned())
                    .build();
                let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
                    .map_err(|error| cannot_write(target, &error.to_string()))?;
                Sink::Parquet(schema, Box::new(writer))
            }
        };
        let mut table = Self { target: target.to_owned(), columns, sink };
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        match &mut table.sink {
            Sink::Csv(writer) => writer.write_record(&names),
            Sink::CsvGz(writer) => writer.write_record(&names),
            Sink::Parquet(..) => Ok(()),
        }
        .map_err(|error| cannot_write(target, &error.to_string()))?;
        Ok(table)
    }

    /// Adds rows; `columns` are those of [`create`](Self::create), all of one length.
    pub fn write(&mut self, columns: &[&Texts]) -> Result<(), Unreadable> {
        let rows = columns.first().map_or(0, |column| column.len());
        let written = match &mut self.sink {
            Sink::Csv(writer) => write_rows(writer, columns, rows).map_err(|error| error.to_string()),
            Sink::CsvGz(writer) => write_rows(writer, columns, rows).map_err(|error| error.to_string()),
            Sink::Parquet(schema, writer) => {
                let array = |(texts, column): (&&Texts, &OutColumn)| array(texts, column.empty_is_null);
                let arrays = columns.iter().zip(&self.columns).map(array).collect();
                RecordBatch::try_new(Arc::clone(schema), arrays)
                    .map_err(|error| error.to_string())
                    .and_then(|batch| writer.write(&batch).map_err(|error| error.to_string()))
            }
        };
        written.map_err(|error| cannot_write(&self.target, &error))
    }

    /// Ends the table; the file appears under its name once the answer is [committed](WholeFile::commit).
    pub fn finish(self) -> Result<WholeFile, Unreadable> {
        let ended = match self.sink {
            Sink::Csv(writer) => {
                writer.into_inner().map_err(|error| error.into_error()).and_then(|inner| Ok(inner.into_inner()?))
            }
            Sink::CsvGz(writer) => writer
                .into_inner()
                .map_err(|error| error.into_error())
                .and_then(|gzip| Ok(gzip.finish()?.into_inner()?)),
            Sink::Parquet(_, writer) => writer.into_inner().map_err(io::Error::other),
        };
        ended.map_err(|error| cannot_write(&self.target, &error.to_string()))
    }
}

fn write_rows<W: Write>(writer: &mut csv::Writer<W>, columns: &[&Texts], rows: usize) -> Result<(), csv::Error> {
    for row in 0..rows {
        for column in columns {
            writer.write_field(&column[row])?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

fn array(texts: &Texts, empty_is_null: bool) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(texts.len(), texts.len() * 16);
    for text in texts.iter() {
        if text.is_empty() && empty_is_null {
            builder.append_null();
        } else {
            builder.append_value(text);
        }
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::read::table::{Input, Kind, Table};

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.csv");
        let mut abandoned = WholeFile::create(&target).unwrap();
        abandoned.fill(b"half").unwrap();
        assert!(!target.exists());
        drop(abandoned);
        assert_eq!(names(folder.path()), Vec::<String>::new());

        std::fs::write(&target, "before").unwrap();
        let mut whole = WholeFile::create(&target).unwrap();
        whole.fill(b"after").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"before");
        whole.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"after");
        assert_eq!(names(folder.path()), ["out.csv"]);

        let refused = WholeFile::create(&folder.path().join("nowhere").join("out.csv")).unwrap_err();
        assert_eq!(refused.0.code, "output_unwritable");
    }

    #[test]
    fn the_extension_decides_the_format() {
        for (name, format) in [
            ("a.csv", Some(TableFormat::Csv)),
            ("a.b.CSV.GZ", Some(TableFormat::CsvGz)),
            ("a.parquet", Some(TableFormat::Parquet)),
            ("a.gz", None),
            ("csv", None),
            ("a.xlsx", None),
        ] {
            assert_eq!(TableFormat::of(Path::new(name)).ok(), format, "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let ids: Texts = ["1", "a,b", "say \"hi\"", "é\n", ""].iter().collect();
        let zones: Texts = ["S1", "", "S2", "", "S3"].iter().collect();
        for name in ["t.csv", "t.csv.gz", "t.parquet"] {
            let target = folder.path().join(name);
            let column = |name: &str, empty_is_null| OutColumn { name: name.to_owned(), empty_is_null };
            let mut writer = TableWriter::create(&target, vec![column("id", false), column("zone", true)]).unwrap();
            writer.write(&[&ids, &zones]).unwrap();
            writer.write(&[&zones, &ids]).unwrap();
            writer.finish().unwrap().commit().unwrap();

            let mut table = Table::open(name, Input::File(File::open(&target).unwrap()), 1 << 20).unwrap();
            assert_eq!(table.headers(), ["id", "zone"]);
            table.select(&[(0, Kind::Text), (1, Kind::Text)]).unwrap();
            let batch = table.next_batch().unwrap().unwrap();
            let both = |a: &Texts, b: &Texts| a.iter().chain(b.iter()).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(batch.texts(0).iter().collect::<Vec<_>>(), both(&ids, &zones), "{name}");
            assert_eq!(batch.texts(1).iter().collect::<Vec<_>>(), both(&zones, &ids), "{name}");
        }
        assert_eq!(names(folder.path()), ["t.csv", "t.csv.gz", "t.parquet"]);
    }

    #[test]
    fn an_empty_text_is_null_in_parquet_where_it_means_missing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("t.parquet");
        let column = |name: &str, empty_is_null| OutColumn { name: name.to_owned(), empty_is_null };
        let mut writer = TableWriter::create(&target, vec![column("id", false), column("zone", true)]).unwrap();
        let cells: Texts = ["", "x"].iter().collect();
        writer.write(&[&cells, &cells]).unwrap();
        writer.finish().unwrap().commit().unwrap();
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(File::open(target).unwrap());
        let batch = reader.unwrap().build().unwrap().next().unwrap().unwrap();
        assert_eq!((batch.column(0).null_count(), batch.column(1).null_count()), (0, 1));
    }
}
