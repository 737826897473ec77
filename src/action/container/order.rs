//! One after another: what must hold of the others before a container is taken down.

use std::time::Duration;

use super::act::Deeds;
use super::engine::remaining;
use super::follow::Standing;
use super::handle::Entry;
use super::lookout::is_well;
use super::seen::Seen;
use crate::domain::action::Deed;
use crate::domain::decide::ActionOutcome;

/// Pause between two looks at the others.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Deeds<'_> {
    /// Waits until enough peers of a healthy container are healthy, so that the last healthy one is never taken down.
    /// What is not healthy takes nothing down with it.
    pub(super) async fn peers_suffice(
        &self,
        entry: &Entry,
        seen: &Seen,
        others: &[&Entry],
    ) -> Result<(), ActionOutcome> {
        let need = self.containers.min_healthy.unwrap_or(u32::from(!others.is_empty())) as usize;
        if self.deed == Deed::Start || need == 0 || !is_well(seen) {
            return Ok(());
        }
        loop {
            let mut well = 0;
            for other in others {
                well += usize::from(self.is_well(other).await?);
            }
            if well >= need {
                return Ok(());
            }
            // What was stopped stays stopped; only a restart brings peers back.
            let may_come = self.deed == Deed::Restart && others.len() >= need;
            if !may_come || remaining(self.action.lookout().clock(), self.assignment.deadline) <= LOOK_AGAIN {
                let (label, place) = (entry.label(), self.view.place());
                let error = format!(
                    "on docker host {place}, container {label} is healthy and stays up: {well} of its {} peers are \
                     healthy, minHealthy is {need}",
                    others.len()
                );
                return Err(if may_come { ActionOutcome::Failed { error } } else { ActionOutcome::Refused { error } });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            self.working.may_touch(&entry.label())?;
        }
    }

    /// Waits until everything before a dependent is well.
    pub(super) async fn all_are_well(&self, entry: &Entry, before: &[Entry]) -> Result<(), ActionOutcome> {
        for earlier in before {
            loop {
                let now = self.action.lookout().clock().now();
                match self.action.standing(self.view, earlier, self.assignment, now).await? {
                    Standing::Well(_) => break,
                    Standing::Broken(why) => return Err(self.left(entry, &why)),
                    Standing::Open(why) => {
                        if remaining(self.action.lookout().clock(), self.assignment.deadline) <= LOOK_AGAIN {
                            return Err(self.left(entry, &why));
                        }
                    }
                }
                tokio::time::sleep(LOOK_AGAIN).await;
                self.working.may_touch(&entry.label())?;
            }
        }
        Ok(())
    }

    fn left(&self, entry: &Entry, why: &str) -> ActionOutcome {
        let place = self.view.place();
        let error =
            format!("on docker host {place}, {why}; so {} and what else depends on it is left alone", entry.label());
        ActionOutcome::Failed { error }
    }

    /// Whether a container is well; one this attempt has acted on must also have stayed up for a moment.
    async fn is_well(&self, entry: &Entry) -> Result<bool, ActionOutcome> {
        let deadline = self.assignment.deadline;
        if entry.after.is_some() && self.deed == Deed::Restart {
            let now = self.action.lookout().clock().now();
            let standing = self.action.standing(self.view, entry, self.assignment, now).await?;
            return Ok(matches!(standing, Standing::Well(_)));
        }
        let doing = format!("look at container {}, a peer", entry.name);
        Ok(self.view.inspect(&entry.id, &doing, deadline).await?.is_some_and(|seen| is_well(&seen)))
    }
}
