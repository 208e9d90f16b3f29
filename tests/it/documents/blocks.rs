//! A test of each block of code, in a fresh package with the dependencies that its page shows.
//!
//! A block is a program if it has a `main`, else a module of a library. The pages of one set of dependencies are one
//! package. Each package is checked separately, so that no page gets a feature that only another one enables.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::pages::{Block, Page, documents, root};

/// The link by which a page without dependencies of its own refers to those of the README.
const DEPENDENCIES: &str = "../README.md#dependencies";

/// A package with the blocks of the pages that show the same dependencies.
#[derive(Default)]
struct Package {
    library: String,
    /// The name of a file in `src`, and its text.
    files: Vec<(String, String)>,
    has_tests: bool,
}

impl Package {
    fn add(&mut self, page: &Page, block: &Block) {
        let page = page.path.file_stem().unwrap().to_string_lossy();
        let name = format!("{page}_line_{}", block.line);
        let name = name.replace('-', "_").to_lowercase();
        self.has_tests |= block.code.contains("#[cfg(test)]");
        if block.code.contains("fn main()") {
            self.files
                .push((format!("bin/{name}.rs"), block.code.clone()));
        } else {
            writeln!(self.library, "mod {name};").unwrap();
            self.files.push((format!("{name}.rs"), block.code.clone()));
        }
    }

    /// Returns the errors of the compiler, if it refuses a block.
    fn check(&self, name: &str, dependencies: &str) -> Option<String> {
        let folder = root_of_packages().join(name);
        let _ = fs::remove_dir_all(folder.join("src"));
        fs::create_dir_all(folder.join("src/bin")).unwrap();
        let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
        write("Cargo.toml", &manifest(dependencies));
        write("src/lib.rs", &self.library);
        for (file, text) in &self.files {
            write(&format!("src/{file}"), text);
        }
        // The lock file has the versions that are tested here, which have been downloaded already.
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let targets: &[&str] = if self.has_tests {
            &["--lib --bins", "--lib --tests"]
        } else {
            &["--lib --bins"]
        };
        let failed = |targets: &&str| {
            let checked = Command::new(env!("CARGO"))
                .args([
                    "check",
                    "--offline",
                    "--quiet",
                    "--color=never",
                    "--keep-going",
                ])
                .args(targets.split(' '))
                .arg("--target-dir")
                .arg(root_of_packages().join("target"))
                .current_dir(&folder)
                .output()
                .unwrap();
            (!checked.status.success()).then(|| String::from_utf8(checked.stderr).unwrap())
        };
        targets.iter().find_map(failed)
    }
}

fn root_of_packages() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("documents")
}

/// Returns the manifest of a new package, with the dependencies as the page shows them. Pasted code may not be called
/// yet, so dead code is no warning.
fn manifest(dependencies: &str) -> String {
    let mut patches = format!("axum-socketio = {{ path = {:?} }}\n", root());
    for folder in fs::read_dir(root().join("crates")).unwrap() {
        let folder = folder.unwrap();
        let name = format!("axum-socketio-{}", folder.file_name().display());
        // Cargo warns of a patch that is not used.
        if dependencies.contains(&name) {
            writeln!(patches, "{name} = {{ path = {:?} }}", folder.path()).unwrap();
        }
    }
    format!(
        "[package]\nname = \"pasted\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [patch.crates-io]\n{patches}\
         [lints.rust]\nwarnings = \"deny\"\ndead_code = \"allow\"\n\
         {dependencies}"
    )
}

fn blocks<'a>(page: &'a Page, language: &'a str) -> impl Iterator<Item = &'a Block> {
    let wanted = move |block: &&Block| block.language() == language;
    page.blocks.iter().filter(wanted)
}

/// Returns the `toml` blocks of a page.
fn dependencies(page: &Page) -> String {
    blocks(page, "toml")
        .map(|block| block.code.as_str())
        .collect()
}

#[test]
fn rust_compiles_as_it_is_pasted() {
    let pages = documents();
    let mut packages: BTreeMap<String, (Package, String)> = BTreeMap::new();
    let readme = dependencies(&pages[0]);
    for page in &pages {
        let mut shown = dependencies(page);
        if shown.is_empty() && page.links.iter().any(|link| link.target == DEPENDENCIES) {
            shown.clone_from(&readme);
        }
        for block in blocks(page, "rust") {
            let path = page.path.display();
            assert!(
                shown.contains("[dependencies]"),
                "{path} has code, but neither a `toml` block with [dependencies] nor a link to {DEPENDENCIES}"
            );
            assert!(
                !block.info.contains("ignore"),
                "{path}:{}: code that nothing checks",
                block.line
            );
            let (package, names) = packages.entry(shown.clone()).or_default();
            package.add(page, block);
            if !names.contains(&path.to_string()) {
                write!(names, " {path}").unwrap();
            }
        }
    }
    let mut failed = String::new();
    for (number, (dependencies, (package, pages))) in packages.iter().enumerate() {
        if let Some(said) = package.check(&number.to_string(), dependencies) {
            write!(failed, "\n== in{pages}, with\n{dependencies}\n{said}").unwrap();
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn no_block_has_the_hidden_lines_of_rustdoc() {
    for page in documents() {
        for block in blocks(&page, "rust") {
            let hidden =
                |line: &&str| line.trim_start() == "#" || line.trim_start().starts_with("# ");
            let found = block.code.lines().find(hidden);
            assert_eq!(found, None, "{}:{}", page.path.display(), block.line);
        }
    }
}

#[test]
fn javascript_is_javascript() {
    if Command::new("node").arg("--version").output().is_err() {
        return; // The clients' tests need Node anyway, and say so.
    }
    for page in documents() {
        for block in blocks(&page, "js") {
            let mut node = Command::new("node")
                .args(["--input-type=module", "--check"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut code = node.stdin.take().unwrap();
            code.write_all(block.code.as_bytes()).unwrap();
            drop(code);
            let checked = node.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&checked.stderr);
            let path = page.path.display();
            assert!(checked.status.success(), "{path}:{}\n{said}", block.line);
        }
    }
}

#[test]
fn json_is_json() {
    for page in documents() {
        for block in blocks(&page, "json") {
            let read: Result<serde_json::Value, _> = serde_json::from_str(&block.code);
            assert!(
                read.is_ok(),
                "{}:{}: {read:?}",
                page.path.display(),
                block.line
            );
        }
    }
}
