//! What setting or ending a silence does to those that are there. Pure.

use crate::model::Millis;

use super::super::matcher::Matcher;
use super::{Silence, SilenceError, State, Wish};

/// What setting a silence comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    /// The one that is there is changed in place.
    Update(Silence),
    /// A new one is made; the one that it takes the place of ends, so that what it silenced can still be looked at.
    Create {
        /// The old one, as it has ended.
        ended: Option<Silence>,
        /// The new one.
        wish: Wish,
    },
}

/// Refuses what silences everything or nothing.
pub(super) fn check(wish: &Wish) -> Result<(), SilenceError> {
    let invalid = |why: String| Err(SilenceError::Invalid(why));
    if wish.matchers.is_empty() {
        return invalid("matcher set 0: at least one matcher required".into());
    }
    for (at, matcher) in wish.matchers.iter().enumerate() {
        if matcher.name().is_empty() {
            return invalid(format!("invalid label matcher {at} in set 0: invalid label name \"\""));
        }
    }
    // As in Alertmanager, only matchers that ask for a value count: `a!="b"` alone takes an alert without `a`, and is taken.
    let takes_empty = |matcher: &Matcher| matcher.operator().is_equal() && matcher.takes_value("");
    if wish.matchers.iter().all(takes_empty) {
        return invalid("matcher set 0: at least one matcher must not match the empty string".into());
    }
    if wish.ends_at < wish.starts_at {
        return invalid("end time must not be before start time".into());
    }
    if wish.ends_at == wish.starts_at {
        return invalid("end time must be after start time".into());
    }
    // What cannot be written cannot be read back by anybody, us included.
    if jiff::Timestamp::from_millisecond(wish.ends_at.0).is_err() {
        return invalid("end time must be before the year 10000".into());
    }
    Ok(())
}

/// Decides, as Alertmanager does.
pub(super) fn of(known: Option<&Silence>, wish: Wish, now: Millis) -> Change {
    match known {
        Some(known) if may_update(known, &wish, now) => {
            Change::Update(Silence { id: known.id.clone(), wish, updated_at: now })
        }
        _ => {
            let ended = known.and_then(|known| ended(known, now));
            let starts_at = wish.starts_at.max(now);
            Change::Create { ended, wish: Wish { starts_at, ..wish } }
        }
    }
}

/// The silence as it is when it ends now; nothing when it has ended already.
pub(super) fn ended(known: &Silence, now: Millis) -> Option<Silence> {
    let starts_at = match known.state(now) {
        State::Expired => return None,
        State::Active => known.wish.starts_at,
        State::Pending => now,
    };
    let wish = Wish { starts_at, ends_at: now, ..known.wish.clone() };
    Some(Silence { id: known.id.clone(), wish, updated_at: now })
}

/// Whether the change leaves the past as it was: what was silenced when.
fn may_update(known: &Silence, wish: &Wish, now: Millis) -> bool {
    let seconds = |at: Millis| at.0.div_euclid(1000);
    known.wish.matchers == wish.matchers
        && match known.state(now) {
            State::Active => seconds(known.wish.starts_at) == seconds(wish.starts_at) && wish.ends_at >= now,
            State::Pending => wish.starts_at >= now,
            State::Expired => false,
        }
}
