//! `receivers:` — every key arrives, every mistake is shown.

use autoheal::domain::message::MessageKind;
use autoheal::notify::{NotifierSettings, ReceiverSettings, channels};
use insta::assert_snapshot;

use super::{load, told};

const RECEIVERS: &str = r#"
receivers:
- name: mail
  mailgun:
    domain: mg.example.com
    apiKey: "${MAILGUN_API_KEY}"
    region: eu
    from: autoheal <autoheal@mg.example.com>
    to: [oncall@example.com, second@example.com]
    tags: [autoheal, production]
    testMode: true
- name: chat
  slack: {botToken: "${SLACK_BOT_TOKEN}", channel: '#on-call'}
- name: chat-elsewhere
  slack: {botToken: "${SLACK_BOT_TOKEN}", channel: C0123456789, apiUrl: "http://127.0.0.1:1/api/chat.postMessage"}
- name: programs
  events: [started, needs_human]
  webhook: {url: "https://hooks.example.com/${HOOK}", secret: "${SECRET}"}
  alertmanager: {address: "http://alertmanager:9093", username: me, password: "${SECRET}", labels: {team: sre}}
  grafana: {address: "http://grafana:3000", token: "${SECRET}", tags: [production]}
rules: []
"#;

#[test]
fn every_key_of_a_receiver_arrives() {
    let (config, _) = load(&[
        ("autoheal.yml", RECEIVERS),
        ("secrets", "MAILGUN_API_KEY=key\nSLACK_BOT_TOKEN=xoxb-1\nSECRET=s\nHOOK=h\n"),
    ])
    .unwrap();
    let [NotifierSettings::Mailgun(mailgun)] = config.receivers[0].integrations.as_slice() else {
        panic!("{:?}", config.receivers);
    };
    assert_eq!(mailgun.api_url.as_str(), "https://api.eu.mailgun.net/");
    assert_eq!((mailgun.domain.as_str(), mailgun.api_key.expose()), ("mg.example.com", "key"));
    assert_eq!(mailgun.from.to_string(), "autoheal <autoheal@mg.example.com>");
    assert_eq!((mailgun.to.len(), mailgun.tags.join(" ").as_str()), (2, "autoheal production"));
    assert!(mailgun.test_mode);
    let bots: Vec<_> = config.receivers[1..3]
        .iter()
        .map(|receiver| match receiver.integrations.as_slice() {
            [NotifierSettings::SlackBot(bot)] => (bot.token.expose(), bot.channel.as_str(), bot.api_url.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected =
        [("xoxb-1", "#on-call", "https://slack.com/api"), ("xoxb-1", "C0123456789", "http://127.0.0.1:1/api")];
    assert_eq!(bots, expected);
    programs_arrive(&config.receivers[3]);
}

fn programs_arrive(receiver: &ReceiverSettings) {
    let [
        NotifierSettings::Webhook(webhook),
        NotifierSettings::Alertmanager(alertmanager),
        NotifierSettings::Grafana(grafana),
    ] = receiver.integrations.as_slice()
    else {
        panic!("{receiver:?}");
    };
    assert_eq!(webhook.url.expose(), "https://hooks.example.com/h");
    assert_eq!(webhook.secret.as_ref().unwrap().expose(), "s");
    let (user, password) = alertmanager.credentials.as_ref().unwrap();
    assert_eq!((user.as_str(), password.expose(), alertmanager.labels["team"].as_str()), ("me", "s", "sre"));
    assert_eq!((grafana.token.expose(), grafana.tags.as_slice()), ("s", &["production".to_owned()][..]));
    let channels = &channels(std::slice::from_ref(receiver))["programs"];
    let told = |kind| channels.iter().all(|channel| channel.audience.wants(kind));
    assert!(told(MessageKind::Started) && told(MessageKind::Exhausted) && told(MessageKind::ApprovalNeeded));
    assert!(!channels.iter().any(|channel| channel.audience.wants(MessageKind::Healed)));
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
fn every_mistake_in_a_receiver_is_shown_at_its_place() {
    let config = r#"
receivers:
- name: mail
  mailgun:
    domain: mg
    region: asia
    from: nobody
    to: []
    tags: [a, b, c, d]
    trackign: true
- name: chat
  slack: {botToken: not-a-token, channel: on call}
- name: both
  slack: {webhookUrl: "https://hooks.slack.com/services/x", botToken: xoxb-1}
- name: neither
  slack: {channel: '#on-call'}
- name: programs
  events: [started, heeled]
  webhook: {url: ftp://x}
  alertmanager: {address: http://am, password: p, labels: {alertname: x, a-b: c}}
  grafana: {}
rules: []
"#;
    assert_snapshot!(told(&[("autoheal.yml", config)]), @r#"
    error: `mailgun` needs `apiKey`
     --> autoheal.yml:5:5
      |
    5 |     domain: mg
      |     ^^^^^^^^^^ `apiKey` is missing

    error: this is not a domain
     --> autoheal.yml:5:13
      |
    5 |     domain: mg
      |             ^^ expected the sending domain, for example mg.example.com

    error: expected us or eu, found "asia"
     --> autoheal.yml:6:13
      |
    6 |     region: asia
      |             ^^^^ unknown word

    error: this is not a mail address such as oncall@example.com or On Call <oncall@example.com>
     --> autoheal.yml:7:11
      |
    7 |     from: nobody
      |           ^^^^^^ expected a mail address such as oncall@example.com or On Call <oncall@example.com>

    error: `to` is empty
     --> autoheal.yml:8:9
      |
    8 |     to: []
      |         ^^ expected at least one mail address

    error: too many tags
     --> autoheal.yml:9:11
      |
    9 |     tags: [a, b, c, d]
      |           ^^^^^^^^^^^^ Mailgun takes at most 3

    error: unknown key `trackign` in `mailgun`
      --> autoheal.yml:10:5
       |
    10 |     trackign: true
       |     ^^^^^^^^ unknown key
       |
       = help: known keys: domain, apiKey, region, from, to, apiUrl, tags, testMode, tls, subject, text, html

    warning: a secret is written into the configuration
      --> autoheal.yml:12:21
       |
    12 |   slack: {botToken: ***********, channel: on call}
       |                     ^^^^^^^^^^^ use ${NAME} and the secrets file

    error: this is not a channel
      --> autoheal.yml:12:43
       |
    12 |   slack: {botToken: ***********, channel: on call}
       |                                           ^^^^^^^ expected #name or an identity such as C0123456789

    error: `slack` with `botToken` needs `channel`
      --> autoheal.yml:14:10
       |
    14 |   slack: {webhookUrl: "**********************************", botToken: ******}
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `channel` is missing

    error: `webhookUrl` and `botToken` are two ways to the same
      --> autoheal.yml:14:61
       |
    14 |   slack: {webhookUrl: "**********************************", botToken: ******}
       |                                                             ^^^^^^^^ keep one of them

    warning: a secret is written into the configuration
      --> autoheal.yml:14:71
       |
    14 |   slack: {webhookUrl: "**********************************", botToken: ******}
       |                                                                       ^^^^^^ use ${NAME} and the secrets file

    error: `slack` needs `webhookUrl` or `botToken`
      --> autoheal.yml:16:10
       |
    16 |   slack: {channel: '#on-call'}
       |          ^^^^^^^^^^^^^^^^^^^^^ both are missing

    error: a webhook has its own channel
      --> autoheal.yml:16:11
       |
    16 |   slack: {channel: '#on-call'}
       |           ^^^^^^^ only a `botToken` posts to a `channel` of your choice

    error: expected started or attempt_failed or healed or recovered or exhausted or suppressed or firing or resolved or approval_needed or expired or cancelled or storm or reminder or over or paused_too_long or held_up or all or ends or needs_human, found "heeled"
      --> autoheal.yml:18:21
       |
    18 |   events: [started, heeled]
       |                     ^^^^^^ unknown word
       |
       = help: did you mean `healed`?

    warning: nobody can tell whether these documents are ours
      --> autoheal.yml:19:12
       |
    19 |   webhook: {url: ftp://x}
       |            ^^^^^^^^^^^^^^ give it a `secret`

    error: this is not a web address
      --> autoheal.yml:19:18
       |
    19 |   webhook: {url: ftp://x}
       |                  ^^^^^^^ expected https://…

    error: `username` and `password` belong together
      --> autoheal.yml:20:38
       |
    20 |   alertmanager: {address: http://am, password: *, labels: {alertname: x, a-b: c}}
       |                                      ^^^^^^^^ the other one is missing

    warning: a secret is written into the configuration
      --> autoheal.yml:20:48
       |
    20 |   alertmanager: {address: http://am, password: *, labels: {alertname: x, a-b: c}}
       |                                                ^ use ${NAME} and the secrets file

    error: `alertname` cannot be a label here
      --> autoheal.yml:20:60
       |
    20 |   alertmanager: {address: http://am, password: *, labels: {alertname: x, a-b: c}}
       |                                                            ^^^^^^^^^ expected a label's name, not alertname

    error: `a-b` cannot be a label here
      --> autoheal.yml:20:74
       |
    20 |   alertmanager: {address: http://am, password: *, labels: {alertname: x, a-b: c}}
       |                                                                          ^^^ expected a label's name, not alertname

    error: `grafana` needs `address`
      --> autoheal.yml:21:12
       |
    21 |   grafana: {}
       |            ^^ `address` is missing

    error: `grafana` needs `token`
      --> autoheal.yml:21:12
       |
    21 |   grafana: {}
       |            ^^ `token` is missing
    "#);
}

#[test]
fn who_is_reminded_how_often_is_said_for_all_or_for_one() {
    let receivers = "- {name: chat, slack: {webhookUrl: 'https://hooks.slack.com/services/x'}}
- {name: rare, reminderInterval: 1d, slack: {webhookUrl: 'https://hooks.slack.com/services/x'}}
- {name: never, reminderInterval: 0s, slack: {webhookUrl: 'https://hooks.slack.com/services/x'}}
- {name: pages, reminderInterval: 0s, alertmanager: {address: 'http://alertmanager:9093'}}";
    let text = format!("reminderInterval: 4h\nreceivers:\n{receivers}\nrules: []\n");
    let (config, _) = load(&[("autoheal.yml", text.as_str())]).unwrap();
    let of = |name: &str| channels(&config.receivers)[name][0].remind.map(|every| every.as_secs() / 3600);
    assert_eq!(["chat", "rare", "never"].map(of), [Some(4), Some(24), None]);
    assert_eq!(of("pages"), Some(1), "an alert in Alertmanager is kept alive in any case");
    assert_snapshot!(told(&[("autoheal.yml", "reminderInterval: 5s\nrules: []\n")]), @r"
    error: nobody wants to be reminded so often
     --> autoheal.yml:1:19
      |
    1 | reminderInterval: 5s
      |                   ^^ expected 1m or more, or 0 for never
    ");
}

#[test]
fn people_are_left_alone_in_quiet_times_that_any_file_names_and_repeats_become_a_digest() {
    let receivers = "receivers:
- {name: chat, quietTimes: [night], digest: {after: 2, within: 30m}, slack: {webhookUrl: 'https://hooks.slack.com/services/x'}, alertmanager: {address: 'http://alertmanager:9093'}}
- {name: mail, slack: {webhookUrl: 'https://hooks.slack.com/services/x'}}
";
    let night = "timeIntervals: [{name: night, timeIntervals: [{times: [{startTime: '00:00', endTime: '07:00'}]}]}]\nrules: []\n";
    let text = format!("{receivers}{night}");
    let (config, _) = load(&[("autoheal.yml", text.as_str())]).unwrap();
    let calm = autoheal::notify::calm(&config.receivers);
    let names: Vec<_> = calm.keys().map(String::as_str).collect();
    assert_eq!(names, ["chat/slack", "mail/slack"], "a program has no sleep");
    let chat = &calm["chat/slack"];
    let repeats = chat.repeats.unwrap();
    assert_eq!((repeats.after, repeats.within.as_secs(), chat.quiet.mute.len()), (2, 1800, 1));
    let default = calm["mail/slack"].repeats.unwrap();
    assert_eq!((default.after, default.within.as_secs(), calm["mail/slack"].quiet.mute.len()), (5, 3600, 0));
    let wrong = "receivers:\n- {name: chat, quietTimes: [nite], digest: {after: 0, within: 1s}}\n";
    let shown = told(&[("autoheal.yml", format!("{wrong}{night}").as_str())]);
    assert_snapshot!(shown, @r"
    error: this receiver reaches nobody
     --> autoheal.yml:2:3
      |
    2 | - {name: chat, quietTimes: [nite], digest: {after: 0, within: 1s}}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ give it a way, such as `slack` or `email`

    error: there is no time interval `nite`
     --> autoheal.yml:2:29
      |
    2 | - {name: chat, quietTimes: [nite], digest: {after: 0, within: 1s}}
      |                             ^^^^ unknown time interval
      |
      = help: known time intervals: night

    error: this number is out of range
     --> autoheal.yml:2:52
      |
    2 | - {name: chat, quietTimes: [nite], digest: {after: 0, within: 1s}}
      |                                                    ^ expected a whole number from 1 to 1000

    error: this duration is out of range
     --> autoheal.yml:2:63
      |
    2 | - {name: chat, quietTimes: [nite], digest: {after: 0, within: 1s}}
      |                                                               ^^ expected 1m to 1d
    ");
}
