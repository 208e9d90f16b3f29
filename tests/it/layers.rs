//! No module imports one above it, in any crate of the workspace.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// A package of the workspace.
struct Package {
    sources: &'static str,
    /// The modules from the bottom to the top. A module may use itself and whatever stands before it.
    layers: &'static [&'static str],
    /// The crate's root, and modules that only re-export.
    outside: &'static [&'static str],
    /// The modules that use no runtime, no clock and no random numbers.
    pure: &'static [&'static str],
    /// What makes a module impure.
    impure: &'static [&'static str],
    /// The modules that a module may use, where these are fewer than all below it.
    narrow: &'static [(&'static str, &'static [&'static str])],
}

const CONTRACT: &[&str] = &["spread", "shape", "event", "contract"];

const PACKAGES: [Package; 7] = [
    Package {
        sources: "crates/proto/src",
        layers: PROTO,
        outside: &["lib"],
        pure: PROTO,
        impure: &[
            "tokio::",
            "tracing::",
            "getrandom",
            "Instant::now",
            "SystemTime",
            "std::net",
            "std::thread",
            "std::fs",
        ],
        narrow: &[],
    },
    Package {
        sources: "crates/contract/src",
        layers: CONTRACT,
        outside: &["lib"],
        pure: CONTRACT,
        impure: &["tokio::", "tracing::", "axum", "std::net", "std::fs"],
        narrow: &[],
    },
    Package {
        sources: "crates/macros/src",
        layers: &["attribute", "serde_attributes", "derive"],
        outside: &["lib"],
        pure: &["attribute", "serde_attributes", "derive"],
        impure: &["std::env", "std::fs"],
        narrow: &[],
    },
    Package {
        sources: "crates/redis/src",
        layers: &[
            "error",
            "destination",
            "entry_id",
            "streams",
            "settings",
            "channels",
            "address",
            "tls",
            "topology",
            "connector",
            "masters",
            "shared_connection",
            "feeds",
            "inbound",
            "reader",
            "stores",
            "store",
            "publisher",
            "pubsub",
            "other_options",
            "subscriber",
            "node",
            "nodes",
            "discovery",
            "connection",
            "sessions",
            "emitter",
        ],
        outside: &["lib"],
        pure: &["error", "channels", "address", "topology"],
        impure: &["tokio::", "Instant"],
        narrow: &[(
            "emitter",
            &["error", "settings", "channels", "connector", "sessions"],
        )],
    },
    Package {
        sources: "crates/postgres/src",
        layers: &[
            "error",
            "settings",
            "log_pause",
            "session",
            "steps",
            "inbound",
            "publisher",
            "inbox",
            "listener",
            "connection",
            "emitter",
        ],
        outside: &["lib"],
        pure: &["error", "settings", "steps", "inbound"],
        impure: &["tokio::", "Instant"],
        narrow: &[("emitter", &["error", "settings", "session", "steps"])],
    },
    Package {
        sources: "crates/nats/src",
        layers: &[
            "part",
            "error",
            "tls",
            "subjects",
            "settings",
            "assembly",
            "subscribers",
            "link",
            "inbound",
            "monitor",
            "publisher",
            "receiver",
            "connection",
            "emitter",
        ],
        outside: &["lib"],
        pure: &["part", "error", "subjects", "settings", "assembly"],
        impure: &["tokio::", "Instant::now"],
        narrow: &[(
            "emitter",
            &["part", "error", "subjects", "settings", "link"],
        )],
    },
    Package {
        sources: "src",
        layers: &[
            "sync",
            "log_limit",
            "panics",
            "clock",
            "signal",
            "outbox",
            "metrics",
            "rooms",
            "logs",
            "adapter",
            "ids",
            "http",
            "namespace",
            "socket",
            "emit",
            "server",
            "extract",
            "handler",
            "transport",
            "driver",
            "service",
            "builder",
            "testing",
        ],
        outside: &[
            "lib", "cluster", "config", "contract", "guide", "parser", "protocol",
        ],
        pure: &["sync", "log_limit", "panics", "outbox", "metrics"],
        impure: &["tokio::", "getrandom", "Instant::now", "hyper"],
        narrow: &[
            ("transport", &["sync", "outbox"]),
            (
                "service",
                &[
                    "panics",
                    "outbox",
                    "metrics",
                    "logs",
                    "ids",
                    "http",
                    "socket",
                    "server",
                    "driver",
                    "transport",
                ],
            ),
            // A client, which knows nothing of the server but the transport in memory that joins them.
            ("testing", &["sync", "transport"]),
        ],
    },
];

const PROTO: &[&str] = &[
    "always",
    "named_enum",
    "panics",
    "buf",
    "cursor",
    "error",
    "query",
    "sid",
    "rooms",
    "reason",
    "args",
    "websocket",
    "engine_io",
    "socket_io",
    "cluster",
    "session",
    "connection",
];

/// Returns true for a file of unit tests, which may use what they like.
fn is_of_tests(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

/// Returns the code of a file: without the tests at its end, which may use what they like, and without comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next();
    let lines = code.unwrap_or_default().lines();
    let code: Vec<_> = lines
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    code.join("\n")
}

/// Collects the paths and the code of the files in a directory, those in its subdirectories included.
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

/// Returns the first segments of the paths that follow `prefix`: of one path, or of those of a group in braces.
fn paths_after<'c>(code: &'c str, prefix: &str) -> Vec<&'c str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(prefix) {
        let is_path = rest[..at].ends_with(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        rest = &rest[at + prefix.len()..];
        if !is_path {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        ',' | '}' if depth == 0 => {
                            found.push(first_segment(&group[start..at]));
                            start = at + 1;
                        }
                        _ => {}
                    }
                    if c == '}' {
                        if depth == 0 {
                            break;
                        }
                        depth -= 1;
                    }
                }
            }
            None => found.push(first_segment(rest)),
        }
    }
    found.retain(|segment| !segment.is_empty());
    found
}

fn first_segment(path: &str) -> &str {
    let end = |c: char| !c.is_alphanumeric() && c != '_';
    path.trim_start().split(end).next().unwrap_or_default()
}

/// Returns the modules whose items the crate's root re-exports, by the name of the item.
fn re_exports(root: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for statement in root.split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else {
            continue;
        };
        let path = path.trim_start_matches("self::");
        let Some((module, items)) = path.split_once("::") else {
            continue;
        };
        let names = items.split(|c: char| !c.is_alphanumeric() && c != '_');
        let names = names.filter(|name| name.starts_with(char::is_uppercase) || name.contains('_'));
        found.extend(names.map(|name| (name.to_owned(), module.trim().to_owned())));
    }
    found
}

impl Package {
    fn rank(&self, module: &str) -> Option<usize> {
        self.layers.iter().position(|layer| *layer == module)
    }

    /// Returns true if `module` may use `import`.
    fn allows(&self, module: &str, import: &str) -> bool {
        let Some(rank) = self.rank(import) else {
            return true;
        };
        let narrow = self.narrow.iter().find(|(layer, _)| *layer == module);
        match narrow {
            Some((_, may)) => import == module || may.contains(&import),
            None => Some(rank) <= self.rank(module),
        }
    }

    /// Returns the faults of the package, and the number of imports that were looked at.
    fn check(&self, workspace: &Path) -> (Vec<String>, usize) {
        let root = workspace.join(self.sources);
        let re_exports = re_exports(&code(&root.join("lib.rs")));
        let (mut wrong, mut checked) = (self.strangers(&root), 0);
        for module in self.layers {
            let mut files = Vec::new();
            let dir = root.join(module);
            let top = if dir.is_dir() {
                sources(&dir, &mut files);
                dir.join("mod.rs")
            } else {
                let file = dir.with_extension("rs");
                files.push((file.to_string_lossy().into_owned(), code(&file)));
                file
            };
            // Tests in a file of their own may use what they like, like those at the end of a file.
            let files = files.into_iter();
            for (file, code) in files.filter(|(file, _)| !is_of_tests(file)) {
                let mut imports = paths_after(&code, "crate::");
                if Path::new(&file) == top {
                    imports.extend(paths_after(&code, "super::"));
                }
                for import in imports {
                    checked += 1;
                    let import = re_exports.get(import).map_or(import, String::as_str);
                    if !self.allows(module, import) {
                        wrong.push(format!("{file} imports {import}"));
                    }
                }
                if code.contains("super::super::") {
                    wrong.push(format!("{file} imports in a way that is not checked"));
                }
                if self.pure.contains(module) {
                    let impure = self.impure.iter().filter(|word| code.contains(**word));
                    wrong.extend(impure.map(|word| format!("{file}: {word}")));
                }
            }
        }
        (wrong, checked)
    }

    /// Returns the modules that belong to no layer.
    fn strangers(&self, root: &Path) -> Vec<String> {
        let entries = fs::read_dir(root).unwrap();
        let modules = entries.map(|entry| entry.unwrap().path());
        let modules = modules.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
        modules
            .filter(|module| self.rank(module).is_none())
            .filter(|module| !self.outside.contains(&module.as_str()))
            .map(|module| format!("{module} is in no layer"))
            .collect()
    }
}

#[test]
fn no_module_imports_one_above_it() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    for package in &PACKAGES {
        let (wrong, checked) = package.check(workspace);
        // Each layer but the lowest one imports something.
        let expected = package.layers.len() - 1;
        assert!(
            checked >= expected,
            "{}: {checked} imports",
            package.sources
        );
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn every_package_of_the_workspace_is_checked() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    for package in fs::read_dir(crates).unwrap() {
        let sources = format!("crates/{}/src", package.unwrap().file_name().display());
        assert!(PACKAGES.iter().any(|package| package.sources == sources));
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::Name;\nuse crate::{a::{B, C}, self as d, e::F};\nlet x = crate::g::h(); metacrate::no";
    assert_eq!(
        paths_after(code, "crate::"),
        ["Name", "a", "self", "e", "g"]
    );
    let root = re_exports("pub use a::{Name, Other as Third};\npub use self::b::c_d;");
    assert_eq!((&*root["Name"], &*root["c_d"]), ("a", "b"));
}
