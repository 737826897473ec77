//! What depends on a Compose service, read from the labels that Compose leaves on containers.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::Listed;
use super::select::{COMPOSE_ONE_OFF, COMPOSE_SERVICE};
use crate::domain::action::Dependents;

/// `SERVICE:CONDITION:RESTART`, one for each service it depends on, with commas between.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// The containers of one project whose services depend on `service` at any remove, in an order in which each comes after
/// everything it depends on.
pub(super) fn of<'a>(service: &str, project: &'a [Listed], which: Dependents) -> Vec<&'a Listed> {
    let is_helper =
        |listed: &&Listed| listed.labels.get(COMPOSE_ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut services: BTreeMap<&str, Vec<&Listed>> = BTreeMap::new();
    for listed in project.iter().filter(|listed| !is_helper(listed)) {
        if let Some(name) = listed.labels.get(COMPOSE_SERVICE) {
            services.entry(name).or_default().push(listed);
        }
    }
    let needs: BTreeMap<&str, BTreeSet<&str>> = services
        .iter()
        .map(|(name, containers)| {
            let labels = containers.iter().filter_map(|listed| listed.labels.get(DEPENDS_ON));
            (*name, labels.flat_map(|label| needed(label, which)).collect())
        })
        .collect();
    let mut reached = BTreeSet::from([service]);
    while let Some(next) = needs.iter().find(|(name, of)| !reached.contains(*name) && !of.is_disjoint(&reached)) {
        reached.insert(next.0);
    }
    reached.remove(service);
    let mut ordered = Vec::new();
    // Compose allows no circle; should one stand there all the same, the rest goes by name.
    while let Some(next) = reached
        .iter()
        .find(|name| needs.get(*name).is_none_or(|of| of.iter().all(|need| !reached.contains(need) || need == *name)))
        .or_else(|| reached.first())
        .copied()
    {
        reached.remove(next);
        let containers = services.get(next).map_or(&[][..], Vec::as_slice);
        let mut containers = containers.to_vec();
        containers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        ordered.extend(containers);
    }
    ordered
}

/// The services a label names that count.
fn needed(label: &str, which: Dependents) -> impl Iterator<Item = &str> {
    label.split(',').filter_map(move |entry| {
        let mut parts = entry.split(':');
        let name = parts.next().map(str::trim).filter(|name| !name.is_empty())?;
        let restarts = parts.nth(1) == Some("true");
        (which == Dependents::All || restarts).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, service: &str, depends_on: &str) -> Listed {
        let labels = [(COMPOSE_SERVICE, service), (DEPENDS_ON, depends_on)];
        Listed {
            id: name.to_owned(),
            name: name.to_owned(),
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    }

    #[test]
    fn dependents_follow_at_any_remove_each_after_what_it_needs() {
        let mut helper = listed("p-web-run-1", "web", "db:service_healthy:true");
        helper.labels.insert(COMPOSE_ONE_OFF.to_owned(), "True".to_owned());
        let project = [
            listed("p-db-1", "db", ""),
            listed("p-api-2", "api", "db:service_healthy:true,cache:service_started:false"),
            listed("p-api-1", "api", "db:service_healthy:true,cache:service_started:false"),
            // Before api by name, and after it by need.
            listed("p-admin-1", "admin", "api:service_started:true,db:service_started:true"),
            listed("p-report-1", "report", "db:service_started:false"),
            listed("p-mail-1", "mail", "report:service_started:true"),
            listed("p-cache-1", "cache", "db:service_started"),
            listed("p-other-1", "other", "dbx:service_started:true"),
            helper,
        ];
        let names =
            |service, which| of(service, &project, which).iter().map(|found| found.name.clone()).collect::<Vec<_>>();
        assert_eq!(names("db", Dependents::Restart), ["p-api-1", "p-api-2", "p-admin-1"]);
        assert_eq!(
            names("db", Dependents::All),
            ["p-cache-1", "p-api-1", "p-api-2", "p-admin-1", "p-report-1", "p-mail-1"]
        );
        assert_eq!(names("admin", Dependents::All), Vec::<String>::new());
        assert_eq!(names("none", Dependents::All), Vec::<String>::new());
    }

    #[test]
    fn a_circle_ends() {
        let project = [
            listed("a", "a", "b:service_started:true,db:service_started:true"),
            listed("b", "b", "a:service_started:true"),
            listed("db", "db", "a:service_started:true"),
        ];
        let found = of("db", &project, Dependents::Restart);
        assert_eq!(found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
