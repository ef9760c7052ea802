//! The whole story with curl alone: a cut and a register are sent, drafted, approved, published; a changed cut follows;
//! then back, withdrawn, and back again. And a kill at any moment leaves what was served.

use crate::command::{arpent, demo, said, text};
use crate::desk::{Desk, WAIT, asked, curl, done, draft_of, ended, public, word};
use arpent::store::{LedgerCheck, SqliteStore, Store};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[test]
fn two_cuts_are_sent_approved_published_taken_back_and_gone_back_to_with_curl_alone() {
    let desk = Desk::new("approvals = ['urssaf', 'metropole']\nexpected = { secteurs = 48 }");
    let [gis, owner, urssaf, metropole] = ["gis", "owner", "partner:urssaf", "partner:metropole"].map(|r| desk.key(r));
    let service = desk.serve();
    assert_eq!(asked(&service, "arpent_00_00", "/api/v1/zonings", &[]).0, 401);
    assert_eq!(public(&service), Err(503));

    // 23 communes are no 48 sectors.
    let versions = "/api/v1/zonings/secteurs/versions";
    let file = |name: &str| format!("file=@{}", demo(name).display());
    let form = |fields: &[&str]| fields.iter().flat_map(|f| ["-F".to_owned(), (*f).to_owned()]).collect::<Vec<_>>();
    let send = |file: &str, version: &str| {
        let fields =
            [file, &format!("version={version}"), "title=Secteurs d'emploi", "reason=périmètre", "code_field=CODE"];
        let fields: Vec<String> = if file.contains("communes") { form(&fields[..4]) } else { form(&fields) };
        let fields = WAIT.into_iter().chain(fields.iter().map(String::as_str));
        match asked(&service, &gis, versions, &fields.collect::<Vec<_>>()) {
            (202, job) => (201, ended(&service, &gis, &job)),
            answered => answered,
        }
    };
    let (status, refused) = send(&file("communes.zip"), "2025");
    assert_eq!((status, &refused["code"]), (422, &json!("zoning_refused")), "{refused}");
    assert!(refused["rejects"]["listed"].to_string().contains("48"), "{refused}");
    let (status, first) = send(&file("secteurs.zip"), "2025");
    assert_eq!((status, &first["report"]["topology"]["zones"]), (201, &json!(48)), "{first}");

    let body = format!("@{}", demo("etablissements.csv.gz").display());
    let body = [&WAIT[..], &["--data-binary", &body]].concat();
    let sent = done(&service, &gis, "/api/v1/registers?file_name=etablissements.csv.gz", &body);
    assert!(sent["report"]["by_vintage"]["2024"].as_u64() > Some(20_000), "{sent}");
    let register = word(&sent, "digest");

    let drafted = |version: &str| {
        let draft = draft_of(version, &register);
        done(&service, &gis, "/api/v1/drafts", &[&WAIT[..], &["-d", &draft]].concat())
    };
    let draft = drafted("2025");
    assert_eq!(draft["approvals_missing"], json!(["urssaf", "metropole"]));
    let at = |draft: &Value, act: &str| format!("/api/v1/drafts/{}{act}", word(draft, "id"));
    let figures = at(&draft, "/collections/secteurs/items?skipGeometry=true");
    assert_eq!(asked(&service, &urssaf, &figures, &[]).0, 403, "two drafts, subtracted, may tell what neither does");
    let preview = done(&service, &owner, &figures, &[]);
    assert_eq!((&preview["numberMatched"], &preview["perimetre"]), (&json!(48), &json!("2025")));
    assert_eq!(public(&service), Err(503), "a draft is nobody's but staff's");

    let post = ["-X", "POST"];
    let published = |draft: &Value| {
        for (partner, key) in [("urssaf", &urssaf), ("metropole", &metropole)] {
            let (status, missing) = asked(&service, &owner, &at(draft, "/publish"), &post);
            assert_eq!((status, &missing["code"]), (409, &json!("approval_missing")));
            assert!(word(&missing, "found").contains(partner), "{missing}");
            done(&service, key, &at(draft, "/approve"), &post);
        }
        assert_eq!(asked(&service, &gis, &at(draft, "/publish"), &post).0, 403);
        word(&done(&service, &owner, &at(draft, "/publish"), &post), "release")
    };
    let one = published(&draft);
    assert_eq!(public(&service), Ok("2025".to_owned()));
    let shown = service.json("/collections/secteurs/items?limit=100");
    let same = |preview: &Value, shown: &Value| {
        preview["features"]
            .as_array()
            .unwrap()
            .iter()
            .zip(shown["features"].as_array().unwrap())
            .all(|(a, b)| a["properties"] == b["properties"])
    };
    assert!(same(&preview, &shown), "what was previewed is what is shown");

    // A changed cut: what moved is told before anything changes.
    let (status, second) = send(&file("secteurs-2.zip"), "2026");
    assert_eq!(status, 201, "{second}");
    let since = &second["report"]["since"];
    assert_eq!((since["redrawn"].as_array().unwrap().len(), &since["appeared"]), (24, &json!([])), "{since}");
    let changed = done(&service, &gis, &format!("{versions}/2026/what-if"), &[]);
    assert_eq!(public(&service), Ok("2025".to_owned()));
    assert!(changed["establishments"].as_array().is_some_and(|pairs| !pairs.is_empty()), "{changed}");
    let to_partners = done(&service, &metropole, &format!("{versions}/2026/what-if"), &[]);
    assert!(to_partners["establishments"].is_null(), "{to_partners}");
    assert_eq!(asked(&service, &metropole, &format!("{versions}/2026/what-if?f=csv"), &[]).0, 403);

    // One address is corrected: the establishment changes sector in the list, and in the next draft.
    let worklist =
        |query: &str| done(&service, &gis, &format!("/api/v1/review?zoning=secteurs&version=2026{query}"), &[]);
    let before = worklist("&list=ambiguous&limit=1");
    let line = &before["lines"][0];
    assert_eq!((before["completion"].as_array().unwrap().len(), &line["done"]), (48, &json!(false)), "{line}");
    let target = worklist("&list=largest&zone=S01&limit=1");
    let at = &target["lines"][0];
    let decision = json!({
        "siret": line["siret"], "decision": "move", "x": at["x"], "y": at["y"], "epsg": 2154, "reason": "vu sur place",
    });
    let sent = ["-d", &decision.to_string()];
    assert_eq!(asked(&service, &metropole, "/api/v1/decisions", &sent).0, 403);
    let kept = done(&service, &gis, "/api/v1/decisions", &sent);
    assert_eq!(kept["decision"]["author"], "Holder of gis");
    let after = worklist("");
    let lines = after["lines"].as_array().unwrap();
    assert!(lines.iter().any(|l| l["siret"] == line["siret"] && l["zone"] == "S01" && l["done"] == true), "{kept}");
    assert_eq!(after["applied"]["moved"], 2, "at both year-ends of the register");

    let draft = drafted("2026");
    assert_eq!(draft["report"]["decided"]["moved"], 1, "{draft}");
    let two = published(&draft);
    assert_eq!(public(&service), Ok("2026".to_owned()));
    let stages = |key: &str| {
        let told = done(&service, key, "/api/v1/releases", &[]);
        told["releases"].as_array().unwrap().iter().map(|r| (word(r, "id"), word(r, "stage"))).collect::<Vec<_>>()
    };
    assert_eq!(stages(&owner), [(one.clone(), "superseded".to_owned()), (two.clone(), "published".to_owned())]);

    // Each is read under its own name, whichever is current.
    let named = |release: &str| {
        let path = format!("/collections/secteurs@{release}/items?limit=1&skipGeometry=true");
        let (status, body) = asked(&service, "", &path, &[]);
        (status, body["perimetre"].as_str().map(str::to_owned))
    };
    assert_eq!((named(&one), named(&two)), ((200, Some("2025".to_owned())), (200, Some("2026".to_owned()))));

    // Back, by HTTP at once; then withdrawn; then back by the command line, which the service notices.
    let reason = ["-d", r#"{"reason":"La voirie a changé trop tôt"}"#];
    done(&service, &owner, &format!("/api/v1/releases/{one}/rollback"), &reason);
    assert_eq!(public(&service), Ok("2025".to_owned()));
    done(&service, &owner, &format!("/api/v1/releases/{one}/withdraw"), &reason);
    let (status, gone) = asked(&service, "", "/collections", &[]);
    assert_eq!((status, &gone["reason"]), (410, &json!("La voirie a changé trop tôt")));
    assert_eq!((named(&one).0, named(&two).0), (410, 200), "the other one stays");
    assert_eq!(asked(&service, &owner, &format!("/api/v1/releases/{one}/rollback"), &reason).0, 409);
    desk.act(&["publish", "--rollback", &two, "--reason", "le second périmètre tient"]);
    let noticed = Command::new("curl")
        .args(["-sSf", "--retry", "30", "--retry-delay", "1", "--retry-all-errors", "-o", "/dev/null"])
        .arg(format!("http://{}/collections", service.address))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(noticed.success());
    assert_eq!(public(&service), Ok("2026".to_owned()));

    // The first cut again, as a third version; the history says who did what; nobody's key or SIRET is in the log.
    let restored =
        done(&service, &gis, &format!("{versions}/2025/restore"), &["-d", r#"{"reason":"retour","version":"2027"}"#]);
    assert_eq!(word(&restored, "digest"), word(&first, "digest"));
    let compared = done(&service, &gis, &format!("{versions}/2027/compare?with=2026"), &[]);
    assert_eq!(compared["redrawn"].as_array().unwrap().len(), 24);
    let history = done(&service, &metropole, "/api/v1/history", &[]);
    let acts: Vec<String> = history["lines"].as_array().unwrap().iter().map(|l| word(l, "act")).collect();
    for act in [
        "key.made",
        "zoning.sent",
        "register.sent",
        "decision.taken",
        "draft.approved",
        "release.current",
        "release.withdrawn",
        "release.rolled_back",
    ] {
        assert!(acts.iter().any(|a| a == act), "{act} in {acts:?}");
    }
    let log = service.stop();
    for secret in [&gis, &owner, &urssaf, &metropole] {
        assert!(!log.contains(secret.rsplit_once('_').unwrap().1), "a key is in the log");
    }
    let register = text(&demo("etablissements.csv.gz"));
    let sirets = register.lines().skip(1).step_by(50).filter_map(|row| row.split(';').next());
    assert!(!sirets.into_iter().any(|siret| log.contains(siret)), "an establishment is in the log");
}

#[test]
fn uploads_that_never_come_hold_up_nobody() {
    let desk = Desk::new("");
    let key = desk.key("gis");
    let service = desk.serve();
    let idle = || {
        let mut line = TcpStream::connect(&service.address).unwrap();
        let head = format!(
            "POST /api/v1/registers?file_name=r.csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
             Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
        );
        line.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(line.try_clone().unwrap()).read_line(&mut answer).unwrap();
        (line, answer)
    };
    let send = || {
        let body = format!("@{}", demo("communes.zip").display());
        let path = "/api/v1/zonings/communes/versions?file_name=communes.zip&version=1&reason=une";
        asked(&service, &key, path, &["--data-binary", &body])
    };
    let mut lines: Vec<_> = (0..7).map(|_| idle()).collect();
    assert!(lines.iter().all(|(_, answer)| answer.starts_with("HTTP/1.1 100")), "{lines:?}");
    assert_eq!(send().0, 201, "seven who are silent, and an eighth is heard");
    lines.push(idle());
    let (status, busy) = send();
    assert_eq!((status, &busy["code"]), (503, &json!("too_many_uploads")), "{busy}");
    let authorization = format!("Authorization: Bearer {key}\r\n");
    let (status, head, _) = service.ask("POST", "/api/v1/registers?file_name=r.csv", &authorization);
    assert!(status == 503 && head.contains("\r\nretry-after: "), "{head}");
    drop(lines);
}

#[test]
fn a_kill_while_a_draft_is_made_or_published_leaves_what_was_served() {
    let desk = Desk::new("");
    let sectors = |name: &str| demo(name).display().to_string();
    for (file, version) in [("secteurs.zip", "2025"), ("secteurs-2.zip", "2026")] {
        let act =
            ["import", "zoning", &sectors(file), "--name", "secteurs", "--version", version, "--reason", "périmètre"];
        desk.act(&act);
    }
    let register = word(&desk.act(&["import", "register", &sectors("etablissements.csv.gz")]), "digest");
    let first = desk.act(&["publish", "--zoning", "secteurs=2025", "--vintage", "2024", "--title", "un"]);
    assert_eq!((word(&first, "stage"), &first["request"]["registers"]), ("published".to_owned(), &json!([register])));
    let owner = desk.key("owner");

    // Killed while the draft is made: the job is marked, and asked for again it makes the same draft.
    let service = desk.serve();
    assert_eq!(public(&service), Ok("2025".to_owned()));
    let soon = ["-H", "Prefer: respond-async", "-d", &draft_of("2026", &register)];
    let (status, job) = asked(&service, &owner, "/api/v1/drafts", &soon);
    assert_eq!(status, 202, "{job}");
    service.kill();
    let service = desk.serve();
    assert_eq!(public(&service), Ok("2025".to_owned()));
    let path = format!("/api/v1/jobs/{}", word(&job, "id"));
    assert_eq!(word(&done(&service, &owner, &path, &[]), "state"), "interrupted");
    let events = asked(&service, &owner, &format!("{path}/events"), &[]).1;
    assert!(
        events.as_str().unwrap().contains("event: job\ndata: {") && events.as_str().unwrap().contains("interrupted")
    );
    let again = done(&service, &owner, &format!("{path}/again"), &[&WAIT[..], &["-X", "POST"]].concat());
    assert_eq!((word(&again, "id"), word(&again, "stage")), (word(&job, "draft"), "draft".to_owned()));

    // Killed while it is published: either all of it happened or nothing.
    let draft = format!("/api/v1/drafts/{}", word(&again, "id"));
    let mut service = service;
    for _ in 0..3 {
        let mut asking: Child = curl(&service, &owner, &format!("{draft}/publish"), &["-X", "POST"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        service.kill();
        asking.wait().unwrap();
        service = desk.serve();
        let stage = word(&done(&service, &owner, &draft, &[]), "stage");
        let expected = match stage.as_str() {
            "draft" => "2025",
            "published" => "2026",
            other => panic!("{other}"),
        };
        assert_eq!(public(&service), Ok(expected.to_owned()), "{stage}");
    }
    if public(&service) == Ok("2025".to_owned()) {
        done(&service, &owner, &format!("{draft}/publish"), &["-X", "POST"]);
    }
    assert_eq!(public(&service), Ok("2026".to_owned()));
    service.stop();
    let check = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(async { SqliteStore::open(&desk.file("data")).await.unwrap().verify_ledger().await.unwrap() });
    assert!(matches!(check, LedgerCheck::Holds { .. }), "{check:?}");
}

#[test]
fn the_command_line_says_no_with_1_and_wrong_with_2() {
    let desk = Desk::new("approvals = ['urssaf']");
    let (data, missing) = (desk.text("data"), desk.text("nothing.zip"));
    let sectors = demo("secteurs.zip").display().to_string();
    let zoning = |file: &str, name: &str, reason: &str| {
        ["import", "zoning", file, "--name", name, "--version", "1", "--reason", reason].map(str::to_owned).to_vec()
    };
    let key = desk.key("gis");
    let id = key.split('_').nth(1).unwrap().to_owned();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (mut arguments, code) in [
        (zoning(&sectors, "secteurs", "premier"), 0),
        (zoning(&sectors, "naf", "premier"), 2),
        (zoning(&sectors, "secteurs", ""), 2),
        (zoning(&missing, "secteurs", "premier"), 2),
        (zoning(&demo("communes.zip").display().to_string(), "secteurs", "autre"), 1),
        (words("token new --name A --role chief"), 2),
        (words("token list"), 0),
        (words(&format!("token revoke {id}")), 0),
        (words(&format!("token revoke {id}")), 1),
        (words("token revoke 00"), 2),
        (words("publish --list"), 0),
        (words("publish --draft 00"), 2),
        (words("publish --withdraw 00 --reason r"), 2),
        (words("publish --withdraw 00"), 2),
        (words("publish --zoning secteurs=9"), 2),
        (words("publish --zoning secteurs"), 2), // no register yet
    ] {
        arguments.extend(["--data".to_owned(), data.clone()]);
        let output = arpent(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn the_commands_of_the_readme_work_as_they_are_printed() {
    let desk = Desk::new("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(desk.file("printed/data")).unwrap();
    std::os::unix::fs::symlink(root.join("data/demo"), desk.file("printed/data/demo")).unwrap();
    // One small table, so that it takes a moment.
    std::fs::copy(desk.file("policy.toml"), desk.file("printed/data/policy.toml")).unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## For those who publish").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks: Vec<&str> = section.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect();
    // A port below those that systems hand out by themselves (Linux: from 32768), so that no other test is given it.
    let mut ports = 20_000 + (std::process::id() % 10_000) as u16..32_768;
    let port = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap().to_string();
    let script = blocks.join("echo '=== next'\n").replace("8080", &port);
    let serve = "arpent serve --data $D &";
    assert_eq!(script.matches(serve).count(), 1);
    let script = script.replace(serve, &format!("arpent serve --data $D --listen 127.0.0.1:{port} 2> log &"));
    let script =
        format!("{script}\necho '=== next'\ncurl -s http://127.0.0.1:{port}/collections\nkill -TERM $!\nwait $!\n");
    let program = Path::new(env!("CARGO_BIN_EXE_arpent")).parent().unwrap().display();
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()))
        .current_dir(desk.file("printed"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<&str> = told.split("=== next\n").collect();
    assert_eq!((parts.len(), output.status.code()), (9, Some(0)), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for (part, words) in [
        (1, &["\"zones\":48", "\"accepted\":"][..]),
        (2, &["approval_missing", "\"stage\":\"published\"", "\"perimetre\":\"2025\""]),
        (3, &["\"version\":\"2026\"", "\"redrawn\":"]),
        (4, &["\"list\":\"ambiguous\"", "\"decision\":\"move\"", "siret,decision,x,y,epsg"]),
        (5, &["\"moved\":1", "\"stage\":\"published\""]),
        (6, &["\"numberMatched\":48", "$metadata#Aggregats"]),
        (7, &["\"stage\":\"published\"", "\"stage\":\"withdrawn\"", "\"act\":\"release.rolled_back\""]),
        (8, &["\"status\":410", "une erreur de géocodage"]),
    ] {
        for word in words {
            assert!(parts[part].contains(word), "{word} after block {part}: {}", parts[part]);
        }
    }
    let changes = std::fs::read_to_string(desk.file("printed/changes.geojson")).unwrap();
    assert!(changes.contains("FeatureCollection"), "{changes}");
    for file in ["moves.csv", "worklist.csv"] {
        let lines = std::fs::read_to_string(desk.file("printed").join(file)).unwrap().lines().count();
        assert!(lines > 1, "{file}");
    }
}
