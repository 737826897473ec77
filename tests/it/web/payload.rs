//! What counts as a delivery, byte for byte.

use autoheal::domain::Timestamp;
use autoheal::domain::alert::{AlertStatus, Delivery, Fingerprint};
use autoheal::web::payload::{PayloadError, parse};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

fn read(text: &str) -> Result<Delivery, PayloadError> {
    parse(text.as_bytes(), now())
}

/// One alert with these further members.
fn alert(members: &str) -> String {
    format!(r#"{{"alerts":[{{"status":"firing","labels":{{"alertname":"A"}}{members}}}]}}"#)
}

#[test]
fn every_recorded_delivery_is_read_alert_by_alert() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/payloads");
    let table: [(&str, usize, usize, u64); 9] = [
        ("01-webhook-firing-single", 1, 0, 0),
        ("02-webhook-resolved-single", 0, 1, 0),
        ("03-webhook-firing-group-of-3", 3, 0, 0),
        ("04-webhook-mixed-firing-and-resolved", 2, 1, 0),
        ("06-webhook-truncated-2-of-5", 2, 0, 3),
        ("13a-webhook-prometheus-instancedown-firing", 2, 0, 0),
        ("13b-webhook-prometheus-instancedown-mixed", 1, 1, 0),
        ("13c-webhook-prometheus-instancedown-resolved", 0, 1, 0),
        ("13d-webhook-prometheus-instancedown-container-label", 1, 0, 0),
    ];
    for (name, firing, resolved, truncated) in table {
        let body = std::fs::read(format!("{data}/{name}.json")).unwrap();
        let delivery = parse(&body, now()).unwrap();
        let count = |status| delivery.alerts.iter().filter(|alert| alert.status == status).count();
        assert_eq!((count(AlertStatus::Firing), count(AlertStatus::Resolved)), (firing, resolved), "{name}");
        assert_eq!(delivery.truncated_alerts, truncated, "{name}");
        // Alertmanager's own fingerprints prove that labels came through byte for byte.
        let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for (alert, sent) in delivery.alerts.iter().zip(sent["alerts"].as_array().unwrap()) {
            assert_eq!(alert.fingerprint.to_string(), sent["fingerprint"].as_str().unwrap(), "{name}");
            assert_eq!(alert.ends_at.is_some(), alert.status == AlertStatus::Resolved, "{name}");
        }
    }
}

#[test]
fn what_senders_leave_out_or_add_does_no_harm() {
    let delivery = read(&alert("")).unwrap();
    assert_eq!(delivery.alerts[0].starts_at, now());
    assert_eq!(delivery.external_url, "");
    let extra = r#","extra":{"deep":[{"er":null}]},"fingerprint":42,"annotations":null,"generatorURL":null"#;
    assert!(read(&alert(extra)).is_ok());
    let wrong = read(&alert(r#","fingerprint":"0000000000000000""#)).unwrap();
    assert_eq!(wrong.alerts[0].fingerprint, Fingerprint::of(&wrong.alerts[0].labels));
    assert_eq!(read(r#"{"alerts":[],"version":"9","status":7}"#).unwrap().alerts, []);
    assert_eq!(read("  {\"alerts\":[]}\n").unwrap().alerts, []);
}

#[test]
fn labels_lose_empty_values_and_annotations_keep_them() {
    let body =
        r#"{"alerts":[{"status":"firing","labels":{"a":"","b":"x","b":"y","c":"z","c":""},"annotations":{"n":""}}]}"#;
    let alert = &read(body).unwrap().alerts[0];
    assert_eq!(alert.labels.iter().collect::<Vec<_>>(), [(&"b".to_owned(), &"y".to_owned())]);
    assert_eq!(alert.annotations.get("n").map(String::as_str), Some(""));
}

#[test]
fn odd_and_utf8_labels_come_through_as_they_are() {
    let odd = "caf\u{e9} cafe\u{301} \u{1}\n\t\"\\ \u{2028} <&> \u{1F525} {{ .x }}";
    let name = "grün.label/mit leer";
    let body = serde_json::json!({ "alerts": [{ "status": "firing", "labels": { name: odd } }] }).to_string();
    assert_eq!(read(&body).unwrap().alerts[0].labels[name], odd);
    let escaped = r#"{"alerts":[{"status":"firing","labels":{"\u0061":"\u003c\ud83d\udd25"}}]}"#;
    assert_eq!(read(escaped).unwrap().alerts[0].labels["a"], "<\u{1F525}");
}

#[test]
fn times_take_any_offset_and_up_to_nine_digits() {
    let table = [
        ("2026-11-22T07:02:00Z", "2026-11-22T07:02:00Z"),
        ("2026-11-22T09:02:00.861+02:00", "2026-11-22T07:02:00.861Z"),
        ("2026-11-22T01:32:00.1-05:30", "2026-11-22T07:02:00.1Z"),
        ("2026-11-22T07:02:00.123456789Z", "2026-11-22T07:02:00.123Z"),
        ("0001-01-01T00:00:00Z", "2026-11-22T08:00:00Z"),
        ("9999-12-31T23:59:59Z", "2026-11-22T08:00:00Z"),
        ("9999-12-31T23:59:59.9+14:00", "2026-11-22T08:00:00Z"),
    ];
    for (sent, meant) in table {
        let delivery = read(&alert(&format!(r#","startsAt":"{sent}""#))).unwrap();
        assert_eq!(delivery.alerts[0].starts_at.to_string(), meant, "{sent}");
    }
}

#[test]
fn an_end_belongs_to_resolved_alerts_only() {
    let firing = read(&alert(r#","endsAt":"2026-11-22T09:00:00Z""#)).unwrap();
    assert_eq!(firing.alerts[0].ends_at, None);
    let resolved = |ends: &str| {
        let body = format!(r#"{{"alerts":[{{"status":"resolved","labels":{{"a":"b"}}{ends}}}]}}"#);
        read(&body).unwrap().alerts[0].ends_at.unwrap().to_string()
    };
    assert_eq!(resolved(r#","endsAt":"2026-11-22T07:30:00Z""#), "2026-11-22T07:30:00Z");
    assert_eq!(resolved(""), "2026-11-22T08:00:00Z");
}

#[test]
fn anything_else_is_refused_with_the_place() {
    let firing = r#"{"status":"firing","labels":{"a":"b"}}"#;
    let table = [
        ("", "EOF"),
        ("nonsense", "expected"),
        ("[]", "invalid type: sequence, expected an object"),
        ("null", "invalid type: null, expected an object"),
        (r#"{"text":"custom payload"}"#, "`alerts` is missing"),
        (r#"{"alerts":null}"#, "expected an array `alerts`"),
        (r#"{"alerts":{}}"#, "expected an array `alerts`"),
        (&format!(r#"{{"alerts":[{firing},null]}}"#), "alerts[1]: invalid type: null, expected an alert object"),
        (&format!(r#"{{"alerts":[{firing},{firing},"x"]}}"#), "alerts[2]: invalid type: string"),
        (&format!(r#"{{"alerts":[{firing}]}} trailing"#), "trailing characters"),
        (&format!(r#"{{"alerts":[{firing}"#), "EOF"),
        (r#"{"alerts":[{"labels":{"a":"b"}}]}"#, "alerts[0]: `status` is missing"),
        (r#"{"alerts":[{"status":"suppressed","labels":{}}]}"#, "alerts[0]: status: unknown variant `suppressed`"),
        (r#"{"alerts":[{"status":"firing"}]}"#, "alerts[0]: `labels` is missing"),
        (r#"{"alerts":[{"status":"firing","labels":null}]}"#, "expected an object `labels` of strings"),
        (r#"{"alerts":[{"status":"firing","labels":["a"]}]}"#, "expected an object `labels` of strings"),
        (r#"{"alerts":[{"status":"firing","labels":{"job":1}}]}"#, "alerts[0]: labels.job: invalid type: integer `1`"),
        (r#"{"alerts":[{"status":"firing","labels":{"job":null}}]}"#, "alerts[0]: labels.job: invalid type: null"),
        (&alert(r#","annotations":{"n":true}"#), "alerts[0]: annotations.n: invalid type: boolean `true`"),
        (&alert(r#","annotations":"n""#), "expected an object `annotations` of strings"),
        (&alert(r#","startsAt":"yesterday""#), "alerts[0]: startsAt: \"yesterday\" is no RFC 3339 time"),
        (
            &alert(r#","startsAt":"9999-13-31T23:59:59Z""#),
            "alerts[0]: startsAt: \"9999-13-31T23:59:59Z\" is no RFC 3339 time",
        ),
        (&alert(r#","startsAt":"9999-12-31""#), "alerts[0]: startsAt: \"9999-12-31\" is no RFC 3339 time"),
        (&alert(r#","startsAt":12"#), "alerts[0]: startsAt: invalid type: integer `12`"),
        (r#"{"alerts":[],"truncatedAlerts":-1}"#, "truncatedAlerts: invalid value"),
        (r#"{"alerts":[],"externalURL":[]}"#, "externalURL: invalid type: sequence"),
    ];
    for (body, complaint) in table {
        let error = read(body).expect_err(body).to_string();
        assert!(error.contains(complaint), "{body}\n  says {error}\n  not {complaint}");
        assert!(error.contains("webhook_config"), "{error}");
    }
}

#[test]
fn a_complaint_stays_short_whatever_it_quotes() {
    let error = read(&format!(r#"{{"alerts":["{}"]}}"#, "ü".repeat(100_000))).unwrap_err();
    assert!(error.to_string().len() < 600);
    let deep = format!(r#"{{"x":{}1{},"alerts":[]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&deep).is_ok(), "what is not read may be as deep as it likes");
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_would_be_read() {
    let body = b"{\"alerts\":[{\"status\":\"firing\",\"labels\":{\"a\":\"\xff\xfe\"}}]}";
    assert!(parse(body, now()).is_err());
}

/// JSON of any shape that likes to use the names a delivery has.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
        prop::sample::select(vec!["firing", "resolved", "0001-01-01T00:00:00Z", "2026-11-22T07:02:00.861+14:00"])
            .prop_map(Into::into),
    ];
    let names = vec!["alerts", "status", "labels", "annotations", "startsAt", "endsAt", "fingerprint", "version"];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let name = prop_oneof![prop::sample::select(names.clone()).prop_map(str::to_owned), ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(value in any_json()) {
        let _ = read(&value.to_string());
        let _ = read(&serde_json::json!({ "alerts": value }).to_string());
        let _ = read(&serde_json::json!({ "alerts": [value] }).to_string());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(&bytes, now());
    }

    #[test]
    fn well_formed_alerts_always_pass(labels in prop::collection::btree_map(".{1,12}", ".{1,12}", 0..8)) {
        let body = serde_json::json!({ "alerts": [{ "status": "firing", "labels": labels }] }).to_string();
        prop_assert_eq!(&read(&body).unwrap().alerts[0].labels, &labels);
    }
}
