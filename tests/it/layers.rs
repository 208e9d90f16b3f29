//! A test that no module imports one above it.

use std::fs;
use std::path::Path;

/// The layers from the bottom to the top. A module may use itself and any module before it.
const LAYERS: [&str; 18] = [
    "sync",
    "log_limit",
    "panics",
    "signal",
    "protocol",
    "engine",
    "connection",
    "metrics",
    "rooms",
    "adapter",
    "hub",
    "extract",
    "handler",
    "transport",
    "driver",
    "service",
    "builder",
    "testing",
];

/// The root of the crate, and pages of documentation.
const OUTSIDE: [&str; 3] = ["lib", "guide", "parser"];

/// The modules that may use less than all below them, and what they may use.
const NARROW: [(&str, &[&str]); 3] = [
    ("transport", &["sync", "protocol", "engine"]),
    (
        "service",
        &[
            "panics",
            "protocol",
            "engine",
            "metrics",
            "hub",
            "driver",
            "transport",
        ],
    ),
    // A client, which shares only the names of the transports with the server.
    ("testing", &["sync", "protocol", "engine"]),
];

/// The pure layers: no runtime, no clock, no random numbers.
const PURE: [&str; 7] = [
    "sync",
    "log_limit",
    "panics",
    "protocol",
    "engine",
    "connection",
    "metrics",
];
const IMPURE: [&str; 4] = ["tokio::", "getrandom", "Instant::now", "hyper"];

/// Returns the text of a file without the tests at its end, which may use any module.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next();
    code.unwrap_or_default().to_owned()
}

/// Adds the sources below a folder: their paths, and their text without tests.
pub(crate) fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push((path.to_string_lossy().into_owned(), code(&path)));
        }
    }
}

/// Returns the modules that `crate::` paths name in code, without comments.
fn imports(code: &str) -> Vec<&str> {
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let after = lines.flat_map(|line| line.split("crate::").skip(1));
    after
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .collect()
}

/// Returns files in `src` that are in no layer, and imports in a form that [`imports`] does not read.
fn unknown(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    sources(root, &mut files);
    let grouped = files
        .iter()
        .filter(|(_, code)| code.contains("crate::{") || code.contains("super::super::"))
        .map(|(file, _)| format!("{file} imports in a way that this test does not read"));
    let modules = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let modules = modules.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    grouped
        .chain(
            modules
                .filter(|module| !LAYERS.contains(&module.as_str()))
                .filter(|module| !OUTSIDE.contains(&module.as_str()))
                .map(|module| format!("{module} is in no layer")),
        )
        .collect()
}

#[test]
fn no_module_imports_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rank = |module: &str| LAYERS.iter().position(|layer| *layer == module);
    let mut wrong = Vec::new();
    let mut checked = 0;
    for module in LAYERS {
        let mut files = Vec::new();
        match root.join(module) {
            dir if dir.is_dir() => sources(&dir, &mut files),
            dir => files.push((module.to_owned(), code(&dir.with_extension("rs")))),
        }
        for (file, code) in files {
            let narrow = NARROW
                .iter()
                .find(|(layer, _)| *layer == module)
                .map(|(_, may)| *may);
            for import in imports(&code) {
                checked += 1;
                let fits = match narrow {
                    Some(may) => import == module || may.contains(&import),
                    None => rank(import).is_none() || rank(import) <= rank(module),
                };
                if !fits && rank(import).is_some() {
                    wrong.push(format!("{file} imports crate::{import}"));
                }
            }
            if PURE.contains(&module) {
                let code: String = code
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .collect();
                wrong.extend(
                    IMPURE
                        .iter()
                        .filter(|word| code.contains(**word))
                        .map(|word| format!("{file}: {word}")),
                );
            }
        }
    }
    assert!(checked > 100, "the test has read the sources: {checked}");
    wrong.extend(unknown(&root));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
