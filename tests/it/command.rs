//! The program as a user runs it, and what the tests share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs `arpent` with these arguments.
pub fn arpent<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arpent")).args(arguments).output().expect("the program starts")
}

/// The exit code of a command that does what it is asked, and when standard output takes nothing.
pub fn heard_and_unheard<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> (Option<i32>, Option<i32>) {
    let heard = arpent(arguments);
    assert!(!heard.stdout.is_empty(), "it prints nothing: {}", said(&heard));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut unheard = Command::new(env!("CARGO_BIN_EXE_arpent"));
    let unheard = unheard.args(arguments).stdout(full).stderr(Stdio::null()).status();
    (heard.status.code(), unheard.expect("the program starts").code())
}

/// A file of `../shared/data`, or `None`, said, where there is none.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if root.is_dir() {
        return Some(root.join(path));
    }
    eprintln!("skipped: no ../shared");
    None
}

/// A file of the demo territory.
pub fn demo(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo").join(file)
}

pub fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// Rows of a comma-separated file without quotes, header first.
pub fn rows(path: &Path) -> Vec<Vec<String>> {
    text(path).lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn wrong_usage_is_answered_with_2_and_help_with_0() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["assign", "--help"][..], 0),
        (&["frobnicate"][..], 2),
        (&["assign"][..], 2),
        (&["protect", "--micro"][..], 2),
        (&["serve", "--listen", "nowhere"][..], 2),
        (&["serve", "--database", "postgres://nobody:secret@nowhere/none"][..], 2),
    ] {
        let output = arpent(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(!said(&output).contains("secret"), "a password is repeated");
    }
}

/// What `what-if` and `series` print is tried where something is published, in `whatif.rs`; what `compose` does, in
/// `registers.rs`.
#[test]
fn what_nobody_could_read_was_not_told_well() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut micro = String::from("siret,siren,headcount,zone\n");
    (0..40).for_each(|i| micro += &format!("s{i},e{i},{},{}\n", 1 + i % 7, ["X", "Y", "Z"][i % 3]));
    let spec = "contributor = 'siren'\nweight = 'headcount'\n[rules]\nmin_contributors = 3\n[dimensions.zone]\n\
                levels = ['zone']\n[[tables]]\nname = 'zone'\ndimensions = ['zone']\n";
    let register = "siret;siren;effectif;naf;annee;source;x;y;epsg\n\
                    73282932000074;732829320;12;6201Z;2024;urssaf;853000;6692000;2154\n";
    let instance = "0\n3\n0 10 5 s 0 20 0 0 0\n1 4 2 u 0 8 1 1 0\n2 6 3 s 0 12 0 0 0\n1\n0 3 : 0 (-1) 1 (1) 2 (1)\n";
    for (name, text) in [
        ("m.csv", micro.as_str()),
        ("s.toml", spec),
        ("r.csv", register),
        ("t.jj", instance),
        ("p.csv", "id,x,y\n1,0,0\n"),
    ] {
        std::fs::write(at(name), text).unwrap();
    }
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/data/policy.toml");
    let sectors = demo("secteurs.zip").display().to_string();
    for line in [
        "--help",
        "--version",
        "assign --help",
        "inspect @sectors --zone-id CODE",
        "inspect @sectors --zone-id CODE --json",
        "assign --zones @sectors --zone-id CODE --points @p.csv --points-crs EPSG:2154 --out @places.csv --json",
        "register @r.csv",
        "register @r.csv --json",
        "review --register @r.csv --zones @sectors --zone-id CODE --out @list.csv",
        "review --register @r.csv --zones @sectors --zone-id CODE --out @list.csv --json",
        "protect --micro @m.csv --spec @s.toml --out @release --json",
        "audit --micro @m.csv --spec @s.toml --release @release",
        "audit --micro @m.csv --spec @s.toml --release @release --json",
        "advise --micro @m.csv --spec @s.toml",
        "advise --micro @m.csv --spec @s.toml --json",
        "exchange jj --file @t.jj",
        "exchange jj --file @t.jj --json",
        "policy key",
        "policy key --json",
        "policy compare @policy --with @policy",
        "policy compare @policy --with @policy --json",
        "policy set @policy --data @data",
        "policy show --data @data",
        "token new --name Ana --role gis --data @data",
        "token list --data @data --json",
        "import zoning @sectors --name secteurs --reason r --zone-id CODE --data @data",
        "import register @r.csv --data @data --json",
        "publish --list --data @data --json",
        "review --data @data --zoning secteurs --out @list.csv",
    ] {
        let word = |word: &str| match word.strip_prefix('@') {
            None => word.to_owned(),
            Some("sectors") => sectors.clone(),
            Some("policy") => policy.to_owned(),
            Some(name) => at(name),
        };
        let arguments: Vec<String> = line.split(' ').map(word).collect();
        assert_eq!(heard_and_unheard(&arguments), (Some(0), Some(2)), "{line}");
    }
}
