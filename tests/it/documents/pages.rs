//! The parser of the repository's Markdown.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{BrokenLink, CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) struct Page {
    /// The path relative to the repository.
    pub path: PathBuf,
    pub blocks: Vec<Block>,
    /// The anchors that GitHub creates for the headings.
    pub anchors: Vec<String>,
    pub links: Vec<Link>,
}

pub(super) struct Block {
    /// The text after the opening fence.
    pub info: String,
    pub line: usize,
    pub code: String,
}

pub(super) struct Link {
    pub target: String,
    pub line: usize,
}

impl Block {
    /// Returns the first word of the info string: `rust` of `rust,no_run`.
    pub(super) fn language(&self) -> &str {
        self.info.split([',', ' ']).next().unwrap_or_default()
    }
}

/// Returns the pages whose code is checked: the README and the documents.
pub(super) fn documents() -> Vec<Page> {
    let mut pages = vec![PathBuf::from("README.md")];
    pages.extend(markdown("docs"));
    pages.into_iter().map(Page::read).collect()
}

/// Returns all pages whose links are checked.
pub(super) fn all() -> Vec<Page> {
    let mut pages = documents();
    let others = ["CHANGELOG.md", "tests/clients/README.md"].map(PathBuf::from);
    let examples = ["examples/chat", "examples/cluster", "examples/metrics"];
    let others = others
        .into_iter()
        .chain(examples.into_iter().flat_map(markdown));
    pages.extend(others.map(Page::read));
    pages
}

fn markdown(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(root().join(folder)).unwrap();
    let files = files.map(|file| Path::new(folder).join(file.unwrap().file_name()));
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|ending| ending == "md"))
        .collect();
    files.sort();
    files
}

impl Page {
    pub(super) fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let mut page = Self {
            path,
            blocks: Vec::new(),
            anchors: Vec::new(),
            links: Vec::new(),
        };
        page.parse(&text);
        page
    }

    fn parse(&mut self, text: &str) {
        let line = |offset: usize| text[..offset].matches('\n').count() + 1;
        // GitHub shows `[text][name]` as it is written if the name is not defined.
        let undefined = |link: BrokenLink<'_>| match link.link_type {
            LinkType::Reference => {
                Some((format!("undefined:{}", link.reference).into(), "".into()))
            }
            _ => None,
        };
        let options = Options::ENABLE_TABLES;
        let parser = Parser::new_with_broken_link_callback(text, options, Some(undefined));
        let mut heading: Option<String> = None;
        let mut in_code = false;
        for (event, range) in parser.into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    in_code = true;
                    self.blocks.push(Block {
                        info: info.to_string(),
                        line: line(range.start) + 1,
                        code: String::new(),
                    });
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => self.anchors.extend(heading.take()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    self.links.push(Link {
                        target: dest_url.to_string(),
                        line: line(range.start),
                    });
                }
                Event::End(TagEnd::CodeBlock) => in_code = false,
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    } else if let Some(block) = self.blocks.last_mut().filter(|_| in_code) {
                        block.code.push_str(&part);
                    }
                }
                _ => {}
            }
        }
        self.anchors = slugs(&self.anchors);
    }
}

/// Returns the anchors of headings as GitHub makes them: in lower case, without punctuation, with hyphens for spaces;
/// repeated ones get a number.
fn slugs(headings: &[String]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let slug = |heading: &String| {
        let kept = heading.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let times = seen.entry(slug.clone()).or_default();
        *times += 1;
        match *times {
            1 => slug,
            times => format!("{slug}-{}", times - 1),
        }
    };
    headings.iter().map(slug).collect()
}

#[test]
fn headings_become_the_anchors_that_github_makes() {
    let headings = ["TCP_NODELAY", "TLS, HTTP/2", "`io`", "Limits", "Limits"];
    let headings = headings.map(str::to_owned);
    assert_eq!(
        slugs(&headings),
        ["tcp_nodelay", "tls-http2", "io", "limits", "limits-1"]
    );
}
