//! Jenkins: an entry of the queue becomes a build with another number.

use serde_json::{Value, json};

use super::{Stage, World};
use crate::support::upstream::{Asked, Reply};

const CRUMB: &str = "c0ffee";

/// What a job was given, as both queue and builds show it.
fn actions(given: &Value) -> Value {
    let parameters: Vec<_> =
        given.as_object().into_iter().flatten().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!([{"parameters": parameters}])
}

/// Numbers of builds are others than those of the queue.
const fn build_of(queue: u64) -> u64 {
    queue - 40
}

fn build(world: &World, number: u64) -> Option<Value> {
    let stage = world.stage(number + 40).filter(|stage| *stage != Stage::Queued)?;
    let (building, result) = match stage {
        Stage::Ok => (false, json!("SUCCESS")),
        Stage::Failed => (false, json!("FAILURE")),
        Stage::Canceled => (false, json!("ABORTED")),
        Stage::Odd => (false, json!("PONDERING")),
        Stage::Queued | Stage::Running => (true, Value::Null),
    };
    Some(
        json!({"number": number, "building": building, "result": result, "url": format!("http://jenkins.example/job/ops/job/restart%20ui/{number}/")}),
    )
}

fn queue_item(world: &World, id: u64) -> Option<Value> {
    let stage = world.stage(id)?;
    let job = &world.jobs[&id];
    let mut item = json!({"id": id, "actions": actions(&job.given), "why": "Waiting for next available executor"});
    // Taken out before it became a build.
    if job.stopped.is_some_and(|stopped| stopped < job.began + world.queued) {
        item["cancelled"] = json!(true);
    } else if stage != Stage::Queued {
        item["executable"] = json!({"number": build_of(id), "url": "http://jenkins.example/"});
        item["why"] = Value::Null;
    }
    Some(item)
}

pub fn answer(world: &mut World, asked: &Asked, parts: &[&str], query: &str) -> Reply {
    let missing = || Reply::text(404, "<html>Not Found</html>");
    let number = |text: &str| text.parse().unwrap_or(0);
    if asked.method == "POST"
        && world.needs_crumb
        && (asked.header("jenkins-crumb") != CRUMB || asked.header("cookie") != "JSESSIONID=abc")
    {
        return Reply::text(403, "<html>No valid crumb was included in the request</html>");
    }
    let rest = match parts {
        ["job", "ops", "job", "restart%20ui", rest @ ..] => rest,
        _ => &[],
    };
    match (asked.method.as_str(), parts, rest) {
        ("GET", ["crumbIssuer", "api", "json"], _) => {
            let body = json!({"crumb": CRUMB, "crumbRequestField": "Jenkins-Crumb"});
            Reply::Say(200, vec![("set-cookie", "JSESSIONID=abc; Path=/; HttpOnly".into())], body.to_string())
        }
        ("POST", _, ["buildWithParameters"]) => {
            let given = asked.form().into_iter().map(|(name, value)| (name, Value::from(value))).collect();
            let id = world.make(Value::Object(given));
            let address = format!("http://{}/queue/item/{id}/", asked.header("host"));
            Reply::Say(201, vec![("location", address)], String::new())
        }
        ("GET", ["queue", "item", id, "api", "json"], _) => {
            queue_item(world, number(id)).map_or_else(missing, |item| Reply::json(200, &item))
        }
        ("GET", ["queue", "api", "json"], _)
            if query == "tree=items%5Bid%2Cactions%5Bparameters%5Bname%2Cvalue%5D%5D%5D" =>
        {
            let waiting = world.jobs.keys().filter(|id| world.stage(**id) == Some(Stage::Queued));
            let items: Vec<_> = waiting.filter_map(|id| queue_item(world, *id)).collect();
            Reply::json(200, &json!({"items": items}))
        }
        ("POST", ["queue", "cancelItem"], _) => {
            world.stop(number(query.trim_start_matches("id=")));
            Reply::text(204, "")
        }
        ("GET", _, ["api", "json"]) if query == "tree=buildable" => Reply::json(200, &json!({"buildable": true})),
        ("GET", _, ["api", "json"])
            if query == "tree=builds%5Bnumber%2Cactions%5Bparameters%5Bname%2Cvalue%5D%5D%5D%7B0%2C50%7D" =>
        {
            let row = |id: &u64| {
                build(world, build_of(*id))?;
                Some(json!({"number": build_of(*id), "actions": actions(&world.jobs[id].given)}))
            };
            let builds: Vec<_> = world.jobs.keys().rev().filter_map(row).collect();
            Reply::json(200, &json!({"builds": builds}))
        }
        ("GET", _, [id, "api", "json"]) if query == "tree=number%2Cbuilding%2Cresult%2Curl" => {
            build(world, number(id)).map_or_else(missing, |found| Reply::json(200, &found))
        }
        ("GET", _, [id, "consoleText"]) => {
            if build(world, number(id)).is_none() {
                return missing();
            }
            Reply::text(200, "stopping ui\nui is up\n")
        }
        ("POST", _, [id, "stop"]) => {
            world.stop(number(id) + 40);
            Reply::Say(302, vec![("location", "http://jenkins.example/".into())], String::new())
        }
        _ => world.surprise(asked),
    }
}
