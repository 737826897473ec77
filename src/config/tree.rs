//! Values of any depth in an action.

use serde_json::{Number, Value};

use super::reader::Reader;
use super::yaml::{Kind, Node};
use crate::domain::action::Tree;
use crate::domain::template::Template;

/// How the values of a tree are read.
#[derive(Clone, Copy)]
pub(super) struct TreeReader<'t> {
    /// Reads one text.
    pub text: &'t dyn Fn(&Reader<'_>, &Node) -> Option<Template>,
    /// Whether what says nothing is a null; else it is left out.
    pub keeps_nothing: bool,
}

impl TreeReader<'_> {
    /// Reads a value.
    pub fn read(&self, reader: &Reader<'_>, node: &Node) -> Option<Tree<Template>> {
        Some(match &node.kind {
            Kind::Nothing if self.keeps_nothing => Tree::Plain(Value::Null),
            Kind::Nothing => return None,
            Kind::Bool(value) => Tree::Plain(Value::Bool(*value)),
            Kind::Integer(value) => Tree::Plain(Value::from(*value)),
            Kind::Float(value) => Tree::Plain(Number::from_f64(*value).map_or(Value::Null, Value::Number)),
            Kind::Text => Tree::Text((self.text)(reader, node)?),
            Kind::List(items) => Tree::List(items.iter().filter_map(|item| self.read(reader, item)).collect()),
            Kind::Map(_) => {
                let mapping = reader.any_mapping(node, "this value")?;
                let entries =
                    mapping.all().filter_map(|(name, value)| Some((name.to_owned(), self.read(reader, value)?)));
                Tree::Map(entries.collect())
            }
        })
    }
}
