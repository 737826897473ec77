//! Values of any depth in an action, such as variables for a job: every text in them is a template.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ActionRenderError, render_text};
use crate::domain::template::{AlertContext, Template};

/// A value with texts of one kind in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tree<Text> {
    /// A text.
    Text(Text),
    /// A list.
    List(Vec<Self>),
    /// A mapping; its keys are no templates.
    Map(BTreeMap<String, Self>),
    /// A number, true, false or null.
    Plain(Value),
}

/// Looks at a rendered text: the field, the template, what came out.
pub(super) type Check<'c> = &'c mut dyn FnMut(&str, &Template, &str) -> Result<(), ActionRenderError>;

impl Tree<Template> {
    /// Renders every text; `field` names the value in errors, and `check` may refuse what came out.
    pub(super) fn render(
        &self,
        field: &str,
        alert: AlertContext<'_>,
        check: Check<'_>,
    ) -> Result<Tree<String>, ActionRenderError> {
        Ok(match self {
            Self::Text(text) => {
                let rendered = render_text(field, text, alert)?;
                check(field, text, &rendered)?;
                Tree::Text(rendered)
            }
            Self::List(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    rendered.push(item.render(&format!("{field}[{index}]"), alert, check)?);
                }
                Tree::List(rendered)
            }
            Self::Map(entries) => {
                let mut rendered = BTreeMap::new();
                for (key, value) in entries {
                    rendered.insert(key.clone(), value.render(&format!("{field}.{key}"), alert, check)?);
                }
                Tree::Map(rendered)
            }
            Self::Plain(value) => Tree::Plain(value.clone()),
        })
    }
}

impl<Text> Tree<Text> {
    /// Every text in it.
    #[must_use]
    pub fn texts(&self) -> Vec<&Text> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(items) => items.iter().flat_map(Self::texts).collect(),
            Self::Map(entries) => entries.values().flat_map(Self::texts).collect(),
            Self::Plain(_) => Vec::new(),
        }
    }
}

impl Tree<String> {
    /// The value as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
            Self::Plain(value) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_from_the_store_as_it_went() {
        let tree = Tree::Map(BTreeMap::from([
            ("a".to_owned(), Tree::List(vec![Tree::Text("x".to_owned()), Tree::Plain(Value::from(1))])),
            ("b".to_owned(), Tree::Plain(Value::Null)),
            ("c".to_owned(), Tree::Plain(Value::from(true))),
        ]));
        let text = serde_json::to_string(&tree).unwrap();
        assert_eq!(text, r#"{"a":["x",1],"b":null,"c":true}"#);
        assert_eq!(serde_json::from_str::<Tree<String>>(&text).unwrap(), tree);
    }
}
