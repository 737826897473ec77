//! Sets up on a server what rules need to launch: organization, project, inventory, credentials, job templates. What is there
//! already and as it should be stays; what differs is put right and told; what is done stays done when something fails, and
//! the next run goes on from there.
//!
//! Reading order: `wanted` is what the file says, `site` finds, makes and corrects one thing, and here is the order of all.

mod site;
mod sync;
mod wanted;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use self::site::{Eyes, Found, Hand, Site, Wish};
use super::AwxAction;
use crate::domain::action::JobType;
use crate::secret::Secret;

pub use self::site::Tally;
pub use self::wanted::{
    Content, Credential, Group, Host, Input, Inventory, JobTemplate, Project, Source, Wanted as AwxWanted,
};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_mins(1);

impl AwxAction {
    /// Has on a server what a file wants, in the order in which things need each other; `tell` hears of each. A dry run only
    /// looks, and tells what it would do.
    ///
    /// # Errors
    /// The server cannot be asked at all. What fails later is told and counted.
    pub async fn bootstrap(
        &self,
        wanted: &AwxWanted,
        dry_run: bool,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<Tally, String> {
        let server = self.servers.get(&wanted.server);
        let server = server.ok_or_else(|| format!("there is no AWX server {}", wanted.server))?;
        let contents = wanted.credentials.iter().filter_map(|credential| credential.content.as_ref());
        let secrets = contents.flat_map(|content| content.inputs.values()).filter_map(|input| match input {
            Input::Secret(secret) => Some(secret),
            Input::Plain(_) => None,
        });
        let site = Site {
            eyes: Eyes(&server.client),
            hand: (!dry_run).then(|| Hand(&server.client)),
            memory: &server.memory,
            secrets: secrets.collect::<Vec<&Secret>>(),
            tally: Tally::default(),
            tell,
        };
        site.see_who_we_are().await?;
        let mut building = Building { site, wanted, organization: Found::Later };
        building.all().await;
        Ok(building.site.tally)
    }
}

/// The work on one server.
struct Building<'s> {
    site: Site<'s>,
    wanted: &'s AwxWanted,
    organization: Found,
}

/// What a failure leaves without a number, so that what needs it is not tried.
type Had = Option<Found>;

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(fields) = value { fields } else { Map::new() }
}

impl Building<'_> {
    async fn all(&mut self) {
        let wanted = self.wanted;
        let name = &wanted.organization;
        let wish = Wish {
            what: format!("organization {name}"),
            list: "organizations/".to_owned(),
            query: vec![("name", name)],
            add_to: "organizations/".to_owned(),
            folder: "organizations",
            identity: object(json!({"name": name})),
            fields: Map::new(),
            ask_for: format!("to create organization {name}, which only a system administrator can"),
        };
        match self.site.ensure(&wish).await {
            Ok((organization, _)) => self.organization = organization,
            // Everything else belongs to it.
            Err(error) => return self.site.fail(&error),
        }
        let mut credentials = BTreeMap::new();
        for credential in &wanted.credentials {
            let had = self.credential(credential).await;
            credentials.insert(credential.name.as_str(), self.or_fail(had));
        }
        let project = match &wanted.project {
            None => None,
            Some(project) => {
                let had = self.project(project, &credentials).await;
                self.or_fail(had)
            }
        };
        let inventory = match &wanted.inventory {
            None => Some(None),
            Some(inventory) => {
                let had = self.inventory(inventory).await;
                self.or_fail(had).map(Some)
            }
        };
        for template in &wanted.templates {
            let needed =
                template.credentials.iter().map(|name| Some((name.as_str(), *credentials.get(name.as_str())?)));
            let needed: Vec<(&str, Had)> = needed.flatten().collect();
            let (Some(project), Some(inventory)) = (project, inventory) else {
                self.site
                    .fail(&format!("job template {} was not looked at: it needs what failed above", template.name));
                continue;
            };
            let had = self.template(template, project, inventory, &needed).await;
            self.or_fail(had);
        }
    }

    fn or_fail<T>(&mut self, had: Result<T, String>) -> Option<T> {
        had.map_err(|error| self.site.fail(&error)).ok()
    }

    /// What belongs to the organization and is told from others by its name.
    fn wish<'w>(&self, kind: &str, name: &'w str, list: &'static str, role: &str) -> Wish<'w>
    where
        Self: 'w,
    {
        let organization = &self.wanted.organization;
        let ask_for = format!("for the role {role} in organization {organization}");
        Wish {
            what: format!("{kind} {name}"),
            list: format!("{list}/"),
            query: vec![("name", name)],
            add_to: format!("{list}/"),
            folder: list,
            identity: object(json!({"name": name, "organization": self.organization.number()})),
            fields: Map::new(),
            ask_for,
        }
    }

    /// The thing a wish means, which must be there already.
    async fn reference(&mut self, wish: &Wish<'_>) -> Result<Found, String> {
        let Some(row) = self.site.find(wish).await? else {
            return Err(format!(
                "{}: it is not there, or our user may not see it; the file only refers to it, so create it in AWX, or ask an administrator of that AWX {}",
                wish.what, wish.ask_for
            ));
        };
        let number = wish.number(&row)?;
        self.site.tally.unchanged += 1;
        self.site.say(&format!("{}: found", wish.what));
        Ok(Found::Number(number))
    }

    async fn credential(&mut self, credential: &Credential) -> Result<Found, String> {
        let organization = self.wanted.organization.as_str();
        let mut wish = self.wish("credential", &credential.name, "credentials", "Credential Admin");
        let Some(Content { kind, inputs }) = &credential.content else {
            wish.ask_for = format!("for the role Use on credential {}", credential.name);
            return self.reference(&wish).await;
        };
        wish.query.push(("organization__name", organization));
        let types = self.site.eyes.rows("credential_types/", &[("name", kind)], "look up the credential's type").await;
        let types = types.map_err(|fault| self.site.explain(&fault, &wish.ask_for))?;
        let Some(kind) = types.first().and_then(|row| row.get("id")) else {
            return Err(format!("credential {}: this AWX has no credential type {kind:?}", credential.name));
        };
        wish.identity.insert("credential_type".to_owned(), kind.clone());
        let sent: Map<_, _> = inputs.iter().map(|(name, input)| (name.clone(), input.sent())).collect();
        // Only what the server tells can be compared; when it differs, everything is sent again.
        let found = self.site.find(&wish).await?;
        let told = found.as_ref().map(|row| &row["inputs"]);
        let is_as_wanted = told.is_some_and(|told| {
            inputs.iter().all(|(name, input)| match input {
                Input::Plain(value) => told[name] == *value,
                Input::Secret(_) => told[name] == "$encrypted$",
            })
        });
        if is_as_wanted {
            self.site.tally.unchanged += 1;
            self.site.say(&format!("{}: unchanged, as far as AWX tells: secrets cannot be compared", wish.what));
            let number = found.as_ref().map(|row| wish.number(row)).transpose()?;
            return Ok(number.map_or(Found::Later, Found::Number));
        }
        wish.fields.insert("inputs".to_owned(), Value::Object(sent));
        Ok(self.site.ensure(&wish).await?.0)
    }

    async fn inventory(&mut self, inventory: &Inventory) -> Result<Found, String> {
        let mut wish = self.wish("inventory", &inventory.name, "inventories", "Inventory Admin");
        wish.query.push(("organization__name", &self.wanted.organization));
        let (found, _) = self.site.ensure(&wish).await?;
        let ask_for = format!("for the role Admin on inventory {}", inventory.name);
        let mut hosts = BTreeMap::new();
        for host in &inventory.hosts {
            let wish = part("host", &host.name, "hosts", found, host.variables.as_ref(), &ask_for);
            hosts.insert(host.name.as_str(), self.part(&wish, found).await?);
        }
        for group in &inventory.groups {
            let wish = part("group", &group.name, "groups", found, group.variables.as_ref(), &ask_for);
            let number = self.part(&wish, found).await?;
            let path = number.number().map(|number| format!("groups/{number}/hosts/")).unwrap_or_default();
            for host in &group.hosts {
                let host_number = hosts.get(host.as_str()).copied().unwrap_or(Found::Later);
                let what = format!("host {host} in group {}", group.name);
                self.site.join(&path, host_number, &what, &ask_for).await?;
            }
        }
        Ok(found)
    }

    /// A host or a group of an inventory, which may not be there yet itself.
    async fn part(&mut self, wish: &Wish<'_>, inventory: Found) -> Result<Found, String> {
        if inventory == Found::Later {
            self.site.tally.created += 1;
            let line = format!("{}: {}", wish.what, self.site.done("created"));
            self.site.say(&line);
            return Ok(Found::Later);
        }
        Ok(self.site.ensure(wish).await?.0)
    }

    async fn template(
        &mut self,
        template: &JobTemplate,
        project: Found,
        inventory: Option<Found>,
        credentials: &[(&str, Had)],
    ) -> Result<(), String> {
        let role = "Job Template Admin (and Use on its project, inventory and credentials)";
        let mut wish = self.wish("job template", &template.name, "job_templates", role);
        wish.query.push(("organization__name", &self.wanted.organization));
        // It belongs to the organization of its project.
        wish.identity.remove("organization");
        let check = if template.job_type == JobType::Check { "check" } else { "run" };
        wish.fields = object(json!({
            "description": template.description, "job_type": check, "playbook": template.playbook,
            "project": project.number(), "inventory": inventory.and_then(Found::number), "limit": template.limit,
            "job_tags": template.job_tags, "skip_tags": template.skip_tags,
            "extra_vars": Value::Object(template.extra_vars.clone()).to_string(),
            "allow_simultaneous": template.allow_simultaneous,
        }));
        for prompt in &template.prompts {
            wish.fields.insert(format!("ask_{prompt}_on_launch"), Value::Bool(true));
        }
        let ask_for = wish.ask_for.clone();
        let (found, row) = self.site.ensure(&wish).await?;
        let path = found.number().map(|number| format!("job_templates/{number}")).unwrap_or_default();
        let list = if path.is_empty() { String::new() } else { format!("{path}/credentials/") };
        for (name, credential) in credentials {
            let Some(credential) = credential else {
                return Err(format!("job template {} lacks credential {name}, which failed above", template.name));
            };
            let what = format!("credential {name} of job template {}", template.name);
            self.site.join(&list, *credential, &what, &ask_for).await?;
        }
        if let Some(questions) = &template.survey {
            let is_on = row.is_some_and(|row| row["survey_enabled"] == true);
            self.survey(&template.name, &path, questions, is_on, &ask_for).await?;
        }
        Ok(())
    }

    /// A survey is one document and is replaced as a whole.
    async fn survey(
        &mut self,
        name: &str,
        path: &str,
        questions: &[Value],
        is_on: bool,
        ask_for: &str,
    ) -> Result<(), String> {
        let spec = format!("{path}/survey_spec/");
        let explain = |site: &Site<'_>, fault| site.explain(&fault, ask_for);
        let found = if path.is_empty() {
            Value::Null
        } else {
            let doing = format!("read the survey of job template {name}");
            self.site.eyes.get(&spec, &[], &doing).await.map_err(|fault| explain(&self.site, fault))?.body
        };
        let had = found["spec"].as_array().cloned().unwrap_or_default();
        let is_asked = |question: &Value, found: &Value| {
            question.as_object().is_some_and(|fields| fields.iter().all(|(field, value)| found[field] == *value))
        };
        let is_same =
            had.len() == questions.len() && questions.iter().zip(&had).all(|(ours, theirs)| is_asked(ours, theirs));
        if is_same && is_on {
            self.site.tally.unchanged += 1;
            self.site.say(&format!("survey of job template {name}: unchanged"));
            return Ok(());
        }
        if let Some(hand) = self.site.hand.as_ref().filter(|_| !path.is_empty()) {
            let doing = format!("set the survey of job template {name}");
            let body = json!({"name": "", "description": "", "spec": questions});
            hand.post(&spec, &body, &doing).await.map_err(|fault| explain(&self.site, fault))?;
            let on = hand.patch(&format!("{path}/"), &json!({"survey_enabled": true}), &doing).await;
            on.map_err(|fault| explain(&self.site, fault))?;
        }
        let (counter, done) = if had.is_empty() {
            (&mut self.site.tally.created, "created")
        } else {
            (&mut self.site.tally.corrected, "corrected: replaced by the file's")
        };
        *counter += 1;
        let line = format!("survey of job template {name}: {}", self.site.done(done));
        self.site.say(&line);
        Ok(())
    }
}

/// A host or a group.
fn part<'w>(
    kind: &str,
    name: &'w str,
    folder: &'static str,
    inventory: Found,
    variables: Option<&Map<String, Value>>,
    ask_for: &str,
) -> Wish<'w> {
    let list = format!("inventories/{}/{folder}/", inventory.number().unwrap_or_default());
    let fields = variables.map(|variables| json!({"variables": Value::Object(variables.clone()).to_string()}));
    Wish {
        what: format!("{kind} {name}"),
        add_to: list.clone(),
        list,
        query: vec![("name", name)],
        folder,
        identity: object(json!({"name": name})),
        fields: fields.map(object).unwrap_or_default(),
        ask_for: ask_for.to_owned(),
    }
}

impl Input {
    fn sent(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Secret(secret) => Value::from(secret.expose()),
        }
    }
}
