//! A desk of staff, as the stories have it: a data directory with its policy, its settings and its keys, a service over
//! it, and curl.

use crate::command::{arpent, said};
use crate::service::Service;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// A data directory with its policy and settings, and the keys of those who act.
pub struct Desk {
    home: tempfile::TempDir,
}

impl Desk {
    pub fn new(settings: &str) -> Self {
        let desk = Self { home: tempfile::tempdir().unwrap() };
        let policy = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data/policy.toml")).unwrap();
        // One small table, so that the story is short.
        let policy = policy.replace("secteurs = [[\"naf_section\"], [\"source\"]]", "secteurs = [[\"source\"]]");
        assert!(policy.contains("secteurs = [[\"source\"]]"));
        std::fs::write(desk.file("policy.toml"), policy).unwrap();
        let publication = "[publication]\nsource = 'Urssaf et MSA'\nlicence = 'CC0-1.0'\nnotice = 'Données fictives'\n\
                           owners = ['urssaf', 'msa']\ndataset = 'effectifs'\n";
        std::fs::create_dir(desk.file("data")).unwrap();
        std::fs::write(desk.file("data/arpent.toml"), format!("{settings}\n{publication}")).unwrap();
        desk.run(&["policy", "set", &desk.text("policy.toml"), "--data", &desk.text("data")]);
        desk
    }
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
    pub fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = arpent(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
    /// An act of the command line on this directory.
    pub fn act(&self, arguments: &[&str]) -> Value {
        let told = self.run(&[arguments, &["--data", &self.text("data"), "--author", "operator", "--json"]].concat());
        serde_json::from_str(&told).unwrap()
    }
    pub fn key(&self, role: &str) -> String {
        self.act(&["token", "new", "--name", &format!("Holder of {role}"), "--role", role])["key"]
            .as_str()
            .unwrap()
            .to_owned()
    }
    pub fn serve(&self) -> Service {
        Service::start(&["serve", "--data", &self.text("data")])
    }
}

pub fn curl(service: &Service, key: &str, path: &str, options: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "-w", "\n%{http_code}", "-H", &format!("Authorization: Bearer {key}")]).args(options);
    command.arg(format!("http://{}{path}", service.address));
    command
}

/// Status and body.
pub fn asked(service: &Service, key: &str, path: &str, options: &[&str]) -> (u16, Value) {
    let output = curl(service, key, path, options).output().expect("curl is there; `make setup` installs it");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{path}: {text}"));
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| body.into()))
}

pub fn done(service: &Service, key: &str, path: &str, options: &[&str]) -> Value {
    match asked(service, key, path, options) {
        (202, job) => ended(service, key, &job),
        (status, body) => {
            assert!((200..=201).contains(&status), "{path}: {status} {body}");
            body
        }
    }
}

/// What a job ended with, however long that takes, by following its events to their end.
pub fn ended(service: &Service, key: &str, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", word(job, "id"));
    loop {
        let (status, told) = asked(service, key, &format!("{path}/events"), &["-N"]);
        assert!([200, 204].contains(&status), "{status} {told}");
        let (_, job) = asked(service, key, &path, &[]);
        match job["state"].as_str() {
            // An answer that is held ends after some minutes, whatever the job does.
            Some("queued" | "running") => {}
            Some("done") => return job["report"]["result"].clone(),
            _ => panic!("{job}"),
        }
    }
}

/// The perimeter that the public sees, or the status it gets instead.
pub fn public(service: &Service) -> Result<String, u16> {
    match asked(service, "", "/collections/secteurs/items?limit=1&skipGeometry=true", &[]) {
        (200, body) => Ok(body["perimetre"].as_str().unwrap().to_owned()),
        (status, _) => Err(status),
    }
}

pub fn word(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

pub fn draft_of(version: &str, register: &str) -> String {
    json!({ "title": "Emploi 2024", "zonings": { "secteurs": version }, "registers": [register], "vintages": [2024] })
        .to_string()
}

/// As long as proxies allow.
pub const WAIT: [&str; 2] = ["-H", "Prefer: wait=50"];
