//! Makes the demo territory: communes, IRIS, employment sectors and a register of establishments, all fictitious.
//!
//! `cargo run --example territory -- data/demo` writes the same bytes at every run. Names and codes of communes are those
//! of Dijon métropole; every contour, every other name and every establishment is drawn from a fixed seed.
//! The generator checks what it made (exact partition, unique codes, keys) and stops before writing when a check fails.

mod activities;
mod checks;
mod files;
mod mesh;
mod names;
mod register;
mod zones;

use std::path::PathBuf;

use rand::SeedableRng;
use rand_pcg::Pcg64;

use checks::Layer;
use files::Feature;
use mesh::{Frame, Mesh};
use zones::{Cover, Territory, rings};

/// Everything follows from this number. Geometry and register draw from streams of their own.
const SEED: u64 = 21_231;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        eprintln!("usage: cargo run --example territory -- FOLDER");
        std::process::exit(2);
    };
    let frame =
        Frame { middle: (854_000.0, 6_693_500.0), low: (841_000.0, 6_679_500.0), high: (869_000.0, 6_704_000.0) };
    let mut rng = Pcg64::seed_from_u64(SEED);
    let mesh = Mesh::scatter(&frame, &mut rng);
    let territory = zones::draw(&mesh, &mut rng);
    let second = zones::second_cut(&mesh, &territory.sectors);
    let layers = layers(&mesh, &territory, &second);
    checks::layers(&mesh, &layers);
    checks::nesting(&territory);
    let establishments = register::fill(&mesh, &territory, &mut Pcg64::seed_from_u64(SEED + 1));
    checks::register(&mesh, &territory, &establishments);

    std::fs::create_dir_all(&folder)?;
    let fields: [&[files::Field]; 4] = [
        &[("CODE", 3), ("NOM", 60)],
        &[("INSEE_COM", 5), ("NOM_COM", 45), ("IRIS", 4), ("CODE_IRIS", 9), ("NOM_IRIS", 60), ("TYP_IRIS", 1)],
        &[("INSEE_COM", 5), ("NOM_COM", 45)],
        &[("CODE", 3), ("NOM", 60)],
    ];
    for (layer, fields) in layers.iter().zip(fields) {
        let bytes = files::zipped_shapefile(layer.name, fields, &layer.features)?;
        std::fs::write(folder.join(format!("{}.zip", layer.name)), &bytes)?;
        let vertices: usize = layer.features.iter().flat_map(|f| &f.rings).map(|ring| ring.len() + 1).sum();
        println!("{}: {} zones, {vertices} vertices, {} bytes", layer.name, layer.features.len(), bytes.len());
    }
    let (bytes, rows) = files::zipped_register(&establishments)?;
    std::fs::write(folder.join("etablissements.csv.gz"), &bytes)?;
    println!("etablissements: {rows} rows, {} bytes", bytes.len());
    std::fs::write(folder.join("README.md"), include_str!("readme.md").replace("{SEED}", &SEED.to_string()))?;
    Ok(())
}

fn layers<'a>(mesh: &Mesh, territory: &'a Territory, second: &'a Cover) -> [Layer<'a>; 4] {
    let cut = |cover: &Cover, attributes: Vec<Vec<String>>| -> Vec<Feature> {
        let zones = attributes.into_iter().enumerate();
        zones.map(|(zone, attributes)| Feature { attributes, rings: rings(mesh, cover, zone) }).collect()
    };
    let sectors = || {
        let names = names::SECTOR_NAMES.iter().enumerate();
        names.map(|(zone, name)| vec![format!("S{:02}", zone + 1), (*name).to_owned()]).collect::<Vec<_>>()
    };
    let iris = territory.iris_list.iter().map(|iris| {
        let commune = &names::COMMUNES[iris.commune];
        let code = format!("{}{}", commune.code, iris.number);
        let kind = iris.kind.code().to_owned();
        vec![commune.code.to_owned(), commune.name.to_owned(), iris.number.clone(), code, iris.name.clone(), kind]
    });
    let communes = names::COMMUNES.iter().map(|commune| vec![commune.code.to_owned(), commune.name.to_owned()]);
    [
        Layer { name: "secteurs", cover: &territory.sectors, features: cut(&territory.sectors, sectors()), code: 0 },
        Layer { name: "iris", cover: &territory.iris, features: cut(&territory.iris, iris.collect()), code: 3 },
        Layer {
            name: "communes",
            cover: &territory.communes,
            features: cut(&territory.communes, communes.collect()),
            code: 0,
        },
        Layer { name: "secteurs-2", cover: second, features: cut(second, sectors()), code: 0 },
    ]
}
