//! The line of a field: from a path such as `knobs.readers.range[1]` to where it stands in a text.

use jsonc_parser::common::Ranged;
use std::collections::HashMap;

use jsonc_parser::{CollectOptions, ParseOptions, ast};
use toml::de::{DeTable, DeValue};

/// A text whose fields can be found.
pub(crate) struct Lines {
    /// Where each line but the first begins.
    starts: Vec<usize>,
    first_line: u64,
    root: Spot,
}

/// A value: where it begins, and what it holds. An element of a list goes by its number, and by its
/// `id` if it has one.
struct Spot {
    offset: usize,
    children: Vec<Spot>,
    /// The children's places in that list.
    names: HashMap<String, usize>,
}

impl Lines {
    /// A JSON text that begins on that line of its file.
    pub(crate) fn of_json(text: &str, first_line: u64) -> Self {
        // On one line there is nothing to find.
        let parse = || {
            jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default())
        };
        let value = text.contains('\n').then(parse).and_then(Result::ok);
        let root = value.and_then(|parsed| Some(json_spot(&parsed.value?, 0)));
        Self::new(text, first_line, root)
    }

    /// A TOML file.
    pub(crate) fn of_toml(text: &str) -> Self {
        let table = DeTable::parse(text).ok();
        let root = table.map(|table| table_spot(table.get_ref(), 0));
        Self::new(text, 1, root)
    }

    fn new(text: &str, first_line: u64, root: Option<Spot>) -> Self {
        let newlines = text.match_indices('\n');
        Lines {
            starts: newlines.map(|(offset, _)| offset + 1).collect(),
            first_line,
            root: root.unwrap_or_else(|| Spot::new(0)),
        }
    }

    /// The line of the field, or of the innermost one around it that is there.
    pub(crate) fn line_of(&self, path: &str) -> u64 {
        let offset = self.root.find(path);
        let before = self.starts.partition_point(|start| *start <= offset);
        self.first_line + before as u64
    }
}

/// How many lines end before the offset.
pub(crate) fn lines_before(text: &str, offset: usize) -> u64 {
    let before = text.get(..offset).unwrap_or(text);
    before.matches('\n').count() as u64
}

impl Spot {
    fn new(offset: usize) -> Self {
        Spot {
            offset,
            children: Vec::new(),
            names: HashMap::new(),
        }
    }

    fn add(&mut self, name: String, id: Option<String>, child: Spot) {
        let names = [Some(name), id].into_iter().flatten();
        self.names
            .extend(names.map(|name| (name, self.children.len())));
        self.children.push(child);
    }

    fn find(&self, path: &str) -> usize {
        // A name may hold dots and brackets itself: the longest one that fits is meant.
        let inner_ends = path.rmatch_indices(['.', '[']).map(|(end, _)| end);
        let mut ends = [path.len()].into_iter().chain(inner_ends);
        match ends.find_map(|end| Some((end, *self.names.get(&path[..end])?))) {
            Some((end, child)) => self.children[child].find(path[end..].trim_start_matches('.')),
            None => self.offset,
        }
    }
}

fn json_spot(value: &ast::Value<'_>, offset: usize) -> Spot {
    let mut spot = Spot::new(offset);
    match value {
        ast::Value::Object(object) => {
            for property in &object.properties {
                let name = property.name.as_str().to_owned();
                spot.add(name, None, json_spot(&property.value, property.start()));
            }
        }
        ast::Value::Array(array) => {
            for (i, element) in array.elements.iter().enumerate() {
                let id = element.as_object().and_then(|o| o.get_string("id"));
                let id = id.map(|id| id.value.to_string());
                spot.add(format!("[{i}]"), id, json_spot(element, element.start()));
            }
        }
        _ => {}
    }
    spot
}

fn table_spot(table: &DeTable<'_>, offset: usize) -> Spot {
    let mut spot = Spot::new(offset);
    for (name, value) in table {
        let child = toml_spot(value.get_ref(), name.span().start);
        spot.add(name.get_ref().to_string(), None, child);
    }
    spot
}

fn toml_spot(value: &DeValue<'_>, offset: usize) -> Spot {
    let mut spot = Spot::new(offset);
    match value {
        DeValue::Table(table) => return table_spot(table, offset),
        DeValue::Array(array) => {
            for (i, element) in array.iter().enumerate() {
                let id = element
                    .get_ref()
                    .get("id")
                    .and_then(|id| id.get_ref().as_str());
                let child = toml_spot(element.get_ref(), element.span().start);
                spot.add(format!("[{i}]"), id.map(str::to_owned), child);
            }
        }
        _ => {}
    }
    spot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_json() {
        let text =
            "{\"knobs\": {\n  \"a\": {\"range\": [1,\n    2]},\n  \"a.b\": {\n    \"type\": 1}}}";
        let lines = Lines::of_json(text, 10);
        for (path, line) in [
            ("", 10),
            ("knobs", 10),
            ("knobs.a", 11),
            ("knobs.a.range[1]", 12),
            ("knobs.a.missing", 11),
            ("knobs.a.b.type", 14),
            ("nothing", 10),
        ] {
            assert_eq!(lines.line_of(path), line, "{path}");
        }
    }

    #[test]
    fn elements_of_a_list_go_by_their_ids_too() {
        let text = "{\"knobs\": [\n{\"id\": \"x.a\"},\n{\"id\": \"x.b\",\n\"range\": [5, 1]}]}";
        let lines = Lines::of_json(text, 1);
        assert_eq!(lines.line_of("knobs[1].range"), 4);
        assert_eq!(lines.line_of("knobs.x.b.range"), 4);
        let lines = Lines::of_toml("[[knobs]]\nid = \"a\"\n[[knobs]]\nid = \"b\"\nstep = 1\n");
        assert_eq!(lines.line_of("knobs.b.step"), 5);
    }

    #[test]
    fn fields_are_found_in_toml() {
        let text = "namespace = \"x\"\n\n[knobs.a]\ndefault = 1\nrange = [\n  1,\n  2]\n[knobs.a.responds_to.t]\nstep = 2\n";
        let lines = Lines::of_toml(text);
        for (path, line) in [
            ("namespace", 1),
            ("knobs.a", 3),
            ("knobs.a.default", 4),
            ("knobs.a.range[1]", 7),
            ("knobs.a.responds_to.t.step", 9),
        ] {
            assert_eq!(lines.line_of(path), line, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_parsed_begins_where_it_begins() {
        assert_eq!(Lines::of_json("{\n oops", 7).line_of("a.b"), 7);
        assert_eq!(Lines::of_toml("= 3").line_of("a"), 1);
    }
}
