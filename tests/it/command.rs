//! The program as a user runs it, and what the tests share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `arpent` with these arguments.
pub fn arpent<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arpent")).args(arguments).output().expect("the program starts")
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
