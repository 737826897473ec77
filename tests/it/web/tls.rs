//! TLS of a `--web-config-file`, with clients of every kind.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use autoheal::web::server::{Limits, WANTS_TLS};
use http::Version;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Door, matching};
use crate::support::daemon::Home;
use crate::support::fake_store::Behaviour;
use crate::support::http::{Connection, call, request};
use crate::support::pki::{Authority, Identity};

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// A directory with the server's certificate, and who signed it.
fn place() -> (TempDir, Authority) {
    crate::support::install_tls();
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.sign(&["127.0.0.1", "localhost"]).write(directory.path(), "server");
    fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
    (directory, authority)
}

async fn door(directory: &Path, more: &str) -> Door {
    Door::by_file(directory, &format!("{TLS}{more}"), &[], Limits::default()).await
}

/// A client that trusts one authority.
struct Client<'a> {
    authority: &'a Authority,
    identity: Option<&'a Identity>,
    versions: &'a [&'static SupportedProtocolVersion],
    protocols: &'a [&'a str],
}

impl<'a> Client<'a> {
    fn of(authority: &'a Authority) -> Self {
        Self { authority, identity: None, versions: rustls::ALL_VERSIONS, protocols: &["h2", "http/1.1"] }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der()).unwrap();
        let builder = ClientConfig::builder_with_protocol_versions(self.versions).with_root_certificates(roots);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(shown) => builder.with_client_auth_cert(vec![shown.certificate.clone()], shown.key()).unwrap(),
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// The status and the protocol of a delivery; `None` when the connection broke.
    async fn deliver(&self, address: SocketAddr) -> Option<(u16, Version)> {
        let client = reqwest::Client::builder().tls_backend_preconfigured(self.config()).no_proxy().build().unwrap();
        let sent = client.post(format!("https://{address}/alerts")).body(matching()).send().await.ok()?;
        Some((sent.status().as_u16(), sent.version()))
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(address.ip().to_string()).unwrap();
        TlsConnector::from(Arc::new(self.config())).connect(name, stream).await
    }

    /// The certificate that the server shows.
    async fn shown(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(address).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

/// Whether `autoheal healthcheck` takes what listens there for alive.
pub fn health_check(address: SocketAddr) -> bool {
    let ran = Command::new(env!("CARGO_BIN_EXE_autoheal"))
        .args(["healthcheck", "--listen-address", &address.to_string()])
        .env_clear()
        .status();
    ran.unwrap().success()
}

#[tokio::test]
async fn both_protocols_are_spoken_and_http2_can_be_turned_off() {
    let (directory, authority) = place();
    let http1 = Client { protocols: &["http/1.1"], ..Client::of(&authority) };
    let open = door(directory.path(), "").await;
    assert_eq!(Client::of(&authority).deliver(open.address).await, Some((202, Version::HTTP_2)));
    assert_eq!(http1.deliver(open.address).await, Some((202, Version::HTTP_11)));
    assert_eq!(open.store.ingested().len(), 2);
    let only_http1 = door(directory.path(), "http_server_config: {http2: false}\n").await;
    assert_eq!(Client::of(&authority).deliver(only_http1.address).await, Some((202, Version::HTTP_11)));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_asked_for_certificates_as_configured() {
    let (directory, authority) = place();
    let (ours, theirs) = (authority.sign(&["am.example.com"]), Authority::new().sign(&["am.example.com"]));
    for (client_auth, authority_file, [none, own, foreign]) in [
        ("NoClientCert", false, [true, true, true]),
        ("RequestClientCert", false, [true, true, true]),
        ("RequireAnyClientCert", false, [false, true, true]),
        ("VerifyClientCertIfGiven", true, [true, true, false]),
        ("RequireAndVerifyClientCert", true, [false, true, false]),
    ] {
        let authority_file = if authority_file { "  client_ca_file: ca.pem\n" } else { "" };
        let door = door(directory.path(), &format!("  client_auth_type: {client_auth}\n{authority_file}")).await;
        for (identity, passes) in [(None, none), (Some(&ours), own), (Some(&theirs), foreign)] {
            for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
                let client = Client { identity, versions, ..Client::of(&authority) };
                let status = client.deliver(door.address).await.map(|(status, _)| status);
                assert_eq!(status, passes.then_some(202), "{client_auth} {} {versions:?}", identity.is_some());
            }
        }
        assert!(health_check(door.address), "{client_auth}");
    }
}

#[tokio::test]
async fn a_clients_name_must_be_one_of_those_allowed() {
    let (directory, authority) = place();
    let file = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans:\n  \
                - am.example.com\n  - 10.0.0.7\n  - spiffe://example.com/am\n";
    let door = door(directory.path(), file).await;
    for (names, passes) in [
        (&["am.example.com"][..], true),
        (&["other.example.com", "am.example.com"], true),
        (&["10.0.0.7"], true),
        (&["spiffe://example.com/am"], true),
        (&["*.example.com"], false),
        (&["am.example.com.evil.example"], false),
        (&["10.0.0.8"], false),
        (&["spiffe://example.com/am/other"], false),
        (&[], false),
    ] {
        let identity = authority.sign(names);
        let client = Client { identity: Some(&identity), ..Client::of(&authority) };
        assert_eq!(client.deliver(door.address).await.is_some(), passes, "{names:?}");
    }
}

#[tokio::test]
async fn versions_are_bounded() {
    let (directory, authority) = place();
    let (tls12, tls13) = (&[&rustls::version::TLS12][..], &[&rustls::version::TLS13][..]);
    for (bounds, [old, new]) in
        [("", [true, true]), ("  min_version: TLS13\n", [false, true]), ("  max_version: TLS12\n", [true, false])]
    {
        let door = door(directory.path(), bounds).await;
        for (versions, passes) in [(tls12, old), (tls13, new)] {
            let client = Client { versions, ..Client::of(&authority) };
            assert_eq!(client.deliver(door.address).await.is_some(), passes, "{bounds:?} {versions:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_changes_on_disk_is_shown_to_the_next_client() {
    let (directory, authority) = place();
    let door = door(directory.path(), "").await;
    let client = Client::of(&authority);
    let first = client.shown(door.address).await;
    let mut running = client.connect(door.address).await.unwrap();
    let second = authority.sign(&["127.0.0.1"]);
    // Renewal replaces two files, and a client may come in between: the pair that fits together stays.
    fs::write(directory.path().join("server.pem"), &second.certificate_pem).unwrap();
    assert_eq!(client.shown(door.address).await, first);
    fs::remove_file(directory.path().join("server.key")).unwrap();
    assert_eq!(client.shown(door.address).await, first);
    second.write(directory.path(), "server");
    assert_eq!(client.shown(door.address).await, second.certificate);
    fs::write(directory.path().join("server.pem"), "nonsense").unwrap();
    assert_eq!(client.shown(door.address).await, second.certificate);
    running.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    assert!(running.read_u8().await.is_ok(), "connections from before go on");
}

#[tokio::test]
async fn authorities_of_clients_that_change_on_disk_count_for_the_next_client() {
    let (directory, authority) = place();
    let file = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    let door = door(directory.path(), file).await;
    let others = Authority::new();
    let (before, after) = (authority.sign(&["am.example.com"]), others.sign(&["am.example.com"]));
    let passes = async |identity| {
        Client { identity: Some(identity), ..Client::of(&authority) }.deliver(door.address).await.is_some()
    };
    assert!(passes(&before).await && !passes(&after).await);
    fs::write(directory.path().join("ca.pem"), others.pem()).unwrap();
    assert!(!passes(&before).await && passes(&after).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_told_to_speak_tls() {
    let (directory, _) = place();
    let door = door(directory.path(), "").await;
    let answer = call(door.address, "POST", "/alerts", &[], "x".repeat(100_000)).await;
    assert_eq!((answer.status, answer.body.trim_end()), (400, WANTS_TLS));
    assert!(door.store.ingested().is_empty());
    let mut nonsense = Connection::open(door.address).await;
    nonsense.send(b"\x16\x03\x01\x00\x05hello").await;
    assert!(health_check(door.address));
}

#[tokio::test]
async fn a_client_that_stalls_is_closed() {
    let (directory, authority) = place();
    let short = Duration::from_millis(200);
    let limits = Limits { first_byte: short, handshake: short, ..Limits::default() };
    let door = Door::by_file(directory.path(), TLS, &[], limits).await;
    Connection::open(door.address).await.closed().await;
    let mut stalls = Connection::open(door.address).await;
    stalls.send(b"\x16\x03\x01\x02\x00\x01").await;
    stalls.closed().await;
    let mut silent = Client::of(&authority).connect(door.address).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(10), silent.read(&mut [0])).await.expect("closed in time");
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_stop_finishes_what_runs_and_drops_handshakes() {
    let (directory, authority) = place();
    let door = door(directory.path(), "").await;
    door.store.behave(Behaviour::Wait);
    let client = Client { protocols: &["http/1.1"], ..Client::of(&authority) };
    let mut under_way = client.connect(door.address).await.unwrap();
    under_way.write_all(&request("POST", "/alerts", &[], matching())).await.unwrap();
    door.store.waiting.notified().await;
    let mut half = Connection::open(door.address).await;
    half.send(b"\x16\x03\x01\x02\x00\x01").await;
    let idle = client.connect(door.address).await.unwrap();
    door.stop.cancel();
    half.closed().await;
    door.store.release();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).await.expect("the answer comes whole, with a goodbye");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(door.running.await.unwrap(), "everything was finished");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_along_with_it() {
    let (directory, authority) = place();
    let identity = authority.sign(&["am.example.com"]);
    identity.write(directory.path(), "client");
    let file = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    let door = door(directory.path(), file).await;
    let curl = |more: &[&str]| {
        let ran = Command::new("curl")
            .current_dir(directory.path())
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--noproxy", "*"])
            .args(["--cacert", "ca.pem", "--data-binary", &matching()])
            .args(more)
            .arg(format!("https://{}/alerts", door.address))
            .output()
            .expect("curl runs");
        format!("{} {}", String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap())
            .trim()
            .to_owned()
    };
    let shows = ["--cert", "client.pem", "--key", "client.key"];
    assert_eq!(curl(&shows), "202 2");
    assert_eq!(curl(&[&shows[..], &["--http1.1", "--tls-max", "1.2"]].concat()), "202 1.1");
    assert!(curl(&[]).starts_with("000"), "without a certificate nobody gets in");
}

#[test]
fn the_flag_reaches_the_daemon_and_a_bad_file_stops_it() {
    let (directory, _) = place();
    let home = Home::new("limits: {concurrent: 1}\n", "rules: []\n").flag("--web.config.file").flag("web.yml");
    for name in ["server.pem", "server.key", "ca.pem"] {
        fs::copy(directory.path().join(name), home.path().join(name)).unwrap();
    }
    home.write("web.yml", &format!("{TLS}basic_auth_users: {{prom: {}}}\n", bcrypt::hash("x", 4).unwrap()));
    let daemon = home.start();
    let curl = |user: &str| {
        let ran = Command::new("curl")
            .current_dir(home.path())
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", "--cacert", "ca.pem", "-u", user])
            .arg(format!("https://{}/-/healthy", daemon.address))
            .output()
            .expect("curl runs");
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!((curl("prom:x").as_str(), curl("prom:y").as_str()), ("200", "401"));
    assert_eq!(daemon.status("/-/healthy"), Some(400), "plain text is refused");
    assert!(health_check(daemon.address));
    assert!(daemon.terminate().success());
    home.write("web.yml", "rate_limit: {interval: 1s}\n");
    let refused = home.command(&["serve"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("web.yml:1:1"));
}
