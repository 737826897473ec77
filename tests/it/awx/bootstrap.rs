//! `autoheal awx bootstrap` and `autoheal awx check`, by their command lines against the small AWX.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::awx::{ADMIN_PASSWORD, AwxServer, Fault, TOKEN};
use crate::support::daemon::Home;
use crate::support::wait;

const RULES: &str =
    "rules: [{metadata: {name: a}, labels: {alertname: ^A$}, awxJob: {template: run_microservices, limit: docker1}}]\n";
const SSH_KEY: &str = "not-really-a-private-key-0xBEEF";

const FILE: &str = r#"
organization: Otus
credentials:
- name: otus-ssh
  type: Machine
  inputs: {username: ansible, ssh_key_data: "${OTUS_SSH_KEY}"}
project: {name: otus, scmUrl: https://git.example.com/otus.git, scmBranch: main}
inventory:
  name: Docker hosts
  hosts:
  - {name: docker1, variables: {ansible_host: 192.0.2.7}}
  - {name: docker2}
  groups: [{name: docker, hosts: [docker1, docker2]}]
jobTemplates:
- name: run_microservices
  playbook: site.yml
  credentials: [otus-ssh]
  promptOnLaunch: [limit, extraVars]
- name: restart
  playbook: restart.yml
  promptOnLaunch: [limit]
  survey:
  - {variable: service, question: Which?, type: multiplechoice, required: true, choices: [ui, post]}
"#;

struct Desk {
    awx: AwxServer,
    home: Home,
}

impl Desk {
    /// As the administrator, who may do everything.
    fn new(file: &str) -> Self {
        Self::who("credentials: {username: admin, password: '${AWX}'}", ADMIN_PASSWORD, file)
    }

    /// As somebody with few rights.
    fn bot(file: &str) -> Self {
        Self::who("token: '${AWX}'", TOKEN, file)
    }

    fn who(auth: &str, secret: &str, file: &str) -> Self {
        let awx = wait(AwxServer::start());
        let address = awx.url();
        let times = "jobStatusCheckInterval: 10ms, timeouts: {request: 5s, launch: 2s}";
        let home = Home::new(&format!("awx: {{address: '{address}', {times}, {auth}}}\n"), RULES);
        home.secrets(&format!("AWX={secret}\nOTUS_SSH_KEY={SSH_KEY}\n"));
        home.write("otus.yml", file);
        Self { awx, home }
    }

    /// Exit code and what was printed.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.home.command(arguments).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains(SSH_KEY) && !text.contains(ADMIN_PASSWORD), "{text}");
        (output.status.code().unwrap(), text.replace(&self.awx.url(), "http://awx/api"))
    }

    fn bootstrap(&self) -> (i32, String) {
        self.run(&["awx", "bootstrap", "otus.yml"])
    }

    /// Methods that change something, since the last time.
    fn changes(&self) -> Vec<String> {
        let calls = std::mem::take(&mut self.awx.world().calls);
        let changing = calls.into_iter().filter(|call| call.method != "GET");
        changing.map(|call| format!("{} {}", call.method, call.path)).collect()
    }
}

#[test]
fn everything_is_made_once_and_the_second_run_changes_nothing() {
    let desk = Desk::new(FILE);
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 0, "{said}");
    assert_snapshot!(said, @r"
    organization Otus: created
    credential otus-ssh: created
    project otus: created
    project otus: synchronised, at revision 1f3870be274f
    inventory Docker hosts: created
    host docker1: created
    host docker2: created
    group docker: created
    host docker1 in group docker: added
    host docker2 in group docker: added
    job template run_microservices: created
    credential otus-ssh of job template run_microservices: added
    job template restart: created
    survey of job template restart: created
    done: 0 unchanged, 13 created, 0 corrected, 0 failed
    ");
    {
        let world = desk.awx.world();
        let template = world.templates.iter().find(|template| template.name == "run_microservices").unwrap();
        assert_eq!(template.prompts, BTreeSet::from(["limit".to_owned(), "variables".to_owned()]));
        assert_eq!(world.grounds.of_templates[&template.id].len(), 1);
        assert_eq!(world.grounds.members.len(), 2);
        let survey = &world.templates.iter().find(|template| template.name == "restart").unwrap().survey;
        assert_eq!(survey[0]["choices"], json!(["ui", "post"]));
    }
    desk.changes();
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("done: 13 unchanged, 0 created, 0 corrected, 0 failed"), "{said}");
    assert_eq!(desk.changes(), Vec::<String>::new(), "{said}");
}

#[test]
fn a_dry_run_only_asks_and_says_what_it_would_do() {
    let desk = Desk::new(FILE);
    let (code, said) = desk.run(&["--dry-run", "awx", "bootstrap", "otus.yml"]);
    assert_eq!(code, 0, "{said}");
    assert_snapshot!(said, @r"
    organization Otus: would be created
    credential otus-ssh: would be created
    project otus: would be created
    project otus: would be synchronised
    inventory Docker hosts: would be created
    host docker1: would be created
    host docker2: would be created
    group docker: would be created
    host docker1 in group docker: would be added
    host docker2 in group docker: would be added
    job template run_microservices: would be created
    credential otus-ssh of job template run_microservices: would be added
    job template restart: would be created
    survey of job template restart: would be created
    dry run, nothing was changed: 0 unchanged, 13 created, 0 corrected, 0 failed
    ");
    assert_eq!(desk.changes(), Vec::<String>::new());
    // Where most is there already, only the difference is told.
    assert_eq!(desk.bootstrap().0, 0);
    desk.awx.world().named("restart").playbook = "slow.yml".into();
    desk.changes();
    let (_, said) = desk.run(&["--dry-run", "awx", "bootstrap", "otus.yml"]);
    assert!(said.contains("job template restart: would be corrected: playbook slow.yml → restart.yml"), "{said}");
    assert_eq!(desk.changes(), Vec::<String>::new());
}

#[test]
fn drift_is_corrected_and_told_and_what_others_added_stays() {
    let desk = Desk::new(FILE);
    assert_eq!(desk.bootstrap().0, 0);
    {
        let mut world = desk.awx.world();
        let template = world.named("run_microservices");
        template.prompts.remove("limit");
        template.prompts.insert("verbosity".to_owned());
        template.limit = "docker1".into();
        world.named("restart").survey.clear();
        let host = world.grounds.hosts[0].0;
        let variables = json!("# by hand\nansible_host: 192.0.2.9\n");
        world.grounds.fields.get_mut(&("hosts", host)).unwrap().insert("variables".into(), variables);
        let project = world.projects.last().unwrap().id;
        world.grounds.fields.get_mut(&("projects", project)).unwrap().insert("scm_branch".into(), json!("try"));
        let credential = world.credentials.last().unwrap().id;
        let inputs = json!({"username": "root", "ssh_key_data": "another"});
        world.grounds.fields.get_mut(&("credentials", credential)).unwrap().insert("inputs".into(), inputs);
        let group = world.grounds.groups[0].0;
        world.grounds.members.retain(|member| *member != (group, host));
    }
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 0, "{said}");
    let told: Vec<_> = said.lines().filter(|line| !line.ends_with(": unchanged")).collect();
    assert_snapshot!(told.join("\n"), @r#"
    credential otus-ssh: corrected: inputs {"ssh_key_data":"$encrypted$","username":"root"} → {"ssh_key_data":"[secret]","username"…
    project otus: corrected: scm_branch try → main
    project otus: synchronised, at revision 1f3870be274f
    host docker1: corrected: variables # by hand ansible_host: 192.0.2.9 → {"ansible_host":"192.0.2.7"}
    host docker1 in group docker: added
    job template run_microservices: corrected: ask_limit_on_launch false → true, limit docker1 → «»
    survey of job template restart: created
    done: 7 unchanged, 2 created, 4 corrected, 0 failed
    "#);
    let world = &mut *desk.awx.world();
    let template = world.named("run_microservices");
    assert!(template.prompts.contains("limit") && template.prompts.contains("verbosity"), "{:?}", template.prompts);
}

#[test]
fn a_run_that_breaks_off_goes_on_from_there() {
    let desk = Desk::new(FILE);
    // The project is made, and its answer is lost.
    let lost = [vec![Fault::None; 9], vec![Fault::LoseAnswer]].concat();
    desk.awx.world().faults.others = lost;
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("run this again to go on"), "{said}");
    assert!(said.contains("what is done stays done"), "{said}");
    desk.awx.world().faults.others.clear();
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 0, "{said}");
    let names: Vec<_> = desk.awx.world().projects.iter().map(|project| project.name.clone()).collect();
    assert_eq!(names.iter().filter(|name| *name == "otus").count(), 1);
    let (_, said) = desk.bootstrap();
    assert!(said.contains("13 unchanged, 0 created, 0 corrected, 0 failed"), "{said}");
}

#[test]
fn who_may_not_is_told_what_to_ask_for() {
    let (code, said) = Desk::bot(FILE).bootstrap();
    assert_eq!(code, 1, "{said}");
    assert_snapshot!(said, @r"
    error: could not create organization Otus on AWX default (http://awx/api): HTTP 403: You do not have permission to perform this action; ask an administrator of that AWX to create organization Otus, which only a system administrator can (our user: alertbot)
    not everything is there; what is done stays done, and the next run goes on from it: 0 unchanged, 0 created, 0 corrected, 1 failed
    ");
    // A member of an organization that is there.
    let desk = Desk::bot(&FILE.replace("Otus", "Ops"));
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 1, "{said}");
    for role in ["Credential Admin", "Project Admin", "Inventory Admin"] {
        assert!(
            said.contains(&format!(
                "ask an administrator of that AWX for the role {role} in organization Ops (our user: alertbot)"
            )),
            "{said}"
        );
    }
    assert!(said.contains("error: job template restart was not looked at"), "{said}");
    // With the role of its administrator all goes well.
    desk.awx.world().grounds.admins.insert((1, 2));
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 0, "{said}");
}

#[test]
fn what_is_only_referred_to_must_be_there() {
    let file = "organization: Ops\ncredentials: [{name: ops-ssh}, {name: nope}]\nproject: {name: ops-playbooks}\ninventory: {name: Fleet}\n\
        jobTemplates: [{name: new, playbook: site.yml, credentials: [ops-ssh], promptOnLaunch: [limit]}, {name: other, playbook: site.yml, credentials: [nope]}]\n";
    let desk = Desk::new(file);
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 1, "{said}");
    assert_snapshot!(said, @r"
    organization Ops: unchanged
    credential ops-ssh: found
    error: credential nope: it is not there, or our user may not see it; the file only refers to it, so create it in AWX, or ask an administrator of that AWX for the role Use on credential nope
    project ops-playbooks: found
    inventory Fleet: unchanged
    job template new: created
    credential ops-ssh of job template new: added
    job template other: created
    error: job template other lacks credential nope, which failed above
    not everything is there; what is done stays done, and the next run goes on from it: 4 unchanged, 3 created, 0 corrected, 2 failed
    ");
}

#[test]
fn a_synchronisation_is_waited_for_and_not_for_ever() {
    let desk = Desk::new(&FILE.replace("scmBranch: main", "scmBranch: main, syncTimeout: 200ms"));
    desk.awx.world().grounds.sync_takes = None;
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("error: project otus is not synchronised after 200ms (it is pending); what is done stays done"),
        "{said}"
    );
    assert!(said.contains("error: job template run_microservices was not looked at"), "{said}");
    {
        let mut world = desk.awx.world();
        world.grounds.sync_takes = Some(Duration::from_millis(20));
        world.grounds.broken_urls.insert("https://git.example.com/otus.git".into());
    }
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("could not be synchronised: failed"), "{said}");
    assert!(desk.changes().iter().any(|call| call.ends_with("/update/")), "it is tried once more before that is said");
    desk.awx.world().grounds.broken_urls.clear();
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 0, "{said}");
    let (code, said) = Desk::new(&FILE.replace("playbook: site.yml", "playbook: gone.yml")).bootstrap();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("Playbook not found for project: it was not in the repository when"), "{said}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "most lines are the expected text")]
fn every_problem_of_the_file_is_told_at_its_place() {
    let file = r#"organisation: Otus
credentials:
- {name: otus-ssh, type: Machine, inputs: {username: ansible, password: hunter2}}
- {name: otus-ssh}
- {name: other, type: Machine, inputs: {password: "${OTUS_SSH_KYE}"}}
project: {name: otus, scmUrl: "https://me:pw@git.example.com/otus.git", credential: otus-shs}
inventory: {name: i, groups: [{name: g, hosts: [nobody]}]}
jobTemplates:
- {name: a, promptOnLaunch: [limits], survey: [{variable: v, type: multiplechoice}]}
"#;
    let desk = Desk::new(file);
    let (code, said) = desk.bootstrap();
    assert_eq!(code, 2, "{said}");
    assert_snapshot!(said, @r#"
    error: unknown key `organisation` in a file for `awx bootstrap`
     --> otus.yml:1:1
      |
    1 | organisation: Otus
      | ^^^^^^^^^^^^ unknown key
      |
      = help: did you mean `organization`?

    error: a file for `awx bootstrap` needs `organization`
     --> otus.yml:1:1
      |
    1 | organisation: Otus
      | ^^^^^^^^^^^^^^^^^^ `organization` is missing

    error: `password` of a credential may come from the secrets file only
     --> otus.yml:3:73
      |
    3 | - {name: ********, type: *******, inputs: {username: *******, password: *******}}
      |                                                                         ^^^^^^^ written here for everybody to read
      |
      = help: write password: ${NAME}, and NAME=… into the secrets file

    error: two credentials are named `otus-ssh`
     --> otus.yml:4:10
      |
    4 | - {name: ********}
      |          ^^^^^^^^ this name is taken
      |
      = help: the first one is at otus.yml:3:10

    error: the secrets file has no `OTUS_SSH_KYE`
     --> otus.yml:5:52
      |
    5 | - {name: *****, type: *******, inputs: {password: "${OTUS_SSH_KYE}"}}
      |                                                    ^^^^^^^^^^^^^^^ not resolved
      |
      = help: did you mean `OTUS_SSH_KEY`?

    error: a password stands in this address
     --> otus.yml:6:31
      |
    6 | project: {name: otus, scmUrl: "https://me:**@git.example.com/otus.git", credential: ********}
      |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ use `credential`

    error: there is no host `nobody`
     --> otus.yml:7:49
      |
    7 | inventory: {name: i, groups: [{name: g, hosts: [nobody]}]}
      |                                                 ^^^^^^ unknown host
      |
      = help: known hosts: none

    error: a job template needs `playbook`
     --> otus.yml:9:3
      |
    9 | - {name: a, promptOnLaunch: [limits], survey: [{variable: v, type: multiplechoice}]}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `playbook` is missing

    error: expected limit or extraVars or inventory or credentials or jobTags or skipTags or labels or jobType, found "limits"
     --> otus.yml:9:30
      |
    9 | - {name: a, promptOnLaunch: [limits], survey: [{variable: v, type: multiplechoice}]}
      |                              ^^^^^^ unknown word
      |
      = help: did you mean `limit`?

    error: `choices` belong to a multiplechoice or a multiselect, and only to one
     --> otus.yml:9:48
      |
    9 | - {name: a, promptOnLaunch: [limits], survey: [{variable: v, type: multiplechoice}]}
      |                                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ see `type`

    autoheal: the file is wrong, see above; nothing was asked of AWX
    "#);
    assert_eq!(desk.awx.world().calls.len(), 0);
}

#[test]
fn the_shipped_example_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/awx-bootstrap.example.yml")).unwrap();
    let desk = Desk::new(&text);
    let (code, said) = desk.run(&["--dry-run", "awx", "bootstrap", "otus.yml"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("job template run_microservices: would be created"), "{said}");
    // What stands there as a comment is right, too.
    let text = text
        .replace("- name: ops-ssh                        # found", "# found")
        .replace("# - name: ops-ssh", "- name: made-ssh");
    let text =
        text.replace("#   type:", "  type:").replace("#   inputs:", "  inputs:").replace("[ops-ssh]", "[made-ssh]");
    desk.home.write("otus.yml", &text.replace("OPS_SSH_KEY", "OTUS_SSH_KEY"));
    let (code, said) = desk.run(&["--dry-run", "awx", "bootstrap", "otus.yml"]);
    assert!(code == 0 && said.contains("credential made-ssh: would be created"), "{said}");
}

#[test]
fn awx_check_asks_the_awx_servers() {
    let desk = Desk::bot(FILE);
    desk.home.write(
        "rules/rules.yml",
        "rules: [{metadata: {name: drops}, labels: {alertname: B}, awxJob: {template: Slow job, limit: web1}}]\n",
    );
    let (code, said) = desk.run(&["awx", "check"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("http://awx/api answers, we are alertbot"), "{said}");
    assert!(said.contains("error: rule drops, step 1: template «Slow job»: it does not prompt for limit"), "{said}");
    assert_eq!(desk.changes(), Vec::<String>::new());
}
