//! The service as a client meets it: the demo territory over a socket, from an empty directory to a graceful stop.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

pub struct Service {
    process: Child,
    pub address: String,
    log: Vec<String>,
    rest: Option<BufReader<std::process::ChildStderr>>,
}

impl Service {
    pub fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_arpent"))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let mut log = Vec::new();
        let address = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it stopped: {log:?}");
            log.push(line.clone());
            if let Some((_, address)) = line.split_once("serving on http://") {
                let address = address.split(|c: char| !c.is_ascii_digit() && !".:".contains(c)).next().unwrap();
                break address.to_owned();
            }
        };
        Self { process, address, log, rest: Some(lines) }
    }

    /// Status, headers in lower case, body.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address)
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        (status, head.to_lowercase(), if chunked { dechunked(body) } else { body.to_owned() })
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// SIGKILL: the process has no time for a word.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM; comes back when the service has heard it.
    pub fn tell_to_stop(&mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let lines = self.rest.as_mut().unwrap();
        loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended without a word: {:?}", self.log);
            self.log.push(line);
            if self.log.last().is_some_and(|line| line.contains("stopping: ")) {
                break;
            }
        }
    }

    /// SIGTERM, then everything it still said.
    pub fn stop(mut self) -> String {
        self.tell_to_stop();
        self.ended()
    }

    /// Everything that it says until it ends, once it was told to.
    pub fn ended(mut self) -> String {
        let mut rest = String::new();
        self.rest.take().unwrap().read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "a graceful stop is a success");
        self.log.concat() + &rest
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn dechunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    whole
}

#[test]
fn from_an_empty_directory_the_demo_serves_48_sectors_with_protected_figures() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let service = Service::start(&["demo", "--data", &data]);
    assert_eq!(service.ask("GET", "/livez", "").0, 200);
    assert_eq!(service.ask("GET", "/readyz", "").0, 200);

    let sectors = service.json("/collections/secteurs/items?limit=100");
    let features = sectors["features"].as_array().unwrap();
    assert_eq!((features.len(), &sectors["numberMatched"]), (48, &Value::from(48)));
    let mut shown = 0;
    for feature in features {
        let p = &feature["properties"];
        match p["effectif_statut"].as_str().unwrap() {
            "secret" => assert!(p["effectif"].is_null() && p["etablissements"].is_null(), "{p}"),
            _ => {
                assert!(p["effectif"].is_u64() && p["etablissements"].is_u64(), "{p}");
                shown += 1;
            }
        }
        assert!(p["source"].as_str() == Some("Urssaf et MSA") && p["millesime"] == 2024, "{p}");
        assert!(p["perimetre"].is_string() && p["derniere_mise_a_jour"].is_string(), "{p}");
    }
    assert!(shown >= 36, "{shown} of 48 sectors show their total");
    let ring = features[0]["geometry"]["coordinates"][0].as_array().unwrap();
    let ring = if ring[0][0].is_array() { ring[0].as_array().unwrap() } else { ring };
    assert!((4.5..5.6).contains(&ring[0][0].as_f64().unwrap()) && (47.0..47.6).contains(&ring[0][1].as_f64().unwrap()));

    // Two year-ends, every selection of the documented crossings; withheld is null, never zero.
    let mut secret = 0;
    for query in ["millesime=2023", "naf=A", "naf=G&millesime=2023", "source=urssaf", "source=msa"] {
        let answer = service.json(&format!("/collections/secteurs/items?limit=100&skipGeometry=true&{query}"));
        for feature in answer["features"].as_array().unwrap() {
            let p = &feature["properties"];
            assert_eq!(p["effectif"].is_null(), p["effectif_statut"] == "secret", "{query}: {p}");
            secret += usize::from(p["effectif"].is_null());
        }
    }
    assert!(secret > 0, "something is withheld somewhere");
    let one = service.json("/collections/communes/items/21231");
    assert_eq!((&one["id"], &one["properties"]["libelle"]), (&Value::from("21231"), &Value::from("Dijon")));

    for (path, status) in [
        ("/collections/quartiers/items", 404),
        ("/collections/secteurs/items/S99", 404),
        ("/collections/secteurs/items?limit=0", 400),
        ("/collections/secteurs/items?bbox=1,2", 400),
        ("/collections/secteurs/items?nad=G", 400),
        ("/collections/secteurs/items?naf=ZZ", 400),
        ("/collections/secteurs/items?tranche=11", 400), // a crossing this policy does not publish
    ] {
        let (found, head, body) = service.ask("GET", path, "");
        assert_eq!(found, status, "{path}: {body}");
        assert!(head.contains("application/problem+json"), "{head}");
    }
    let (_, head, _) = service.ask("GET", "/collections/secteurs/items", "");
    let etag = head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap().to_owned();
    assert_eq!(service.ask("GET", "/collections/secteurs/items", &format!("If-None-Match: {etag}\r\n")).0, 304);

    let log = service.stop();
    // Enterprises of the demo have nine digits, the first of them 9900; times and names of requests have digits too.
    let words = log.split(|c: char| !c.is_ascii_alphanumeric());
    let mut numbers = words.filter(|word| word.len() >= 9 && word.bytes().all(|b| b.is_ascii_digit()));
    let named = numbers.any(|number| number.starts_with("9900"));
    assert!(!named && !log.to_lowercase().contains("siret"), "no establishment is in the log");

    // What was published is served again from the store, the same release.
    let again = Service::start(&["serve", "--data", &data]);
    assert_eq!(again.json("/collections/secteurs/items?limit=100")["features"], sectors["features"]);
    again.stop();
}

#[test]
fn an_empty_store_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&["serve", "--data", &folder.path().display().to_string()]);
    assert_eq!(service.ask("GET", "/livez", "").0, 200);
    for path in ["/readyz", "/collections"] {
        let (status, head, _) = service.ask("GET", path, "");
        assert_eq!(status, 503, "{path}");
        assert!(head.contains("application/problem+json"));
    }
    service.stop();
}

/// A service over an empty store with these settings.
fn settled(settings: &str) -> (tempfile::TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("arpent.toml"), settings).unwrap();
    let service = Service::start(&["serve", "--data", &folder.path().display().to_string()]);
    (folder, service)
}

#[test]
fn who_is_too_slow_is_cut_and_others_are_answered_meanwhile() {
    let (_folder, service) =
        settled("[limits]\nhead_seconds = 1\nidle_seconds = 1\nstall_seconds = 1\nconnections = 3");
    let slow = |sent: &str| {
        let mut stream = TcpStream::connect(&service.address).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        stream
    };
    // One says nothing, one does not end its head, and the last place is left to the others.
    let mut waiting = [slow(""), slow("GET /livez HTTP/1.1\r\nHost: a\r\nX-")];
    assert_eq!(service.ask("GET", "/livez", "").0, 200);
    for stream in &mut waiting {
        let mut answer = Vec::new();
        // Cut: the end of the stream, or a reset where bytes were left unread.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    }
    // One that was answered and asks nothing more is closed too.
    let mut kept = slow("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut answer = String::new();
    let _ = kept.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, _, metrics) = service.ask("GET", "/metrics", "");
    assert!(metrics.contains("arpent_connections_too_slow_total 3"), "{metrics}");
    service.stop();
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let (_folder, service) = settled("[limits]\nrequests_per_second = 1\nrequests_at_once = 2");
    let from = |client: &str| service.ask("GET", "/livez", &format!("X-Forwarded-For: 198.51.100.200, {client}\r\n"));
    // All on one line at once, so that it takes no time worth a request.
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let one = "GET /livez HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n";
    stream.write_all(format!("{}{one}Connection: close\r\n\r\n", format!("{one}\r\n").repeat(19)).as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let refused = answers.matches("HTTP/1.1 429").count();
    assert!(answers.starts_with("HTTP/1.1 200") && refused > 10, "{answers}");
    for words in ["retry-after: 1\r\n", "application/problem+json", "too_many_requests"] {
        assert_eq!(answers.matches(words).count(), refused, "{words}");
    }
    assert_eq!(from("203.0.113.8").0, 200, "another client");
    assert!((0..10).all(|_| service.ask("GET", "/livez", "").0 == 200), "this machine itself");
    service.stop();
}

/// A proxy that writes one family passes the other on as its client sent it.
#[test]
fn of_a_proxy_one_family_of_headers_is_believed() {
    let said =
        "X-Forwarded-Host: one.test\r\nX-Forwarded-Proto: https\r\nForwarded: for=203.0.113.7;host=other.test\r\n";
    for (settings, seen, varies) in [
        ("", "https://one.test", "vary: accept, accept-encoding, host, x-forwarded-host, x-forwarded-proto"),
        (
            "[limits]\nproxy_headers = 'forwarded'",
            "http://other.test",
            "vary: accept, accept-encoding, host, forwarded",
        ),
        ("[limits]\nproxies = ['192.0.2.1/32']", "http://127.0.0.1", "vary: accept, accept-encoding, host"),
        ("public_url = 'https://emploi.example.fr'", "https://emploi.example.fr", "vary: accept, accept-encoding"),
    ] {
        let (_folder, service) = settled(settings);
        let (status, head, contract) = service.ask("GET", "/api", said);
        assert_eq!(status, 200);
        assert!(contract.contains(&format!("[{{\"url\":\"{seen}")), "{settings}");
        let told: Vec<&str> = head.lines().filter(|line| line.starts_with("vary: ")).collect();
        assert_eq!(told, [varies], "{settings}");
        service.stop();
    }
}

#[test]
fn the_log_is_json_on_request_and_never_holds_what_was_asked() {
    let (_folder, service) = settled("log = 'json'\n[limits]\nleave_seconds = 0");
    for path in ["/livez?api_key=schluessel", "/collections/geheim/items?naf=verborgen", "/verboten"] {
        service.ask("GET", path, "X-Request-Id: proxy-7\r\nAuthorization: Bearer schluessel\r\n");
    }
    let log = service.stop();
    for secret in ["schluessel", "geheim", "verborgen", "verboten"] {
        assert!(!log.contains(secret), "{log}");
    }
    let answered: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .filter(|event| event["message"] == "answered")
        .collect();
    assert_eq!(answered.len(), 3, "{log}");
    for (event, route, status) in [
        (&answered[0], "/livez", 400),
        (&answered[1], "/collections/{zoning}/items", 503),
        (&answered[2], "unknown", 404),
    ] {
        assert_eq!(
            (&event["route"], &event["status"], &event["id"]),
            (&route.into(), &status.into(), &"proxy-7".into())
        );
    }
}
