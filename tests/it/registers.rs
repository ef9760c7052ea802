//! Registers, from the files that partners send to the list of whom to look at, as their users do it.

use crate::command::{arpent, demo, heard_and_unheard, rows, said, text};
use crate::desk::Desk;
use arpent::cli::demo::order;
use arpent::pipeline;
use arpent::steps::review::decisions::{Applied, Decisions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Establishments of the demo territory in 2024, as fields: siret, effectif, naf, millesime, source, x, y, epsg, quality.
fn demo_rows(n: usize) -> Vec<Vec<String>> {
    let all = text(&demo("etablissements.csv.gz"));
    let fields = |line: &str| line.split(';').map(str::to_owned).collect::<Vec<_>>();
    let of_year =
        all.lines().map(fields).filter(|f| f[3] == "2024" && f[4] == "urssaf" && f[8] == "11" && !f[1].is_empty());
    of_year.take(n).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = arpent(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn for_the_owner_alone(path: &Path) -> bool {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

#[test]
fn headcounts_become_a_register_and_its_review_survives_the_next_one() {
    let folder = Folder::new();
    let rows_of_demo = demo_rows(300);
    let mut urssaf = "N° SIRET;Effectif au 31/12;libellé\n".to_owned();
    let mut geo = "siret;x;y;qualite_xy;epsg;plg_iris;plg_code_commune\n".to_owned();
    let mut stock = "siret,activitePrincipaleEtablissement,statutDiffusionEtablissement\n".to_owned();
    for (i, f) in rows_of_demo.iter().enumerate() {
        urssaf += &format!("{};{};x\n", f[0], f[1]);
        geo += &format!("{};{};{};{};2154;0101;21231\n", f[0], f[5], f[6], if i == 1 { 22 } else { 11 });
        stock += &format!("{},{},{}\n", f[0], f[2], if i == 0 { "P" } else { "O" });
    }
    urssaf += "7.32829E+13;5;x\n";
    let (urssaf, geo, stock) =
        (folder.write("urssaf.csv", &urssaf), folder.write("geo.csv", &geo), folder.write("stock.csv", &stock));
    let (register, refused) = (folder.path("register.csv"), folder.path("refused.csv"));
    let out = register.display().to_string();
    let compose: &[&str] = &[
        "compose",
        "--urssaf",
        &urssaf,
        "--geolocation",
        &geo,
        "--stock",
        &stock,
        "--vintage",
        "2024",
        "--map",
        "effectif=Effectif au 31/12",
        "--out",
        &out,
        "--rejects",
        &refused.display().to_string(),
        "--json",
    ];
    let composed = json(compose);
    assert_eq!(heard_and_unheard(compose), (Some(0), Some(2)));
    assert_eq!(composed["register"]["rows"], 300);
    assert_eq!(composed["register"]["not_diffused"], 1);
    assert_eq!(composed["headcounts"][0]["columns"]["ignored"][0], "libellé");
    assert!(for_the_owner_alone(&register));
    assert_eq!(text(&refused).lines().nth(1).map(|line| line.contains("siret_digits")), Some(true));

    // No output takes the place of an input.
    let before = text(&register);
    for line in [
        vec!["register", &out, "--rejects", &out],
        vec![
            "review",
            "--register",
            &out,
            "--zones",
            &demo("secteurs.zip").display().to_string(),
            "--zone-id",
            "CODE",
            "--out",
            &out,
        ],
    ] {
        let refused = arpent(&line);
        assert_eq!(refused.status.code(), Some(2), "{line:?}");
        assert!(said(&refused).contains("output_is_input"), "{line:?}: {}", said(&refused));
    }
    assert_eq!(text(&register), before);

    let read = json(&["register", &out, "--json"]);
    assert_eq!(read["files"][0]["accepted"], 300);
    assert_eq!(read["files"][0]["unplaced"]["not_diffused"], 1);

    let list = folder.path("worklist.csv");
    let review = |decisions: Option<&str>| {
        let (list, zones) = (list.display().to_string(), demo("secteurs.zip").display().to_string());
        let mut arguments = vec!["review", "--register", &out, "--zones", &zones, "--zone-id", "CODE", "--out", &list];
        arguments.extend(["--top", "3", "--json"]);
        arguments.extend(decisions.iter().flat_map(|path| ["--decisions", path]));
        let report = json(&arguments);
        for row in &rows_of_demo {
            assert!(!report.to_string().contains(&row[0]), "a report names an establishment");
        }
        report
    };
    let before = review(None);
    assert!(for_the_owner_alone(&list));
    assert_eq!(before["zones"].as_array().unwrap().len(), 48);
    assert_eq!(before["doubts"]["poor_geocode"], 1);
    assert_eq!(before["doubts"]["not_diffused"], 1);
    let lines = rows(&list);
    let column = |name: &str| lines[0].iter().position(|c| c == name).unwrap();
    let (siret, zone) = (column("siret"), column("zone"));
    let largest: Vec<&Vec<String>> = lines.iter().filter(|line| line[0] == "largest").collect();
    let pair = largest.windows(2).find(|pair| pair[0][zone] == pair[1][zone]).unwrap();
    let (first, second) = (pair[0], pair[1]);

    // The second goes where an establishment of another zone stands; the first stays.
    let elsewhere = lines.iter().find(|line| line[0] == "largest" && line[zone] != first[zone]).unwrap();
    let decisions = folder.write(
        "decisions.csv",
        &format!(
            "siret,decision,x,y,epsg,share,since,author,date,reason\n\
             {},confirm,,,,,,Ana,2026-03-15,seen\n{},move,{},{},2154,,,Ana,2026-03-15,\"seen, elsewhere\"\n\
             73282932000074,close,,,,,,Ana,2026-03-15,gone\n",
            first[siret],
            second[siret],
            elsewhere[column("x")],
            elsewhere[column("y")]
        ),
    );
    let after = review(Some(&decisions));
    assert_eq!((&after["decisions"]["confirmed"], &after["decisions"]["moved"]), (&1.into(), &1.into()));
    assert_eq!(after["decisions"]["vanished"], 1);
    let lines = rows(&list);
    let found: Vec<_> = lines.iter().filter(|line| line[siret] == second[siret]).map(|line| &line[zone]).collect();
    assert!(found.iter().all(|found| *found == &elsewhere[zone]), "it was moved");
    let of_zone = after["zones"].as_array().unwrap().iter().find(|z| z["zone"] == first[zone].as_str()).unwrap();
    assert_eq!(of_zone["done"], 1);

    let bad = folder.write("bad.csv", "siret,decision,x,y,epsg,share,since,author,date,reason\n1,move,,,,,,,,\n");
    let (list, zones) = (list.display().to_string(), demo("secteurs.zip").display().to_string());
    let refused = arpent(["review", "--register", &out, "--zones", &zones, "--decisions", &bad, "--out", &list]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("row 2, field `siret`"), "{}", said(&refused));
}

#[test]
fn a_release_is_made_of_what_people_decided() {
    let rows = demo_rows(400);
    let made = |decisions: &str| {
        let mut order = order("2026-06-01T00:00:00Z".to_owned()).unwrap();
        order.zonings.truncate(1);
        order.policy.tables.get_mut("secteurs").unwrap().retain(|crossed| crossed == &["source".to_owned()]);
        let body = rows.iter().enumerate().map(|(i, fields)| {
            let mut fields = fields.clone();
            if i == 0 {
                (fields[5], fields[6]) = (String::new(), String::new());
            }
            fields.join(";") + "\n"
        });
        let text = format!("siret;effectif;naf;millesime;source;x;y;epsg;qualite_xy\n{}", body.collect::<String>());
        order.registers[0].bytes = text.into_bytes();
        order.registers[0].name = "register.csv".to_owned();
        let text = format!("siret,decision,x,y,epsg,share,since,author,date,reason\n{decisions}");
        order.decisions = Decisions::read("decisions.csv", text.into_bytes().into()).unwrap();
        pipeline::run(&order).unwrap_or_else(|no| panic!("{no}"))
    };
    let (before, report) = made("");
    assert_eq!((report.unplaced, report.decided), (1, Applied::default()));
    let spot = format!("{},{},2154", rows[1][5], rows[1][6]);
    let by = "Ana,2026-03-15,seen";
    let (after, report) = made(&format!(
        "{},move,{spot},,,{by}\n{},close,,,,,,{by}\n{},split,{spot},1,,{by}\n{},split,{spot},1,,{by}\n",
        rows[0][0], rows[1][0], rows[2][0], rows[2][0]
    ));
    assert_eq!(report.decided, Applied { moved: 1, closed: 1, split: 1, ..Applied::default() });
    assert_eq!(report.unplaced, 0);
    let placed: usize = report.placed["secteurs"].iter().sum();
    assert_eq!(placed, 400, "one closed, one in two sites");
    assert!(after.id != before.id);
    assert!(after.provenance.inputs.contains_key("decisions.csv"));
    assert!(!before.provenance.inputs.contains_key("decisions.csv"));
}

#[test]
fn a_report_that_cannot_be_printed_and_a_folder_as_output_are_told() {
    let folder = Folder::new();
    let register =
        folder.write("r.csv", "siret;effectif;naf;millesime;source;x;y\n99000012700011;30;47.11F;2024;urssaf;1;2\n");
    let zones = demo("secteurs.zip").display().to_string();
    for arguments in [&["register", &register][..], &["register", &register, "--json"], &["inspect", &zones, "--json"]]
    {
        let full = std::fs::File::create("/dev/full").unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_arpent")).args(arguments).stdout(full).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said(&output).contains("standard output: found"), "{}", said(&output));
    }
    let (out, nowhere) = (folder.path("list.csv").display().to_string(), folder.path("none/in_both.csv"));
    let review = ["review", "--register", &register, "--zones", &zones, "--zone-id", "CODE", "--out", &out];
    let output = arpent([&review[..], &["--in-both", &nowhere.display().to_string()]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(!Path::new(&out).exists(), "all or none");
    let here = folder.0.path().display().to_string();
    let output = arpent([&review[..], &["--in-both", &here]].concat());
    assert!(said(&output).contains("found a folder"), "{}", said(&output));
}

#[test]
fn the_review_of_a_store_is_that_of_its_files_and_decisions_go_back_to_it() {
    let desk = Desk::new("");
    let (zones, register) = (demo("secteurs.zip").display().to_string(), demo("etablissements.csv.gz"));
    let register = register.display().to_string();
    desk.act(&[
        "import",
        "zoning",
        &zones,
        "--name",
        "secteurs",
        "--version",
        "1",
        "--reason",
        "un",
        "--zone-id",
        "CODE",
    ]);
    desk.act(&["import", "register", &register, "--trust", "sure-street"]);
    let decisions = desk.text("decisions.csv");
    let line = |siret: &str| format!("{siret},close,,,,,,Ana,2026-03-15,gone\n");
    let sirets: Vec<String> = text(&demo("etablissements.csv.gz"))
        .lines()
        .filter(|row| row.contains(";2024;"))
        .step_by(5_000)
        .map(|row| row.split(';').next().unwrap().to_owned())
        .collect();
    let header = "siret,decision,x,y,epsg,share,since,author,date,reason\n";
    let lines: String = sirets.iter().map(|siret| line(siret)).collect();
    std::fs::write(&decisions, format!("{header}{lines}")).unwrap();

    let (of_store, of_files) = (desk.text("store.csv"), desk.text("files.csv"));
    let data = desk.text("data");
    let store = |more: &[&str]| {
        let review = ["review", "--data", &data, "--zoning", "secteurs", "--out", &of_store, "--json"];
        let output = arpent([&review[..], more].concat());
        (output.status.code(), said(&output))
    };
    let (code, told) = store(&[]);
    assert_eq!(code, Some(0), "{told}");
    let before: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&before["decisions"]["read"], &before["keep"]), (&0.into(), &"urssaf".into()));
    desk.act(&["import", "decisions", &decisions]);
    let (_, told) = store(&["--keep", "msa", "--top", "3"]);
    let after: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&after["decisions"]["closed"], &after["keep"]), (&(2 * sirets.len()).into(), &"msa".into()));
    let files = ["review", "--register", &register, "--zones", &zones, "--zone-id", "CODE", "--decisions", &decisions];
    let files = [&files[..], &["--trust", "sure-street", "--keep", "msa", "--top", "3", "--out", &of_files]].concat();
    desk.run(&files);
    assert!(for_the_owner_alone(Path::new(&of_store)));
    assert_eq!(text(Path::new(&of_store)), text(Path::new(&of_files)));

    for (more, word) in [
        (&["--trust", "number"][..], "--trust"),
        (&["--zone-id", "CODE"], "--zone-id"),
        (&["--register", "00"], "register `00`"),
    ] {
        let (code, told) = store(more);
        assert_eq!((code, told.contains(word)), (Some(2), true), "{told}");
    }
    let nowhere = desk.text("nowhere");
    let refused = arpent(["review", "--data", &nowhere, "--zoning", "secteurs", "--out", &of_store]);
    assert_eq!((refused.status.code(), Path::new(&nowhere).exists()), (Some(2), false), "{}", said(&refused));
}
