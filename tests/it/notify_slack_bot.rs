//! Slack with a bot token: one message per heal, edited, with a thread; and what Slack's refusals mean.

use std::time::Duration;

use autoheal::domain::heal::{Heal, HealId, Outcome, Phase};
use autoheal::domain::message::MessageKind;
use autoheal::domain::reason::Reason;
use autoheal::notify::message::Pages;
use autoheal::notify::message::texts::Texts;
use autoheal::notify::slack_bot::{SlackBotNotifier, SlackBotSettings};
use autoheal::notify::{Notifier, NotifyError, Receipt};
use autoheal::secret::Secret;
use autoheal::store::Outgoing;
use autoheal::tls::ClientTls;
use serde_json::json;
use uuid::Uuid;

use crate::support::install_tls;
use crate::support::message::{exhausted, now};
use crate::support::slack::Answer;
use crate::support::slack_api::{CHANNEL, HIDDEN, SlackApi, TOKEN};

fn notifier(slack: &SlackApi) -> SlackBotNotifier {
    notifier_to(slack, "#on-call")
}

fn notifier_to(slack: &SlackApi, channel: &str) -> SlackBotNotifier {
    install_tls();
    let settings = SlackBotSettings {
        token: Secret::new(TOKEN),
        channel: channel.to_owned(),
        signing_secret: None,
        api_url: slack.url().parse().unwrap(),
        tls: ClientTls::default(),
        texts: Texts::default(),
    };
    SlackBotNotifier::new(&settings, Pages::new(Some("https://autoheal.example.com"))).unwrap()
}

/// The same heal after another change.
fn change(before: &Outgoing, kind: MessageKind, seconds: u64, receipt: &Receipt) -> Outgoing {
    let mut next = before.clone();
    next.id = Uuid::now_v7();
    next.message.kind = kind;
    next.message.at = now() + Duration::from_secs(seconds);
    let reason = Reason::ActionStarted { what: format!("change {seconds}") };
    next.message.heal.tell(next.message.at, "news", reason, "autoheal");
    next.memory.clone_from(&receipt.memory);
    next
}

fn started() -> Outgoing {
    let mut outgoing = exhausted("on-call/slack", "ui");
    outgoing.message.kind = MessageKind::Started;
    let reason = Reason::ActionStarted { what: "change 0".to_owned() };
    outgoing.message.heal.tell(now(), "news", reason, "autoheal");
    outgoing
}

#[tokio::test]
async fn a_heal_is_one_message_that_changes_and_its_thread_tells_the_timeline() {
    let slack = SlackApi::start().await;
    let notifier = notifier(&slack);
    let first = started();
    let receipt = notifier.send(&first).await.unwrap();
    assert_eq!(receipt.said, format!("posted to {CHANNEL} at {}", slack.posted()[0].ts));
    let second = change(&first, MessageKind::AttemptFailed, 1, &receipt);
    let receipt = notifier.send(&second).await.unwrap();
    let third = change(&second, MessageKind::Exhausted, 2, &receipt);
    let receipt = notifier.send(&third).await.unwrap();
    let over = change(&third, MessageKind::Healed, 3, &receipt);
    notifier.send(&over).await.unwrap();

    let posted = slack.posted();
    assert_eq!(posted.len(), 4, "one message and three replies");
    let (root, replies) = posted.split_first().unwrap();
    assert_eq!((root.edits, &root.thread), (3, &None));
    assert_eq!(root.body["attachments"][0]["color"], "good");
    assert!(root.body["text"].as_str().unwrap().ends_with("healed"), "{}", root.body);
    assert!(replies.iter().all(|reply| reply.thread.as_ref() == Some(&root.ts)));
    assert_eq!(replies.iter().map(|reply| reply.broadcast).collect::<Vec<_>>(), [false, true, false]);
    let texts: Vec<_> = replies.iter().map(|reply| reply.body["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts[0],
        "<!date^1795331071^{time_secs}|07:04:31 UTC> news: change 0 (autoheal)\n\
         <!date^1795331072^{time_secs}|07:04:32 UTC> news: change 1 (autoheal)"
    );
    assert!(texts[1].starts_with("*A human is needed: InstanceDown"), "{}", texts[1]);
    assert!(texts[1].ends_with("change 2 (autoheal)") && !texts[1].contains("change 1"), "{}", texts[1]);
}

#[tokio::test]
async fn buttons_lead_to_the_runbook_the_heal_and_alertmanager() {
    let slack = SlackApi::start().await;
    let outgoing = started();
    notifier(&slack).send(&outgoing).await.unwrap();
    let blocks = slack.posted()[0].body["attachments"][0]["blocks"].clone();
    let actions = blocks.as_array().unwrap().iter().find(|block| block["type"] == "actions").unwrap();
    let urls: Vec<_> = actions["elements"].as_array().unwrap().iter().map(|button| &button["url"]).collect();
    assert_eq!(
        urls,
        [
            &json!("https://wiki.example.com/service-down"),
            &json!(format!("https://autoheal.example.com/heals/{}", outgoing.message.heal.id)),
            &json!("http://alertmanager:9093/#/alerts?filter=%7Balertname%3D%22InstanceDown%22%7D"),
        ]
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_edited_is_posted_anew_and_goes_on_there() {
    for word in ["message_not_found", "cant_update_message", "edit_window_closed"] {
        let slack = SlackApi::start().await;
        let notifier = notifier(&slack);
        let first = started();
        let receipt = notifier.send(&first).await.unwrap();
        slack.order("chat.update", Answer::say(200, &json!({"ok": false, "error": word}).to_string()));
        let second = change(&first, MessageKind::Exhausted, 1, &receipt);
        let receipt = notifier.send(&second).await.unwrap();
        let posted = slack.posted();
        assert_eq!((posted.len(), &posted[1].thread), (2, &None), "{word}");
        notifier.send(&change(&second, MessageKind::Healed, 2, &receipt)).await.unwrap();
        let posted = slack.posted();
        assert_eq!(posted[1].edits, 1, "{word}: the new message is the heal's from now on");
        assert_eq!(posted[2].thread.as_ref(), Some(&posted[1].ts));
    }
    let slack = SlackApi::start().await;
    let notifier = notifier(&slack);
    let first = started();
    let receipt = notifier.send(&first).await.unwrap();
    slack.delete(&slack.posted()[0].ts);
    notifier.send(&change(&first, MessageKind::Exhausted, 1, &receipt)).await.unwrap();
    assert_eq!(slack.posted().len(), 1, "somebody deleted it");
}

#[tokio::test]
async fn what_is_sent_again_after_a_crash_edits_the_same_message() {
    let slack = SlackApi::start().await;
    let first = started();
    let receipt = notifier(&slack).send(&first).await.unwrap();
    let second = change(&first, MessageKind::Exhausted, 1, &receipt);
    // The result of the second is never recorded: the next process sends it with the same memory.
    for _ in 0..3 {
        notifier(&slack).send(&second).await.unwrap();
    }
    let roots = slack.posted().into_iter().filter(|posted| posted.thread.is_none()).count();
    assert_eq!(roots, 1);
}

#[tokio::test]
async fn an_earlier_change_that_comes_late_does_not_take_the_message_back() {
    let slack = SlackApi::start().await;
    let notifier = notifier(&slack);
    let mut late = started();
    late.message.at = now() - Duration::from_mins(1);
    let receipt = notifier.send(&exhausted("on-call/slack", "ui")).await.unwrap();
    late.memory = receipt.memory;
    notifier.send(&late).await.unwrap();
    let posted = slack.posted();
    assert_eq!((posted[0].edits, posted.len()), (0, 2), "it is told in the thread");
}

#[tokio::test]
async fn a_delivery_that_fails_half_way_repeats_nothing() {
    let slack = SlackApi::start().await;
    let notifier = notifier(&slack);
    let first = started();
    let receipt = notifier.send(&first).await.unwrap();
    let second = change(&first, MessageKind::Healed, 1, &receipt);
    slack.order("chat.postMessage", Answer::say(500, ""));
    let failed = notifier.send(&second).await;
    assert!(matches!(failed, Err(NotifyError::Retryable { .. })), "{failed:?}");
    notifier.send(&second).await.unwrap();
    assert_eq!(slack.posted().len(), 2, "one message, one reply");
}

#[tokio::test]
async fn a_channel_that_slack_does_not_know_by_its_name_is_looked_up_page_by_page_and_once() {
    let slack = SlackApi::start().await;
    let notifier = notifier_to(&slack, "#hidden");
    let first = started();
    let receipt = notifier.send(&first).await.unwrap();
    assert_eq!(slack.posted()[0].body["channel"], HIDDEN);
    notifier.send(&change(&first, MessageKind::Healed, 1, &receipt)).await.unwrap();
    assert_eq!(slack.posted()[0].edits, 1);
    notifier.send_bundle(&[started(), started()]).await.unwrap();
    assert_eq!(slack.calls("conversations.list"), 2, "two pages, once");

    let nowhere = notifier_to(&slack, "#nowhere").send(&started()).await.unwrap_err().to_string();
    assert!(nowhere.starts_with("Slack refused: channel_not_found; is there a channel #nowhere"), "{nowhere}");
    slack.order(
        "conversations.list",
        Answer::say(200, r#"{"ok":false,"error":"missing_scope","needed":"channels:read"}"#),
    );
    slack.order("conversations.list", Answer::say(429, ""));
    // The two answers above are for two deliveries; the call before each is refused by its name.
    let blind = notifier_to(&slack, "#hidden");
    let error = blind.send(&started()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Permanent { .. }), "{error:?}");
    assert!(error.to_string().contains("without the scope channels:read"), "{error}");
    let error = blind.send(&started()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Retryable { .. }), "{error:?}");
    blind.send(&started()).await.unwrap();
}

#[tokio::test]
async fn blocks_that_slack_does_not_take_are_said_in_plain_words() {
    let slack = SlackApi::start().await;
    slack.order("chat.postMessage", Answer::say(200, r#"{"ok":false,"error":"invalid_blocks"}"#));
    notifier(&slack).send(&started()).await.unwrap();
    let posted = slack.posted();
    assert_eq!(posted[0].body["attachments"], json!([]));
    assert!(posted[0].body["text"].as_str().unwrap().contains("autoheal is at work"), "{}", posted[0].body);
}

#[tokio::test]
async fn slacks_refusals_mean_what_slack_says_they_mean_and_say_what_to_do() {
    let said = |word: &str| Answer::say(200, &json!({"ok": false, "error": word}).to_string());
    let retry = |error: &str, after: Option<u64>| NotifyError::Retryable {
        error: error.to_owned(),
        after: after.map(Duration::from_secs),
    };
    let never = |error: &str| NotifyError::Permanent { error: error.to_owned() };
    let with_scope = r#"{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"users:read"}"#;
    let pause =
        Answer::Say(429, vec![("retry-after", "30".to_owned())], r#"{"ok":false,"error":"ratelimited"}"#.into());
    for (answer, expected) in [
        (said("not_in_channel"), never("Slack refused: not_in_channel; invite the app to #on-call")),
        (said("is_archived"), never("Slack refused: is_archived; #on-call is archived")),
        (said("invalid_auth"), never("Slack refused: invalid_auth; check botToken")),
        (said("token_revoked"), never("Slack refused: token_revoked; check botToken")),
        (
            Answer::say(200, with_scope),
            never("Slack refused: missing_scope; give the app the scope chat:write and install it again"),
        ),
        (said("msg_too_long"), never("Slack refused: msg_too_long")),
        (said("internal_error"), retry("Slack refused: internal_error", None)),
        (said("service_unavailable"), retry("Slack refused: service_unavailable", None)),
        (said("ratelimited"), retry("Slack refused: ratelimited", None)),
        (pause, retry("Slack asks for a pause (429): {\"ok\":false,\"error\":\"ratelimited\"}", Some(30))),
        (Answer::say(503, ""), retry("Slack answered 503 Service Unavailable: ", None)),
        (
            Answer::say(200, &format!("<html>{TOKEN}")),
            never("the answer was 200 but not Slack's, check apiUrl: <html>[secret]"),
        ),
    ] {
        let slack = SlackApi::start().await;
        slack.order("chat.postMessage", answer.clone());
        assert_eq!(notifier(&slack).send(&started()).await, Err(expected), "{answer:?}");
    }
    let slack = SlackApi::start().await;
    slack.order("chat.postMessage", Answer::Hang);
    let hung = notifier(&slack).with_limit(Duration::from_millis(300)).send(&started()).await;
    assert!(matches!(hung, Err(NotifyError::Retryable { .. })), "{hung:?}");
}

#[tokio::test]
async fn many_beginnings_become_one_message_that_counts_them() {
    let slack = SlackApi::start().await;
    let bundle: Vec<_> = (0..40)
        .map(|number| {
            let mut outgoing = if number < 30 { started() } else { exhausted("on-call/slack", "<!channel>") };
            let target = autoheal::domain::action::Target::new(format!("docker:local/name/web-{number}"));
            outgoing.message.heal = Heal { id: HealId(Uuid::now_v7()), target, ..outgoing.message.heal };
            outgoing.message.heal.phase = Phase::Ended { outcome: Outcome::Exhausted, at: now() };
            outgoing
        })
        .collect();
    let receipt = notifier(&slack).send_bundle(&bundle).await.unwrap();
    assert_eq!(receipt.memory, None);
    let posted = slack.posted();
    assert_eq!(posted.len(), 1);
    assert_eq!(
        posted[0].body["text"],
        "40 heals at once: 10 in need of a human: every step was tried, 30 being worked on"
    );
    let attachment = &posted[0].body["attachments"][0];
    let text = attachment["text"].as_str().unwrap();
    assert_eq!(attachment["color"], "danger");
    assert!(text.starts_with("10 × in need of a human: every step was tried — rule restart-service\n"), "{text}");
    assert!(text.contains("\n  and 22 more") && text.ends_with("All heals: https://autoheal.example.com/"), "{text}");
    assert!(!posted[0].body.to_string().contains("<!"), "no label can ping");
}
