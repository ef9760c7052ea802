//! Microdata from the Sirene extract of the Strasbourg area, which gives an IRIS, an activity and a bracket and no more:
//! a seeded generator draws each headcount inside its bracket and numbers establishments and enterprises.
//!
//! `cargo run --example strasbourg -- sirene_iris_ape_tranche.csv.gz micro.csv [SHARE]`; SHARE keeps one row in so many.

use arpent::model::{Bracket, Naf};
use flate2::read::GzDecoder;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::io::Write;

/// Any seed would do; a fixed one makes every run the same.
const SEED: u64 = 67_482;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, share @ ..] = arguments.as_slice() else {
        return Err("expected the extract and the file to write".into());
    };
    let share: usize = share.first().map_or(Ok(1), |s| s.parse())?;
    let mut random = Pcg64::seed_from_u64(SEED);
    let mut extract = csv::Reader::from_reader(GzDecoder::new(std::fs::File::open(from)?));
    let mut out = std::io::BufWriter::new(std::fs::File::create(to)?);
    writeln!(out, "siret,siren,headcount,iris,naf_section,naf_division,naf,tranche")?;
    for (row, record) in extract.records().enumerate() {
        let record = record?;
        let naf: Naf = record[1].parse()?;
        // NN: no employee known at the year-end.
        let (least, greatest) = Bracket::from_code(&record[2]).map_or((0, 0), Bracket::bounds);
        // Small firms are the many: the square of a uniform draw leans to the lower end. The last bracket is open.
        let lean = random.random::<f64>().powi(2);
        let headcount = least + (f64::from(greatest.min(3 * least.max(1)) - least) * lean) as u32;
        // One establishment in eight shares its enterprise with the one before it.
        let enterprise = if row % 8 == 7 { row - 1 } else { row };
        if row % share == 0 {
            writeln!(
                out,
                "{:09}{:05},{:09},{headcount},{},{},{},{},{}",
                enterprise,
                row % 100_000,
                enterprise,
                &record[0],
                naf.section(),
                naf.division(),
                naf.code(),
                &record[2]
            )?;
        }
    }
    out.flush()?;
    Ok(())
}
