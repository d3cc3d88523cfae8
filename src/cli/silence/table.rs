//! Silences as `amtool` prints them: columns as wide as their widest entry, two spaces between.

use std::fmt::Write as _;

use serde_json::Value;

use crate::notify::matcher::{Matcher, Operator, render_list};

/// Columns apart by so much.
const GAP: usize = 2;

/// ID, matchers, end, author, comment.
pub fn simple(silences: &[Value]) -> String {
    let head = ["ID", "Matchers", "Ends At", "Created By", "Comment"].map(str::to_owned);
    let rows = sorted(silences).into_iter().map(|silence| {
        let matchers: Vec<_> = matchers(silence).iter().map(ToString::to_string).collect();
        [
            text(silence, "id"),
            matchers.join(" "),
            time(silence, "endsAt"),
            text(silence, "createdBy"),
            text(silence, "comment"),
        ]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// All there is to a silence.
pub fn extended(silences: &[Value]) -> String {
    let head = ["ID", "Matchers", "Starts At", "Ends At", "Updated At", "Created By", "Comment"].map(str::to_owned);
    let rows = sorted(silences).into_iter().map(|silence| {
        [
            text(silence, "id"),
            render_list(&matchers(silence)),
            time(silence, "startsAt"),
            time(silence, "endsAt"),
            time(silence, "updatedAt"),
            text(silence, "createdBy"),
            text(silence, "comment"),
        ]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// Those that end first come first.
fn sorted(silences: &[Value]) -> Vec<&Value> {
    let mut all: Vec<_> = silences.iter().collect();
    all.sort_by_key(|silence| text(silence, "endsAt"));
    all
}

fn text(silence: &Value, key: &str) -> String {
    silence[key].as_str().unwrap_or_default().to_owned()
}

/// A matcher that cannot be read is left out: the server has read it.
fn matchers(silence: &Value) -> Vec<Matcher> {
    let matcher = |item: &Value| {
        let flags = (item["isRegex"].as_bool().unwrap_or(false), item["isEqual"].as_bool().unwrap_or(true));
        Matcher::new(item["name"].as_str()?, Operator::of_flags(flags.0, flags.1), item["value"].as_str()?).ok()
    };
    silence["matchers"].as_array().into_iter().flatten().filter_map(matcher).collect()
}

/// `2026-01-31 12:00:00 UTC`
fn time(silence: &Value, key: &str) -> String {
    let text = silence[key].as_str().unwrap_or_default();
    let at: Result<jiff::Timestamp, _> = text.parse();
    at.map_or_else(|_| text.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0) + GAP;
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(out, "{cell:width$}");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_amtools() {
        let silence = serde_json::json!({
            "id": "ba1d811d-62f0-4fbc-9e55-13281bf1e59f", "createdBy": "me", "comment": "work",
            "startsAt": "2026-11-21T16:34:10.069Z", "endsAt": "2026-11-21T17:34:10.065Z",
            "updatedAt": "2026-11-21T16:34:10.069Z",
            "matchers": [{"name": "alertname", "value": "foo", "isRegex": false, "isEqual": true},
                {"name": "a", "value": "c", "isRegex": false, "isEqual": false}],
        });
        assert_eq!(
            simple(std::slice::from_ref(&silence)),
            "ID                                    Matchers                Ends At                  Created By  Comment  \n\
             ba1d811d-62f0-4fbc-9e55-13281bf1e59f  alertname=\"foo\" a!=\"c\"  2026-11-21 17:34:10 UTC  me          work     \n"
        );
        assert!(extended(&[silence]).contains("  {alertname=\"foo\",a!=\"c\"}  2026-11-21 16:34:10 UTC  "));
    }
}
