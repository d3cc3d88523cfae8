//! Answers as text, and how their columns become families.
//!
//! Queries select `*` where a view grows from version to version: known columns are taken, unknown ones
//! passed over, and a NULL or a column that this version lacks is an absent value, never 0.

use std::collections::HashMap;

use tokio_postgres::SimpleQueryRow;

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

/// The rows of one answer.
#[derive(Debug, Default)]
pub struct Table {
    columns: HashMap<Box<str>, usize>,
    rows: Vec<Vec<Option<Box<str>>>>,
}

impl Table {
    /// Takes an answer apart.
    pub fn new(answer: impl Iterator<Item = SimpleQueryRow>) -> Self {
        let mut table = Self::default();
        for row in answer {
            if table.columns.is_empty() {
                table.columns =
                    row.columns().iter().enumerate().map(|(at, column)| (column.name().into(), at)).collect();
            }
            table.rows.push((0..row.len()).map(|at| row.get(at).map(Into::into)).collect());
        }
        table
    }

    /// A table from texts, for tests: column names, then rows; an empty text is NULL.
    #[cfg(test)]
    pub fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let cell = |text: &&str| (!text.is_empty()).then(|| (*text).into());
        Self {
            columns: columns.iter().enumerate().map(|(at, name)| ((*name).into(), at)).collect(),
            rows: rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
        }
    }

    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }

    /// The first row, of a query that has just one.
    pub fn first(&self) -> Option<Row<'_>> {
        self.rows().next()
    }
}

/// One row.
#[derive(Clone, Copy)]
pub struct Row<'t> {
    columns: &'t HashMap<Box<str>, usize>,
    cells: &'t [Option<Box<str>>],
}

impl<'t> Row<'t> {
    /// A column's text; `None` for NULL and for a column that is not there.
    pub fn text(&self, column: &str) -> Option<&'t str> {
        self.cells.get(*self.columns.get(column)?)?.as_deref()
    }

    /// A column as a label's value; NULL is a label that is absent.
    pub fn label(&self, column: &str) -> &'t str {
        self.text(column).unwrap_or_default()
    }

    /// A column's number; booleans are 1 and 0.
    pub fn number(&self, column: &str) -> Option<f64> {
        match self.text(column)? {
            "t" => Some(1.0),
            "f" => Some(0.0),
            text => text.parse().ok(),
        }
    }

    /// Columns as labels of the same names.
    pub fn labels(&self, columns: &[&'static str]) -> Labels {
        Labels::new(columns.iter().map(|column| (*column, self.label(column))))
    }
}

/// A column that is a family's value.
pub struct Column {
    name: &'static str,
    family: Family,
    scale: f64,
}

impl Column {
    /// A value as it stands.
    pub const fn new(name: &'static str, family: Family) -> Self {
        Self { name, family, scale: 1.0 }
    }

    /// A value in milliseconds for a family in seconds.
    pub const fn millis(name: &'static str, family: Family) -> Self {
        Self { name, family, scale: 0.001 }
    }
}

/// Adds a row's known columns.
pub fn add_columns(look: &mut Look, columns: &[Column], labels: &Labels, row: Row<'_>) {
    for column in columns {
        if let Some(value) = row.number(column.name) {
            look.point(&column.family, Suffix::None, labels.clone(), value * column.scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_missing_columns_are_absent_values() {
        let table = Table::of(&["datname", "a", "b", "flag"], &[&["x", "1.5", "", "t"]]);
        let row = table.first().unwrap();
        assert_eq!((row.number("a"), row.number("b"), row.number("new")), (Some(1.5), None, None));
        assert_eq!((row.number("flag"), row.label("datname")), (Some(1.0), "x"));
    }

    #[test]
    fn only_known_columns_become_points() {
        let columns = [
            Column::new("a", Family::counter("t_a", "A.")),
            Column::millis("ms", Family::counter("t_ms_seconds", "A time.")),
        ];
        let table = Table::of(&["a", "ms", "other"], &[&["2", "1500", "9"]]);
        let mut look = Look::new();
        add_columns(&mut look, &columns, &Labels::empty(), table.first().unwrap());
        assert_eq!((look.get("t_a", &[]), look.get("t_ms_seconds", &[]), look.len()), (Some(2.0), Some(1.5), 2));
    }
}
