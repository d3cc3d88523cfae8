//! Several questions in one statement.
//!
//! The server parses, counts and logs each statement, and each costs a journey; two dozen small ones at every look are
//! most of what watching costs it. So questions that went well when asked by themselves are from then on asked together:
//! one arm of a `UNION ALL` each, with the whole row as the text of a composite value. Between the arms stands the
//! server's clock, which tells how long each took.
//!
//! Pure: text in, text out.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::rows::{Columns, Table};

/// A question's part of the statement.
pub struct Arm {
    /// Its place in the registry; none for the facts.
    pub question: Option<usize>,
    /// Its text.
    pub sql: std::borrow::Cow<'static, str>,
    /// What its last answer looked like.
    pub columns: Arc<Columns>,
}

/// An arm's answer.
pub struct Answer {
    /// The rows.
    pub table: Table,
    /// How long the arm took on the server.
    pub took: Duration,
}

/// The statement for some questions.
pub fn statement(arms: &[Arm]) -> String {
    let mut sql = String::from("SELECT 0 AS arm, extract(epoch FROM clock_timestamp())::text AS answer");
    for (number, arm) in arms.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(
            sql,
            " UNION ALL SELECT {number}, answer_row::text FROM ({}) answer_row \
             UNION ALL SELECT {number}, extract(epoch FROM clock_timestamp())::text",
            arm.sql
        );
    }
    sql
}

/// Takes the answer apart, an answer for each arm in order; `None` when it is not what was asked for, since a view has
/// other columns now.
pub fn read(arms: &[Arm], joined: &Table) -> Option<Vec<Answer>> {
    let mut answers = Vec::with_capacity(arms.len());
    let mut rows = joined.rows();
    let mut before = rows.next()?.number("answer")?;
    for (number, arm) in arms.iter().enumerate() {
        let mut table = Table::new(Arc::clone(&arm.columns));
        let end = loop {
            let row = rows.next()?;
            let text = row.text("answer")?;
            if row.number("arm")? as usize != number {
                return None;
            }
            if !text.starts_with('(') {
                break text.parse::<f64>().ok()?;
            }
            if !table.push_record(text) {
                return None;
            }
        };
        let took = Duration::try_from_secs_f64(end - before).unwrap_or_default();
        before = end;
        answers.push(Answer { table, took });
    }
    Some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(question: usize, sql: &'static str, columns: &[&str]) -> Arm {
        Arm { question: Some(question), sql: sql.into(), columns: Table::of(columns, &[]).columns() }
    }

    fn arms() -> [Arm; 2] {
        [arm(4, "SELECT * FROM one", &["a", "b"]), arm(7, "SELECT * FROM two", &["c"])]
    }

    #[test]
    fn each_question_is_an_arm_between_two_times() {
        let sql = statement(&arms());
        assert_eq!(sql.matches("clock_timestamp()").count(), 3);
        assert_eq!(sql.matches(" UNION ALL ").count(), 4);
        assert!(sql.contains("SELECT 1, answer_row::text FROM (SELECT * FROM two) answer_row"));
    }

    #[test]
    fn the_answer_is_taken_apart_again() {
        let joined = Table::of(
            &["arm", "answer"],
            &[&["0", "100.0"], &["0", "(1,x)"], &["0", "(2,)"], &["0", "100.25"], &["1", "100.5"]],
        );
        let answers = read(&arms(), &joined).unwrap();
        let first: Vec<_> = answers[0].table.rows().map(|row| (row.number("a"), row.text("b"))).collect();
        assert_eq!(first, [(Some(1.0), Some("x")), (Some(2.0), None)]);
        assert_eq!(answers[1].table.rows().count(), 0, "no row is an answer too");
        assert_eq!(answers.iter().map(|answer| answer.took.as_millis()).collect::<Vec<_>>(), [250, 250]);
    }

    #[test]
    fn another_shape_than_before_is_no_answer() {
        let start: &[&str] = &["0", "100.0"];
        for rows in [
            vec![],
            vec![start],
            vec![start, &["0", "(1,2,3)"], &["0", "100.1"], &["1", "100.2"]],
            vec![start, &["1", "(1)"], &["1", "100.2"]],
        ] {
            assert!(read(&arms(), &Table::of(&["arm", "answer"], &rows)).is_none(), "{rows:?}");
        }
    }
}
