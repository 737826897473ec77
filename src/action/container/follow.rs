//! After the deed: does the container run, and is it well?

use std::time::Duration;

use super::ContainerAction;
use super::act::gone;
use super::engine::{View, remaining};
use super::handle::{After, Entry, Handle};
use super::seen::{Condition, Health, Seen};
use crate::action::{Assignment, Progress};
use crate::domain::action::Deed;
use crate::domain::decide::ActionOutcome;
use crate::domain::{Timestamp, elapsed};

/// How long a container without a health check must run before we believe it: long enough to see one that dies at
/// once, which is what a broken configuration does.
const SETTLE: Duration = Duration::from_secs(1);
/// What a look may take although the action's time is over: the last one must still say how things stand.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Where one container stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It runs and is well; in words.
    Well(String),
    /// Not yet known; in words.
    Open(String),
    /// It did not come up; in words.
    Broken(String),
}

impl ContainerAction {
    /// Looks at every container of a handle once.
    pub(super) async fn follow(&self, assignment: &Assignment, handle: &Handle) -> Progress {
        let view = match self.lookout.view(&handle.host) {
            Ok(view) => view,
            Err(outcome) => return Progress::Over(outcome),
        };
        let now = self.lookout.clock().now();
        let (mut well, mut open) = (Vec::new(), Vec::new());
        for entry in &handle.containers {
            match self.standing(view, entry, assignment, now).await {
                Ok(Standing::Well(what)) => well.push(what),
                Ok(Standing::Open(what)) => open.push(what),
                Ok(Standing::Broken(error)) => {
                    let error = format!("on docker host {}, {error}", view.place());
                    return Progress::Over(ActionOutcome::Failed { error });
                }
                Err(outcome) => return Progress::Over(outcome),
            }
        }
        if open.is_empty() {
            let what = format!("on docker host {}, {}", view.place(), well.join("; "));
            return Progress::Over(ActionOutcome::Done { what });
        }
        let left = remaining(self.lookout.clock(), assignment.deadline);
        if left.is_zero() {
            let error = format!("on docker host {}, {} when the action's time was over", view.place(), open.join("; "));
            return Progress::Over(ActionOutcome::Failed { error });
        }
        let since = handle.containers.iter().filter_map(|entry| entry.after.as_ref()).map(|after| after.at).max();
        Progress::Running { again_in: pause(now, since.unwrap_or(now)).min(left) }
    }

    pub(super) async fn standing(
        &self,
        view: &View,
        entry: &Entry,
        assignment: &Assignment,
        now: Timestamp,
    ) -> Result<Standing, ActionOutcome> {
        // Without a note of the deed the container is followed as it was found.
        let unknown =
            After { deed: "found running".into(), at: assignment.began_at, restart_count: entry.restart_count };
        let after = entry.after.as_ref().unwrap_or(&unknown);
        let doing = format!("follow container {}", entry.name);
        match view.inspect(&entry.id, &doing, assignment.deadline.max(now + LAST_LOOK)).await {
            Ok(Some(seen)) if is_to_stop(assignment) => Ok(stand_still(&seen, entry, after)),
            Ok(Some(seen)) => Ok(stand(&seen, after, now)),
            Ok(None) => Err(gone(view, entry)),
            // The deed is done; that the engine does not answer right now says nothing about the container.
            Err(fault) if fault.is_unreachable() => Ok(Standing::Open(fault.to_string())),
            Err(fault) => Err(fault.into()),
        }
    }
}

/// Whether the containers are to stand still.
pub(super) fn is_to_stop(assignment: &Assignment) -> bool {
    matches!(assignment.action.containers(), Some((Deed::Stop, _)))
}

/// Judges a container that was to stop.
fn stand_still(seen: &Seen, entry: &Entry, after: &After) -> Standing {
    let story = format!("container {} was {} and {}", seen.label(), after.deed, seen.doing());
    match seen.condition {
        Condition::Stopped => Standing::Well(story),
        Condition::Running | Condition::Restarting if entry.was_restarted(seen) => {
            Standing::Broken(format!("{story}; it was started again since"))
        }
        _ => Standing::Open(story),
    }
}

/// Judges a container by how it is now and how it was right after the deed.
fn stand(seen: &Seen, after: &After, now: Timestamp) -> Standing {
    let ran = elapsed(after.at, now);
    let again = seen.restart_count - after.restart_count;
    let story = format!("container {} was {} and {}", seen.label(), after.deed, seen.doing());
    match (seen.condition, seen.health) {
        (Condition::Running | Condition::Restarting, _) if again > 0 => {
            Standing::Broken(format!("{story}; it does not stay up, its restart policy restarted it {again}×"))
        }
        (Condition::Stopped, _) | (Condition::Running, Some(Health::Unhealthy(_))) => Standing::Broken(story),
        (Condition::Running, Some(Health::Healthy)) => Standing::Well(story),
        (Condition::Running, None) if ran >= SETTLE => Standing::Well(story),
        (Condition::Running | Condition::Restarting, _) => Standing::Open(story),
        (Condition::Paused | Condition::Removing | Condition::Dead, _) => {
            Standing::Broken(format!("{story}; somebody else is at work on it"))
        }
    }
}

/// Short pauses right after the deed, longer ones later, and never past the moment a container has settled.
fn pause(now: Timestamp, since: Timestamp) -> Duration {
    let passed = elapsed(since, now);
    let pause = (passed / 2).clamp(PAUSES.0, PAUSES.1);
    match SETTLE.checked_sub(passed) {
        Some(left) if !left.is_zero() => pause.min(left.max(Duration::from_millis(10))),
        _ => pause,
    }
}
