//! Workbooks of Excel 97 to 2003: a compound file (MS-CFB) that holds a stream of records (MS-XLS, BIFF8).
//!
//! Written here, since what such a file asks to be held must be known before it is: a few bytes may ask for more memory than
//! there is.

use chrono::{Days, NaiveDate};

use super::spreadsheet::{Cells, damaged, not_a_table, number_text};
use crate::model::Unreadable;

/// Sheets a workbook may have; people make some dozens.
const SHEETS_MAX: usize = 1_000;
/// The last chain of sectors, and those that mean nothing, are numbered from here.
const NO_SECTOR: u32 = 0xffff_fffa;
/// Streams shorter than this lie in the mini stream.
const MINI_CUTOFF: usize = 4_096;

/// Reads the first visible sheet that holds something; gives how many visible sheets there are.
pub(super) fn read(name: &str, bytes: &[u8], cells: &mut Cells) -> Result<usize, Unreadable> {
    let stream = match workbook(bytes) {
        Some(Ok(stream)) => stream,
        Some(Err(Old)) => return Err(not_a_table(name, "a workbook of Excel 95 or older")),
        None => return Err(damaged(name)),
    };
    let globals = Globals::read(&stream).ok_or_else(|| damaged(name))?;
    for &start in &globals.sheets {
        let before = cells.len();
        let records = Records { stream: stream.get(start..).ok_or_else(|| damaged(name))? };
        sheet(records, &globals, cells).unwrap_or_else(|| Err(damaged(name)))?;
        if cells.len() > before {
            break;
        }
    }
    Ok(globals.sheets.len())
}

/// The workbook is of a kind we do not read.
struct Old;

/// The stream of records. `None` when the compound file breaks its own rules.
fn workbook(bytes: &[u8]) -> Option<Result<Vec<u8>, Old>> {
    let file = Compound::open(bytes)?;
    let directory = file.chain(file.u32(48)?)?;
    let mut root = None;
    let (mut book, mut old) = (None, false);
    for entry in directory.chunks_exact(128) {
        let length = usize::from(u16_at(entry, 64)?).min(64);
        let units: Vec<u16> =
            entry[..length.saturating_sub(2)].chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        let at = (u32_at(entry, 116)?, u32_at(entry, 120)? as usize);
        match String::from_utf16_lossy(&units).to_ascii_lowercase().as_str() {
            _ if entry[66] == 5 => root = Some(at),
            "workbook" => book = Some(at),
            "book" => old = true,
            _ => {}
        }
    }
    let Some((start, size)) = book else { return old.then_some(Err(Old)) };
    let mut stream = if size >= MINI_CUTOFF {
        file.chain(start)?
    } else {
        let mini = file.chain(root?.0)?;
        let fat: Vec<u32> = words(&file.chain(file.u32(60)?)?);
        let (mut stream, mut at) = (Vec::new(), start);
        while at < NO_SECTOR && stream.len() < size {
            let from = (at as usize).checked_mul(64)?;
            stream.extend_from_slice(mini.get(from..from + 64)?);
            at = *fat.get(at as usize)?;
        }
        stream
    };
    stream.truncate(size);
    Some(Ok(stream))
}

/// A compound file: sectors, and the table of which follows which.
struct Compound<'a> {
    bytes: &'a [u8],
    sector: usize,
    fat: Vec<u32>,
}

impl<'a> Compound<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let sector = match u16_at(bytes, 30)? {
            9 => 512,
            12 => 4_096,
            _ => return None,
        };
        let mut file = Self { bytes, sector, fat: Vec::new() };
        let all = bytes.len() / sector;
        let mut parts: Vec<u32> = words(bytes.get(76..512)?);
        let mut next = file.u32(68)?;
        while next < NO_SECTOR {
            let more = words(file.at(next)?);
            let (last, more) = more.split_last()?;
            parts.extend(more);
            next = *last;
            if parts.len() > all + sector {
                return None;
            }
        }
        for part in parts.into_iter().filter(|part| *part < NO_SECTOR) {
            if file.fat.len() > all + sector {
                break;
            }
            let entries = words(file.at(part)?);
            file.fat.extend(entries);
        }
        Some(file)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        u32_at(self.bytes, at)
    }

    /// A sector; the last may be cut, and none is empty.
    fn at(&self, sector: u32) -> Option<&'a [u8]> {
        let start = (sector as usize + 1).checked_mul(self.sector)?;
        let end = (start + self.sector).min(self.bytes.len());
        self.bytes.get(start..end).filter(|sector| !sector.is_empty())
    }

    /// The sectors from one on. A chain longer than the file goes in circles.
    fn chain(&self, mut sector: u32) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while sector < NO_SECTOR {
            if bytes.len() > self.bytes.len() {
                return None;
            }
            bytes.extend_from_slice(self.at(sector)?);
            sector = *self.fat.get(sector as usize)?;
        }
        Some(bytes)
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
fn f64_at(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Records in their order: number and bytes.
struct Records<'a> {
    stream: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = (u16_at(self.stream, 0)?, usize::from(u16_at(self.stream, 2)?));
        let data = self.stream.get(4..4 + length)?;
        self.stream = &self.stream[4 + length..];
        Some((kind, data))
    }
}

const BOF: u16 = 0x0809;
const EOF: u16 = 0x000a;
const FILE_PASS: u16 = 0x002f;
const DATE_MODE: u16 = 0x0022;
const FORMAT: u16 = 0x041e;
const XF: u16 = 0x00e0;
const BOUND_SHEET: u16 = 0x0085;
const SST: u16 = 0x00fc;
const CONTINUE: u16 = 0x003c;
const NUMBER: u16 = 0x0203;
const LABEL: u16 = 0x0204;
const RSTRING: u16 = 0x00d6;
const BOOL_ERR: u16 = 0x0205;
const RK: u16 = 0x027e;
const MUL_RK: u16 = 0x00bd;
const LABEL_SST: u16 = 0x00fd;
const FORMULA: u16 = 0x0006;
const STRING: u16 = 0x0207;

/// What holds for every sheet.
struct Globals {
    /// Where the visible sheets begin in the stream, in their order.
    sheets: Vec<usize>,
    /// The shared strings.
    strings: Vec<String>,
    /// For each cell format, whether it shows a date.
    dates: Vec<bool>,
    /// Day 0 of dates.
    epoch: NaiveDate,
}

impl Globals {
    fn read(stream: &[u8]) -> Option<Self> {
        let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day);
        let mut globals =
            Self { sheets: Vec::new(), strings: Vec::new(), dates: Vec::new(), epoch: day(1899, 12, 30)? };
        let mut date_formats: Vec<u16> = Vec::new();
        let mut formats: Vec<u16> = Vec::new();
        let mut shared: Vec<&[u8]> = Vec::new();
        let mut in_shared = false;
        let mut records = Records { stream };
        let (first, version) = records.next()?;
        if first != BOF || u16_at(version, 0)? != 0x0600 {
            return None;
        }
        for (kind, data) in records {
            in_shared &= kind == CONTINUE;
            match kind {
                EOF => break,
                FILE_PASS => return None,
                DATE_MODE if u16_at(data, 0)? == 1 => globals.epoch = day(1904, 1, 1)?,
                FORMAT if shows_date(&text(data.get(2..)?)?) => date_formats.push(u16_at(data, 0)?),
                XF => formats.push(u16_at(data, 2)?),
                BOUND_SHEET => {
                    let (hidden, kind) = (data.get(4)? & 3, *data.get(5)?);
                    if hidden == 0 && kind == 0 && globals.sheets.len() < SHEETS_MAX {
                        globals.sheets.push(u32_at(data, 0)? as usize);
                    }
                }
                SST => {
                    in_shared = true;
                    shared.push(data);
                }
                CONTINUE if in_shared => shared.push(data),
                _ => {}
            }
        }
        // Formats 14 to 22 and 45 to 47 are dates and times in every workbook.
        let is_date = |format: &u16| matches!(format, 14..=22 | 45..=47) || date_formats.contains(format);
        globals.dates = formats.iter().map(is_date).collect();
        globals.strings = Shared { parts: shared, at: 8 }.strings()?;
        Some(globals)
    }

    /// A number as its format means it: a date, or a number.
    fn number(&self, number: f64, format: u16) -> String {
        let is_date = self.dates.get(usize::from(format)).copied().unwrap_or(false);
        // 2 958 465 is the last day of the year 9999.
        if is_date && (1.0..2_958_466.0).contains(&number) {
            let date = self.epoch.checked_add_days(Days::new(number as u64));
            return date.map_or_else(|| number_text(number), |date| date.format("%Y-%m-%d").to_string());
        }
        number_text(number)
    }
}

/// Whether a number format shows a year or a day: texts and colours in it aside.
fn shows_date(format: &str) -> bool {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    format.chars().any(|c| {
        let plain = !(quoted || bracketed || escaped);
        escaped = c == '\\' && !escaped;
        match c {
            '"' if !bracketed => quoted = !quoted,
            '[' if !quoted => bracketed = true,
            ']' if !quoted => bracketed = false,
            _ => {}
        }
        plain && matches!(c, 'y' | 'Y' | 'd' | 'D')
    })
}

/// A string with its length before it, within one record.
fn text(data: &[u8]) -> Option<String> {
    let length = usize::from(u16_at(data, 0)?);
    let wide = data.get(2)? & 1 == 1;
    let units: Vec<u16> = if wide {
        data.get(3..3 + 2 * length)?.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
    } else {
        data.get(3..3 + length)?.iter().map(|&b| u16::from(b)).collect()
    };
    Some(String::from_utf16_lossy(&units))
}

/// The table of shared strings, which goes on from record to record.
struct Shared<'a> {
    parts: Vec<&'a [u8]>,
    at: usize,
}

impl Shared<'_> {
    fn strings(mut self) -> Option<Vec<String>> {
        self.parts.reverse();
        let mut strings = Vec::new();
        while self.has_more() {
            strings.push(self.string()?);
        }
        Some(strings)
    }

    /// Whether a byte is left; a record that is read to its end makes way for the next.
    fn has_more(&mut self) -> bool {
        while self.parts.last().is_some_and(|part| self.at >= part.len()) {
            self.parts.pop();
            self.at = 0;
        }
        !self.parts.is_empty()
    }

    fn byte(&mut self) -> Option<u8> {
        if !self.has_more() {
            return None;
        }
        let byte = *self.parts.last()?.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self, bytes: u32) -> Option<usize> {
        (0..bytes).try_fold(0, |number, place| Some(number | usize::from(self.byte()?) << (8 * place)))
    }

    fn string(&mut self) -> Option<String> {
        let length = self.number(2)?;
        let flags = self.byte()?;
        let runs = if flags & 8 != 0 { self.number(2)? } else { 0 };
        let extra = if flags & 4 != 0 { self.number(4)? } else { 0 };
        let mut wide = flags & 1 == 1;
        let mut units: Vec<u16> = Vec::new();
        while units.len() < length {
            // Where characters go on in another record, that record says first how wide they are.
            if self.parts.last().is_some_and(|part| self.at >= part.len()) {
                wide = self.byte()? & 1 == 1;
            }
            units.push(self.number(if wide { 2 } else { 1 })? as u16);
        }
        let mut skipped = runs.checked_mul(4)?.checked_add(extra)?;
        while skipped > 0 && self.has_more() {
            let step = skipped.min(self.parts.last()?.len() - self.at);
            self.at += step;
            skipped -= step;
        }
        Some(String::from_utf16_lossy(&units))
    }
}

/// Reads the cells of one sheet. `None` when it breaks its own rules.
fn sheet(records: Records<'_>, globals: &Globals, cells: &mut Cells) -> Option<Result<(), Unreadable>> {
    let mut depth = 0;
    let mut formula = None;
    for (kind, data) in records {
        match kind {
            BOF => depth += 1,
            EOF => {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
            }
            _ => {}
        }
        // Charts within a sheet have records of their own.
        if depth != 1 {
            continue;
        }
        let at = || Some((u32::from(u16_at(data, 0)?), u32::from(u16_at(data, 2)?), u16_at(data, 4)?));
        let done = match kind {
            NUMBER => {
                let (row, column, format) = at()?;
                cells.push(row, column, &globals.number(f64_at(data, 6)?, format))
            }
            RK => {
                let (row, column, format) = at()?;
                cells.push(row, column, &globals.number(rk(u32_at(data, 6)?), format))
            }
            MUL_RK => {
                let (row, first) = (u32::from(u16_at(data, 0)?), u32::from(u16_at(data, 2)?));
                let numbers = data.get(4..data.len().checked_sub(2)?)?.chunks_exact(6);
                (first..).zip(numbers).try_for_each(|(column, cell)| {
                    let (format, number) = (u16_at(cell, 0).unwrap_or(0), u32_at(cell, 2).unwrap_or(0));
                    cells.push(row, column, &globals.number(rk(number), format))
                })
            }
            LABEL_SST => {
                let (row, column, _) = at()?;
                cells.push(row, column, globals.strings.get(u32_at(data, 6)? as usize)?)
            }
            LABEL | RSTRING => {
                let (row, column, _) = at()?;
                cells.push(row, column, &text(data.get(6..)?)?)
            }
            BOOL_ERR => {
                let (row, column, _) = at()?;
                let said = match (*data.get(6)?, *data.get(7)?) {
                    (truth, 0) => {
                        if truth == 0 {
                            "false"
                        } else {
                            "true"
                        }
                    }
                    (_, _) => "#N/A",
                };
                cells.push(row, column, said)
            }
            FORMULA => {
                let (row, column, format) = at()?;
                let value = data.get(6..14)?;
                match (value[6..] == [0xff, 0xff], value[0]) {
                    (false, _) => cells.push(row, column, &globals.number(f64_at(value, 0)?, format)),
                    (true, 0) => {
                        formula = Some((row, column));
                        Ok(())
                    }
                    (true, 1) => cells.push(row, column, if value[2] == 0 { "false" } else { "true" }),
                    (true, 2) => cells.push(row, column, "#N/A"),
                    (true, _) => Ok(()),
                }
            }
            STRING => match formula.take() {
                Some((row, column)) => cells.push(row, column, &text(data)?),
                None => Ok(()),
            },
            _ => Ok(()),
        };
        if let Err(unreadable) = done {
            return Some(Err(unreadable));
        }
    }
    Some(Ok(()))
}

/// A number in 30 bits: whole or the upper half of a double, perhaps a hundred times too large.
fn rk(bits: u32) -> f64 {
    let number = if bits & 2 == 2 { f64::from(bits as i32 >> 2) } else { f64::from_bits(u64::from(bits & !3) << 32) };
    if bits & 1 == 1 { number / 100.0 } else { number }
}
