//! The writer of JSON texts.

use std::borrow::Cow;
use std::io::Write;

/// A JSON object that is being written.
pub(super) struct Object<'b>(Items<'b>);

/// A JSON array that is being written.
pub(super) struct List<'b>(Items<'b>);

struct Items<'b> {
    json: &'b mut Vec<u8>,
    close: u8,
    is_first: bool,
}

impl<'b> Items<'b> {
    fn open(json: &'b mut Vec<u8>, [open, close]: [u8; 2]) -> Self {
        json.push(open);
        Self {
            json,
            close,
            is_first: true,
        }
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.json.push(b',');
        }
    }

    fn text(&mut self, text: &str) {
        // Writing a text to a vector does not fail.
        let _ = serde_json::to_writer(&mut *self.json, text);
    }

    fn close(self) {
        self.json.push(self.close);
    }
}

impl<'b> List<'b> {
    pub(super) fn open(json: &'b mut Vec<u8>) -> Self {
        Self(Items::open(json, *b"[]"))
    }

    pub(super) fn text(&mut self, text: &str) {
        self.0.separate();
        self.0.text(text);
    }

    pub(super) fn object(&mut self) -> Object<'_> {
        self.0.separate();
        Object::open(self.0.json)
    }

    pub(super) fn close(self) {
        self.0.close();
    }
}

impl<'b> Object<'b> {
    pub(super) fn open(json: &'b mut Vec<u8>) -> Self {
        Self(Items::open(json, *b"{}"))
    }

    pub(super) fn close(self) {
        self.0.close();
    }

    fn key(&mut self, key: &str) {
        self.0.separate();
        self.0.text(key);
        self.0.json.push(b':');
    }

    pub(super) fn object(&mut self, key: &str) -> Object<'_> {
        self.key(key);
        Object::open(self.0.json)
    }

    pub(super) fn list(&mut self, key: &str) -> List<'_> {
        self.key(key);
        List::open(self.0.json)
    }

    pub(super) fn json(&mut self, key: &str, json: &str) {
        self.key(key);
        self.0.json.extend_from_slice(json.as_bytes());
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.0.text(text);
    }

    pub(super) fn flag(&mut self, key: &str, is_set: bool) {
        self.json(key, if is_set { "true" } else { "false" });
    }

    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        let _ = write!(self.0.json, "{number}");
    }

    pub(super) fn texts(&mut self, key: &str, texts: &[Cow<'_, str>]) {
        let mut list = self.list(key);
        texts.iter().for_each(|text| list.text(text));
        list.close();
    }
}
