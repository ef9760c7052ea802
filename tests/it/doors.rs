//! The rules of the house that the compiler cannot hold: which room may name what, and that the map names every file.
//!
//! Sources are read as text. Comments, the insides of strings and unit tests are blanked first, and `use` trees are
//! spelled out, so that `use crate::{model, store}` is seen to name `crate::store`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// In `here`, apart from `but`, no code names any of `never`.
/// Paths that end with `/` are folders; a name that ends with `::` is a crate.
struct Rule {
    here: &'static [&'static str],
    but: &'static [&'static str],
    never: &'static [&'static str],
    because: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        here: &["src/model/", "src/steps/", "index/"],
        but: &[],
        never: &["axum", "tower", "tower_http", "tokio", "sqlx", "std::net"],
        because: "steps are plain functions, which both doors can call",
    },
    Rule {
        here: &["src/model/", "src/steps/", "index/"],
        but: &[],
        never: &["crate::store", "crate::config", "crate::pipeline", "crate::http", "crate::cli"],
        because: "dependencies point inwards: model, steps, store, pipeline, http",
    },
    Rule {
        here: &["src/model/", "src/steps/", "index/"],
        but: &[],
        never: &["std::env", "SystemTime", "Instant"],
        because: "same input, same output: time and settings are arguments",
    },
    Rule {
        here: &["src/model/"],
        but: &[],
        never: &["crate::steps"],
        because: "the model is the vocabulary of the steps and needs none of them",
    },
    Rule {
        here: &["src/store/"],
        but: &[],
        never: &["axum", "crate::pipeline", "crate::http", "crate::cli"],
        because: "dependencies point inwards: model, steps, store, pipeline, http",
    },
    Rule {
        here: &["src/http/"],
        but: &[],
        never: &["Register", "Placement", "RawTables", "Microdata", "crate::store"],
        because: "a handler that holds no raw figure cannot show one",
    },
    Rule {
        here: &["src/http/"],
        but: &["src/http/mod.rs", "src/http/problem.rs", "src/http/staff/"],
        never: &["crate::pipeline"],
        because: "public handlers are given a shelf and nothing else; the office stands behind the keys of staff",
    },
    Rule { here: &["src/http/"], but: &[], never: &["crate::cli"], because: "the two doors do not know each other" },
    Rule {
        here: &["src/cli/"],
        but: &["src/cli/serve.rs", "src/cli/demo.rs"],
        never: &["crate::http"],
        because: "the two doors do not know each other; `serve` and `demo` only start the service",
    },
    Rule {
        here: &["src/"],
        but: &["src/steps/reproject.rs"],
        never: &["proj::"],
        because: "PROJ has state of its own, which one file keeps",
    },
    Rule {
        here: &["src/"],
        but: &[
            "src/steps/validate/contour.rs",
            "src/steps/validate/overlay.rs",
            "src/steps/repair.rs",
            "src/steps/dissolve.rs",
            "src/steps/coverage.rs",
            "src/steps/tiling.rs",
            "src/steps/read/rings.rs",
        ],
        never: &["rstar"],
        because: "a tree of boxes is a tool of seven files and of the index, and part of no signature",
    },
    Rule {
        here: &["src/"],
        but: &["src/steps/secrecy/lp.rs"],
        never: &["highs"],
        because: "the solver of the strongroom can be changed in one file",
    },
    Rule {
        here: &["src/"],
        but: &["src/steps/secrecy/audit/solver.rs"],
        never: &["clarabel"],
        because: "the solver of the audit is its own, and can be changed in one file",
    },
    Rule {
        here: &["src/steps/secrecy/audit/", "src/steps/secrecy/audit.rs"],
        but: &[],
        never: &[
            "crate::steps::secrecy::lp",
            "crate::steps::secrecy::primary",
            "crate::steps::secrecy::secondary",
            "crate::steps::secrecy::certificate",
            "crate::steps::secrecy::tabulate",
        ],
        because: "the audit goes by a path of its own",
    },
    Rule {
        here: &["src/"],
        but: &["src/store/"],
        never: &["sqlx"],
        because: "the store is the one port to a database",
    },
    Rule {
        here: &["src/"],
        but: &["src/steps/read/spreadsheet.rs"],
        never: &["calamine"],
        because: "what a workbook asks to be held is checked in one file, before calamine holds it",
    },
    Rule {
        here: &["src/"],
        but: &["src/steps/read/geopackage.rs", "src/http/downloads/geopackage.rs"],
        never: &["rusqlite"],
        because: "GeoPackages are read and written in memory, and nothing is kept",
    },
    Rule {
        here: &["src/"],
        but: &[
            "src/model/",
            "src/steps/reproject.rs",
            "src/steps/validate.rs",
            "src/steps/repair.rs",
            "src/steps/groups.rs",
            "src/steps/intake.rs",
            "src/steps/seal.rs",
        ],
        never: &["vouch"],
        because: "who vouches must have looked",
    },
    Rule {
        here: &["src/"],
        but: &[
            "src/steps/reproject.rs",
            "src/steps/validate.rs",
            "src/steps/repair.rs",
            "src/steps/groups.rs",
            "src/steps/intake.rs",
        ],
        never: &["Lambert93::vouch"],
        because: "metres come from reprojection, or from contours which were metres before they were mended or united",
    },
    Rule {
        here: &["src/"],
        but: &["src/steps/reproject.rs", "src/steps/seal.rs"],
        never: &["Wgs84::vouch"],
        because: "degrees come from reprojection, or from a sealed release which reprojection filled",
    },
    Rule {
        here: &["src/"],
        but: &["src/steps/validate.rs"],
        never: &["Zoning::vouch"],
        because: "a zoning has passed validation",
    },
];

/// Where a type may be written to the wire, to a report or to a file of settings.
fn may_serialise(path: &str) -> bool {
    let view = path.starts_with("src/http/") && path.ends_with("/view.rs");
    view || path.starts_with("src/cli/") || path == "src/config.rs"
}

#[test]
fn each_room_names_only_what_it_may() {
    let sources = sources();
    let mut broken = Vec::new();
    for rule in RULES {
        let here = sources.iter().filter(|s| lies_in(&s.path, rule.here) && !lies_in(&s.path, rule.but));
        for source in here {
            for name in rule.never {
                for line in source.lines_naming(name) {
                    broken.push(format!("{}:{line}: names `{name}`, but {}", source.path, rule.because));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{} broken rules\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn only_views_reports_and_settings_are_serialised() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| !may_serialise(&s.path)) {
        for line in lines_serialising(&source.code) {
            let why = "what goes on the wire is a type of its own, in `view.rs`";
            broken.push(format!("{}:{line}: derives `Serialize`, but {why}", source.path));
        }
    }
    assert!(broken.is_empty(), "{} broken rules\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn the_map_names_each_source_file_and_nothing_else() {
    let map = read("docs/ARCHITECTURE.md");
    let named = paths_in(&map);
    let mut wrong = Vec::new();
    for (line, path) in &named {
        if !root().join(path).exists() {
            wrong.push(format!("docs/ARCHITECTURE.md:{line}: names `{path}`, which does not exist"));
        }
    }
    let named: BTreeSet<&str> = named.iter().map(|(_, path)| path.as_str()).collect();
    let mut files = Vec::new();
    rust_files("src", &mut files);
    rust_files("index/src", &mut files);
    for file in files.iter().filter(|f| !named.contains(f.as_str())) {
        wrong.push(format!("{file}:1: is not named in docs/ARCHITECTURE.md"));
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

/// A claim without its test is an opinion.
#[test]
fn what_the_page_on_secrecy_names_is_there() {
    let page = read("docs/SECRECY.md");
    let mut wrong = Vec::new();
    for (line, path) in paths_in(&page) {
        if !root().join(&path).exists() {
            wrong.push(format!("docs/SECRECY.md:{line}: names `{path}`, which does not exist"));
        }
    }
    let tests = tests_in(&page);
    assert!(tests.len() > 20, "found {} tests named, expected one for each claim", tests.len());
    for (line, path, name) in tests {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
        if !holds_test(&text, &name) {
            wrong.push(format!("docs/SECRECY.md:{line}: names the test `{name}`, which {path} does not have"));
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

/// Every `path::test` of a page, with its line from 1.
fn tests_in(page: &str) -> Vec<(usize, String, String)> {
    let named = |text: &str| {
        let (path, name) = text.split_once(".rs::")?;
        Some((format!("{path}.rs"), name.to_owned()))
    };
    let in_line = |(i, line): (usize, &str)| {
        let quoted = line.split('`').skip(1).step_by(2).filter_map(named);
        quoted.map(|(path, name)| (i + 1, path, name)).collect::<Vec<_>>()
    };
    page.lines().enumerate().flat_map(in_line).collect()
}

/// Whether a source has a test of this name: a function right below the mark of a test.
fn holds_test(text: &str, name: &str) -> bool {
    let start = format!("fn {name}(");
    text.split("#[test]").skip(1).any(|after| after.trim_start().starts_with(&start))
}

#[test]
fn a_page_names_tests_by_file_and_function() {
    let page = "a\n| b | `src/a.rs::one`, `x`, `tests/it/b.rs::two` | `c::d` |";
    let found = tests_in(page);
    let expected = [(2, "src/a.rs", "one"), (2, "tests/it/b.rs", "two")];
    assert_eq!(found, expected.map(|(line, path, name)| (line, path.to_owned(), name.to_owned())));
    let source = "#[test]\nfn one() {}\nproptest! {\n    #[test]\n    fn two(\n}\nfn three() {}";
    for (name, expected) in [("one", true), ("two", true), ("three", false), ("on", false), ("four", false)] {
        assert_eq!(holds_test(source, name), expected, "{name}");
    }
}

/// A source file as the rules see it.
struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    /// Line by line what the file holds, comments, strings and unit tests blanked.
    code: String,
    /// Every path a `use` names, spelled out from the crate, with its line from 1.
    imports: Vec<(usize, String)>,
}

impl Source {
    fn new(path: &str, text: &str) -> (Self, Vec<String>) {
        let (code, test_modules) = without_tests(&blanked(text));
        let imports = imports(&code, &module_of(path));
        (Self { path: path.to_owned(), code, imports }, test_modules)
    }

    /// The lines, from 1, whose code or imports name `name`.
    fn lines_naming(&self, name: &str) -> BTreeSet<usize> {
        let in_code = self.code.lines().enumerate().filter(|(_, line)| names(line, name)).map(|(i, _)| i + 1);
        let whole = name.trim_end_matches("::");
        let imported = self.imports.iter().filter(|(_, path)| names(path, name) || path == whole);
        in_code.chain(imported.map(|(line, _)| *line)).collect()
    }
}

/// Every file under `src/` and of the index, apart from those which are compiled for tests alone.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    rust_files("src", &mut files);
    rust_files("index/src", &mut files);
    assert!(files.iter().any(|f| f == "src/lib.rs"), "found {} source files, expected src/lib.rs", files.len());
    let mut sources = Vec::new();
    let mut tests = Vec::new();
    for path in &files {
        let (source, test_modules) = Source::new(path, &read(path));
        let beside = folder_of_modules(path);
        for module in test_modules {
            tests.push(format!("{beside}{module}.rs"));
            tests.push(format!("{beside}{module}/"));
        }
        sources.push(source);
    }
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    sources.retain(|s| !lies_in(&s.path, &tests));
    sources
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: found {error}, expected a text file"))
}

/// The `.rs` files of a folder and of those below it, in order.
fn rust_files(folder: &str, found: &mut Vec<String>) {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut entries: Vec<(String, bool)> = entries
        .map(|entry| {
            let entry = entry.unwrap_or_else(|error| panic!("{folder}: {error}"));
            let name = entry.file_name().into_string().unwrap_or_else(|name| panic!("{folder}: {name:?} is no UTF-8"));
            (name, entry.path().is_dir())
        })
        .collect();
    entries.sort();
    for (name, is_folder) in entries {
        let path = format!("{folder}/{name}");
        if is_folder {
            rust_files(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Whether a file is one of `places`, or lies in one which ends with `/`.
fn lies_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| if place.ends_with('/') { path.starts_with(place) } else { path == *place })
}

/// The folder, with its `/`, where the modules a file declares have their files.
fn folder_of_modules(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file {
        "mod.rs" | "lib.rs" | "main.rs" => format!("{folder}/"),
        _ => format!("{folder}/{}/", file.trim_end_matches(".rs")),
    }
}

/// The path of a file's module below the crate: `steps`, `read`, `zones`.
fn module_of(path: &str) -> Vec<String> {
    let folder = folder_of_modules(path);
    let below = folder.strip_prefix("src/").unwrap_or(&folder);
    below.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The text with comments and the insides of strings and characters replaced by spaces; lines stay where they are.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_silence(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            let end = end.min(chars.len());
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment, string or character that begins at `at` ends; `at` itself when none does.
fn end_of_silence(chars: &[char], at: usize) -> usize {
    let is = |i: usize, c: char| chars.get(i) == Some(&c);
    let find = |from: usize, c: char| (from..chars.len()).find(|&i| is(i, c)).unwrap_or(chars.len());
    match chars[at] {
        '/' if is(at + 1, '/') => find(at, '\n'),
        '/' if is(at + 1, '*') => {
            let (mut depth, mut i) = (1, at + 2);
            while depth > 0 && i < chars.len() {
                if is(i, '/') && is(i + 1, '*') {
                    (depth, i) = (depth + 1, i + 2);
                } else if is(i, '*') && is(i + 1, '/') {
                    (depth, i) = (depth - 1, i + 2);
                } else {
                    i += 1;
                }
            }
            i
        }
        'r' => {
            let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
            if !is(at + 1 + hashes, '"') {
                return at; // a name, raw (`r#type`) or not
            }
            let mut i = at + 2 + hashes;
            while i < chars.len() {
                if is(i, '"') && (1..=hashes).all(|h| is(i + h, '#')) {
                    return i + 1 + hashes;
                }
                i += 1;
            }
            i
        }
        '"' => {
            let mut i = at + 1;
            while i < chars.len() && !is(i, '"') {
                i += if is(i, '\\') { 2 } else { 1 };
            }
            i + 1
        }
        '\'' if is(at + 1, '\\') => find(at + 3, '\'') + 1,
        '\'' if is(at + 2, '\'') => at + 3,
        _ => at, // a lifetime begins like a character
    }
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// Blanks each item that is compiled for tests alone; gives the names of the modules among them which have files.
fn without_tests(code: &str) -> (String, Vec<String>) {
    if code.contains("#![cfg(test)]") {
        return (String::new(), Vec::new());
    }
    let mut kept = String::with_capacity(code.len());
    let mut modules = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(TEST_ONLY) {
        let end = end_of_item(rest, start + TEST_ONLY.len());
        let item = &rest[start..end];
        if let Some((_, name)) = item.trim_end_matches(';').rsplit_once("mod ")
            && item.ends_with(';')
        {
            modules.push(name.trim().to_owned());
        }
        kept.push_str(&rest[..start]);
        kept.extend(item.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[end..];
    }
    kept.push_str(rest);
    (kept, modules)
}

/// Just after the `;` or the `}` that ends the item which begins at `from`.
fn end_of_item(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (i, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            b';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path the `use` items of a module name, spelled out from the crate, with its line from 1.
fn imports(code: &str, module: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in starts_of(code, "use ") {
        let tree = code[start + "use ".len()..].split(';').next().unwrap_or_default();
        let mut paths = Vec::new();
        spell_out("", tree, start + "use ".len(), &mut paths);
        found.extend(paths.into_iter().map(|(at, path)| (line_of(code, at), from_the_crate(&path, module))));
    }
    found
}

/// Opens the braces of a `use` tree; each path with its place in the file, in bytes.
fn spell_out(before: &str, tree: &str, at: usize, paths: &mut Vec<(usize, String)>) {
    let Some((open, close)) = tree.find('{').zip(tree.rfind('}')) else {
        let path = tree.trim().split(" as ").next().unwrap_or_default().trim();
        if !path.is_empty() {
            paths.push((at + tree.len() - tree.trim_start().len(), format!("{before}{path}")));
        }
        return;
    };
    let before = format!("{before}{}", tree[..open].trim());
    let (mut depth, mut start) = (0_usize, open + 1);
    for (i, byte) in tree.bytes().enumerate().take(close).skip(open + 1) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                spell_out(&before, &tree[start..i], at + start, paths);
                start = i + 1;
            }
            _ => {}
        }
    }
    spell_out(&before, &tree[start..close], at + start, paths);
}

/// Replaces `self` and `super` at the head of a path by the module they mean.
fn from_the_crate(path: &str, module: &[String]) -> String {
    let mut parts: Vec<&str> = path.split("::").map(str::trim).collect();
    if !matches!(parts.first(), Some(&"self" | &"super")) {
        return parts.join("::");
    }
    let mut above: Vec<&str> = module.iter().map(String::as_str).collect();
    while let Some(&head @ ("self" | "super")) = parts.first() {
        if head == "super" {
            above.pop();
        }
        parts.remove(0);
    }
    let mut whole = vec!["crate"];
    whole.extend(above);
    whole.extend(parts);
    whole.join("::")
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Whether `code` holds `name` as a whole word or path: `Register` is not in `RegisterEntry`, nor `proj::` in `reproj::`.
fn names(code: &str, name: &str) -> bool {
    !starts_of(code, name).is_empty()
}

/// The places, in bytes, where `name` stands as a whole word or path.
fn starts_of(code: &str, name: &str) -> Vec<usize> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let open_ended = !name.ends_with(in_word);
    code.match_indices(name)
        .filter(|(at, _)| {
            let before = code[..*at].chars().next_back();
            let after = code[at + name.len()..].chars().next();
            !before.is_some_and(in_word) && (open_ended || !after.is_some_and(in_word))
        })
        .map(|(at, _)| at)
        .collect()
}

/// The lines, from 1, where `Serialize` is derived or implemented.
fn lines_serialising(code: &str) -> BTreeSet<usize> {
    let derived = starts_of(code, "derive(").into_iter().filter(|&at| {
        let list = code[at..].split(')').next().unwrap_or_default();
        names(list, "Serialize")
    });
    let implemented = starts_of(code, "Serialize for").into_iter();
    derived.chain(implemented).map(|at| line_of(code, at)).collect()
}

/// Folders of the repository whose files a page may name.
const FOLDERS: [&str; 7] = ["src/", "index/", "tests/", "examples/", "benches/", "docs/", "data/"];

/// The paths of the repository that a page names, with the line of each from 1.
fn paths_in(page: &str) -> Vec<(usize, String)> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let mut found = Vec::new();
    for (i, line) in page.lines().enumerate() {
        let words = line.split(|c: char| !in_path(c)).map(|word| word.trim_end_matches('.'));
        let paths = words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
        found.extend(paths.map(|path| (i + 1, path.to_owned())));
    }
    found
}

#[test]
fn names_are_found_in_code_and_nowhere_else() {
    let table: &[(&str, &str, &[usize])] = &[
        ("use axum::Router;", "axum", &[1]),
        ("// use axum::Router;", "axum", &[]),
        ("/* axum /* again */ axum */ fn f() {}", "axum", &[]),
        ("/// Like axum.\nfn f() { axum::serve() }", "axum", &[2]),
        ("let a = \"axum \\\" axum\"; axum", "axum", &[1]),
        ("let a = \"axum \\\" axum\";", "axum", &[]),
        ("let a = r#\"axum \" axum\"#;", "axum", &[]),
        ("let a = r#\"axum \" axum\"#; axum", "axum", &[1]),
        ("let a = ['\"', '\\'', '\\\\']; axum", "axum", &[1]),
        ("fn f<'a>(a: &'a str) {} // axum", "axum", &[]),
        ("fn f<'a>(a: &'a str) { axum }", "axum", &[1]),
        ("use taxum::a; use axums::b; let an_axum = 1;", "axum", &[]),
        ("struct RegisterEntry;", "Register", &[]),
        ("fn f(r: &Register) {}", "Register", &[1]),
        ("use proj::Proj;", "proj::", &[1]),
        ("use proj;", "proj::", &[1]),
        ("use proj as p;", "proj::", &[1]),
        ("let proj = 1;", "proj::", &[]),
        ("reproj::f()", "proj::", &[]),
        ("use crate::{\n    model,\n    store::{Kept, Put},\n};", "crate::store", &[3]),
        ("use super::super::store::Put;", "crate::store", &[1]),
        ("use super::store::Put;", "crate::store", &[]),
        ("crate::storehouse::f()", "crate::store", &[]),
        ("f().map(Zoning::vouch)", "Zoning::vouch", &[1]),
        ("#[cfg(test)]\nmod tests {\n    use axum::Router;\n}\n", "axum", &[]),
        ("#[cfg(test)]\nmod tests {\n    fn f() { \"}\"; }\n}\nuse axum::Router;", "axum", &[5]),
        ("#[cfg(test)]\nuse axum::Router;\nuse axum::Json;", "axum", &[3]),
        ("#[cfg(test)]\nconst A: [u8; 2] = axum::A;\nfn f() {}", "axum", &[]),
    ];
    for (text, name, lines) in table {
        let (source, _) = Source::new("src/steps/assign.rs", text);
        let found: Vec<usize> = source.lines_naming(name).into_iter().collect();
        assert_eq!(found, *lines, "{name} in {text}");
    }
}

#[test]
fn a_module_compiled_for_tests_alone_is_known_by_its_file() {
    let table: &[(&str, &str, &[&str], &str)] = &[
        ("src/http/mod.rs", "#[cfg(test)]\nmod tests;\nmod page;", &["tests"], "src/http/"),
        ("src/store.rs", "#[cfg(test)]\npub(crate) mod rules;", &["rules"], "src/store/"),
        ("src/lib.rs", "mod page;\n#[cfg(test)]\nmod tests { mod deep; }", &[], "src/"),
    ];
    for (path, text, modules, folder) in table {
        assert_eq!(Source::new(path, text).1, *modules, "{path}");
        assert_eq!(folder_of_modules(path), *folder, "{path}");
    }
}

#[test]
fn serialised_types_are_found_by_derive_and_by_hand() {
    let table: &[(&str, &[usize])] = &[
        ("#[derive(Debug, Serialize)]\nstruct A;", &[1]),
        ("#[derive(\n    Debug,\n    serde::Serialize,\n)]\nstruct A;", &[1]),
        ("struct A;\nimpl serde::Serialize for A {}", &[2]),
        ("#[derive(Debug, Deserialize)]\nstruct A;", &[]),
        ("use serde::Serialize;\nfn f(a: &impl Serialize) {}", &[]),
    ];
    for (text, lines) in table {
        let found: Vec<usize> = lines_serialising(&blanked(text)).into_iter().collect();
        assert_eq!(found, *lines, "{text}");
    }
}

#[test]
fn a_page_names_paths_in_sentences_and_in_tables() {
    let page =
        "See `src/lib.rs`.\n| a | `src/steps/read/` | docs/STYLE.md, [one](docs/decisions/0001-a.md) |\nxsrc/a docs.rs";
    let found: Vec<(usize, String)> = paths_in(page);
    let found: Vec<(usize, &str)> = found.iter().map(|(line, path)| (*line, path.as_str())).collect();
    let expected = [(1, "src/lib.rs"), (2, "src/steps/read/"), (2, "docs/STYLE.md"), (2, "docs/decisions/0001-a.md")];
    assert_eq!(found, expected);
}
