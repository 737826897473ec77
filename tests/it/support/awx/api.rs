//! The routes, who may take them, and the shape of an answer.

use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::world::{Job, Thing, World};
use super::{build, launch, lists, views};

/// Who asks, and under which root.
pub struct Asker {
    pub id: u64,
    pub is_superuser: bool,
    /// Whether the credentials allow to change anything.
    pub may_write: bool,
    /// The root that was asked, up to and with the version.
    pub root: String,
}

/// An answer before it is sent.
pub struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
    location: Option<String>,
    retry_after: Option<u64>,
}

impl Answer {
    #[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string(), location: None, retry_after: None }
    }

    fn text(body: String) -> Self {
        Self { status: 200, content_type: "text/plain; charset=utf-8", body, location: None, retry_after: None }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, content_type: "application/json", body: String::new(), location: None, retry_after: None }
    }

    pub fn forbidden() -> Self {
        Self::json(403, json!({"detail": "You do not have permission to perform this action."}))
    }

    fn nothing(model: &str) -> Self {
        Self::json(404, json!({"detail": format!("No {model} matches the given query.")}))
    }

    /// What a server in trouble says: itself when it is 500, a proxy before it otherwise.
    pub fn failure(status: u16) -> Self {
        if status == 500 {
            return Self::json(500, json!({"detail": "A server error has occurred."}));
        }
        let body = format!("<html><head><title>{status}</title></head><body>proxy</body></html>");
        let location = (300..400).contains(&status).then(|| "/migrations_notran/".to_owned());
        Self { status, content_type: "text/html", body, location, retry_after: None }
    }

    pub fn with_location(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn into_response(self) -> Response<Full<Bytes>> {
        let now = autoheal::clock::Clock::now(&autoheal::clock::SystemClock);
        let mut builder = Response::builder()
            .status(StatusCode::from_u16(self.status).expect("a status"))
            .header("content-type", self.content_type)
            .header("date", now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            .header("x-api-product-name", "AWX")
            .header("x-api-request-id", "39d23f5b0f9a409191c5e45c18b32ff1");
        if let Some(seconds) = self.retry_after {
            builder = builder.header("retry-after", seconds);
        }
        if let Some(location) = self.location {
            builder = builder.header("location", location);
        }
        builder.body(Full::new(Bytes::from(self.body))).expect("an answer")
    }
}

/// Answers one request.
pub fn answer(world: &mut World, head: &Parts, body: &[u8]) -> Answer {
    world.note(&head.method, &head.uri);
    let path = head.uri.path();
    let Some((root, rest)) =
        ["/api/controller/", "/api/"].into_iter().find_map(|root| Some((root, path.strip_prefix(root)?)))
    else {
        return Answer {
            status: 404,
            content_type: "text/html",
            body: "<!DOCTYPE html>".into(),
            location: None,
            retry_after: None,
        };
    };
    if rest.is_empty() {
        let version = format!("{root}v2/");
        return Answer::json(
            200,
            json!({"description": "AWX REST API", "current_version": version, "available_versions": {"v2": version}}),
        );
    }
    let missing = || Answer::json(404, json!({"detail": "The requested resource could not be found."}));
    let Some(rest) = rest.strip_prefix("v2/") else { return missing() };
    let query = head.uri.query().unwrap_or_default();
    let segments: Vec<String> = rest.trim_end_matches('/').split('/').map(decode).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    if parts == ["ping"] {
        return Answer::json(200, json!({"ha": false, "version": "24.6.1", "active_node": "awxlocal"}));
    }
    let Some(asker) = asker(world, head, format!("{root}v2/")) else {
        return Answer::json(
            401,
            json!({"detail": "Authentication credentials were not provided. To establish a login session, visit /api/login/."}),
        );
    };
    let method = head.method.as_str();
    match (method, parts.as_slice()) {
        ("GET", ["me"]) => me(world, &asker, query),
        ("POST", [folder @ ("organizations" | "projects" | "inventories" | "credentials" | "labels")]) => {
            build::make(world, &asker, folder, body)
        }
        ("GET", [folder @ ("organizations" | "projects" | "inventories" | "credentials" | "labels")]) => {
            things(world, &asker, folder, query)
        }
        (_, ["organizations" | "projects" | "inventories" | "credentials", ..]) => {
            build::one(world, &asker, method, &parts, query, body)
        }
        (_, ["hosts" | "groups", ..]) => build::part(world, &asker, method, &parts, query, body),
        ("GET", ["credential_types"]) => build::types(&asker, query),
        ("POST", ["job_templates"]) => build::template(world, &asker, body),
        (_, [folder @ ("job_templates" | "workflow_job_templates" | "unified_job_templates"), rest @ ..]) => {
            templates(world, &asker, head, folder, rest, body)
        }
        (_, [folder @ ("jobs" | "workflow_jobs" | "unified_jobs"), rest @ ..]) => {
            jobs(world, &asker, method, folder, rest, query)
        }
        _ => missing(),
    }
}

fn decode(segment: &str) -> String {
    lists::pairs(&format!("x={}", segment.replace('+', "%2B"))).pop().map(|(_, value)| value).unwrap_or_default()
}

fn asker(world: &World, head: &Parts, root: String) -> Option<Asker> {
    let said = head.headers.get("authorization")?.to_str().ok()?;
    let (user, scope) = if let Some(token) = said.strip_prefix("Bearer ") {
        let known = |user: &&super::world::User| user.tokens.iter().any(|(known, _)| *known == token);
        let user = world.users.iter().find(known)?;
        (user, user.tokens.iter().find(|(known, _)| *known == token)?.1)
    } else {
        let decoded = BASE64_STANDARD.decode(said.strip_prefix("Basic ")?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (name, password) = text.split_once(':')?;
        (world.users.iter().find(|user| user.name == name && user.password == password)?, "write")
    };
    Some(Asker { id: user.id, is_superuser: user.is_superuser, may_write: scope == "write", root })
}

fn me(world: &World, asker: &Asker, query: &str) -> Answer {
    let user = world.user(asker.id);
    let row = json!({"id": user.id, "type": "user", "url": format!("{}users/{}/", asker.root, user.id), "username": user.name, "is_superuser": user.is_superuser});
    lists::answer(asker, "me/", query, "User", vec![row])
}

fn things(world: &World, asker: &Asker, folder: &str, query: &str) -> Answer {
    let (things, model): (&[Thing], _) = match folder {
        "organizations" => (&world.organizations, "Organization"),
        "projects" => (&world.projects, "Project"),
        "inventories" => (&world.inventories, "Inventory"),
        "credentials" => (&world.credentials, "Credential"),
        _ => (&world.labels, "Label"),
    };
    let visible = things.iter().filter(|thing| asker.is_superuser || thing.users.contains(&asker.id));
    let rows = visible.map(|thing| views::thing(world, folder, thing.id));
    lists::answer(asker, &format!("{folder}/"), query, model, rows.collect())
}

fn templates(world: &mut World, asker: &Asker, head: &Parts, folder: &str, rest: &[&str], body: &[u8]) -> Answer {
    let model = match folder {
        "job_templates" => "JobTemplate",
        "workflow_job_templates" => "WorkflowJobTemplate",
        _ => "UnifiedJobTemplate",
    };
    let of_folder = |is_workflow: bool| match folder {
        "job_templates" => !is_workflow,
        "workflow_job_templates" => is_workflow,
        _ => true,
    };
    let [key, rest @ ..] = rest else {
        let query = head.uri.query().unwrap_or_default();
        let only_mine = lists::pairs(query).iter().any(|(key, value)| key == "role_level" && value == "execute_role");
        let visible = world.templates.iter().filter(|template| {
            let runs = asker.is_superuser || template.runners.contains(&asker.id);
            of_folder(template.is_workflow) && (runs || (!only_mine && template.readers.contains(&asker.id)))
        });
        let rows = visible.map(|template| views::template(world, template, asker)).collect();
        return lists::answer(asker, &format!("{folder}/"), query, model, rows);
    };
    let found =
        world.templates.iter().find(|template| of_folder(template.is_workflow) && is_called(world, template, key));
    let Some(template) = found.cloned() else { return Answer::nothing(model) };
    let sees = asker.is_superuser || template.runners.contains(&asker.id) || template.readers.contains(&asker.id);
    if !sees {
        return Answer::forbidden();
    }
    match (head.method.as_str(), rest) {
        ("GET", []) => Answer::json(200, views::template(world, &template, asker)),
        ("GET", ["launch"]) => Answer::json(200, views::preflight(world, &template)),
        ("GET", ["survey_spec"]) if template.survey.is_empty() => Answer::json(200, json!({})),
        ("GET", ["survey_spec"]) => Answer::json(200, json!({"name": "q", "description": "", "spec": template.survey})),
        ("PATCH", []) | ("GET" | "POST", ["credentials"]) | ("POST", ["survey_spec"]) if !template.is_workflow => {
            let query = head.uri.query().unwrap_or_default();
            build::change(world, asker, head.method.as_str(), &template, rest, query, body)
        }
        ("POST", ["launch"]) => launch::launch(world, asker, template.id, &head.headers, body),
        (method, ["launch"]) => Answer::json(405, json!({"detail": format!("Method \"{method}\" not allowed.")})),
        _ => Answer::json(404, json!({"detail": "The requested resource could not be found."})),
    }
}

/// By id, by `name++organization`, or by a bare name, which silently means the oldest.
fn is_called(world: &World, template: &super::world::Template, key: &str) -> bool {
    let organization = world.organizations.iter().find(|found| found.id == template.organization);
    let organization = organization.map_or("", |found| found.name.as_str());
    key == template.id.to_string() || key == template.name || key == format!("{}++{organization}", template.name)
}

fn jobs(world: &mut World, asker: &Asker, method: &str, folder: &str, rest: &[&str], query: &str) -> Answer {
    let model = match folder {
        "jobs" => "Job",
        "workflow_jobs" => "WorkflowJob",
        _ => "UnifiedJob",
    };
    let of_folder = |job: &&Job| folder == "unified_jobs" || (folder == "workflow_jobs") == job.is_workflow;
    let [id, rest @ ..] = rest else {
        // As a database does it: by what there is an index for, before anything is made of the rest.
        let pairs = lists::pairs(query);
        let get = |wanted: &str| pairs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        let (limit, ids) = (get("limit__exact"), get("id__in"));
        let is_asked_for = |job: &&Job| {
            limit.is_none_or(|limit| job.limit == limit)
                && ids.is_none_or(|ids| ids.split(',').any(|id| id == job.id.to_string()))
        };
        let asked_for = world.jobs.values().filter(of_folder).filter(is_asked_for);
        let rows = asked_for.map(|job| views::job(world, job, &asker.root, false)).collect();
        return lists::answer(asker, &format!("{folder}/"), query, model, rows);
    };
    let Some(job) = id.parse().ok().and_then(|id: u64| world.jobs.get(&id)).filter(of_folder).cloned() else {
        return Answer::nothing(model);
    };
    let may_cancel = asker.may_write && (asker.is_superuser || job.creator == asker.id);
    match (method, rest) {
        ("GET", []) => Answer::json(200, views::job(world, &job, &asker.root, true)),
        ("GET", ["cancel"]) => Answer::json(200, json!({"can_cancel": !job.is_final()})),
        ("POST", ["cancel"]) if job.is_final() && asker.is_superuser => {
            Answer::json(405, json!({"detail": "Method \"POST\" not allowed."}))
        }
        ("POST", ["cancel"]) if job.is_final() || !may_cancel => Answer::forbidden(),
        ("POST", ["cancel"]) => {
            world.job(job.id).cancel_asked = Some(Instant::now());
            if job.status == "pending" {
                world.end(job.id, "canceled");
            }
            Answer::empty(202)
        }
        ("GET", ["job_host_summaries"]) => lists::answer(
            asker,
            &format!("jobs/{id}/job_host_summaries/"),
            query,
            "JobHostSummary",
            world.summaries(&job),
        ),
        ("GET", ["job_events"]) => {
            lists::answer(asker, &format!("jobs/{id}/job_events/"), query, "JobEvent", world.failures(&job))
        }
        ("GET", ["workflow_nodes"]) => {
            let rows = views::nodes(world, &job);
            lists::answer(asker, &format!("{folder}/{id}/workflow_nodes/"), query, "WorkflowJobNode", rows)
        }
        ("GET", ["stdout"]) if !job.is_workflow => stdout(world, &job, query),
        ("DELETE", []) if !job.is_final() => {
            Answer::json(403, json!({"detail": "Cannot delete running job resource."}))
        }
        ("DELETE", []) => {
            world.jobs.remove(&job.id);
            Answer::empty(204)
        }
        _ => Answer::json(404, json!({"detail": "The requested resource could not be found."})),
    }
}

/// Longer output is only given whole.
const MAX_STDOUT: usize = 1_048_576;

/// The output as text, or as JSON from one line to before another.
fn stdout(world: &World, job: &Job, query: &str) -> Answer {
    let pairs = lists::pairs(query);
    let get = |wanted: &str| pairs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
    let mut text = world.stdout(job);
    if get("format") == Some("txt_download") {
        return Answer::text(text);
    }
    if text.len() > MAX_STDOUT {
        text = format!(
            "Standard Output too large to display ({} bytes), only download supported for sizes over {MAX_STDOUT} bytes.",
            text.len()
        );
    }
    if get("format") == Some("txt") {
        return Answer::text(text);
    }
    let lines: Vec<&str> = text.lines().collect();
    let number =
        |key: &str, default: usize| get(key).and_then(|value| value.parse().ok()).unwrap_or(default).min(lines.len());
    let (start, end) = (number("start_line", 0), number("end_line", lines.len()));
    let content = lines[start.min(end)..end].join("\n") + "\n";
    Answer::json(200, json!({"range": {"start": start, "end": end, "absolute_end": lines.len()}, "content": content}))
}
