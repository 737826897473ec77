//! Calm: which messages wait until later, so that a channel stays readable and people sleep. A page never waits.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::action::Target;
use super::heal::HealId;
use super::message::{Message, MessageKind};
use super::time_interval::Schedule;
use super::{Timestamp, elapsed};

/// Stories remembered per channel; beyond it those of the past are forgotten, and when none is past, all.
const MAX_STORIES: usize = 5000;
/// How long a message waits at most for quiet times to end.
const LONGEST_QUIET: Duration = Duration::from_hours(7 * 24);

/// When a channel is left alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calm {
    /// Quiet times, as times at which it is mute.
    pub quiet: Schedule,
    /// When repeats of one story are put together; `None` for never.
    pub repeats: Option<Repeats>,
}

/// So many heals of one rule and target are told one by one within the window; further ones are put together at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    /// How many.
    pub after: u32,
    /// The window.
    pub within: Duration,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { after: 5, within: Duration::from_hours(1) }
    }
}

/// What a channel was told lately: heals by rule and target, each with when it was first told.
#[derive(Debug, Default)]
pub struct Recent(HashMap<(String, Target), VecDeque<(HealId, Timestamp)>>);

impl Calm {
    /// Until when a message must wait; `None` when it goes now, which is then remembered. `is_silent` says that it only
    /// changes what is there already, without a sound; `was_held`, that it has waited once and goes together with others.
    pub fn hold(
        &self,
        recent: &mut Recent,
        message: &Message,
        is_silent: bool,
        was_held: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let kind = message.kind;
        // A reminder is none: whoever was called has been woken.
        let is_page = kind.needs_human() && kind != MessageKind::Reminder;
        if is_page || (is_silent && kind != MessageKind::Reminder) {
            return None;
        }
        let repeated = |recent| if was_held { None } else { self.repeated_until(recent, message, now) };
        self.quiet_until(message, now).or_else(|| repeated(recent))
    }

    fn quiet_until(&self, message: &Message, now: Timestamp) -> Option<Timestamp> {
        let opens = |from: Timestamp| self.quiet.opens(from).unwrap_or(from + LONGEST_QUIET);
        self.quiet.closed(now)?;
        let until = opens(now).min(now + LONGEST_QUIET);
        // Whoever was called in this very night waits to hear that it is over.
        let called_at = message.heal.ended_at().unwrap_or(message.at);
        let was_called_tonight = message.kind == MessageKind::Over && opens(called_at) > now;
        (!was_called_tonight).then_some(until)
    }

    fn repeated_until(&self, recent: &mut Recent, message: &Message, now: Timestamp) -> Option<Timestamp> {
        let Repeats { after, within } = self.repeats?;
        if matches!(message.kind, MessageKind::Over | MessageKind::Reminder) {
            return None;
        }
        let is_recent = |(_, at): &(HealId, Timestamp)| elapsed(*at, now) < within;
        if recent.0.len() >= MAX_STORIES {
            recent.0.retain(|_, heals| heals.iter().any(is_recent));
        }
        if recent.0.len() >= MAX_STORIES {
            recent.0.clear();
        }
        let heal = &message.heal;
        let told = recent.0.entry((heal.rule.clone(), heal.target.clone())).or_default();
        told.retain(is_recent);
        if told.iter().any(|(known, _)| *known == heal.id) {
            return None;
        }
        if told.len() >= after as usize {
            return told.front().map(|(_, first)| *first + within);
        }
        told.push_back((heal.id, now));
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;
    use uuid::Uuid;

    use super::*;
    use crate::domain::heal::{Heal, Outcome, Phase};
    use crate::domain::reason::Reason;
    use crate::domain::rule::Mode;
    use crate::domain::time_interval::{Period, TimeInterval, Times};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 / 86_400 * 86_400 + hour * 3600).unwrap()
    }

    fn message(kind: MessageKind, heal: u128, now: Timestamp) -> Message {
        let mut heal = Heal {
            id: HealId(Uuid::from_u128(heal)),
            rule: "restart".to_owned(),
            target: Target::new("docker:local/name/ui"),
            mode: Mode::Act,
            phase: Phase::Pending { due_at: now, unreachable_since: None },
            reason: Reason::NotifyOnly,
            steps: Vec::new(),
            step: 0,
            alerts: Vec::new(),
            external_url: String::new(),
            throttle: Duration::ZERO,
            receivers: Vec::new(),
            description: String::new(),
            runbook: String::new(),
            approval: None,
            call: None,
            relapses: Vec::new(),
            first_attempt_at: None,
            last_action_ended_at: None,
            created_at: now,
            updated_at: now,
            timeline: Vec::new(),
            timeline_dropped: 0,
        };
        if kind.is_final() || kind == MessageKind::Over {
            heal.phase = Phase::Ended { outcome: Outcome::Exhausted, at: now };
        }
        Message { kind, at: now, heal, paused: None }
    }

    fn nights() -> Calm {
        let times = Some(vec![Times::parse("00:00", "07:00").unwrap(), Times::parse("22:00", "24:00").unwrap()]);
        let period = Period { times, ..Period::always(TimeZone::UTC) };
        let night = Arc::new(TimeInterval { name: "night".to_owned(), periods: vec![period] });
        Calm { quiet: Schedule { active: Vec::new(), mute: vec![night] }, repeats: None }
    }

    #[test]
    fn in_quiet_times_everything_but_pages_waits_for_their_end() {
        let mut recent = Recent::default();
        let mut hold =
            |kind, is_silent, hour| nights().hold(&mut recent, &message(kind, 1, at(hour)), is_silent, false, at(hour));
        for (kind, is_silent, hour, expected) in [
            (MessageKind::Healed, false, 12, None),
            (MessageKind::Healed, false, 23, Some(at(31))),
            (MessageKind::Healed, false, 3, Some(at(7))),
            (MessageKind::Healed, true, 3, None),
            (MessageKind::Exhausted, false, 3, None),
            (MessageKind::ApprovalNeeded, false, 3, None),
            (MessageKind::Storm, true, 3, None),
            (MessageKind::Reminder, false, 3, Some(at(7))),
            (MessageKind::Reminder, true, 3, Some(at(7))),
        ] {
            assert_eq!(hold(kind, is_silent, hour), expected, "{} at {hour}", kind.as_str());
        }
    }

    #[test]
    fn who_was_called_in_the_same_night_hears_at_once_that_it_is_over() {
        let mut recent = Recent::default();
        let called_at_one = message(MessageKind::Over, 1, at(1));
        assert_eq!(nights().hold(&mut recent, &called_at_one, false, false, at(3)), None);
        let called_by_day = message(MessageKind::Over, 1, at(-6));
        assert_eq!(nights().hold(&mut recent, &called_by_day, false, false, at(3)), Some(at(7)));
    }

    #[test]
    fn repeats_of_one_story_wait_for_the_end_of_the_window_and_heals_told_of_go_on() {
        let calm = Calm { repeats: Some(Repeats { after: 2, within: Duration::from_hours(1) }), ..Calm::default() };
        let mut recent = Recent::default();
        let minute = Duration::from_mins(1);
        let mut hold = |kind, heal, minutes| {
            let now = at(0) + minute * minutes;
            calm.hold(&mut recent, &message(kind, heal, now), false, false, now)
        };
        assert_eq!(hold(MessageKind::Started, 1, 0), None);
        assert_eq!(hold(MessageKind::Healed, 1, 5), None);
        assert_eq!(hold(MessageKind::Started, 2, 10), None);
        assert_eq!(hold(MessageKind::Started, 3, 20), Some(at(1)), "the third within the hour");
        assert_eq!(hold(MessageKind::Healed, 2, 21), None, "a story that was begun is told to its end");
        assert_eq!(hold(MessageKind::Healed, 3, 25), Some(at(1)));
        assert_eq!(hold(MessageKind::Exhausted, 4, 26), None, "a page is never held back");
        assert_eq!(hold(MessageKind::Started, 5, 60), None, "the window has passed");
    }

    #[test]
    fn what_waited_once_goes_with_the_others_and_a_call_is_ended_whatever_was_told() {
        let calm = Calm { repeats: Some(Repeats { after: 1, within: Duration::from_hours(1) }), ..Calm::default() };
        let mut recent = Recent::default();
        let mut hold =
            |kind, heal, was_held| calm.hold(&mut recent, &message(kind, heal, at(0)), false, was_held, at(0));
        assert_eq!(hold(MessageKind::Started, 1, false), None);
        assert_eq!(hold(MessageKind::Started, 2, false), Some(at(1)));
        assert_eq!(hold(MessageKind::Started, 2, true), None, "it has waited");
        assert_eq!(hold(MessageKind::Over, 3, false), None, "whoever was called hears that it is over");
        assert_eq!(hold(MessageKind::Reminder, 4, false), None, "and is reminded until then");
        assert_eq!(hold(MessageKind::Started, 1, false), None, "none of which counts as a story");
    }

    #[test]
    fn times_that_are_quiet_for_ever_keep_a_message_for_a_week() {
        let always = TimeInterval { name: "always".to_owned(), periods: vec![Period::always(TimeZone::UTC)] };
        let calm = Calm { quiet: Schedule { active: Vec::new(), mute: vec![Arc::new(always)] }, repeats: None };
        let told = message(MessageKind::Healed, 1, at(0));
        assert_eq!(calm.hold(&mut Recent::default(), &told, false, false, at(0)), Some(at(7 * 24)));
    }

    #[test]
    fn of_thousands_of_stories_those_of_the_past_are_forgotten_and_then_all() {
        let calm = Calm { repeats: Some(Repeats { after: 1, within: Duration::from_hours(1) }), ..Calm::default() };
        let mut recent = Recent::default();
        let mut hold = |story: usize, heal, now| {
            let mut message = message(MessageKind::Started, heal, now);
            message.heal.target = Target::new(format!("docker:local/name/{story}"));
            let held = calm.hold(&mut recent, &message, false, false, now);
            (held, recent.0.len())
        };
        for story in 0..MAX_STORIES - 1 {
            assert_eq!(hold(story, 1, at(0)), (None, story + 1));
        }
        assert_eq!(hold(MAX_STORIES, 1, at(1)), (None, MAX_STORIES));
        assert_eq!(hold(MAX_STORIES, 2, at(1)), (Some(at(2)), 1), "only the last is of this hour");
        for story in 1..MAX_STORIES {
            assert_eq!(hold(story, 1, at(1)), (None, story + 1));
        }
        assert_eq!(hold(1, 2, at(1)), (None, 1), "rather one too many is told than memory fills");
    }
}
