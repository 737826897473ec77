use std::sync::Arc;

use super::super::{slack, tests};
use super::*;
use crate::domain::message::MessageKind;
use crate::domain::template::text::{Form, Library};

fn template(source: &str, form: Form) -> TextTemplate {
    TextTemplate::parse(source, &Library::default(), form).unwrap()
}

fn mail(subject: &str, text: &str, html: &str) -> Mail {
    let texts = Texts {
        subject: Some(template(subject, Form::Plain)),
        text: Some(template(text, Form::Plain)),
        html: Some(template(html, Form::Html)),
    };
    let mut message = tests::message(MessageKind::Exhausted);
    Arc::make_mut(&mut message.heal.alerts[0]).labels.insert("job".into(), "ui\r\nBcc: all@example.com <b>".into());
    Arc::make_mut(&mut message.heal.alerts[0]).annotations.insert("summary".into(), "first\r\nsecond\u{202e}".into());
    texts.mail(&message, &tests::pages())
}

#[test]
fn a_mail_says_what_its_receiver_wrote() {
    let said = mail(
        "{{ .Status }} {{ .CommonLabels.job }}\nBcc: x@example.com",
        "{{ .CommonAnnotations.summary }}: {{ .Heal.State }} on {{ .Heal.Target }}\n{{ .Heal.URL }}",
        "<p>{{ .CommonLabels.job }}</p>",
    );
    assert_eq!(said.subject, "firing ui  Bcc: all@example.com <b> Bcc: x@example.com");
    assert_eq!(
        said.plain,
        "first\nsecond : exhausted on docker:local/compose/otus/ui\nhttps://autoheal.example.com/heals/01900000-0000-7000-8000-000000000001"
    );
    assert_eq!(said.html, "<p>ui  Bcc: all@example.com &lt;b&gt;</p>");
}

#[test]
fn the_named_defaults_of_a_mail_are_what_goes_out_without_own_texts() {
    let called = |name: &str, form| Some(template(&format!("{{{{ template \"email.default.{name}\" . }}}}"), form));
    let texts = Texts {
        subject: called("subject", Form::Plain),
        text: called("text", Form::Plain),
        html: called("html", Form::Html),
    };
    for kind in tests::KINDS {
        let mut message = tests::message(kind);
        Arc::make_mut(&mut message.heal.alerts[0]).labels.insert("job".into(), "<script>&".into());
        let (own, default) = (texts.mail(&message, &tests::pages()), Texts::default().mail(&message, &tests::pages()));
        assert_eq!(own.subject, default.subject);
        assert_eq!(own.plain.trim_end(), default.plain.trim_end());
        assert_eq!(own.html, default.html);
    }
}

#[test]
fn a_text_that_cannot_be_made_gives_way_to_the_default_and_says_so() {
    let default = Texts::default().mail(&tests::message(MessageKind::Exhausted), &tests::pages());
    let said = mail("{{ index .Alerts 9 }}", "{{ .Heal.Nope }}", "{{ if false }}x{{ end }}");
    assert!(said.subject.starts_with("[FIRING:1] InstanceDown "), "{}", said.subject);
    assert!(said.plain.starts_with(default.plain.lines().next().unwrap()), "{}", said.plain);
    let note = "This receiver's own text could not be made, so the default is shown (subject: index: there is no such \
                entry; text: the data has no field .Nope; html: it says nothing).";
    assert!(said.plain.ends_with(&format!("\n{note}\n")), "{}", said.plain);
    let note = format!("<p>{}</p>\n</body></html>\n", note.replace('\'', "&#39;"));
    assert!(said.html.ends_with(&note), "{}", said.html);
}

#[test]
fn an_own_text_is_bounded_whatever_it_writes() {
    let long = "{{ range 900 }}0123456789012345678901234567890123456789012345678901234567890123456789&\n{{ end }}";
    let said = mail(long, long, long);
    assert_eq!(said.subject.chars().count(), MAX_SUBJECT);
    assert!(said.plain.len() <= plain::MAX_PLAIN && said.html.len() <= html::MAX_HTML, "{}", said.html.len());
    assert!(said.html.contains("html: more than 40960 bytes"), "a page that is cut is none");

    let texts =
        Texts { subject: Some(template(long, Form::Slack)), text: Some(template(long, Form::Slack)), html: None };
    let message = tests::message(MessageKind::Exhausted);
    tests::assert_block_kit_limits(&blocks::root(&message, &tests::pages(), &texts, true));
    let posted = slack::render(&message, &tests::pages(), &texts);
    assert!(posted.len() <= 12_000, "{}", posted.len());
}

#[test]
fn slack_gets_the_own_text_escaped_and_keeps_the_buttons() {
    let texts = Texts {
        subject: Some(template("{{ .Heal.Event }} <!here>", Form::Slack)),
        text: Some(template("{{ .CommonLabels.job }} <{{ .Heal.URL }}|story>", Form::Slack)),
        html: None,
    };
    let mut message = tests::message(MessageKind::Exhausted);
    Arc::make_mut(&mut message.heal.alerts[0]).labels.insert("job".into(), "<!channel>".into());
    let bot = blocks::root(&message, &tests::pages(), &texts, true);
    let said = &bot["attachments"][0]["blocks"];
    let url = "https://autoheal.example.com/heals/01900000-0000-7000-8000-000000000001";
    assert_eq!(bot["text"], "exhausted <!here>");
    assert_eq!(said[0]["text"]["text"], format!("&lt;!channel&gt; <{url}|story>"));
    assert_eq!(said[1]["elements"].as_array().unwrap().len(), 3, "{said}");
    let webhook: serde_json::Value = serde_json::from_str(&slack::render(&message, &tests::pages(), &texts)).unwrap();
    let attachment = &webhook["attachments"][0];
    assert_eq!((&attachment["title"], &attachment["fields"]), (&"exhausted <!here>".into(), &serde_json::json!([])));
    assert_eq!(attachment["text"], format!("&lt;!channel&gt; <{url}|story>\n<{url}|Open heal>"));

    let failing = Texts { text: Some(template("{{ .Heal.Nope }}", Form::Slack)), ..Texts::default() };
    let bot = blocks::root(&message, &tests::pages(), &failing, true).to_string();
    assert!(bot.contains("A human is needed") && bot.contains("the data has no field .Nope"), "{bot}");
    let webhook = slack::render(&message, &tests::pages(), &failing);
    assert!(webhook.contains("A human is needed") && webhook.contains("the data has no field .Nope"), "{webhook}");
}

#[test]
fn every_field_of_the_documentation_is_there() {
    let fields = "{{ .Receiver }}{{ .ExternalURL }}{{ range .Alerts }}{{ .Status }}{{ .Labels.job }}{{ .Annotations.summary }}\
        {{ .StartsAt.Format \"15:04\" }}{{ .EndsAt }}{{ .GeneratorURL }}{{ .Fingerprint }}{{ end }}{{ with .Heal }}{{ .ID }}\
        {{ .Event }}{{ .Rule }}{{ .State }}{{ .Reason }}{{ .Target }}{{ .Action }}{{ .Step }}{{ .Steps }}{{ .Attempt }}\
        {{ .Attempts }}{{ .NeedsHuman }}{{ .Final }}{{ .Subject }}{{ .Headline }}{{ .Text }}{{ .HTML }}{{ .Description }}{{ .Runbook }}{{ .URL }}\
        {{ .ApprovalURL }}{{ .At }}{{ .CreatedAt }}{{ .UpdatedAt }}{{ .EndedAt }}{{ range .Facts }}{{ .Name }}{{ .Value }}\
        {{ end }}{{ range .Timeline }}{{ .At.Format \"15:04:05\" }}{{ .What }}{{ .Reason }}{{ .By }}{{ end }}{{ end }}";
    let template = template(fields, Form::Plain);
    for kind in tests::KINDS {
        template.render(&data::of(&tests::message(kind), &tests::pages())).unwrap();
    }
}
