//! `autoheal awx check` and `autoheal check --online`: whatever would refuse a launch is found before there is an alert, with
//! what to change, and nothing is launched to find it.

use crate::support::awx::{ADMIN_PASSWORD, AwxServer, TOKEN, VIEWER_TOKEN};
use crate::support::daemon::Home;
use crate::support::wait;

const ADMIN: (&str, &str) = ("credentials: {username: admin, password: '${AWX}'}", ADMIN_PASSWORD);
const BOT: (&str, &str) = ("token: '${AWX}'", TOKEN);
const VIEWER: (&str, &str) = ("token: '${AWX}'", VIEWER_TOKEN);

/// Whether all is good, and what is said of a rule with each of these jobs, as the fields of `awxJob`.
fn ask(awx: &AwxServer, (auth, secret): (&str, &str), jobs: &[&str]) -> (bool, Vec<String>) {
    let home =
        Home::new(&format!("awx: {{address: '{}', timeouts: {{request: 5s}}, {auth}}}\n", awx.url()), "rules: []\n");
    home.secrets(&format!("AWX={secret}\n"));
    let rules = jobs.iter().enumerate().map(|(index, job)| {
        format!("- {{metadata: {{name: rule-{index}}}, labels: {{alertname: ^A{index}$}}, awxJob: {{{job}}}}}\n")
    });
    home.write("rules/rules.yml", &format!("rules:\n{}", rules.collect::<String>()));
    let said = [&["awx", "check"][..], &["check", "--online"]].map(|verb| {
        let output = home.command(verb).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| line.contains("rule rule-")).map(str::to_owned);
        assert!(!text.contains(secret), "{text}");
        (output.status.success(), lines.collect::<Vec<_>>())
    });
    assert_eq!(said[0], said[1], "both verbs say the same");
    assert_eq!(said[0].1.len(), jobs.len(), "{:?}", said[0]);
    let world = awx.world();
    assert!(world.jobs.is_empty() && world.calls.iter().all(|call| call.method == "GET"), "{:?}", world.calls);
    said.into_iter().next().unwrap()
}

/// Expects a rule with this job to be refused in these words.
fn refused(who: (&str, &str), job: &str, words: &[&str]) {
    let (is_good, said) = ask(&wait(AwxServer::start()), who, &[job]);
    assert!(!is_good && said[0].starts_with("error: rule rule-0, step 1: template «"), "{job}: {said:?}");
    for words in words {
        assert!(said[0].contains(words), "{words}: {said:?}");
    }
}

#[test]
fn a_template_found_twice_asks_for_the_organization() {
    let twice = "template: Restart service";
    refused(ADMIN, twice, &["there are 2 of the name", "numbers ", "say in the rule which `organization` is meant"]);
    for named in ["organization: Ops", "organization: Lab", "project: ops-playbooks"] {
        let (is_good, said) = ask(&wait(AwxServer::start()), ADMIN, &[&format!("{twice}, {named}")]);
        assert!(is_good && said[0].contains("takes all the rule sends"), "{named}: {said:?}");
    }
    // Whose template is meant is only known with an alert, so nothing can be said against it yet.
    let by_alerts = format!("{twice}, organization: \"{{{{ $labels.team }}}}\"");
    let (is_good, said) = ask(&wait(AwxServer::start()), ADMIN, &[&by_alerts]);
    assert!(is_good && said[0].contains("is named by alerts"), "{said:?}");
}

#[test]
fn a_template_that_may_only_be_seen_asks_for_the_right_to_run_it() {
    for (template, number) in [("Restart anywhere", 30), ("Heal web, workflow: true", 18)] {
        let job = format!("template: {template}");
        refused(VIEWER, &job, &["we may see it but not run it: give our user Execute on it"]);
        let (is_good, said) = ask(&wait(AwxServer::start()), BOT, &[&job]);
        assert!(is_good && said[0].contains(&format!("is number {number} and takes all")), "{said:?}");
    }
    refused(
        BOT,
        "template: Restart service, organization: Lab",
        &["there is no template", "or our user may not see it"],
    );
}

#[test]
fn every_prompt_that_is_off_for_what_the_rule_sends_is_named_with_its_title() {
    let fields = [
        ("limit: web1", "limit", "Limit"),
        ("limit: \"{{ $labels.instance }}\"", "limit", "Limit"),
        ("inventory: Spare", "inventory", "Inventory"),
        ("jobTags: restart", "jobTags", "Job Tags"),
        ("skipTags: slow", "skipTags", "Skip Tags"),
        ("credentials: [ops-ssh]", "credentials", "Credentials"),
        ("labels: [autoheal]", "labels", "Labels"),
        ("jobType: check", "jobType", "Job Type"),
        ("extraVars: {service: \"{{ $labels.job }}\"}", "the variables service", "Variables"),
    ];
    for (field, name, title) in fields {
        let off = format!("template: Restart service, {field}");
        refused(BOT, &off, &[name, &format!("turn on «Prompt on launch» for {title}"), "out of the rule"]);
        let (is_good, said) =
            ask(&wait(AwxServer::start()), BOT, &[&format!("template: Restart service prompted, {field}")]);
        assert!(is_good, "{field}: {said:?}");
    }
    // All of them at once, together with what the rule names and is not there.
    let all = "template: Restart service, limit: web1, jobTags: restart, jobType: check, labels: [nowhere]";
    refused(BOT, all, &["for Limit", "for Job Tags", "for Job Type", "for Labels", "there is no label «nowhere»"]);
    // The right that is missing is another one for each kind of thing.
    for (field, right) in [
        ("inventory: Secret fleet", "give the user Use on it"),
        ("credentials: [nowhere]", "give the user Use on it"),
        ("labels: [nowhere]", "make the user a member of its organization"),
    ] {
        refused(BOT, &format!("template: Restart service prompted, {field}"), &[right]);
    }
}

#[test]
fn what_a_survey_needs_and_the_rule_does_not_give_is_named() {
    let with = |vars: &str| format!("template: Survey restart, extraVars: {{{vars}}}");
    refused(BOT, "template: Survey restart", &["its survey needs service, count: add them to extraVars"]);
    refused(BOT, &with("service: nginx"), &["its survey needs count: add them to extraVars"]);
    let unknown = with("service: nginx, count: 2, colour: red");
    refused(BOT, &unknown, &["it does not take the variables colour: turn on", "add them to its survey"]);
    let (is_good, said) =
        ask(&wait(AwxServer::start()), BOT, &[&with("service: nginx, count: \"{{ $labels.count }}\"")]);
    assert!(is_good && said[0].contains("takes all the rule sends"), "{said:?}");
}

#[test]
fn what_else_would_refuse_every_launch_is_found_too() {
    refused(
        BOT,
        "template: No inventory",
        &["it has no inventory of its own: name one in the rule or in the template"],
    );
    let awx = wait(AwxServer::start());
    awx.world().named("Restart anywhere").passwords = vec!["ssh_password".to_owned()];
    awx.world().named("Heal web").missing_nodes = vec![3];
    let jobs = ["template: Restart anywhere", "template: Heal web, workflow: true", "template: Restart service"];
    let (is_good, said) = ask(&awx, BOT, &jobs);
    assert!(!is_good);
    assert!(said[0].contains("it asks for the passwords ssh_password: store them in its credentials"), "{said:?}");
    assert!(said[1].contains("its templates are missing in nodes 3: repair the workflow"), "{said:?}");
    assert!(
        said[2].starts_with("rule rule-2, step 1: ") && said[2].contains("the alert is not sent along"),
        "{said:?}"
    );
}
