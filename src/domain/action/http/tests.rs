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
        ("/%20?b=%C3%A9", "", "/%20?b=%C3%A9"),
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
    let name = Location::parse("/a?{{ $labels.x }}=b").unwrap_err();
    assert_eq!(name.length, "{{ $labels.x }}".len());
    let read = Location::parse("/a/{{ $labels.x }}?b=c&d=").unwrap();
    assert_eq!(read.as_written(), "/a/{{ $labels.x }}?b=c&d=");
    for (host, expected) in
        [("ui", true), ("ui:8080", true), ("*.example.com", true), ("", false), ("ui/x", false), ("*.", false)]
    {
        assert_eq!(check_host(host), expected, "{host:?}");
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

#[test]
fn a_request_is_written_and_said_as_the_rule_has_it() {
    let alert = alert(&[("x", "ui")]);
    let written = |request: HttpRequest<Template>| {
        let rendered = request.render(AlertContext { alert: &alert }).unwrap();
        (Value::Object(rendered.fields()), rendered.summary(), rendered.target())
    };
    let plain = json!({"server": "api", "method": "POST", "path": "/a?b=ui"});
    let said = "send POST /a?b=ui to api".to_owned();
    assert_eq!(written(request("/a?b={{ $labels.x }}")), (plain, said, "http:api/a?b=ui".to_owned()));
    let mut whole = request("/a");
    let origin = text("https://ui:8443");
    whole.to = Destination::Origin { origin, hosts: Vec::new(), tls: ProbeTls::default() };
    whole.call.method = HttpMethod::Put;
    whole.call.headers.insert("X-Service".into(), text("{{ $labels.x }}"));
    whole.call.body = Some(Body::Form(BTreeMap::from([("a".to_owned(), text("b"))])));
    whole.call.status = vec![StatusRange(200, 299), StatusRange(400, 409), StatusRange(503, 503)];
    (whole.body_matches, whole.idempotent) = (Some("^ok".to_owned()), Some(false));
    let fields = json!({
        "url": "https://ui:8443/a", "method": "PUT", "headers": {"X-Service": "ui"}, "form": {"a": "b"},
        "status": "2xx or 400-409 or 503", "bodyMatches": "^ok", "idempotent": false,
    });
    let target = r#"http:ui:8443/a {"a":"b"}"#.to_owned();
    assert_eq!(written(whole.clone()), (fields, "send PUT https://ui:8443/a".to_owned(), target));
    whole.target = Some(text("{{ $labels.x }}"));
    let (fields, _, target) = written(whole);
    assert_eq!((fields["target"].as_str(), target.as_str()), (Some("ui"), "http:ui:8443/ui"));
}

#[test]
fn whether_asking_twice_does_more_is_told_by_the_method_unless_the_rule_knows_better() {
    for (method, expected) in [
        (HttpMethod::Get, true),
        (HttpMethod::Head, true),
        (HttpMethod::Put, true),
        (HttpMethod::Delete, true),
        (HttpMethod::Post, false),
        (HttpMethod::Patch, false),
    ] {
        let mut request = request("/");
        request.call.method = method;
        assert_eq!(request.is_idempotent(), expected, "{}", method.as_str());
        request.idempotent = Some(!expected);
        assert_eq!(request.is_idempotent(), !expected, "{}, says the rule", method.as_str());
    }
}

#[test]
fn a_status_is_a_success_within_its_ranges_or_when_it_says_so() {
    let mut call = request("/").call;
    for (status, expected) in [(199, false), (200, true), (299, true), (300, false)] {
        assert_eq!(call.accepts(status), expected, "{status}");
    }
    call.status = vec![StatusRange(202, 204), StatusRange(409, 409)];
    for (status, expected) in [(200, false), (202, true), (204, true), (205, false), (409, true)] {
        assert_eq!(call.accepts(status), expected, "{status}");
    }
}

#[test]
fn a_call_says_which_of_the_jobs_facts_it_asks_for() {
    let asks = |call: &Call<Template>| call.carries("key");
    let with_body = |body| Call { body: Some(body), ..request("/").call };
    let fact = || text("k-{{ $job.key }}");
    let mut in_header = request("/").call;
    in_header.headers.insert("X-Key".into(), fact());
    for (name, call, expected) in [
        ("nowhere", request("/a").call, false),
        ("in the path", request("/{{ $job.key }}").call, true),
        ("in the query", request("/?k={{ $job.key }}").call, true),
        ("in a header", in_header, true),
        ("in a text", with_body(Body::Text(fact())), true),
        ("in a tree", with_body(Body::Json(Tree::List(vec![Tree::Text(text("x")), Tree::Text(fact())]))), true),
        ("in a form", with_body(Body::Form(BTreeMap::from([("k".to_owned(), fact())]))), true),
        ("another fact", with_body(Body::Text(text("{{ $job.id }}"))), false),
    ] {
        assert_eq!(asks(&call), expected, "{name}");
    }
}

#[test]
fn a_job_is_written_and_said_as_the_rule_has_it_and_knows_when_it_is_over() {
    let at = |path: &str| Location::parse(&write_late(path)).unwrap();
    let poll = Poll {
        location: at("/jobs/{{ $job.id }}"),
        state: Vec::new(),
        words: BTreeMap::new(),
        message: None,
        page: None,
    };
    let mut job = HttpJob {
        server: "runner".to_owned(),
        kind: "Jenkins job".to_owned(),
        name: text("restart {{ $labels.x }}"),
        target: None,
        require: None,
        start: request("/run/{{ $labels.x }}").call,
        id: None,
        queue: None,
        find: Vec::new(),
        poll,
        cancel: None,
        cancel_queued: None,
        output: None,
        page: None,
        crumb: None,
        check: Some(at("/jobs")),
    };
    let alert = alert(&[("x", "ui")]);
    let rendered = |job: &HttpJob<Template>| job.render(AlertContext { alert: &alert }).unwrap();
    let plain = rendered(&job);
    let start = json!({"method": "POST", "path": "/run/ui"});
    let fields = json!({
        "server": "runner", "kind": "Jenkins job", "name": "restart ui", "start": start, "poll": "/jobs/{{ $job.id }}",
    });
    assert_eq!(Value::Object(plain.fields()), fields);
    assert_eq!(plain.summary(), "run Jenkins job restart ui on runner");
    assert_eq!((plain.target().as_str(), &plain.check), ("http:runner/run/ui", &None));
    let facts = late::Facts { id: "7/8", key: "K", queue: "" };
    assert_eq!(plain.poll.location.with(facts), "/jobs/7%2F8");
    (job.cancel, job.target) = (Some(request("/stop").call), Some(text("{{ $labels.x }}")));
    let whole = rendered(&job);
    assert_eq!(whole.fields()["cancel"], json!({"method": "POST", "path": "/stop"}));
    assert_eq!((whole.fields()["target"].as_str(), whole.target().as_str()), (Some("ui"), "http:runner/ui"));
    let over: Vec<_> = Word::ALL.iter().filter(|(_, word)| word.is_final()).map(|(name, _)| *name).collect();
    assert_eq!(over, ["ok", "failed", "canceled"]);
}
