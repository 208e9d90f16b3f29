//! The errors of the compiler for wrong programs.
//!
//! Each program in `tests/compile_fail` must not compile. Each text after a `//~` in its head must be in the first
//! lines of the compiler's errors. A text after `//~ 1.95:` is a message of the compiler itself, which differs between
//! versions: it is checked with that version only, and with another one a line on standard error reports the number of
//! skipped texts.
//!
//! One `cargo check` checks all programs. Errors of code generation, such as two `Data` arguments at the registration
//! of a handler, are tested by the documentation of `Data`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The toolchain whose own messages are checked.
const PINNED: &str = "1.95";

/// The number of lines that people read.
const FIRST_LINES: usize = 20;

/// Returns the programs by name.
fn programs(root: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(root.join("tests/compile_fail")).unwrap();
    let named = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, path)
    });
    named.collect()
}

/// Creates a package of the programs.
fn package(root: &Path, programs: &BTreeMap<String, PathBuf>) -> PathBuf {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let mut manifest = format!(
        "[package]\nname = \"compile-fail\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         axum-socketio = {{ path = {root:?}, features = [\"macros\"] }}\n\
         axum = {{ version = \"0.8\", default-features = false }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n\
         tower = {{ version = \"0.5\", features = [\"util\"] }}\n"
    );
    for (name, path) in programs {
        manifest += &format!("[[bin]]\nname = {name:?}\npath = {path:?}\n");
    }
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The lock file has the versions that are tested here, which have been downloaded already.
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    package
}

/// Returns the errors of each program.
fn check(package: &Path) -> BTreeMap<String, String> {
    let checked = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--keep-going", "--bins"])
        .arg("--message-format=json")
        .arg("--target-dir")
        .arg(package.join("target"))
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .output()
        .unwrap();
    let mut said = BTreeMap::<String, String>::new();
    for line in String::from_utf8(checked.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let message = &line["message"];
        if message["level"] == "error" {
            let name = line["target"]["name"].as_str().unwrap().to_owned();
            *said.entry(name).or_default() += message["rendered"].as_str().unwrap();
        }
    }
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(!said.is_empty(), "cargo says nothing: {errors}");
    said
}

fn is_pinned() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    version.starts_with(&format!("rustc {PINNED}."))
}

#[test]
fn wrong_programs_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = programs(root);
    let said = check(&package(root, &programs));
    let (pinned, mut left_out, mut wrong) = (is_pinned(), 0, String::new());
    for (name, path) in &programs {
        let Some(said) = said.get(name) else {
            wrong += &format!("{name} compiles\n");
            continue;
        };
        let first: Vec<_> = said.lines().take(FIRST_LINES).collect();
        let first = first.join("\n");
        let source = fs::read_to_string(path).unwrap();
        let expected: Vec<_> = { source.lines() }
            .filter_map(|line| line.strip_prefix("//~ "))
            .collect();
        assert!(!expected.is_empty(), "{name} expects nothing");
        for words in expected {
            let own = words
                .strip_prefix(PINNED)
                .and_then(|words| words.strip_prefix(": "));
            if own.is_some() && !pinned {
                left_out += 1;
            } else if !first.contains(own.unwrap_or(words)) {
                wrong += &format!("{name}: no {words:?} in the first lines of:\n{said}\n");
            }
        }
    }
    if left_out > 0 {
        // Writes past the capture of the test's output: the skipped expectations must be seen.
        let note = "expectations of tests/compile_fail are not judged: they are for rustc";
        let _ = writeln!(std::io::stderr(), "{left_out} {note} {PINNED}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}
