//! A real mail server (Debian's python3-aiosmtpd) with a certificate of its own authority.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for the server to say something.
const PATIENCE: Duration = Duration::from_secs(20);

/// An authority and what it signed, as files.
pub struct Pki {
    dir: TempDir,
}

impl Pki {
    /// Makes an authority, a server certificate for `host`, and a client certificate.
    pub fn new(host: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // A name of its own: OpenSSL takes a leaf with its authority's name for self-signed.
        params.distinguished_name.push(DnType::CommonName, "autoheal test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
        write("ca.pem", authority.pem());
        for (name, subject, usage) in [
            ("server", host, ExtendedKeyUsagePurpose::ServerAuth),
            ("client", "autoheal.test", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let mut params = CertificateParams::new([subject.to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().unwrap();
            write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { dir }
    }

    /// One of `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A running mail server; it ends with this value.
pub struct SmtpServer {
    child: Child,
    /// Its standard input; the server ends when it closes.
    stdin: Option<ChildStdin>,
    events: Receiver<Value>,
    /// Where it listens.
    pub port: u16,
}

impl SmtpServer {
    /// Starts it with a certificate and the script's own options.
    pub fn start(pki: &Pki, options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/smtp_server.py");
        // Debian's Python, because its packages are Debian's.
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg("--cert")
            .arg(pki.path("server.pem"))
            .arg("--key")
            .arg(pki.path("server.key"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 and python3-aiosmtpd are installed");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the mail server starts").unwrap();
        let port = first.strip_prefix("PORT ").expect("the mail server says its port").parse().unwrap();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else { continue };
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, events, port }
    }

    /// The next event of this kind.
    pub fn expect(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {kind} from the mail server"));
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// Ends the server; answers every event that was not yet looked at. Nothing can be on its way any more.
    pub fn finish(mut self) -> Vec<Value> {
        drop(self.stdin.take());
        self.events.iter().collect()
    }

    /// Every event so far.
    pub fn events(&self) -> Vec<Value> {
        self.events.try_iter().collect()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Closing its input has told it to end; killing makes sure of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The values of a mail's header.
pub fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = mail["headers"].as_array().unwrap();
    headers.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
}
