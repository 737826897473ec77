//! Watching what the engine does from now on, event by event. Its own log answers for the past only as far as it
//! reaches, which on a busy engine is not far.

use std::collections::HashMap;
use std::pin::Pin;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::{Stream, StreamExt};

use super::engine::{Container, Engine, Recipe};

type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, bollard::errors::Error>> + Send>>;

/// The events of all containers that carry one label.
pub struct Watch {
    engine: Engine,
    label: (String, String),
    events: Events,
}

impl Watch {
    /// Watches the containers with this label, from now on.
    pub async fn of(engine: &Engine, key: &str, value: &str) -> Self {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![format!("{key}={value}")]),
        ]);
        let options = EventsOptions { filters: Some(filters), ..EventsOptions::default() };
        let events = engine.docker.events(Some(options)).boxed();
        let mut watch = Self { engine: Engine::get(), label: (key.to_owned(), value.to_owned()), events };
        watch.settle().await;
        watch
    }

    /// Makes markers until one is seen: the subscription is open then.
    async fn settle(&mut self) {
        let mut markers = Vec::new();
        loop {
            markers.push(self.marker().await);
            let soon = tokio::time::timeout(std::time::Duration::from_millis(200), self.events.next());
            if soon.await.is_ok() {
                break;
            }
        }
        drop(markers);
        self.news().await;
    }

    async fn marker(&self) -> Container {
        let recipe = Recipe::idle().not_started().label(&self.label.0, &self.label.1).label("marker", "yes");
        self.engine.run(recipe).await
    }

    /// What happened since the last call: container names with the engine's words, in order. Events come in order, so
    /// a marker of our own shows that all earlier ones are here.
    pub async fn news(&mut self) -> Vec<(String, String)> {
        let marker = self.marker().await;
        let mut news = Vec::new();
        loop {
            let event = self.events.next().await.expect("the stream goes on").unwrap();
            let actor = event.actor.unwrap();
            if actor.id.as_deref() == Some(&marker.id) {
                return news;
            }
            let mut attributes = actor.attributes.unwrap_or_default();
            if !attributes.contains_key("marker") {
                news.push((attributes.remove("name").unwrap(), event.action.unwrap()));
            }
        }
    }
}
