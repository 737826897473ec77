//! `docker:` — where the engines are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostic;
use super::names::Names;
use super::reader::{Reader, Schema};
use super::yaml::Node;
use crate::action::container::{DockerHost, DockerTls};

const DOCKER: Schema = Schema { what: "`docker`", keys: &["hosts"], unsupported: &[], strict: false };
const HOST: Schema =
    Schema { what: "a docker host", keys: &["name", "address", "tls"], unsupported: &[], strict: false };
const TLS: Schema = Schema {
    what: "`tls` of a docker host",
    keys: &["caFile", "certFile", "keyFile"],
    unsupported: &[],
    strict: false,
};

const ADDRESS: &str = "an address such as unix:///var/run/docker.sock or tcp://host:2376";

/// Reads the section; hosts of several files add up. Every name is known from then on, even that of a host with errors.
pub(super) fn read(reader: &Reader<'_>, node: &Node, names: &mut Names, hosts: &mut Vec<DockerHost>) {
    let Some(docker) = reader.mapping(node, &DOCKER) else { return };
    for host in docker.get("hosts").map_or(&[][..], |hosts| reader.list(hosts, "docker hosts")) {
        hosts.extend(read_host(reader, host, names));
    }
}

fn read_host(reader: &Reader<'_>, node: &Node, names: &mut Names) -> Option<DockerHost> {
    let host = reader.mapping(node, &HOST)?;
    let name = reader.require(&host, "name", HOST.what).and_then(|name| names.claim(reader, name));
    let address = reader.require(&host, "address", HOST.what).and_then(|node| {
        let address = reader.text(node)?;
        if !is_address(&address) {
            reader.error(&node.span, "autoheal cannot reach an engine there", format!("expected {ADDRESS}"));
            return None;
        }
        Some((address, node))
    });
    let tls = host.get("tls").map(|node| read_tls(reader, node));
    let (address, address_node) = address?;
    if tls.is_some() && address.starts_with("unix:") {
        reader.error(&address_node.span, "a unix socket has no TLS", "use tcp://, or remove `tls`");
        return None;
    }
    let tls = match tls {
        None => None,
        Some(tls) => Some(tls?),
    };
    Some(DockerHost { name: name?, address, tls })
}

fn read_tls(reader: &Reader<'_>, node: &Node) -> Option<DockerTls> {
    let tls = reader.mapping(node, &TLS)?;
    let file = |key| reader.require(&tls, key, TLS.what).and_then(|node| reader.existing_file(node));
    // All three are looked at before any is missed, so that each problem shows.
    let (ca_file, cert_file, key_file) = (file("caFile"), file("certFile"), file("keyFile"));
    Some(DockerTls { ca_file: ca_file?, cert_file: cert_file?, key_file: key_file? })
}

fn is_address(address: &str) -> bool {
    address.split_once("://").is_some_and(|(scheme, rest)| match scheme {
        "unix" => rest.starts_with('/') && rest.len() > 1,
        "tcp" | "http" | "https" => reqwest::Url::parse(&format!("http://{rest}"))
            .is_ok_and(|url| url.host_str().is_some_and(|h| !h.is_empty())),
        _ => false,
    })
}

/// The one host `local` when no file names any: what `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` say, as
/// the docker command line reads them, else the usual socket.
pub(super) fn from_environment(environment: &BTreeMap<String, String>) -> Result<DockerHost, Diagnostic> {
    let variable = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let address = variable("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock");
    if !is_address(address) {
        return Err(Diagnostic::error("DOCKER_HOST: autoheal cannot reach an engine there")
            .help(format!("expected {ADDRESS}; docker.hosts in the configuration takes its place")));
    }
    let mut host = DockerHost { name: "local".to_owned(), address: address.to_owned(), tls: None };
    if variable("DOCKER_TLS_VERIFY").is_some() && !address.starts_with("unix:") {
        let directory = variable("DOCKER_CERT_PATH")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(home).join(".docker")))
            .ok_or_else(|| Diagnostic::error("DOCKER_TLS_VERIFY is set, but DOCKER_CERT_PATH is not"))?;
        let [ca_file, cert_file, key_file] = ["ca.pem", "cert.pem", "key.pem"].map(|name| directory.join(name));
        for file in [&ca_file, &cert_file, &key_file] {
            std::fs::metadata(file).map_err(|error| {
                Diagnostic::error(format!("DOCKER_CERT_PATH: {} cannot be read: {error}", file.display()))
            })?;
        }
        host.tls = Some(DockerTls { ca_file, cert_file, key_file });
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_as_the_docker_command_reads_it() {
        let environment =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let host = from_environment(&environment(&[])).unwrap();
        assert_eq!((host.name.as_str(), host.address.as_str()), ("local", "unix:///var/run/docker.sock"));
        let host = from_environment(&environment(&[("DOCKER_HOST", "tcp://engine:2375")])).unwrap();
        assert_eq!((host.address.as_str(), host.tls), ("tcp://engine:2375", None));

        let directory = tempfile::tempdir().unwrap();
        let secured = [
            ("DOCKER_HOST", "tcp://engine:2376"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", directory.path().to_str().unwrap()),
        ];
        let missing = from_environment(&environment(&secured)).unwrap_err();
        assert!(missing.message.contains("ca.pem cannot be read"), "{}", missing.message);
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let tls = from_environment(&environment(&secured)).unwrap().tls.unwrap();
        assert_eq!(tls.key_file, directory.path().join("key.pem"));

        for bad in ["ssh://engine", "engine:2376", "unix://", "tcp://"] {
            assert!(from_environment(&environment(&[("DOCKER_HOST", bad)])).is_err(), "{bad}");
        }
    }
}
