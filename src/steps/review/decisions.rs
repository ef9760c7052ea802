//! What people decided about establishments: kept by SIRET, applied to every register to come.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use crate::model::establishment::{GeocodeQuality, Unplaced};
use crate::model::reject::csv_cell;
use crate::model::{Crs, Declared, Establishment, Headcount, Register, Reject, Siret, Unreadable};
use crate::steps::read::table::{Input, Kind, Table};

/// A decision about one establishment.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whom it is about.
    pub siret: Siret,
    /// What was decided.
    pub act: Act,
    /// The first day it holds for: year-ends before it keep what the register says. `None` for all.
    pub since: Option<Date>,
    /// Who decided.
    pub author: String,
    /// When.
    pub date: Date,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// Whether lines of a split belong to one decision.
    fn joins(&self, other: &Self) -> bool {
        (self.siret, self.since, self.date, &self.author) == (other.siret, other.since, other.date, &other.author)
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The place is right; when a spot is given, that spot was.
    Confirm(Option<Spot>),
    /// The place is this one.
    Move(Spot),
    /// It is closed, and counted no more.
    Close,
    /// Its people work at these sites, in these shares: two or more.
    Split(Vec<(Spot, u32)>),
    /// The register is right after all: decisions before this one hold no more.
    Undo,
}

impl Act {
    /// Its name in the file.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Confirm(_) => "confirm",
            Self::Move(_) => "move",
            Self::Close => "close",
            Self::Split(_) => "split",
            Self::Undo => "undo",
        }
    }

    /// The places it names.
    pub fn spots(&self) -> impl Iterator<Item = Spot> {
        let (one, sites) = match self {
            Self::Confirm(spot) => (*spot, &[][..]),
            Self::Move(spot) => (Some(*spot), &[][..]),
            Self::Close | Self::Undo => (None, &[][..]),
            Self::Split(sites) => (None, &sites[..]),
        };
        one.into_iter().chain(sites.iter().map(|(spot, _)| *spot))
    }
}

/// A place that a person named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// East coordinate or longitude.
    pub x: f64,
    /// North coordinate or latitude.
    pub y: f64,
    /// EPSG code of their system.
    pub epsg: u32,
}

impl Spot {
    /// As a register declares a place.
    pub fn declared(self) -> Declared<(f64, f64)> {
        Declared { crs: Crs::Epsg(self.epsg), geometry: (self.x, self.y) }
    }
}

/// A day, `2026-03-15`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl FromStr for Date {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = |part: &str, n: usize| part.len() == n && part.bytes().all(|b| b.is_ascii_digit());
        let [year, month, day] = text.trim().split('-').collect::<Vec<_>>()[..] else { return Err(()) };
        if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
            return Err(());
        }
        let (year, month, day): (u16, u8, u8) =
            (year.parse().map_err(drop)?, month.parse().map_err(drop)?, day.parse().map_err(drop)?);
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Err(()),
        };
        if (1..=days).contains(&day) { Ok(Self { year, month, day }) } else { Err(()) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Decisions in the order of their file.
///
/// As text they are CSV: `siret,decision,x,y,epsg,share,since,author,date,reason`, one line a decision, and one line a site
/// of a split. Whoever writes a file by hand may leave out the columns of places, shares and first days that it does not use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions(Vec<Decision>);

/// Characters an author may have.
const AUTHOR_MAX: usize = 100;
/// Characters a reason may have: some sentences.
const REASON_MAX: usize = 1_000;
/// Shares are parts of a whole that anybody can write: people, or per cent.
const SHARE_MAX: u32 = 1_000_000;
/// Sites of one establishment; the largest public employers declare some hundreds at one SIRET.
const SITES_MAX: usize = 1_000;
/// Bytes of a file of decisions: a hundred thousand of them, by hand.
const BYTES_MAX: u64 = 64 << 20;

const COLUMNS: [&str; 10] = ["siret", "decision", "x", "y", "epsg", "share", "since", "author", "date", "reason"];
/// Those that a file may leave out.
const OPTIONAL: [&str; 5] = ["x", "y", "epsg", "share", "since"];

impl Decisions {
    /// In the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Decision> {
        self.0.iter()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Adds one, after those there are. A split takes the place of another by the same person on the same day, since the
    /// lines of both would read back as one.
    pub fn push(&mut self, decision: Decision) {
        if matches!(decision.act, Act::Split(_)) {
            self.0.retain(|old| !matches!(old.act, Act::Split(_)) || !old.joins(&decision));
        }
        self.0.push(decision);
    }

    /// Reads decisions from a table of any kind that the house reads.
    ///
    /// # Errors
    /// Every line that is no decision: one that is left out in silence would change a figure.
    pub fn read(name: &str, input: Input) -> Result<Self, Vec<Reject>> {
        Self::read_with_rows(name, input).map(|read| read.0)
    }

    /// [`Self::read`], with the row of the file at which each decision, and each site of a split, stands.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_with_rows(name: &str, input: Input) -> Result<(Self, Vec<Vec<usize>>), Vec<Reject>> {
        let one = |unreadable: Unreadable| vec![unreadable.0];
        let mut table = Table::open(name, input, BYTES_MAX).map_err(one)?;
        let mut wanted = Vec::new();
        let mut place = [None; COLUMNS.len()];
        for (column, place) in COLUMNS.into_iter().zip(&mut place) {
            let found = match table.require(column) {
                Ok(found) => found,
                // One of another name might be this one, misspelt, and what it says would be lost.
                Err(_) if OPTIONAL.contains(&column) && table.headers().iter().all(|h| is_known(h)) => continue,
                Err(_) if OPTIONAL.contains(&column) => {
                    let expected = format!("a column `{column}`, or none of another name");
                    return Err(one(table.header_refused("column_missing", &expected)));
                }
                Err(missing) => return Err(one(missing)),
            };
            *place = Some(wanted.len());
            wanted.push((found, Kind::Text));
        }
        table.select(&wanted).map_err(one)?;
        let (mut decisions, mut refused) = (Self::default(), Vec::new());
        let mut rows: Vec<Vec<usize>> = Vec::new();
        while let Some(mut batch) = table.next_batch().map_err(one)? {
            let mut broken = std::mem::take(&mut batch.broken).into_iter().peekable();
            for (index, &row) in batch.places.iter().enumerate() {
                if let Some(broken) = broken.next_if(|broken| broken.index == index) {
                    refused.push(broken.reject);
                    continue;
                }
                let cell = |column: usize| place[column].map_or("", |column| batch.texts(column)[index].trim());
                match line(&cell) {
                    Ok(decision) => match decisions.add(decision) {
                        Ok(at) if at < rows.len() => rows[at].push(row),
                        Ok(_) => rows.push(vec![row]),
                        Err(bad) => refused.push(bad.reject(name, row)),
                    },
                    Err(bad) => refused.push(bad.reject(name, row)),
                }
            }
        }
        for decision in &decisions.0 {
            if matches!(&decision.act, Act::Split(sites) if sites.len() < 2) {
                let bad = Bad("decision", "a split with one line", "two lines or more, one a site");
                refused.push(bad.reject_file(name));
            }
        }
        if refused.is_empty() { Ok((decisions, rows)) } else { Err(refused) }
    }

    /// Adds a line, and gives its place among the decisions; a line of a split joins the lines of the same split.
    fn add(&mut self, new: Decision) -> Result<usize, Bad> {
        if let Act::Split(site) = &new.act
            && let Some((at, Decision { act: Act::Split(sites), .. })) =
                self.0.iter_mut().enumerate().rev().find(|(_, old)| old.joins(&new))
        {
            if sites.len() == SITES_MAX {
                return Err(Bad("decision", "more sites than an establishment has", "1000 sites at most"));
            }
            sites.extend(site);
            return Ok(at);
        }
        self.0.push(new);
        Ok(self.0.len() - 1)
    }

    /// The text that reads back as the same decisions.
    pub fn csv(&self) -> String {
        let mut text = format!("{}\n", COLUMNS.join(","));
        for decision in &self.0 {
            let Decision { siret, act, since, author, date, reason } = decision;
            let since = since.map_or(String::new(), |since| since.to_string());
            let mut line = |spot: Option<&Spot>, share: &str| {
                let at = spot.map_or(",,".to_owned(), |spot| format!("{},{},{}", spot.x, spot.y, spot.epsg));
                let (author, reason) = (csv_cell(author), csv_cell(reason));
                text += &format!("{siret},{},{at},{share},{since},{author},{date},{reason}\n", act.code());
            };
            match act {
                Act::Confirm(spot) => line(spot.as_ref(), ""),
                Act::Move(spot) => line(Some(spot), ""),
                Act::Close | Act::Undo => line(None, ""),
                Act::Split(sites) => sites.iter().for_each(|(spot, share)| line(Some(spot), &share.to_string())),
            }
        }
        text
    }

    /// The last decision about each establishment that changes what the register says of a year-end. A confirmation says
    /// that what stands is right, and undoes nothing.
    fn of_year(&self, vintage: u16) -> HashMap<Siret, &Decision> {
        let year_end = Date { year: vintage, month: 12, day: 31 };
        let holds = |d: &&Decision| d.since.is_none_or(|since| since <= year_end) && !matches!(d.act, Act::Confirm(_));
        last(self.0.iter().filter(holds))
    }

    /// The last decision about each establishment, whatever it is.
    pub fn last(&self) -> HashMap<Siret, &Decision> {
        last(self.0.iter())
    }
}

fn is_known(header: &str) -> bool {
    COLUMNS.iter().any(|column| column.eq_ignore_ascii_case(header))
}

/// The last by date, and of one date the last in the file.
fn last<'a>(decisions: impl Iterator<Item = &'a Decision>) -> HashMap<Siret, &'a Decision> {
    let mut last: HashMap<Siret, &Decision> = HashMap::new();
    for decision in decisions {
        match last.get(&decision.siret) {
            Some(before) if before.date > decision.date => {}
            _ => {
                last.insert(decision.siret, decision);
            }
        }
    }
    last
}

/// Field, found, expected.
struct Bad(&'static str, &'static str, &'static str);

impl Bad {
    fn reject(self, file: &str, row: usize) -> Reject {
        Reject { row: Some(row), ..self.reject_file(file) }
    }
    fn reject_file(self, file: &str) -> Reject {
        let Self(field, found, expected) = self;
        Reject {
            code: "not_a_decision",
            file: file.to_owned(),
            row: None,
            field: Some(field.to_owned()),
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }
}

fn line<'a>(cell: &dyn Fn(usize) -> &'a str) -> Result<Decision, Bad> {
    let [siret, decision, x, y, epsg, share, since, author, date, reason] = std::array::from_fn(cell);
    let siret = siret.parse().map_err(|_| Bad("siret", "no SIRET", "14 digits whose key holds, kept as text"))?;
    let spot = || -> Result<Spot, Bad> {
        let number = |field, text: &str| {
            let number = text.replace(',', ".").parse::<f64>().ok().filter(|n| n.is_finite());
            number.ok_or(Bad(field, "no number", "a coordinate"))
        };
        let epsg = epsg.to_ascii_uppercase();
        let code = epsg.strip_prefix("EPSG:").unwrap_or(&epsg).parse().ok().filter(|code| *code > 0);
        let epsg = code.ok_or(Bad("epsg", "no code", "the code of the coordinates' system, such as 2154"))?;
        Ok(Spot { x: number("x", x)?, y: number("y", y)?, epsg })
    };
    let act = match decision.to_ascii_lowercase().as_str() {
        "confirm" if x.is_empty() && y.is_empty() => Act::Confirm(None),
        "confirm" => Act::Confirm(Some(spot()?)),
        "move" => Act::Move(spot()?),
        "close" => Act::Close,
        "undo" => Act::Undo,
        "split" => {
            let share = share.parse().ok().filter(|share| (1..=SHARE_MAX).contains(share));
            let share = share.ok_or(Bad("share", "no share", "a whole number from 1 to 1000000 a site"))?;
            Act::Split(vec![(spot()?, share)])
        }
        _ => return Err(Bad("decision", "another word", "confirm, move, close, split or undo")),
    };
    let day = |field, text: &str| text.parse::<Date>().map_err(|()| Bad(field, "no day", "a day, such as 2026-03-15"));
    let since = if since.is_empty() { None } else { Some(day("since", since)?) };
    let date = day("date", date)?;
    let said = |field, text: &str, max: usize| match text.chars().count() {
        0 => Err(Bad(field, "nothing", "who decided, and why")),
        n if n > max => Err(Bad(field, "a long text", "100 characters for an author, 1000 for a reason")),
        _ => Ok(text.to_owned()),
    };
    let (author, reason) = (said("author", author, AUTHOR_MAX)?, said("reason", reason, REASON_MAX)?);
    Ok(Decision { siret, act, since, author, date, reason })
}

/// What decisions did to a register.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows confirmed.
    pub confirmed: usize,
    /// Rows moved.
    pub moved: usize,
    /// Rows taken out, closed.
    pub closed: usize,
    /// Rows split among sites.
    pub split: usize,
    /// Rows of an enterprise that does not show its address, which no decision places.
    pub not_placed: usize,
    /// Establishments decided upon that the register has at no year-end, in order. For the owner alone.
    pub vanished: Vec<Siret>,
}

/// Applies decisions to a register: for each year-end the last that holds.
pub fn apply(decisions: &Decisions, register: &mut Register) -> Applied {
    let mut applied = Applied::default();
    if decisions.is_empty() {
        return applied;
    }
    let last = decisions.last();
    let mut by_year: BTreeMap<u16, HashMap<Siret, &Decision>> = BTreeMap::new();
    let mut there = std::collections::HashSet::new();
    let mut kept = Vec::with_capacity(register.establishments.len());
    for e in std::mem::take(&mut register.establishments) {
        there.insert(e.siret);
        let of_year = by_year.entry(e.vintage).or_insert_with(|| decisions.of_year(e.vintage));
        applied.confirmed += usize::from(last.get(&e.siret).is_some_and(|d| matches!(d.act, Act::Confirm(_))));
        match of_year.get(&e.siret).map(|decision| &decision.act) {
            None | Some(Act::Confirm(_) | Act::Undo) => kept.push(e),
            Some(Act::Close) => applied.closed += 1,
            Some(Act::Move(_) | Act::Split(_)) if e.place == Err(Unplaced::NotDiffused) => {
                applied.not_placed += 1;
                kept.push(e);
            }
            Some(Act::Move(spot)) => {
                applied.moved += 1;
                kept.push(placed(e, spot));
            }
            Some(Act::Split(sites)) => {
                applied.split += 1;
                let parts = apportion(e.headcount, sites);
                kept.extend((1..).zip(sites).zip(parts).map(|((site, (spot, _)), headcount)| Establishment {
                    headcount,
                    site,
                    ..placed(e.clone(), spot)
                }));
            }
        }
    }
    register.establishments = kept;
    applied.vanished = last.keys().filter(|siret| !there.contains(siret)).copied().collect();
    applied.vanished.sort_unstable();
    applied
}

/// A place named by hand is as good as a number found.
fn placed(e: Establishment, spot: &Spot) -> Establishment {
    Establishment { place: Ok(spot.declared()), quality: Some(GeocodeQuality::SureNumber), ..e }
}

/// Whole people for each site, the sum unchanged: shares rounded down, and who is left over goes where the fraction lost is
/// largest, the first site first.
fn apportion(headcount: Option<Headcount>, sites: &[(Spot, u32)]) -> Vec<Option<Headcount>> {
    let Some(headcount) = headcount else { return vec![None; sites.len()] };
    let people = u64::from(headcount.employees());
    let whole: u64 = sites.iter().map(|(_, share)| u64::from(*share)).sum();
    let mut parts: Vec<(u64, u64)> = sites
        .iter()
        .map(|(_, share)| (people * u64::from(*share) / whole, people * u64::from(*share) % whole))
        .collect();
    let left = people - parts.iter().map(|(part, _)| part).sum::<u64>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&site| std::cmp::Reverse(parts[site].1));
    order.iter().take(left as usize).for_each(|&site| parts[site].0 += 1);
    parts.iter().map(|&(part, _)| u32::try_from(part).ok().and_then(Headcount::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::read::register::{RegisterOptions, register};

    const HEADER: &str = "siret,decision,x,y,epsg,share,since,author,date,reason\n";

    fn decisions(lines: &[&str]) -> Result<Decisions, Vec<Reject>> {
        Decisions::read("d.csv", format!("{HEADER}{}\n", lines.join("\n")).into_bytes().into())
    }

    fn demo() -> Register {
        let text = "siret,effectif,naf,millesime,source,x,y,diffusion\n\
                    73282932000074,10,4711F,2023,urssaf,1,2,\n\
                    73282932000074,11,4711F,2024,urssaf,1,2,\n\
                    35600000049837,7,5310Z,2024,urssaf,,,P\n";
        let read = register("r", text.as_bytes().to_vec().into(), &RegisterOptions::default()).unwrap();
        Register { establishments: read.accepted }
    }

    #[test]
    fn a_decision_holds_for_its_year_ends_and_the_last_one_counts() {
        let by = "Ana,2026-03-15,seen";
        for (lines, expected) in [
            (vec![format!("73282932000074,move,8,9,2154,,,{by}")], "10@8 11@8 7@P"),
            (vec![format!("73282932000074,move,8,9,2154,,2024-06-01,{by}")], "10@1 11@8 7@P"),
            (vec![format!("73282932000074,move,8,9,2154,,2025-01-01,{by}")], "10@1 11@1 7@P"),
            (vec![format!("73282932000074,close,,,,,2024-12-31,{by}")], "10@1 7@P"),
            (
                vec![
                    format!("73282932000074,close,,,,,,{by}"),
                    "73282932000074,move,8,9,2154,,,Ana,2026-03-14,older".into(),
                ],
                "7@P",
            ),
            (
                vec![format!("73282932000074,close,,,,,,{by}"), "73282932000074,undo,,,,,,Ana,2026-03-16,wrong".into()],
                "10@1 11@1 7@P",
            ),
            (
                vec![
                    format!("73282932000074,move,8,9,2154,,,{by}"),
                    "73282932000074,confirm,,,,,,Ana,2026-03-16,right".into(),
                ],
                "10@8 11@8 7@P",
            ),
            (
                vec![
                    "73282932000074,confirm,,,,,,Ana,2026-03-16,right".into(),
                    format!("73282932000074,move,8,9,2154,,,{by}"),
                ],
                "10@8 11@8 7@P",
            ),
            (
                vec![
                    format!("73282932000074,split,8,9,2154,1,,{by}"),
                    format!("73282932000074,split,6,9,2154,1,,{by}"),
                    format!("73282932000074,split,7,9,2154,1,,{by}"),
                ],
                "4@8 3@6 3@7 4@8 4@6 3@7 7@P",
            ),
            (vec![format!("35600000049837,move,8,9,2154,,,{by}")], "10@1 11@1 7@P"),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let read = decisions(&lines).unwrap();
            let mut register = demo();
            apply(&read, &mut register);
            let said = register.establishments.iter().map(|e| {
                let x = e.place.as_ref().map_or("P".to_owned(), |place| place.geometry.0.to_string());
                format!("{}@{x}", e.headcount.unwrap().employees())
            });
            assert_eq!(said.collect::<Vec<_>>().join(" "), expected, "{lines:?}");
            let again = Decisions::read("again", read.csv().into_bytes().into());
            assert_eq!(again, Ok(read), "the text reads back");
        }
    }

    #[test]
    fn columns_that_a_file_does_not_use_may_be_left_out_and_none_is_lost_by_its_name() {
        let read = |text: &str| Decisions::read_with_rows("d.csv", text.as_bytes().to_vec().into());
        let (closed, rows) = read(
            "author;date;SIRET;decision;reason\nAna;2026-03-15;73282932000074;close;gone\n\
             Ana;2026-03-15;35600000000048;confirm;seen\n",
        )
        .unwrap();
        let lines =
            ["73282932000074,close,,,,,,Ana,2026-03-15,gone", "35600000000048,confirm,,,,,,Ana,2026-03-15,seen"];
        assert_eq!((closed, rows), (decisions(&lines).unwrap(), vec![vec![2], vec![3]]));
        let refused = read("author,date,siret,decision,reason\nAna,2026-03-15,73282932000074,move,gone\n").unwrap_err();
        assert_eq!(refused[0].field.as_deref(), Some("epsg"), "a move needs a place");
        // What is called `from` may be the first day it holds for.
        for text in [
            "siret,decision,from,author,date,reason\n73282932000074,close,2025-01-01,Ana,2026-03-15,gone\n",
            "siret,decision,author,date\n73282932000074,close,Ana,2026-03-15\n",
        ] {
            assert_eq!(read(text).unwrap_err()[0].code, "column_missing", "{text}");
        }
        let split = |x: u32| format!("73282932000074,split,{x},9,2154,1,,Ana,2026-03-15,two\n");
        let of_another = "35600000000048,close,,,,,,Ana,2026-03-15,gone\n";
        let (_, rows) = read(&format!("{HEADER}{}{of_another}{}", split(8), split(6))).unwrap();
        assert_eq!(rows, [vec![2, 4], vec![3]], "sites of a split are one decision");
    }

    #[test]
    fn who_has_vanished_is_listed() {
        let read = decisions(&["35600000000048,close,,,,,,Ana,2026-03-15,gone"]).unwrap();
        let applied = apply(&read, &mut demo());
        assert_eq!(applied, Applied { vanished: vec!["35600000000048".parse().unwrap()], ..Applied::default() });
    }

    #[test]
    fn every_line_that_is_no_decision_is_named_and_none_is_repeated() {
        for (line, field) in [
            ("73282932000075,close,,,,,,Ana,2026-03-15,gone", "siret"),
            ("73282932000074,fermer,,,,,,Ana,2026-03-15,gone", "decision"),
            ("73282932000074,move,,2,2154,,,Ana,2026-03-15,gone", "x"),
            ("73282932000074,move,1,inf,2154,,,Ana,2026-03-15,gone", "y"),
            ("73282932000074,move,1,2,,,,Ana,2026-03-15,gone", "epsg"),
            ("73282932000074,split,1,2,2154,0,,Ana,2026-03-15,gone", "share"),
            ("73282932000074,split,1,2,2154,5,,Ana,2026-03-15,gone", "decision"),
            ("73282932000074,close,,,,,2025-02-29,Ana,2026-03-15,gone", "since"),
            ("73282932000074,close,,,,,,,2026-03-15,gone", "author"),
            ("73282932000074,close,,,,,,Ana,15/03/2026,gone", "date"),
            ("73282932000074,close,,,,,,Ana,2026-03-15,", "reason"),
        ] {
            let refused = decisions(&["35600000000048,close,,,,,,Ana,2026-03-15,gone", line]).unwrap_err();
            assert_eq!(refused.len(), 1, "{line}");
            assert_eq!(refused[0].field.as_deref(), Some(field), "{line}");
            assert!(!refused[0].to_string().contains("732829"), "{}", refused[0]);
        }
    }
}
