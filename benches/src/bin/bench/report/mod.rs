//! The report: `docs/benchmarks.md` and its plots, generated from the results.

mod plot;
mod tables;
mod targets;

use std::fs;
use std::io;
use std::path::Path;

use crate::plan::{Scenario, scenarios};
use crate::results::Results;

const BEGIN: &str = "<!-- figures begin: written by benches/run -->";
const END: &str = "<!-- figures end -->";

/// Writes the report into the folder of the documents. Text between the figures that was written by hand is preserved.
pub fn write(results: &Results, docs: &Path) -> io::Result<()> {
    let plots = docs.join("benchmarks");
    fs::create_dir_all(&plots)?;
    fs::write(
        plots.join("results.json"),
        serde_json::to_string_pretty(results)? + "\n",
    )?;
    let all = scenarios(results.size());
    let mut links = String::new();
    for (name, title, svg) in plot::all(results, &all) {
        fs::write(plots.join(format!("{name}.svg")), svg)?;
        links += &format!("![{title}](benchmarks/{name}.svg)\n\n");
    }
    let page = docs.join("benchmarks.md");
    let old = fs::read_to_string(&page)?;
    let new = replaced(&old, &figures(results, &all, &links)).ok_or_else(|| {
        io::Error::other(format!(
            "{} has no place for figures: {BEGIN} .. {END}",
            page.display()
        ))
    })?;
    fs::write(page, new)
}

/// Reads the results of an earlier run.
pub fn read(docs: &Path) -> io::Result<Results> {
    Ok(serde_json::from_slice(&fs::read(
        docs.join("benchmarks/results.json"),
    )?)?)
}

fn replaced(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))
}

fn figures(results: &Results, all: &[Scenario], links: &str) -> String {
    [
        tables::machine(results),
        targets::table(results),
        format!("## Plots\n\n{links}"),
        tables::costs(results, all),
        tables::latencies(results, all),
        tables::rates(results, all),
        tables::generator(results),
        tables::failures(results),
    ]
    .concat()
    .trim_end()
    .to_owned()
        + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_stays() {
        let page = format!("# Head\n{BEGIN}\nold\n{END}\nfoot\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("# Head\n{BEGIN}\n\nnew\n\n{END}\nfoot\n"));
        assert_eq!(replaced("no place", "new"), None);
    }
}
