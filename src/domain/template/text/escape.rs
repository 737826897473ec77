//! Escaping: what makes a text from outside harmless where it is put.

/// Escapes a text for Slack. `<` is what begins a ping such as `<!channel>` or `<@U1>`; escaped, it is only a character.
#[must_use]
pub fn slack(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

/// Escapes a text for HTML, for element content and for quoted attributes.
#[must_use]
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// An address for an attribute that leads somewhere: the web, mail, or a place on the same page; anything else, such as
/// `javascript:`, leads nowhere.
pub(super) fn address(text: &str) -> String {
    let trimmed = text.trim();
    let scheme = trimmed.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let is_relative = scheme.as_ref().is_none_or(|scheme| scheme.contains(['/', '?', '#']));
    let is_known = scheme.is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https" | "mailto" | "tel"));
    let is_clean = !trimmed.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_clean && (is_relative || is_known) { html(trimmed) } else { "#".to_owned() }
}
