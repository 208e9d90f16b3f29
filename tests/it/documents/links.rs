//! A test of each link, in the pages as GitHub and rustdoc show them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::pages::{Page, all, root};

/// The start of a link to a file of this repository, in pages that are read without the repository.
const REPOSITORY: &str = "https://github.com/axum-socketio/axum-socketio/";

/// Removes `.` and `..` from a path.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Returns the error of a link on GitHub, if it has one.
fn on_github(page: &Page, target: &str) -> Option<String> {
    if let Some(name) = target.strip_prefix("undefined:") {
        return Some(format!("nothing defines [{name}]"));
    }
    let own = target.strip_prefix(REPOSITORY).map(|rest| {
        let rest = rest.trim_start_matches("blob/").trim_start_matches("tree/");
        rest.trim_start_matches("main/")
    });
    if own.is_none() && target.contains("://") {
        return None;
    }
    let (file, anchor) = own
        .unwrap_or(target)
        .split_once('#')
        .unwrap_or((own.unwrap_or(target), ""));
    let folder = page.path.parent().filter(|_| own.is_none());
    let file = match file {
        "" => page.path.clone(),
        file => plain(&folder.unwrap_or(Path::new("")).join(file)),
    };
    if !root().join(&file).exists() {
        return Some(format!("{} does not exist", file.display()));
    }
    let has_anchor =
        anchor.is_empty() || Page::read(file).anchors.iter().any(|known| known == anchor);
    (!has_anchor).then(|| format!("no heading becomes #{anchor}"))
}

#[test]
fn links_lead_somewhere_on_github() {
    let mut dead = Vec::new();
    for page in all() {
        for link in &page.links {
            if let Some(why) = on_github(&page, &link.target) {
                dead.push(format!(
                    "{}:{}: {}: {why}",
                    page.path.display(),
                    link.line,
                    link.target
                ));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// Returns the values of an attribute, without entities.
fn attributes(html: &str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let values = html.split(&begin).skip(1);
    let values = values.filter_map(|rest| Some(rest.split_once('"')?.0.replace("&amp;", "&")));
    values.collect()
}

/// Collects the pages of a folder and of its subfolders.
fn html(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            html(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "html") {
            found.push(path);
        }
    }
}

#[test]
fn links_lead_somewhere_on_the_documentation_site() {
    // Little remains to be built if CI has built the documents before.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args([
            "doc",
            "--offline",
            "--quiet",
            "--no-deps",
            "--all-features",
            "--lib",
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");

    let site = target.join("doc");
    let mut pages = Vec::new();
    html(&site.join("axum_socketio"), &mut pages);
    let read = |page: &PathBuf| (page.clone(), fs::read_to_string(page).unwrap());
    let pages: HashMap<_, _> = pages.iter().map(read).collect();
    let mut dead = BTreeSet::new();
    for (page, text) in &pages {
        let in_guide = page.to_string_lossy().contains("/guide/");
        for link in attributes(text, "href") {
            // Other pages contain the documentation of other crates' traits, whose links need the pages of those
            // crates.
            if link.contains("://") || !(in_guide || link.contains("guide/")) {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let file = match file {
                "" => page.clone(),
                file => plain(&page.parent().unwrap().join(file)),
            };
            let known = match pages.get(&file) {
                // Some anchors, such as lines of the source, are created by a script.
                _ if anchor.is_empty() => file.exists(),
                None => file.exists(),
                Some(text) => attributes(text, "id").iter().any(|id| id == anchor),
            };
            if !known {
                let page = page.strip_prefix(&site).unwrap().display();
                dead.insert(format!("{page}: {link}"));
            }
        }
    }
    assert!(pages.len() > 100, "{} pages", pages.len());
    let dead: Vec<_> = dead.into_iter().collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
