//! Who may call what, row by row.

use futures_util::FutureExt;

use super::*;

fn status(access: &Access, call: &(Method, &str), headers: &[(http::HeaderName, &str)], peer: &str) -> u16 {
    let uri: Uri = call.1.parse().unwrap();
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    // Without users nothing is ever waited for.
    match access.check(&call.0, &uri, &headers, peer.parse().unwrap()).now_or_never().unwrap() {
        Ok(_) => 200,
        Err(refusal) => refusal.response.status().as_u16(),
    }
}

fn token(value: &str, scopes: &[Scope]) -> Token {
    Token { name: format!("{value}'s").into(), value: Secret::new(value), scopes: scopes.to_vec() }
}

#[test]
fn a_token_is_good_for_its_scopes_and_nothing_else() {
    let tokens = Scope::ALL.map(|(word, scope)| token(word, &[scope]));
    let access = Access::new(&tokens);
    // What webhook, read, approve and admin are answered.
    let table = [
        (Method::POST, "/alerts", [200, 403, 403, 200]),
        (Method::POST, "/api/v2/alerts", [200, 403, 403, 200]),
        (Method::GET, "/", [403, 200, 200, 200]),
        (Method::GET, "/api/v1/heals", [403, 200, 200, 200]),
        (Method::POST, "/api/v1/plan", [403, 200, 200, 200]),
        (Method::POST, "/api/v1/heals/1/approve", [403, 403, 200, 200]),
        (Method::POST, "/heals/1/deny", [403, 403, 200, 200]),
        (Method::POST, "/api/v1/heals/1/cancel", [403, 403, 403, 200]),
        (Method::POST, "/api/v1/heals/1/reset", [403, 403, 403, 200]),
        (Method::POST, "/api/v1/pause", [403, 403, 403, 200]),
        (Method::POST, "/-/reload", [403, 403, 403, 200]),
        (Method::DELETE, "/-/ready", [403, 403, 403, 200]),
        (Method::GET, "/-/ready", [200, 200, 200, 200]),
    ];
    for (method, path, expected) in table {
        let got = Scope::ALL.map(|(word, _)| {
            let bearer = format!("Bearer {word}");
            status(&access, &(method.clone(), path), &[(AUTHORIZATION, &bearer)], "10.0.0.9")
        });
        assert_eq!(got, expected, "{method} {path}");
    }
}

#[test]
fn a_browser_may_send_a_token_as_a_password_under_any_name() {
    let access = Access::new(&[token("first", &[Scope::Read])]);
    for (credentials, expected) in [("x:first", 200), (":first", 200), ("first", 401), ("first:", 401), ("x:y", 401)] {
        let basic = format!("Basic {}", STANDARD.encode(credentials));
        let got = status(&access, &(Method::GET, "/"), &[(AUTHORIZATION, &basic)], "10.0.0.9");
        assert_eq!(got, expected, "{credentials}");
    }
}

#[test]
fn a_caller_is_known_by_the_name_of_its_token() {
    let access = Access::new(&[token("first", &[Scope::Read]), token("second", &[Scope::Admin])]);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, "Bearer second".parse().unwrap())]);
    let uri = Uri::from_static("/api/v1/pause");
    let peer = IpAddr::from([10, 0, 0, 9]);
    let caller = access.check(&Method::POST, &uri, &headers, peer).now_or_never().unwrap();
    assert_eq!(caller.ok().map(|caller| caller.name), Some("second's".into()));
    let open = Access::new(&[]);
    let none = HeaderMap::new();
    let local = open.check(&Method::POST, &uri, &none, IpAddr::from([127, 0, 0, 1]));
    assert_eq!(local.now_or_never().unwrap().ok().map(|caller| caller.name), Some("local".into()));
}

#[test]
fn with_tokens_alerts_and_api_ask_for_one_and_probes_do_not() {
    let access = Access::new(&[token("first", &[Scope::Admin]), token("second", &[Scope::Admin])]);
    let table: [(&str, &str, u16); 12] = [
        ("/alerts", "Bearer first", 200),
        ("/alerts", "bearer second", 200),
        ("/alerts", "Bearer third", 401),
        ("/alerts", "Bearer ", 401),
        ("/alerts", "Basic first", 401),
        ("/alerts", "first", 401),
        ("/api/v1/heals", "Bearer firs", 401),
        ("/api/v1/heals", "Bearer first", 200),
        ("/-/reload", "x", 401),
        ("/metrics", "x", 200),
        ("/-/ready", "x", 200),
        ("/-/healthy", "x", 200),
    ];
    for (path, authorization, expected) in table {
        let method = if matches!(path, "/alerts" | "/-/reload") { Method::POST } else { Method::GET };
        let headers = [(AUTHORIZATION, authorization)];
        assert_eq!(status(&access, &(method, path), &headers, "10.0.0.9"), expected, "{path} {authorization}");
    }
    assert_eq!(status(&access, &(Method::POST, "/alerts"), &[], "127.0.0.1"), 401);
}

#[test]
fn without_tokens_only_alerts_may_be_written_from_afar() {
    let access = Access::new(&[]);
    let table = [
        (Method::POST, "/alerts", "10.0.0.9", 200),
        (Method::GET, "/api/v1/heals", "10.0.0.9", 200),
        (Method::POST, "/api/v2/alerts", "10.0.0.9", 403),
        (Method::POST, "/api/v1/plan", "10.0.0.9", 403),
        (Method::DELETE, "/api/v1/anything", "2001:db8::1", 403),
        (Method::POST, "/api/v1/plan", "127.0.0.1", 200),
        (Method::POST, "/api/v1/plan", "::1", 200),
        (Method::POST, "/api/v1/plan", "::ffff:127.0.0.1", 200),
        (Method::POST, "/api/v1/plan", "::ffff:10.0.0.9", 403),
    ];
    for (method, path, peer, expected) in table {
        assert_eq!(status(&access, &(method, path), &[], peer), expected, "{path} {peer}");
    }
}

#[test]
fn whoever_had_to_show_a_certificate_may_write_from_afar() {
    let access = Access::new(&[]).with_verified_clients(true);
    assert_eq!(status(&access, &(Method::POST, "/api/v1/plan"), &[], "10.0.0.9"), 200);
    assert!(access.authenticates());
    let access = Access::new(&[token("first", &[Scope::Admin])]).with_verified_clients(true);
    assert_eq!(status(&access, &(Method::POST, "/alerts"), &[], "10.0.0.9"), 401, "a token is still asked for");
    assert_eq!(access.methods(), "bearer, client certificate");
}

#[test]
fn without_authentication_a_page_may_write_only_under_a_name_that_is_ours() {
    let open = Access::new(&[]).with_external_url(Some("https://Heal.example:8443/autoheal"));
    let tokens = Access::new(&[token("first", &[Scope::Admin])]);
    let table = [
        ("evil.example:9099", 403),
        ("localhost.evil.example:9099", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
        ("localhost:9099", 200),
        ("autoheal.localhost", 200),
        ("127.0.0.1:9099", 200),
        ("127.8.0.1", 200),
        ("[::1]:9099", 200),
        ("192.168.1.5:9099", 200),
        ("heal.example", 200),
        ("heal.example:8443", 200),
    ];
    for (host, expected) in table {
        let pause = (Method::POST, "/api/v1/pause");
        let origin = format!("http://{host}");
        for browser in [(ORIGIN, origin.as_str()), (http::HeaderName::from_static(SEC_FETCH_SITE), "same-origin")] {
            let headers = [(HOST, host), browser];
            assert_eq!(status(&open, &pause, &headers, "127.0.0.1"), expected, "{headers:?}");
        }
        assert_eq!(status(&open, &pause, &[(HOST, host)], "127.0.0.1"), 200, "{host}: no browser sent it");
        assert_eq!(status(&open, &(Method::GET, "/"), &[(HOST, host), (ORIGIN, &origin)], "127.0.0.1"), 200, "{host}");
        let known = [(HOST, host), (ORIGIN, origin.as_str()), (AUTHORIZATION, "Bearer first")];
        assert_eq!(status(&tokens, &pause, &known, "127.0.0.1"), 200, "{host}: a token says who it is");
    }
}

#[test]
fn a_foreign_page_may_not_write_not_even_to_alerts() {
    let access = Access::new(&[]);
    let table =
        [("http://evil.example", 403), ("null", 403), ("http://localhost:9099", 200), ("http://localhost:9098", 403)];
    for (origin, expected) in table {
        let headers = [(ORIGIN, origin), (HOST, "localhost:9099")];
        assert_eq!(status(&access, &(Method::POST, "/alerts"), &headers, "127.0.0.1"), expected, "{origin}");
    }
}
