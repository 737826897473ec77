//! The two forms in which metrics are shown: `OpenMetrics`, and the older text of the Prometheus family for everybody who
//! does not ask for it (`promtool check metrics`, curl, older scrapers).

/// A form of the page of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// Prometheus' text, version 0.0.4.
    Text,
}

impl Exposition {
    /// The form that the header `Accept` asks for. Whoever names `OpenMetrics` at all can read it.
    #[must_use]
    pub fn asked_for(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// The content type of a page in this form.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// A page of `OpenMetrics` in this form.
    pub(super) fn of(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => text(&open_metrics),
        }
    }
}

/// There a family has the name of its samples, `info` is not known, and neither are units and the end.
fn text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            // The help stands before the type, which decides the name.
            (Some("#"), Some("HELP"), Some(name), words) => help = Some((name, words.unwrap_or_default())),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                if let Some((_, words)) = help.take().filter(|(helped, _)| *helped == name) {
                    say(&format!("# HELP {name}{suffix} {words}"));
                }
                say(&format!("# TYPE {name}{suffix} {kind}"));
            }
            (Some("#"), ..) => {}
            _ => say(line),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_text_names_families_as_their_samples() {
        let open_metrics = "# HELP autoheal_build The version.\n# TYPE autoheal_build info\nautoheal_build_info{version=\"1\"} 1\n\
            # HELP heals Heals that ended.\n# TYPE heals counter\nheals_total{rule=\"# TYPE x counter\"} 2\n\
            # HELP commit_seconds Commits.\n# TYPE commit_seconds histogram\n# UNIT commit_seconds seconds\ncommit_seconds_sum 0.5\n# EOF\n";
        let expected = "# HELP autoheal_build_info The version.\n# TYPE autoheal_build_info gauge\nautoheal_build_info{version=\"1\"} 1\n\
            # HELP heals_total Heals that ended.\n# TYPE heals_total counter\nheals_total{rule=\"# TYPE x counter\"} 2\n\
            # HELP commit_seconds Commits.\n# TYPE commit_seconds histogram\ncommit_seconds_sum 0.5\n";
        assert_eq!(Exposition::Text.of(open_metrics.to_owned()), expected);
        assert_eq!(Exposition::OpenMetrics.of(open_metrics.to_owned()), open_metrics);
    }

    #[test]
    fn whoever_names_open_metrics_gets_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Exposition::asked_for(Some(prometheus)), Exposition::OpenMetrics);
        for accept in [None, Some("*/*"), Some("text/plain;version=0.0.4"), Some("")] {
            assert_eq!(Exposition::asked_for(accept), Exposition::Text, "{accept:?}");
        }
    }
}
