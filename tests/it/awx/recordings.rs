//! The small AWX answers as a real one did: every recorded request is sent to it again, and status, shape and the fields
//! somebody reads must agree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::awx::{ADMIN_PASSWORD, AwxServer, Job, NOBODY_TOKEN, READ_TOKEN, TOKEN, VIEWER_TOKEN, World};
use crate::support::daemon::client;
use crate::support::wait;

#[derive(Debug, Clone, Copy)]
enum Who {
    Bot,
    Admin,
    Viewer,
    Nobody,
    Reader,
    Stranger,
    Anonymous,
}

/// What the recorder did between two requests.
enum Step {
    /// Sends the request of these recordings again, as somebody.
    Again(Who, &'static [&'static str]),
    /// Something happens to the world.
    Then(fn(&mut World)),
    /// Another job, of this number in the record, like the last one but for its template and what is changed.
    Also(u64, u64, fn(&mut Job)),
}

use Step::{Again, Also, Then};
use Who::{Admin, Anonymous, Bot, Nobody, Reader, Stranger, Viewer};

fn settle(world: &mut World) {
    let open: Vec<u64> = world.jobs.values().filter(|job| !job.is_final()).map(|job| job.id).collect();
    for id in open {
        world.run(id);
        world.finish(id);
    }
    for job in world.jobs.values_mut() {
        job.events_stored = true;
    }
}

fn last(world: &World) -> u64 {
    *world.jobs.keys().next_back().unwrap()
}

/// The whole session.
const SESSION: &[Step] = &[
    Then(|world| {
        // The other templates came later, or were for others.
        let others = world.templates.iter_mut().filter(|template| !template.is_workflow);
        for template in others.filter(|template| ![7, 8, 9, 11, 13, 17].contains(&template.id)) {
            template.readers.append(&mut template.runners);
        }
    }),
    Again(Anonymous, &["001", "010", "079", "408", "409"]),
    Again(Stranger, &["011", "012", "250"]),
    Again(Bot, &["015", "021", "023", "040", "041", "042", "043", "044", "045", "046"]),
    Again(Admin, &["020", "022", "025", "026", "027", "028", "029", "030", "033", "034", "085"]),
    Again(Nobody, &["081"]),
    Again(Bot, &["050", "051", "052", "053", "054", "055", "056", "057", "058", "059", "060", "061", "062"]),
    Again(Bot, &["063", "064", "065", "066", "067", "068", "071", "072", "073", "074", "075", "076"]),
    Again(Admin, &["069", "070"]),
    Again(Viewer, &["077"]),
    Again(Reader, &["078"]),
    Again(Bot, &["080", "082", "083", "090"]),
    Again(Admin, &["086", "087", "088", "089"]),
    Then(settle),
    Again(Bot, &["100", "101", "102", "104", "105", "106", "109"]),
    Again(Bot, &["120"]),
    Then(|world| {
        let id = last(world);
        world.run(id);
        world.finish(id);
    }),
    Again(Bot, &["121"]),
    Then(settle),
    Again(Bot, &["122", "123", "124"]),
    Again(Bot, &["130", "131"]),
    Then(|world| {
        let id = last(world);
        world.run(id - 1);
    }),
    Again(Bot, &["133", "134", "135", "136", "137", "138", "140", "141", "142", "143", "144", "145", "146"]),
    Then(|world| {
        let id = last(world);
        world.end(id - 1, "canceled");
    }),
    Again(Bot, &["147", "148", "149"]),
    Again(Viewer, &["150"]),
    Again(Admin, &["170"]),
    Again(Bot, &["180", "183", "184", "186", "187", "188", "199", "200", "201"]),
    Then(|world| {
        let id = last(world);
        world.run(id);
    }),
    Again(Bot, &["202", "204", "205"]),
    Then(settle),
    Again(Bot, &["206", "207", "240", "241", "242", "243", "244"]),
    Again(Admin, &["225"]),
    Again(Admin, &["260"]),
    Then(settle),
    Again(Admin, &["261"]),
    Then(|world| {
        for template in world.templates.iter_mut().filter(|template| template.id == 17) {
            template.has_no_revision = true;
        }
    }),
    Again(Admin, &["263"]),
    Then(|world| {
        let first = *world.jobs.keys().nth(1).unwrap();
        world.jobs.remove(&first);
    }),
    Again(Bot, &["271"]),
    Again(Bot, &["320", "321"]),
    Then(|world| world.faults.refuses = Some(500)),
    Again(Bot, &["340", "341", "342"]),
    Then(|world| world.faults.refuses = None),
    Also(51, 10, |job| job.status = "waiting"),
    Also(63, 9, |job| job.explanation = "waiting for job-62 to finish".into()),
    Also(50, 9, |job| {
        (job.status, job.started, job.ended) = ("failed", Some(job.created), Some(job.created));
        job.extra_vars.insert("secs".to_owned(), json!(25));
        job.explanation =
            "Task was marked as running but was not present in the job queue, so it has been marked as failed.".into();
    }),
    Also(85, 21, |job| {
        (job.status, job.started, job.ended) = ("successful", Some(job.created), Some(job.created));
        (job.events_stored, job.extra_vars) = (true, serde_json::Map::new());
    }),
    Also(39, 31, |job| {
        (job.status, job.started, job.ended, job.events_stored) =
            ("successful", Some(job.created), Some(job.created), true);
    }),
    Again(Admin, &["171", "275", "510", "511"]),
    Again(Bot, &["174", "231"]),
    Again(Bot, &["400", "401", "403", "404", "405", "406", "407"]),
];

/// One exchange as it was recorded.
struct Recording {
    number: &'static str,
    method: String,
    path: String,
    content_type: Option<String>,
    request: Value,
    status: u16,
    answer: Value,
}

impl Recording {
    fn read(number: &'static str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/awx");
        let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let path = files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(number)).expect(number);
        let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let (request, response) = (&all["request"], &all["response"]);
        let line: Vec<&str> = request["line"].as_str().unwrap().split(' ').collect();
        Self {
            number,
            method: line[0].to_owned(),
            path: line[1].to_owned(),
            content_type: request["headers"]["Content-Type"].as_str().map(str::to_owned),
            request: request["body"].clone(),
            status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
            answer: response["body"].clone(),
        }
    }
}

/// The recorded session, told again; jobs have other numbers now.
struct Session {
    server: AwxServer,
    jobs: BTreeMap<u64, u64>,
}

impl Session {
    fn number(&self, recorded: &str) -> String {
        recorded.parse().ok().and_then(|id| self.jobs.get(&id)).map_or_else(|| recorded.to_owned(), u64::to_string)
    }

    /// The recorded path with the jobs' new numbers.
    fn path(&self, recorded: &str) -> String {
        if let Some((before, rest)) = recorded.split_once("id__in=") {
            let (ids, after) =
                rest.split_once('&').map_or((rest, String::new()), |(ids, after)| (ids, format!("&{after}")));
            let ids: Vec<_> = ids.split(',').map(|id| self.number(id)).collect();
            return format!("{before}id__in={}{after}", ids.join(","));
        }
        let mut parts: Vec<String> = recorded.split('/').map(str::to_owned).collect();
        for index in 1..parts.len() {
            if matches!(parts[index - 1].as_str(), "jobs" | "workflow_jobs") {
                parts[index] = self.number(&parts[index]);
            }
        }
        parts.join("/")
    }

    fn also(&mut self, recorded: u64, template: u64, change: fn(&mut Job)) {
        let mut world = self.server.world();
        let id = world.next_job;
        world.next_job += 1;
        let like = world.jobs[&last(&world)].clone();
        let extra_vars = json!({"secs": 0}).as_object().cloned().unwrap();
        let (limit, skip_tags) = (String::new(), String::new());
        let (status, is_workflow) = ("pending", false);
        let mut job = Job { id, template, is_workflow, limit, extra_vars, skip_tags, status, ..like };
        (job.started, job.ended, job.events_stored) = (None, None, false);
        job.explanation.clear();
        change(&mut job);
        world.jobs.insert(id, job);
        drop(world);
        self.jobs.insert(recorded, id);
    }

    fn again(&mut self, who: Who, number: &'static str) {
        let recording = Recording::read(number);
        let root = self.server.url();
        let root = root.strip_suffix("/api").unwrap();
        let request =
            client().request(recording.method.parse().unwrap(), format!("{root}{}", self.path(&recording.path)));
        let mut request = match who {
            Bot => request.bearer_auth(TOKEN),
            Admin => request.basic_auth("admin", Some(ADMIN_PASSWORD)),
            Viewer => request.bearer_auth(VIEWER_TOKEN),
            Nobody => request.bearer_auth(NOBODY_TOKEN),
            Reader => request.bearer_auth(READ_TOKEN),
            Stranger => request.bearer_auth("not-a-token"),
            Anonymous => request,
        };
        if let Some(kind) = &recording.content_type {
            request = request.header("content-type", kind);
        }
        if !recording.request.is_null() {
            // What is text in the record was no JSON to begin with.
            request =
                request.body(recording.request.as_str().map_or_else(|| recording.request.to_string(), str::to_owned));
        }
        let answer = request.send().unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().unwrap();
        assert_eq!(status, recording.status, "{number} {}: {text}", recording.path);
        let actual: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if recording.status == 201 && recording.path.ends_with("/launch/") {
            let id = |body: &Value| body["job"].as_u64().or(body["workflow_job"].as_u64()).unwrap();
            self.jobs.insert(id(&recording.answer), id(&actual));
        }
        self.compare(&recording, &actual, &text);
    }

    fn compare(&self, recording: &Recording, actual: &Value, text: &str) {
        let (number, recorded) = (recording.number, &recording.answer);
        if !recorded.is_object() {
            // Empty bodies, pages and output: that there is or is not some is what counts.
            let blank = |text: &str| text.trim().is_empty();
            assert_eq!(blank(recorded.as_str().unwrap_or_default()), blank(text), "{number}: {text}");
            return;
        }
        if let Err(problem) = same_shape(actual, recorded, "") {
            panic!("{number}: {problem} in {actual}");
        }
        let is_verbatim = recording.path.ends_with("/survey_spec/")
            || (recording.method == "GET"
                && (recording.path.ends_with("/launch/") || recording.path.ends_with("/cancel/")))
            || (recording.status >= 400 && !matches!(number, "056" | "201"));
        if is_verbatim {
            assert_eq!(actual, recorded, "{number}");
            return;
        }
        for field in ["count", "ignored_fields"] {
            assert_eq!(actual.get(field), recorded.get(field), "{field} of {number}: {actual}");
        }
        let rows = |body: &Value| body["results"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
        let (mut ours, mut theirs) = (rows(actual), rows(recorded));
        for rows in [&mut ours, &mut theirs] {
            rows.sort_by_key(|row| row["host_name"].to_string());
        }
        for (ours, theirs) in ours.iter().zip(&theirs) {
            self.compare_row(number, ours, theirs);
        }
    }

    /// What we read of jobs, templates, hosts and events.
    fn compare_row(&self, number: &str, ours: &Value, theirs: &Value) {
        let read = [
            "name",
            "type",
            "status",
            "failed",
            "limit",
            "skip_tags",
            "job_tags",
            "job_type",
            "event_processing_finished",
            "host_status_counts",
            "host_name",
            "ok",
            "changed",
            "failures",
            "dark",
            "task",
            "event",
            "username",
            "current_version",
        ];
        // A template's own status is that of its last run, which nobody reads.
        let is_template = theirs["type"].as_str().is_some_and(|kind| kind.ends_with("template"));
        for field in read.iter().filter(|field| !(is_template && **field == "status")) {
            if ours.get(field).is_some() {
                assert_eq!(ours[field], theirs[field], "{field} of {number}");
            }
        }
        if let (Some(ours), Some(theirs)) = (ours["extra_vars"].as_str(), theirs["extra_vars"].as_str()) {
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!({}));
            assert_eq!(parse(ours), parse(theirs), "extra_vars of {number}");
        }
        assert_eq!(ours["job_explanation"], theirs["job_explanation"], "job_explanation of {number}");
        if let Some(id) =
            theirs["id"].as_u64().filter(|_| theirs["type"].as_str().is_some_and(|kind| kind.ends_with("job")))
        {
            assert_eq!(ours["id"].to_string(), self.number(&id.to_string()), "id of {number}");
        }
        let message = |row: &Value| row["event_data"]["res"]["msg"].clone();
        assert_eq!(message(ours), message(theirs), "the message of {number}");
    }
}

/// Whether everything in `ours` is there in `theirs`, as the same kind of value.
fn same_shape(ours: &Value, theirs: &Value, path: &str) -> Result<(), String> {
    match (ours, theirs) {
        // What somebody's variables and hosts are called is data.
        (Value::Object(_), Value::Object(_))
            if path.ends_with("host_status_counts") || path.ends_with("ignored_fields") =>
        {
            Ok(())
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.iter().try_for_each(|(key, value)| match theirs.get(key) {
                Some(other) => same_shape(value, other, &format!("{path}.{key}")),
                None => Err(format!("{path}.{key} is made up")),
            })
        }
        (Value::Array(ours), Value::Array(theirs)) => match theirs.first() {
            Some(first) => ours.iter().try_for_each(|value| same_shape(value, first, &format!("{path}[]"))),
            None => Ok(()),
        },
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => Ok(()),
        _ => Err(format!("{path} is {ours} here and {theirs} there")),
    }
}

#[test]
fn the_test_server_answers_as_a_real_one_did() {
    let server = wait(AwxServer::start());
    server.world().pace.is_still = true;
    let mut session = Session { server, jobs: BTreeMap::new() };
    let mut different = Vec::new();
    for step in SESSION {
        match step {
            Again(who, numbers) => {
                for number in *numbers {
                    // All differences of the session are told at once.
                    let again = std::panic::AssertUnwindSafe(|| session.again(*who, number));
                    if std::panic::catch_unwind(again).is_err() {
                        different.push(number);
                    }
                }
            }
            Then(change) => change(&mut session.server.world()),
            Also(recorded, template, change) => session.also(*recorded, *template, *change),
        }
    }
    assert!(different.is_empty(), "these recordings are answered differently: {different:?}");
}
