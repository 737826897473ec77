//! Whether those who would be asked are there, before there is a question.

use super::{CONTAINER_LIMIT, Evidence};
use crate::domain::evidence::Answer;

/// What every Prometheus can answer.
const ONE: &str = "vector(1)";

impl Evidence {
    /// Asks Prometheus; `None` where none is configured.
    pub async fn check_prometheus(&self) -> Option<Result<String, String>> {
        let finding = self.promql.as_ref()?.ask(ONE).await;
        let answers = finding.answer == Answer::Holds;
        Some(if answers { Ok("answers and lets us ask".to_owned()) } else { Err(finding.what) })
    }

    /// Asks one Docker host's engine.
    ///
    /// # Errors
    /// What kept us from it, in words.
    pub async fn check_docker(&self, host: &str) -> Result<String, String> {
        self.containers.ping(host, self.clock.now() + CONTAINER_LIMIT).await.map(|()| "answers".to_owned())
    }
}
