//! Told to stop: a service finishes what it took on, a command leaves no half-written file.

use crate::command::demo;
use crate::desk::{Desk, asked, done, draft_of, word};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// The names in a folder, without those of the store's own files.
fn names(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with("arpent.db")).collect()
}

#[test]
fn an_upload_that_is_half_in_when_the_service_is_told_to_stop_comes_in_and_is_kept() {
    let desk = Desk::new("");
    let key = desk.key("gis");
    let before = names(&desk.file("data"));
    let mut service = desk.serve();
    let file = std::fs::read(demo("secteurs.zip")).unwrap();
    let mut line = TcpStream::connect(&service.address).unwrap();
    let path = "/api/v1/zonings/secteurs/versions?file_name=secteurs.zip&version=1&reason=une&code_field=CODE";
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\nPrefer: wait=50\r\n\r\n",
        file.len()
    );
    line.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(line.try_clone().unwrap());
    let mut answer = String::new();
    reader.read_line(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    line.write_all(&file[..file.len() / 2]).unwrap();
    service.tell_to_stop();
    line.write_all(&file[file.len() / 2..]).unwrap();
    let mut whole = String::new();
    reader.read_to_string(&mut whole).unwrap();
    assert!(whole.contains("HTTP/1.1 201"), "{whole}");
    service.ended();
    assert_eq!(names(&desk.file("data")), before, "nothing half-written is left");
    let service = desk.serve();
    let kept = done(&service, &key, "/api/v1/zonings/secteurs/versions/1", &[]);
    assert_eq!(kept["report"]["topology"]["zones"], 48);
    service.stop();
}

#[test]
fn a_job_that_is_under_way_when_the_service_is_told_to_stop_is_finished() {
    let desk = Desk::new("");
    let key = desk.key("owner");
    let sectors = demo("secteurs.zip").display().to_string();
    desk.act(&["import", "zoning", &sectors, "--name", "secteurs", "--version", "2025", "--reason", "périmètre"]);
    let register =
        word(&desk.act(&["import", "register", &demo("etablissements.csv.gz").display().to_string()]), "digest");
    let service = desk.serve();
    let soon = ["-H", "Prefer: respond-async", "-d", &draft_of("2025", &register)];
    let (status, job) = asked(&service, &key, "/api/v1/drafts", &soon);
    assert_eq!(status, 202, "{job}");
    let path = format!("/api/v1/jobs/{}", word(&job, "id"));
    service.stop();
    let service = desk.serve();
    let kept = done(&service, &key, &path, &[]);
    assert_eq!(kept["state"], "done", "{kept}");
    let draft: Value = done(&service, &key, &format!("/api/v1/drafts/{}", word(&job, "draft")), &[]);
    assert_eq!(draft["stage"], json!("draft"), "{draft}");
    service.stop();
}

/// A table of points that takes longer to read than any test: one gzipped block of rows, again and again.
fn endless(path: &Path) {
    let packed = |text: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let rows = packed(&"1,852000,6690000\n".repeat(1_000_000));
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&packed("id,x,y\n")).unwrap();
    (0..300).for_each(|_| file.write_all(&rows).unwrap());
}

#[test]
fn a_command_that_is_told_to_stop_leaves_what_was_there_and_no_draft() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    endless(&folder.path().join("points.csv.gz"));
    for signal in ["-TERM", "-INT"] {
        std::fs::write(path("places.csv"), "what was there").unwrap();
        let before = names(folder.path());
        let sectors = demo("secteurs.zip").display().to_string();
        let points = path("points.csv.gz");
        let mut process = Command::new(env!("CARGO_BIN_EXE_arpent"))
            .args(["assign", "--zones", &sectors, "--zone-id", "CODE", "--points", &points])
            .args(["--out", &path("places.csv"), "--report", &path("report.json"), "--unplaced", &path("lost.geojson")])
            .args(["--index", &path("index")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let drafts = || names(folder.path()).difference(&before).filter(|name| name.ends_with(".draft")).count();
        while drafts() < 4 {
            assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap().success());
        let ended = process.wait().unwrap();
        assert_eq!(ended.code(), Some(if signal == "-TERM" { 143 } else { 130 }));
        assert_eq!(names(folder.path()), before, "{signal}");
        assert_eq!(std::fs::read_to_string(path("places.csv")).unwrap(), "what was there");
    }
}

/// Records and a specification whose tables `protect` publishes at once.
fn records(folder: &Path) {
    let mut micro = String::from("siret,siren,headcount,zone\n");
    (0..20_000_u64).for_each(|i| micro += &format!("s{i},e{i},{},{}\n", i % 17, i % 4));
    std::fs::write(folder.join("m.csv"), micro).unwrap();
    let spec = "contributor = 'siren'\nweight = 'headcount'\n[rules]\nmin_contributors = 3\n\
                dominance = { n = 1, share = 0.85 }\n[protection]\nwidth = 0.1\n\
                [dimensions.zone]\nlevels = ['zone']\n[[tables]]\nname = 'zone'\ndimensions = ['zone']\n";
    std::fs::write(folder.join("s.toml"), spec).unwrap();
}

/// Runs a command on them, and sends it a signal as soon as the draft of a folder is there; how it ended.
fn stopped_at_its_draft(folder: &Path, act: &[&str], signal: &str) -> Option<i32> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut process = Command::new(env!("CARGO_BIN_EXE_arpent"))
        .args(act)
        .args(["--micro", &path("m.csv"), "--spec", &path("s.toml"), "--out", &path("out")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let watch = "until [ -e \"$1\"/.out.*.draft ]; do kill -0 $2 || exit; done; kill $3 $2";
    let watching = ["-c", watch, "sh", &folder.display().to_string(), &process.id().to_string(), signal]
        .iter()
        .fold(&mut Command::new("sh"), |command, word| command.arg(word))
        .stderr(Stdio::null())
        .spawn();
    let ended = process.wait().unwrap();
    watching.unwrap().wait().unwrap();
    ended.code()
}

#[test]
fn a_command_that_is_told_to_stop_while_it_drafts_a_folder_leaves_the_former_one_and_no_draft() {
    let folder = tempfile::tempdir().unwrap();
    records(folder.path());
    let out = folder.path().join("out");
    let former = out.join("private/former");
    for (act, signal, code) in [("protect", "-TERM", 143), ("protect", "-INT", 130), ("exchange", "-TERM", 143)] {
        let words = if act == "exchange" { &["exchange", "write"][..] } else { &["protect"][..] };
        // The command may be done before the signal is there: then it leaves the new folder, whole.
        let caught = (0..100).any(|_| {
            let _ = std::fs::remove_dir_all(&out);
            if act == "protect" {
                stopped_at_its_draft(folder.path(), words, "-0");
                std::fs::write(&former, "").unwrap();
            }
            let before = names(folder.path());
            let ended = stopped_at_its_draft(folder.path(), words, signal);
            let mut whole = before.clone();
            whole.insert("out".to_owned());
            let left = names(folder.path());
            assert!(left == before || left == whole, "{act} {signal} leaves {left:?}");
            assert_eq!(out.join("release.json").exists(), act == "protect");
            ended == Some(code) && (if act == "protect" { former.exists() } else { left == before })
        });
        assert!(caught, "{act} was never caught at its draft by {signal}");
    }
}
