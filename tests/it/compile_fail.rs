//! What the compiler says of wrong handlers.
//!
//! Each program in `tests/compile_fail` must not compile, and what the compiler says must have in it what stands behind the
//! `//~` of its head. Only our own words do: the compiler's differ from version to version.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn wrong_handlers_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let mut programs: Vec<_> = fs::read_dir(root.join("tests/compile_fail"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    programs.sort();
    let mut manifest = format!(
        "[package]\nname = \"compile-fail\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         axum-socketio = {{ path = {root:?} }}\n\
         axum = {{ version = \"0.8\", default-features = false }}\n"
    );
    for program in &programs {
        let name = program.file_stem().unwrap();
        manifest += &format!("[[bin]]\nname = {name:?}\npath = {program:?}\n");
    }
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The versions that are tested here, all of which are there already.
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();

    for program in &programs {
        let checked = Command::new(env!("CARGO"))
            .args(["check", "--offline", "--quiet", "--color=never", "--bin"])
            .arg(program.file_stem().unwrap())
            .arg("--target-dir")
            .arg(package.join("target"))
            .arg("--manifest-path")
            .arg(package.join("Cargo.toml"))
            .output()
            .unwrap();
        let said = String::from_utf8(checked.stderr).unwrap();
        assert!(!checked.status.success(), "{program:?} compiles");
        let source = fs::read_to_string(program).unwrap();
        let expected: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//~ "))
            .collect();
        assert!(!expected.is_empty(), "{program:?} expects nothing");
        for words in expected {
            assert!(
                said.contains(words),
                "{program:?}: no {words:?} in:\n{said}"
            );
        }
    }
}
