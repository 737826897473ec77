use super::*;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};

fn alert(labels: &[(&str, &str)]) -> Alert {
    let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: crate::domain::Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    }
}

fn text(source: &str) -> Template {
    Template::parse(&write_late(source)).unwrap()
}

fn request(path: &str) -> HttpRequest<Template> {
    HttpRequest {
        to: Destination::Server("api".into()),
        call: Call {
            method: HttpMethod::Post,
            location: Location::parse(&write_late(path)).unwrap(),
            headers: BTreeMap::new(),
            body: None,
            status: Vec::new(),
            json_texts: Vec::new(),
        },
        body_matches: None,
        idempotent: None,
        target: None,
    }
}

fn place(path: &str, x: &str) -> Result<String, String> {
    let alert = alert(&[("x", x)]);
    let rendered = request(path).render(AlertContext { alert: &alert });
    rendered.map(|request| request.call.location.path_and_query()).map_err(|error| error.to_string())
}

#[test]
fn what_an_alert_says_stays_in_its_part_of_the_address() {
    for (path, x, expected) in [
        ("/", "", "/"),
        ("/a/{{ $labels.x }}/b", "ui", "/a/ui/b"),
        ("/a/{{ $labels.x }}/b?c={{ $labels.x }}&d=e%20f/", "1/../2?&=#é ", {
            "/a/1%2F..%2F2%3F%26%3D%23%C3%A9%20/b?c=1%2F..%2F2%3F%26%3D%23%C3%A9%20&d=e%20f/"
        }),
        ("/a/v-{{ $labels.x }}", "%2e%2e", "/a/v-%252e%252e"),
        (r#"/a/{{ reReplaceAll "/" "?" $labels.x }}/"#, "q/r", "/a/q%3Fr/"),
    ] {
        assert_eq!(place(path, x).as_deref(), Ok(expected), "{path}");
    }
    for (path, x, why) in [
        ("/a/{{ $labels.x }}", "..", "another path"),
        ("/a/{{ $labels.x }}", ".", "another path"),
        ("/a/{{ $labels.x }}", " ", "empty"),
        ("/a?b={{ $labels.x }}", "", "empty"),
        ("/a/{{ $labels.y }}", "ui", "y"),
        ("/a/{{ $labels.x }}", "\u{e000}id\u{e001}", "job's own facts"),
    ] {
        let said = place(path, x).unwrap_err();
        assert!(said.contains(why), "{path} with {x:?}: {said}");
    }
}

#[test]
fn a_path_is_checked_when_it_is_read() {
    for (path, offset, why) in [
        ("a", 0, "slash"),
        ("/a b", 2, "' ' must be percent-encoded"),
        ("/a/../b", 3, "lead back"),
        ("/a%zz", 2, "percent-encoded"),
        ("/a#b", 2, "#"),
        ("/a?b", 3, "name=value"),
        ("/a?{{ $labels.x }}=b", 3, "no template"),
        ("/a?b=c d", 6, "percent-encoded"),
        ("/{{ if $labels.x }}a/b{{ end }}", 4, "between two of the signs"),
        ("/{{ $labels.x", 1, "unclosed"),
    ] {
        let error = Location::parse(path).unwrap_err();
        assert!(error.message.contains(why), "{path}: {error}");
        assert_eq!(error.offset, offset, "{path}: {error}");
    }
}

#[test]
fn an_alert_names_a_server_only_among_the_listed_ones() {
    let named = |instance: &str, hosts: &[&str]| {
        let alert = alert(&[("instance", instance)]);
        let origin = text("http://{{ $labels.instance }}");
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let request =
            HttpRequest { to: Destination::Origin { origin, hosts, tls: ProbeTls::default() }, ..request("/-/reload") };
        let rendered = request.render(AlertContext { alert: &alert });
        rendered.map(|request| request.server().to_owned()).map_err(|error| error.to_string())
    };
    for (instance, hosts) in [
        ("ui:8080", &["ui:8080"][..]),
        ("UI:8080", &["db", "ui"]),
        ("web1.example.com:80", &["*.example.com"]),
        ("[::1]:80", &["[::1]"]),
    ] {
        assert_eq!(named(instance, hosts), Ok(format!("http://{instance}")), "{instance}");
    }
    for (instance, hosts, why) in [
        ("evil", &["ui"][..], "none of the `hosts`"),
        ("ui:22", &["ui:8080"], "none of the `hosts`"),
        ("ui", &[], "none of the `hosts`"),
        ("example.com", &["*.example.com"], "none of the `hosts`"),
        ("evilexample.com", &["*.example.com"], "none of the `hosts`"),
        ("ui/@evil", &["ui"], "no host"),
        ("ui@evil", &["ui"], "no host"),
        ("ui:80@evil", &["ui"], "no host"),
        ("ui#", &["ui"], "no host"),
        ("ui\\evil", &["ui"], "no host"),
        ("ui:+80", &["ui"], "no host"),
        ("", &["ui"], "no host"),
    ] {
        let said = named(instance, hosts).unwrap_err();
        assert!(said.contains(why), "{instance:?}: {said}");
    }
}

#[test]
fn headers_and_bodies_take_an_alert_as_one_value() {
    let body = |body: Body<Template>, x: &str| {
        let mut request = request("/");
        request.call.body = Some(body);
        let alert = alert(&[("x", x)]);
        request.render(AlertContext { alert: &alert }).map(|request| request.call.body.unwrap().field().1)
    };
    let tree = Tree::Map(BTreeMap::from([
        ("list".to_owned(), Tree::List(vec![Tree::Text(text("{{ $labels.x }}")), Tree::Plain(json!(3))])),
        ("key".to_owned(), Tree::Text(text("k-{{ $job.key }}"))),
    ]));
    let evil = "\", \"admin\": true, \"";
    assert_eq!(body(Body::Json(tree.clone()), evil).unwrap(), json!({"list": [evil, 3], "key": "k-{{ $job.key }}"}));
    assert!(body(Body::Json(tree), " ").unwrap_err().to_string().contains("json.list[0] is empty"));
    let form = Body::Form(BTreeMap::from([("a".to_owned(), text("{{ $labels.x }}"))]));
    assert_eq!(body(form.clone(), "1&b=2").unwrap(), json!({"a": "1&b=2"}));
    assert!(body(form, "").unwrap_err().to_string().contains("form.a is empty"));

    let header = |x: &str| {
        let mut request = request("/");
        request.call.headers.insert("X-Service".into(), text("{{ $labels.x }}"));
        let alert = alert(&[("x", x)]);
        request.render(AlertContext { alert: &alert }).map_err(|error| error.to_string())
    };
    assert_eq!(header("ui").unwrap().call.headers["X-Service"], "ui");
    for evil in ["ui\r\nX-Admin: 1", "ui\n", "é", "\0", ""] {
        assert!(header(evil).unwrap_err().contains("headers.X-Service"), "{evil:?}");
    }
}

#[test]
fn other_places_and_other_bodies_are_other_targets() {
    let alert = alert(&[]);
    let target = |path: &str, body: Option<&str>, target: Option<&str>| {
        let mut request = request(path);
        request.call.body = body.map(|body| Body::Text(text(body)));
        request.target = target.map(text);
        request.render(AlertContext { alert: &alert }).unwrap().target()
    };
    assert_eq!(target("/a/b", Some("x"), None), "http:api/a/b x");
    assert_ne!(target("/a", Some("x"), None), target("/a", Some("y"), None));
    assert_eq!(target("/a", Some("x"), Some("ui")), target("/b", None, Some("ui")));
}

#[test]
fn a_request_comes_back_from_the_store_as_it_went() {
    let mut request = request("/a?b=c");
    request.call.status = vec![StatusRange(200, 299), StatusRange(409, 409)];
    request.call.body = Some(Body::Json(Tree::Plain(json!(null))));
    let alert = alert(&[]);
    let rendered = request.render(AlertContext { alert: &alert }).unwrap();
    let stored = serde_json::to_string(&rendered).unwrap();
    assert_eq!(serde_json::from_str::<HttpRequest<String>>(&stored).unwrap(), rendered, "{stored}");
    assert_eq!((rendered.call.statuses().as_str(), rendered.call.accepts(409)), ("2xx or 409", true));
}
