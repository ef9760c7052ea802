//! What another tool makes of the files written for it: the engine of τ-ARGUS, where the Python package `pytauargus` is
//! installed under `target/race/venv`.

use std::path::Path;
use std::process::Command;

const SPEC: &str = "contributor = 'siren'\nweight = 'headcount'\n[rules]\nmin_contributors = 3\n\
                    dominance = { n = 1, share = 0.85 }\n[protection]\nwidth = 0.1\n\
                    [dimensions.zone]\nlevels = ['zone']\n[dimensions.naf]\nlevels = ['section', 'division']\n\
                    [[tables]]\nname = 'zone_naf'\ndimensions = ['zone', 'naf']\n";

/// Reads the instances and the records, and prints what it finds, a line each: attacked cells and those too narrow,
/// with and without what the release withholds besides; cells of the table, those of another value or status.
const PEER: &str = r#"
import os, sys
from pytauargus.engine import Engine, audit_jj
told, alone = sys.argv[1:]
os.chdir(sys.argv[2])
for folder in (told, alone):
    rows = audit_jj(folder + "/zone_naf.jj")
    print(len(rows), sum(bool(r["unsafe"]) for r in rows))
with open(told + "/micro.arb", "w") as batch:
    batch.write(f'<OPENMICRODATA> "{told}/micro.asc"\n<OPENMETADATA> "{told}/micro.rda"\n'
                '<SPECIFYTABLE> "zone""naf"|"headcount"||\n'
                '<SAFETYRULE> NK(0,0)|NK(0,0)|NK(1,85)|NK(0,0)|FREQ(1,10)|FREQ(3,10)|ZERO(0)\n<READMICRODATA>\n'
                f'<WRITETABLE> (1,5,SO+,"{told}/peer.tab")\n')
Engine().run_batch(told + "/micro.arb")
def cells(path):
    rows = ([f.strip('"').strip() for f in line.rstrip("\n").split(";")] for line in open(path))
    return {tuple(c.upper() for c in r[:2]): (r[2], r[5]) for r in rows}
ours, theirs = cells(told + "/zone_naf.tab"), cells(told + "/peer.tab")
print(len(ours), sum(theirs.get(c) != v for c, v in ours.items()))
"#;

#[test]
fn another_tool_reads_the_same_table_and_finds_the_release_safe() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/race/venv/bin/python");
    if !python.exists() {
        eprintln!("skipped: no target/race/venv with pytauargus");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut micro = String::from("siret,siren,headcount,zone,section,division\n");
    for i in 0..240_u64 {
        let division = (i * i * i + i / 7) % 8;
        let section = ["A", "A", "A", "B", "B", "B", "C", "C"][division as usize];
        let zone = ["X", "Y", "Z", "W"][(i * 5 % 11 % 4) as usize];
        micro += &format!("s{i},e{},{},{zone},{section},0{division}\n", i * 37 % 60, 1 + (i * 13) % 17);
    }
    std::fs::write(at("m.csv"), micro).unwrap();
    std::fs::write(at("s.toml"), SPEC).unwrap();
    let arpent = |rest: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arpent"));
        let done = command.args(rest).args(["--micro", &at("m.csv"), "--spec", &at("s.toml")]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    arpent(&["protect", "--out", &at("release")]);
    arpent(&["exchange", "write", "--out", &at("told"), "--release", &at("release")]);
    arpent(&["exchange", "write", "--out", &at("alone")]);
    let done = Command::new(python).args(["-c", PEER, &at("told"), &at("alone")]).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let figures: Vec<Vec<usize>> = text
        .lines()
        .filter_map(|line| line.split_whitespace().map(|word| word.parse().ok()).collect())
        .filter(|figures: &Vec<usize>| figures.len() == 2)
        .collect();
    let [told, alone, table] = figures.as_slice() else { panic!("{text}") };
    assert!(told[0] > alone[0] && alone[0] > 0, "the release withholds more than the rules: {text}");
    assert_eq!(told[1], 0, "every level is reached: {text}");
    assert!(alone[1] > 0, "by the rules alone some are not: {text}");
    assert!(table[0] > 20 && table[1] == 0, "the same values and statuses: {text}");
}
