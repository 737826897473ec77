//! `tcp:` — something that must take connections.

use tokio::net::TcpStream;

use crate::domain::duration;
use crate::domain::evidence::{Answer, Finding, TcpProbe};

/// Opens a connection and closes it.
pub(super) async fn ask(probe: &TcpProbe<String>) -> Finding {
    let address = &probe.address;
    match tokio::time::timeout(probe.timeout, TcpStream::connect(address)).await {
        Ok(Ok(_connection)) => Finding::new(Answer::Holds, format!("{address} takes connections")),
        Ok(Err(error)) => Finding::new(Answer::Fails, format!("{address} takes no connections: {error}")),
        Err(_) => {
            let within = duration::format(probe.timeout);
            Finding::new(Answer::Fails, format!("{address} takes no connection within {within}"))
        }
    }
}
