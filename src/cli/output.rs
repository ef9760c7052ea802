//! Files and folders written by commands: whole or not at all; tables as CSV, gzipped CSV or Parquet by their extension.

mod folder;
mod pages;
mod parquet;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use arrow_array::{Array, Int64Array, StringArray};
use flate2::{Compression, write::GzEncoder};
use tokio::signal::unix::{SignalKind, signal};

pub use self::folder::{Readers, WholeFolder};
use self::parquet::ParquetTable;
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
        no_folder(target)?;
        let open = |draft: &Path| OpenOptions::new().write(true).create_new(true).open(draft);
        let made = Drafts::held().beside(target, name, open);
        let (draft, file) = made.map_err(|error| cannot_write(target, &error.to_string()))?;
        Ok(Self { target: target.to_owned(), draft, file, committed: false })
    }

    /// Puts the file under its name, replacing what stood there, once its bytes are on the disk.
    pub fn commit(mut self) -> Result<(), Unreadable> {
        let done = self.file.sync_all().and_then(|()| {
            let mut drafts = Drafts::held();
            std::fs::rename(&self.draft, &self.target)?;
            drafts.remove(&self.draft);
            Ok(())
        });
        done.map_err(|error| cannot_write(&self.target, &error.to_string()))?;
        self.committed = true;
        name_on_disk(&self.target);
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
            let mut drafts = Drafts::held();
            let _ = std::fs::remove_file(&self.draft);
            drafts.remove(&self.draft);
        }
    }
}

/// The drafts of this process, files and folders, so that one which is told to stop leaves none behind.
#[derive(Default)]
struct Drafts {
    paths: BTreeSet<PathBuf>,
    watched: bool,
}

static DRAFTS: Mutex<Drafts> = Mutex::new(Drafts { paths: BTreeSet::new(), watched: false });

/// What a process ends with that a signal ended, beside the number of the signal (POSIX shells).
const BY_SIGNAL: i32 = 128;

impl Drafts {
    /// The list, held against the end of the process: who holds it changes files and list together.
    fn held() -> MutexGuard<'static, Self> {
        DRAFTS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen for signals; before the first draft is there, so that none is ever left behind.
    fn watch(&mut self) {
        if !self.watched {
            let (listening, heard) = mpsc::channel();
            let sweep = move || sweep_when_told(&listening);
            let begun = std::thread::Builder::new().name("signals".to_owned()).spawn(sweep).is_ok();
            // A channel that ends without a word is that of a thread which cannot listen.
            self.watched = begun && heard.recv().is_ok();
        }
    }

    /// Makes a draft beside a target of this name, and notes it.
    fn beside<T>(
        &mut self,
        target: &Path,
        name: &OsStr,
        make: impl Fn(&Path) -> io::Result<T>,
    ) -> io::Result<(PathBuf, T)> {
        self.watch();
        let mut attempt = 0;
        loop {
            let draft = format!(".{}.{}-{attempt}.draft", name.to_string_lossy(), std::process::id());
            let draft = target.with_file_name(draft);
            match make(&draft) {
                Ok(made) => {
                    self.paths.insert(draft.clone());
                    return Ok((draft, made));
                }
                // A draft of the same name outlived a process that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < DRAFTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn remove(&mut self, draft: &Path) {
        self.paths.remove(draft);
    }
}

/// Has a new name on the disk, as it is once the folder above is; a file system that cannot say so has already renamed.
fn name_on_disk(target: &Path) {
    let above = target.parent().filter(|above| !above.as_os_str().is_empty());
    if let Ok(above) = File::open(above.unwrap_or(Path::new("."))) {
        let _ = above.sync_all();
    }
}

/// Waits for SIGINT or SIGTERM, takes the drafts away and ends the process. Without a runtime for it, signals end the
/// process by themselves.
fn sweep_when_told(listening: &mpsc::Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let signal = runtime.block_on(async {
        let interrupt = SignalKind::interrupt();
        let terminate = SignalKind::terminate();
        let (mut first, mut second) = (signal(interrupt).ok()?, signal(terminate).ok()?);
        listening.send(()).ok()?;
        tokio::select! {
            _ = first.recv() => Some(interrupt.as_raw_value()),
            _ = second.recv() => Some(terminate.as_raw_value()),
        }
    });
    if let Some(signal) = signal {
        let drafts = Drafts::held();
        for draft in &drafts.paths {
            let _ = std::fs::remove_file(draft).or_else(|_| std::fs::remove_dir_all(draft));
        }
        std::process::exit(BY_SIGNAL + signal);
    }
}

/// Writes files, all of them or none: drafts first, then their names. Those marked are for the owner's account alone.
pub fn write_together(files: &[(&Path, &[u8], bool)]) -> Result<(), Unreadable> {
    let mut drafts = Vec::with_capacity(files.len());
    for (path, bytes, owner) in files {
        let mut file = WholeFile::create(path)?;
        if *owner {
            file.restrict()?;
        }
        file.fill(bytes)?;
        drafts.push(file);
    }
    drafts.into_iter().try_for_each(WholeFile::commit)
}

/// Prints a report on standard output and gives this exit code; 2 when it could not be written. A reader that has gone
/// away, such as `head`, is no fault of the work done.
pub fn print(command: &str, text: &str, code: ExitCode) -> ExitCode {
    match say(text) {
        Ok(()) => code,
        Err(unreadable) => {
            eprintln!("arpent {command}: {unreadable}");
            ExitCode::from(2)
        }
    }
}

/// Prints what a library prints by itself, such as help; see [`print`].
pub fn print_by(print: impl FnOnce() -> io::Result<()>, code: ExitCode) -> ExitCode {
    match taken(print().and_then(|()| io::stdout().flush())) {
        Ok(()) => code,
        Err(unreadable) => {
            eprintln!("arpent: {unreadable}");
            ExitCode::from(2)
        }
    }
}

/// Prints on standard output.
///
/// # Errors
/// `output_unwritable`, unless the reader has gone away.
pub fn say(text: &str) -> Result<(), Unreadable> {
    let mut out = io::stdout();
    taken(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Whether standard output took what was written.
fn taken(written: io::Result<()>) -> Result<(), Unreadable> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let expected = "a place that can be written";
            Err(Unreadable::file("output_unwritable", "standard output", error.to_string(), expected))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn no_folder(target: &Path) -> Result<(), Unreadable> {
    if target.is_dir() { Err(cannot_write(target, "a folder")) } else { Ok(()) }
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

/// A column to be written.
#[derive(Debug, Clone)]
pub struct OutColumn {
    /// Its name.
    pub name: String,
    /// What its cells are.
    pub kind: OutKind,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutKind {
    /// Texts which seldom repeat.
    Text,
    /// Words of a list, or nothing: Parquet's null.
    Word,
    /// Whole numbers, or nothing.
    Whole,
    /// Metres, or nothing where NaN; to the millimetre in a text.
    Metres,
}

/// The cells of a column, as its kind has them.
pub enum OutCells<'a> {
    /// For [`OutKind::Text`].
    Texts(&'a Texts),
    /// For [`OutKind::Word`]: for each row the place of its word in the list, the same for all rows; beyond the list,
    /// nothing.
    Words(&'a [u32], &'a WordList),
    /// For [`OutKind::Whole`].
    Whole(&'a Int64Array),
    /// For [`OutKind::Metres`].
    Metres(&'a [f64]),
}

/// Words that a column repeats.
pub struct WordList {
    words: Arc<StringArray>,
    /// As CSV has them, quoted where need be.
    spelt: Vec<Vec<u8>>,
}

impl WordList {
    /// The list, in its order.
    pub fn new<'a>(words: impl Iterator<Item = &'a str> + Clone) -> Self {
        let spell = |word: &str| {
            let mut spelt = Vec::with_capacity(word.len());
            push_field(&mut spelt, word);
            spelt
        };
        Self { spelt: words.clone().map(spell).collect(), words: Arc::new(StringArray::from_iter_values(words)) }
    }
}

/// A table being written, batch by batch.
pub struct TableWriter {
    target: PathBuf,
    sink: Sink,
}

enum Sink {
    Csv(BufWriter<WholeFile>),
    CsvGz(Box<GzEncoder<BufWriter<WholeFile>>>),
    Parquet(Box<ParquetTable>),
}

impl TableWriter {
    /// Opens a table in the format its extension asks for.
    pub fn create(target: &Path, columns: &[OutColumn]) -> Result<Self, Unreadable> {
        let format = TableFormat::of(target)?;
        let file = WholeFile::create(target)?;
        let buffered = |file| BufWriter::with_capacity(BUFFER_BYTES, file);
        let sink = match format {
            TableFormat::Csv => Sink::Csv(buffered(file)),
            TableFormat::CsvGz => Sink::CsvGz(Box::new(GzEncoder::new(buffered(file), Compression::new(GZIP_LEVEL)))),
            TableFormat::Parquet => {
                let table = ParquetTable::create(file, columns);
                Sink::Parquet(Box::new(table.map_err(|error| cannot_write(target, &error.to_string()))?))
            }
        };
        let mut table = Self { target: target.to_owned(), sink };
        let mut header = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            header.extend((at > 0).then_some(b','));
            push_field(&mut header, &column.name);
        }
        header.push(b'\n');
        match &mut table.sink {
            Sink::Csv(writer) => writer.write_all(&header),
            Sink::CsvGz(writer) => writer.write_all(&header),
            Sink::Parquet(..) => Ok(()),
        }
        .map_err(|error| cannot_write(target, &error.to_string()))?;
        Ok(table)
    }

    /// Adds rows; `columns` are those of [`create`](Self::create), all of one length.
    pub fn write(&mut self, columns: &[OutCells<'_>]) -> Result<(), Unreadable> {
        let written = match &mut self.sink {
            Sink::Csv(writer) => writer.write_all(&rows(columns)).map_err(|error| error.to_string()),
            Sink::CsvGz(writer) => writer.write_all(&rows(columns)).map_err(|error| error.to_string()),
            Sink::Parquet(table) => table.write(columns).map_err(|error| error.to_string()),
        };
        written.map_err(|error| cannot_write(&self.target, &error))
    }

    /// Ends the table; the file appears under its name once the answer is [committed](WholeFile::commit).
    pub fn finish(self) -> Result<WholeFile, Unreadable> {
        let ended = match self.sink {
            Sink::Csv(writer) => writer.into_inner().map_err(io::Error::from),
            Sink::CsvGz(writer) => writer.finish().and_then(|inner| inner.into_inner().map_err(io::Error::from)),
            Sink::Parquet(table) => table.finish().map_err(io::Error::other),
        };
        ended.map_err(|error| cannot_write(&self.target, &error.to_string()))
    }
}

impl OutCells<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Words(words, _) => words.len(),
            Self::Whole(numbers) => numbers.len(),
            Self::Metres(metres) => metres.len(),
        }
    }
}

/// Rows as CSV.
fn rows(columns: &[OutCells<'_>]) -> Vec<u8> {
    let n = columns.first().map_or(0, OutCells::len);
    let mut text = Vec::with_capacity(n * 32);
    for row in 0..n {
        for (at, column) in columns.iter().enumerate() {
            text.extend((at > 0).then_some(b','));
            match column {
                OutCells::Texts(texts) => push_field(&mut text, &texts[row]),
                OutCells::Words(words, list) => {
                    if let Some(word) = list.spelt.get(words[row] as usize) {
                        text.extend_from_slice(word);
                    }
                }
                OutCells::Whole(numbers) if numbers.is_null(row) => {}
                OutCells::Whole(numbers) => write!(text, "{}", numbers.value(row)).expect("memory takes all"),
                OutCells::Metres(metres) if metres[row].is_nan() => {}
                OutCells::Metres(metres) => write!(text, "{:.3}", metres[row]).expect("memory takes all"),
            }
        }
        text.push(b'\n');
    }
    text
}

/// Adds a field, quoted where it must be (RFC 4180).
fn push_field(text: &mut Vec<u8>, field: &str) {
    if field.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
        text.push(b'"');
        text.extend(field.bytes().flat_map(|b| std::iter::repeat_n(b, if b == b'"' { 2 } else { 1 })));
        text.push(b'"');
    } else {
        text.extend_from_slice(field.as_bytes());
    }
}

/// No output may take the place of an input, nor of another output, nor be a folder.
///
/// # Errors
/// `output_is_input` or `output_unwritable`, with the first that would.
pub fn kept_apart<'a>(
    inputs: impl IntoIterator<Item = &'a PathBuf>,
    outputs: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), Unreadable> {
    // A file that is not there yet is known by its folder.
    let by_folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::canonicalize(folder).map(|folder| folder.join(path.file_name().unwrap_or_default()))
    };
    let real =
        |path: &Path| std::fs::canonicalize(path).or_else(|_| by_folder(path)).unwrap_or_else(|_| path.to_owned());
    let mut taken: Vec<PathBuf> = inputs.into_iter().map(|path| real(path)).collect();
    for output in outputs {
        no_folder(output)?;
        let place = real(output);
        if taken.contains(&place) {
            let file = output.display().to_string();
            return Err(Unreadable::file("output_is_input", file, "a file this command already uses", "another file"));
        }
        taken.push(place);
    }
    Ok(())
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

        for nowhere in [folder.path().join("nowhere").join("out.csv"), folder.path().to_owned()] {
            assert_eq!(WholeFile::create(&nowhere).unwrap_err().0.code, "output_unwritable");
        }
        assert_eq!(kept_apart([], [&folder.path().to_owned()]).unwrap_err().0.code, "output_unwritable");
        let again = folder.path().join("..").join(folder.path().file_name().unwrap());
        let twice = [folder.path(), &again].map(|folder| folder.join("new.csv"));
        assert_eq!(kept_apart([], &twice).unwrap_err().0.code, "output_is_input");
        kept_apart([&twice[0]], [&folder.path().join("other.csv")]).unwrap();

        let (good, bad) = (folder.path().join("good"), folder.path().join("nowhere").join("bad"));
        write_together(&[(&good, b"1", true), (&bad, b"2", false)]).unwrap_err();
        assert_eq!(names(folder.path()), ["out.csv"], "all or none");
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
        let list = WordList::new(["S,1", "S2"].into_iter());
        let zones = [0, 7, 1, u32::MAX, 0];
        let numbers = Int64Array::from(vec![Some(1), None, Some(-3), Some(i64::MAX), Some(0)]);
        let metres = [0.5, f64::NAN, 1234.5678, 0.0, 2.0];
        let column = |name: &str, kind| OutColumn { name: name.to_owned(), kind };
        for name in ["t.csv", "t.csv.gz", "t.parquet"] {
            let columns = [
                column("id", OutKind::Text),
                column("zone", OutKind::Word),
                column("number", OutKind::Whole),
                column("distance", OutKind::Metres),
            ];
            let expected = [
                ["1", "S,1", "1", "0.5"],
                ["a,b", "", "", ""],
                ["say \"hi\"", "S2", "-3", "1234.568"],
                ["é\n", "", "9223372036854775807", "0"],
                ["", "S,1", "0", "2"],
            ];
            let target = folder.path().join(name);
            let mut writer = TableWriter::create(&target, &columns).unwrap();
            for _ in 0..2 {
                let cells = [
                    OutCells::Texts(&ids),
                    OutCells::Words(&zones, &list),
                    OutCells::Whole(&numbers),
                    OutCells::Metres(&metres),
                ];
                writer.write(&cells).unwrap();
            }
            writer.finish().unwrap().commit().unwrap();

            let mut table = Table::open(name, Input::File(File::open(&target).unwrap()), 1 << 20).unwrap();
            assert_eq!(table.headers(), ["id", "zone", "number", "distance"]);
            assert_eq!(table.is_whole(2), name == "t.parquet");
            table.select(&[0, 1, 2, 3].map(|at| (at, Kind::Text))).unwrap();
            let batch = table.next_batch().unwrap().unwrap();
            assert_eq!(batch.len(), 10, "{name}");
            for (row, expected) in expected.iter().chain(&expected).enumerate() {
                let exact = [0, 1, 2].map(|at| &batch.texts(at)[row]);
                assert_eq!(exact, expected[..3], "{name}, row {row}");
                let metres: Option<f64> = batch.texts(3)[row].parse().ok();
                let expected: Option<f64> = expected[3].parse().ok();
                let close = |(a, b): (f64, f64)| (a - b).abs() < 1e-3;
                assert!(metres.is_some() == expected.is_some() && metres.zip(expected).is_none_or(close), "{name}");
            }
        }
        assert_eq!(names(folder.path()), ["t.csv", "t.csv.gz", "t.parquet"]);
    }
}
