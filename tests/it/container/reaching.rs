//! Engines that cannot be reached, or only by TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoheal::action::container::{ContainerAction, DockerHost, DockerTls};
use autoheal::action::{Action as _, Look};
use autoheal::clock::SystemClock;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;

use super::{HOST, Task, action, done, looked, named, now, says, service};
use crate::support::engine::{BadEngine, Engine, Recipe};

#[tokio::test]
async fn an_engine_that_is_not_there() {
    let gone = BadEngine::that_is_gone();
    let outcome = looked(&action(&[gone.host(HOST)]), &Task::new(named("ui")).assign()).await;
    says(&outcome, "unreachable", &["look up container ui", HOST, &gone.address, "nobody listens"]);

    let missing = DockerHost { name: HOST.into(), address: "unix:///nowhere/engine.sock".into(), tls: None };
    let outcome = looked(&action(&[missing]), &Task::new(service("otus", "ui")).assign()).await;
    says(&outcome, "unreachable", &["otus/ui", "/nowhere/engine.sock", "does not exist"]);

    let nobody = DockerHost { name: HOST.into(), address: "tcp://127.0.0.1:9".into(), tls: None };
    let outcome = looked(&action(&[nobody]), &Task::new(named("ui")).assign()).await;
    says(&outcome, "unreachable", &["nobody listens"]);

    let unknown = DockerHost { name: HOST.into(), address: "tcp://engine.invalid:2375".into(), tls: None };
    let outcome = looked(&action(&[unknown]), &Task::new(named("ui")).assign()).await;
    says(&outcome, "unreachable", &["no connection", "engine.invalid"]);
}

#[tokio::test]
async fn a_hung_engine_holds_up_nobody_else() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let silent = BadEngine::that_hangs();
    // The second kind of hanging: a beginning, and then nothing.
    let stuck = BadEngine::that_says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
    let action = action(&[silent.host("silent"), stuck.host("stuck"), engine.host(HOST)]);
    let began = Instant::now();
    let hung = |host| Task::new(named("ui")).on(host).within(Duration::from_secs(2)).assign();
    let (silent, stuck, well) = (hung("silent"), hung("stuck"), Task::new(named(&container.name)).assign());
    let (silent, stuck, well) = tokio::join!(looked(&action, &silent), looked(&action, &stuck), async {
        (action.look(&well).await, began.elapsed())
    });
    for (outcome, host) in [(silent, "silent"), (stuck, "stuck")] {
        says(&outcome, "unreachable", &["did not answer within", host]);
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(matches!(well.0, Look::Ready { .. }), "{:?}", well.0);
    assert!(well.1 < Duration::from_secs(2), "the hung ones held it up for {:?}", well.1);
}

#[tokio::test]
async fn an_engine_that_does_not_let_us_or_talks_nonsense() {
    let task = || Task::new(named("ui")).assign();
    let denied = BadEngine::that_answers("403 Forbidden", r#"{"message": "not for you"}"#);
    let outcome = looked(&action(&[denied.host(HOST)]), &task()).await;
    says(&outcome, "refused", &["permission denied", "HTTP 403: not for you", "group docker"]);

    let broken = BadEngine::that_answers("500 Internal Server Error", r#"{"message": "disk full"}"#);
    let outcome = looked(&action(&[broken.host(HOST)]), &task()).await;
    says(&outcome, "failed", &["HTTP 500: disk full"]);

    let nonsense = BadEngine::that_answers("200 OK", "<html>");
    says(&looked(&action(&[nonsense.host(HOST)]), &task()).await, "failed", &["address of a Docker Engine?"]);
}

#[tokio::test]
async fn an_answer_that_gets_lost_is_no_reason_to_restart_twice() {
    let engine = Engine::get();
    let container = engine.run(Recipe::stubborn()).await;
    let stopped = engine.run(Recipe::idle().not_started()).await;
    let lossy = BadEngine::that_loses_answers(&engine);
    let action = action(&[lossy.host(HOST)]);
    says(&done(&action, &Task::new(named(&container.name)).assign()).await, "done", &["restarted"]);
    assert_eq!((container.times("restart").await, container.times("die").await), (1, 1));
    says(&done(&action, &Task::new(named(&stopped.name)).assign()).await, "done", &["started"]);
    assert_eq!(stopped.times("start").await, 1);
}

#[tokio::test]
async fn an_engine_whose_clock_is_off_is_understood() {
    // Its clock is an hour ahead: this container started ten minutes ago, which by our clock is yet to come.
    let hour = Duration::from_hours(1);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&(now() + hour)).unwrap();
    let started = now() + hour - Duration::from_mins(10);
    let body = format!(
        r#"{{"Id": "0123456789abcdef", "Name": "/ui", "Config": {{}},
            "State": {{"Status": "running", "Running": true, "Pid": 7, "StartedAt": "{started}"}}}}"#
    );
    let engine = BadEngine::that_says(format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let action = action(&[engine.host(HOST)]);
    let task = |minutes| Task::new(named("ui")).symptom_since(now() - Duration::from_mins(minutes)).assign();
    assert!(matches!(action.look(&task(5)).await, Look::Ready { .. }), "it last started before the alert");
    says(&looked(&action, &task(15)).await, "not needed", &["already restarted after"]);
}

#[tokio::test]
async fn a_text_that_is_no_name_is_refused_before_any_request() {
    // Nobody is there to be asked: had a request been made, this would be unreachable.
    let gone = BadEngine::that_is_gone();
    let action = action(&[gone.host(HOST)]);
    for name in ["../volumes/prune?", "ui/kill", "ui?signal=KILL", "", "ui\r\nX: y"] {
        let outcome = looked(&action, &Task::new(named(name)).assign()).await;
        says(&outcome, "refused", &["is no container name"]);
    }
}

/// An authority with a certificate for the engine and one for us.
struct Papers {
    directory: tempfile::TempDir,
}

impl Papers {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write("ca.pem", params.self_signed(&key).unwrap().pem());
        let authority = Issuer::new(params, key);
        for (name, usage) in
            [("server-", ExtendedKeyUsagePurpose::ServerAuth), ("", ExtendedKeyUsagePurpose::ClientAuth)]
        {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            write(&format!("{name}cert.pem"), params.signed_by(&key, &authority).unwrap().pem());
            write(&format!("{name}key.pem"), key.serialize_pem());
        }
        Self { directory }
    }

    fn ours(&self) -> DockerTls {
        DockerTls::in_directory(self.directory.path())
    }

    /// What the engine does with `--tlsverify`: it shows its certificate and demands one of this authority.
    fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        let path = |name: &str| self.directory.path().join(name);
        let certificate = |name: &str| CertificateDer::from_pem_file(path(name)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate("ca.pem")).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
            .build()
            .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate("server-cert.pem")],
                PrivateKeyDer::from_pem_file(path("server-key.pem")).unwrap(),
            )
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }
}

/// Puts the engine on a port, behind TLS where there are papers. Answers the port; serves as long as the set lives.
async fn on_a_port(engine: &Engine, papers: Option<&Papers>) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = engine.address.trim_start_matches("unix://").to_owned();
    let acceptor = papers.map(Papers::acceptor);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            open.spawn(async move {
                let Ok(mut engine) = UnixStream::connect(Path::new(&socket)).await else { return };
                let _ = match acceptor {
                    None => tokio::io::copy_bidirectional(&mut stream, &mut engine).await,
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(mut stream) => tokio::io::copy_bidirectional(&mut stream, &mut engine).await,
                        Err(error) => Err(error),
                    },
                };
            });
        }
    });
    (port, serving)
}

#[tokio::test]
async fn an_engine_on_a_port() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let (port, _serving) = on_a_port(&engine, None).await;
    for scheme in ["tcp", "http"] {
        let host = DockerHost { name: HOST.into(), address: format!("{scheme}://127.0.0.1:{port}"), tls: None };
        let action = action(&[host]);
        says(&done(&action, &Task::new(named(&container.name)).assign()).await, "done", &["restarted"]);
    }
}

#[tokio::test]
async fn an_engine_behind_tls() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let papers = Papers::new();
    let (port, _serving) = on_a_port(&engine, Some(&papers)).await;
    let host = |scheme: &str, tls| DockerHost {
        name: HOST.into(),
        address: format!("{scheme}://localhost:{port}"),
        tls: Some(tls),
    };
    for scheme in ["tcp", "https"] {
        let action = action(&[host(scheme, papers.ours())]);
        says(&done(&action, &Task::new(named(&container.name)).assign()).await, "done", &["restarted"]);
    }

    let stranger = Papers::new().ours();
    let lifetime = Papers::new();
    let not_trusted = DockerTls { ca_file: lifetime.ours().ca_file, ..papers.ours() };
    let outcome = looked(&action(&[host("tcp", not_trusted)]), &Task::new(named("ui")).assign()).await;
    says(&outcome, "unreachable", &["TLS failed", "invalid peer certificate", "caFile"]);
    let refused = ContainerAction::new(&[host("tcp", stranger)], Arc::new(SystemClock)).err().unwrap();
    assert!(refused.to_string().contains("cannot be read"), "{refused}");

    let other = DockerTls { ca_file: papers.ours().ca_file, ..lifetime.ours() };
    let outcome = looked(&action(&[host("tcp", other)]), &Task::new(named("ui")).assign()).await;
    says(&outcome, "unreachable", &["TLS failed"]);

    let plain = DockerHost { name: HOST.into(), address: format!("tcp://localhost:{port}"), tls: None };
    let outcome = looked(&action(&[plain]), &Task::new(named("ui")).assign()).await;
    says(&outcome, "unreachable", &["connection broke"]);
}
