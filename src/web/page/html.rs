//! HTML as these pages need it: text that is always escaped, one frame for all, and headers that let nothing from
//! outside in.

use std::fmt;
use std::fmt::Write;

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderValue, StatusCode};
use warp::reply::Response;

use crate::web::reply;

/// No script at all, no style but ours, nobody may frame us, forms go nowhere else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// A text between tags or in a quoted attribute.
pub struct Text<T>(pub T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaper = Escaper(f);
        write!(escaper, "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(c),
        })
    }
}

/// A page.
pub struct Page<'a> {
    /// What the browser's tab says; escaped here.
    pub title: &'a str,
    /// The way from this page to the first one, such as `../`.
    pub root: &'a str,
    /// Whether it is loaded again every half minute; not where somebody may be typing.
    pub refreshes: bool,
    /// HTML.
    pub body: &'a str,
}

impl Page<'_> {
    /// The answer that shows it.
    pub fn answer(&self, status: StatusCode) -> Response {
        let Page { title, root, refreshes, body } = self;
        let refresh = if *refreshes { "<meta http-equiv=\"refresh\" content=\"30\">" } else { "" };
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{refresh}\
             <title>{} · autoheal</title><link rel=\"stylesheet\" href=\"{root}style.css\"></head><body>\
             <header><a href=\"{root}\">autoheal</a><p>{}</p></header><main>{body}</main></body></html>",
            Text(title),
            env!("CARGO_PKG_VERSION"),
        );
        let mut response = reply::text(status, "text/html; charset=utf-8", html);
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // Without any referrer browsers would call our own forms' origin "null".
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// A page that says one thing, with the way back.
pub fn notice(status: StatusCode, root: &str, title: &str, text: &str) -> Response {
    let body = format!("<h1>{}</h1><p>{}</p><p><a href=\"{root}\">Back to all heals</a></p>", Text(title), Text(text));
    Page { title, root, refreshes: false, body: &body }.answer(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_a_text_or_an_attribute_comes_through() {
        assert_eq!(Text("<a href='x'>\"&\"").to_string(), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;");
        assert_eq!(Text(format_args!("{}", "é<")).to_string(), "é&lt;");
    }
}
