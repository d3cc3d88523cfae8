//! The silences that hold or will, and the form for a new one.

use std::fmt::Write as _;

use crate::model::{Labels, Millis};
use crate::notify::matcher::{Matcher, Operator};
use crate::notify::silence::{Silence, State};
use crate::serve::Parts;

use super::alerts::left;
use super::escape;

/// So many are shown; `/api/v2/silences` has all.
const SHOWN: usize = 200;

/// For how long, and whether that is what most want.
const DURATIONS: [(&str, &str); 7] = [
    ("30m", "30 minutes"),
    ("1h", "1 hour"),
    ("2h", "2 hours"),
    ("8h", "8 hours"),
    ("1d", "1 day"),
    ("3d", "3 days"),
    ("1w", "1 week"),
];
const USUAL: &str = "2h";

/// Writes the section.
pub(super) fn show(page: &mut String, parts: &Parts, now: Millis, with_forms: bool) {
    page.push_str("<h2 id=silences>Silences</h2>");
    let all = parts.notifier.silences().all(now);
    let open: Vec<_> = all.iter().filter(|silence| silence.state(now) != State::Expired).collect();
    if open.is_empty() {
        page.push_str("<p>Nothing is silenced.</p>");
    }
    for silence in open.iter().take(SHOWN) {
        one(page, silence, now, with_forms);
    }
    if open.len() > SHOWN {
        let hidden = open.len() - SHOWN;
        let _ = write!(page, "<p>… and {hidden} more: <a href=api/v2/silences>/api/v2/silences</a></p>");
    }
    if with_forms {
        page.push_str("<div>");
        silence_form(page, "New silence", &Labels::empty());
        page.push_str("</div>");
    }
}

fn one(page: &mut String, silence: &Silence, now: Millis, with_forms: bool) {
    let wish = &silence.wish;
    let matchers: Vec<_> = wish.matchers.iter().map(|matcher| escape(&matcher.to_string())).collect();
    let begins = match silence.state(now) {
        State::Pending => format!("begins in {}, ", left(now, wish.starts_at)),
        _ => String::new(),
    };
    let _ = write!(
        page,
        "<div class=entry><h3>{}</h3><p>{begins}ends in {} ({})<p>{}: {}",
        matchers.join(", "),
        left(now, wish.ends_at),
        wish.ends_at.to_rfc3339(),
        escape(&wish.created_by),
        escape(&wish.comment),
    );
    if with_forms {
        let _ = write!(
            page,
            "<form method=post action=page/expire><input type=hidden name=id value='{}'><button>End it</button></form>",
            escape(silence.id.as_str()),
        );
    }
    page.push_str("</div>");
}

/// A form that is folded away, for what has these labels.
pub(super) fn silence_form(page: &mut String, title: &str, labels: &Labels) {
    let matcher = |(name, value): (&str, &str)| Matcher::new(name, Operator::of_flags(false, true), value).ok();
    let matchers: Vec<_> = labels.iter().filter_map(matcher).map(|matcher| matcher.to_string()).collect();
    let _ = write!(
        page,
        "<details><summary>{title}</summary><form method=post action=page/silence>\
         <label>What <input name=matchers required maxlength=8192 value='{}' placeholder='alertname=\"PgFull\", instance=~\"db.*\"'></label>\
         <label>For <select name=for>",
        escape(&matchers.join(", "))
    );
    for (value, text) in DURATIONS {
        let selected = if value == USUAL { " selected" } else { "" };
        let _ = write!(page, "<option value={value}{selected}>{text}");
    }
    page.push_str(
        "</select></label><label>Why <input name=comment required maxlength=1000></label>\
         <label>Who <input name=by required maxlength=100 autocomplete=name></label><button>Silence</button></form></details>",
    );
}
