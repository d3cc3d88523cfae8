//! Answers as text, and how their columns become families.
//!
//! Queries select `*` where a view grows from version to version: known columns are taken, unknown ones
//! passed over, and a NULL or a column that this version lacks is an absent value, never 0.

use std::collections::HashMap;
use std::sync::Arc;

use crate::collect::{CollectError, Look, Reason};
use crate::model::{Family, Labels, Suffix};

/// The names of an answer's columns, and where each is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Columns {
    at: HashMap<Box<str>, usize>,
    count: usize,
}

/// The rows of one answer. All cells stand in one text, so that a row costs no allocation of its own.
#[derive(Debug, Default)]
pub struct Table {
    columns: Arc<Columns>,
    text: String,
    cells: Vec<Cell>,
    rows: usize,
    /// Rows that were left out, since something in them is no UTF-8.
    pub unreadable: usize,
}

/// Where in the text a cell is; `None` for NULL.
type Cell = Option<(u32, u32)>;

impl Table {
    /// An answer without rows yet.
    pub fn new(columns: Arc<Columns>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// The columns by their names.
    pub fn named<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut columns = Columns::default();
        for name in names {
            columns.at.insert(name.into(), columns.count);
            columns.count += 1;
        }
        Self::new(Arc::new(columns))
    }

    /// The columns, for another answer to the same question.
    pub fn columns(&self) -> Arc<Columns> {
        Arc::clone(&self.columns)
    }

    /// Adds a row, whose cells come in the order of the columns.
    pub fn push<'c>(&mut self, row: impl Iterator<Item = Option<&'c str>>) {
        for cell in row.take(self.columns.count) {
            let begin = self.text.len();
            self.text.push_str(cell.unwrap_or_default());
            self.end_cell(begin, cell.is_some());
        }
        self.end_row();
    }

    /// Adds a row from the text of a composite value: `(1,"two words",)`. Of a text that is none, or has another number
    /// of fields than there are columns, nothing is added.
    #[must_use]
    pub fn push_record(&mut self, record: &str) -> bool {
        let (text, cells) = (self.text.len(), self.cells.len());
        let whole = self.add_record(record).is_some_and(|()| self.cells.len() == cells + self.columns.count);
        if whole {
            self.end_row();
        } else {
            self.text.truncate(text);
            self.cells.truncate(cells);
        }
        whole
    }

    /// The syntax of `PostgreSQL`'s manual, "Composite Type Input and Output Syntax": nothing between two commas is NULL;
    /// in quotes, a quote and a backslash are doubled or follow a backslash.
    fn add_record(&mut self, record: &str) -> Option<()> {
        let mut rest = record.strip_prefix('(')?.strip_suffix(')')?;
        loop {
            let begin = self.text.len();
            let (after, given) = if let Some(quoted) = rest.strip_prefix('"') {
                (self.add_quoted(quoted)?, true)
            } else {
                let (plain, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                self.text.push_str(plain);
                (after, !plain.is_empty())
            };
            self.end_cell(begin, given);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return after.is_empty().then_some(()),
            }
        }
    }

    /// Adds what stands in quotes; gives what comes after them.
    fn add_quoted<'r>(&mut self, mut rest: &'r str) -> Option<&'r str> {
        loop {
            let (plain, special) = rest.split_at(rest.find(['"', '\\'])?);
            self.text.push_str(plain);
            let mut chars = special.chars();
            let (mark, next) = (chars.next()?, chars.clone().next());
            if mark == '"' && next != Some('"') {
                return Some(&special[1..]);
            }
            self.text.push(next?);
            rest = &special[1 + next?.len_utf8()..];
        }
    }

    fn end_cell(&mut self, begin: usize, given: bool) {
        self.cells.push(given.then_some((begin as u32, self.text.len() as u32)));
    }

    fn end_row(&mut self) {
        self.rows += 1;
        self.cells.resize(self.rows * self.columns.count, None);
    }

    /// A table from texts, for tests: column names, then rows; an empty text is NULL.
    #[cfg(test)]
    pub fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let mut table = Self::named(columns.iter().copied());
        for row in rows {
            table.push(row.iter().map(|cell| (!cell.is_empty()).then_some(*cell)));
        }
        table
    }

    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows).map(|row| Row { table: self, first: row * self.columns.count })
    }

    /// The first row, of a query that has just one.
    pub fn first(&self) -> Option<Row<'_>> {
        self.rows().next()
    }
}

/// One row.
#[derive(Clone, Copy)]
pub struct Row<'t> {
    table: &'t Table,
    first: usize,
}

impl<'t> Row<'t> {
    /// A column's text; `None` for NULL and for a column that is not there.
    pub fn text(&self, column: &str) -> Option<&'t str> {
        let (begin, end) = (*self.table.cells.get(self.first + self.table.columns.at.get(column)?)?)?;
        self.table.text.get(begin as usize..end as usize)
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

    /// The same with the label `server`, `host:port`, which a part of the exporter's families have.
    pub fn labels_at(&self, server: &str, columns: &[&'static str]) -> Labels {
        let own = columns.iter().map(|column| (*column, self.label(column)));
        Labels::new(own.chain([("server", server)]))
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

/// Says that only so many rows of a larger answer are shown; `what` names these.
pub fn say_dropped(table: &Table, shown: usize, what: &str, look: &mut Look) {
    if table.rows > shown {
        look.missed(CollectError::new(Reason::TooLarge, format!("only {shown} are shown: {what}")));
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
    fn a_composite_values_text_is_a_row() {
        let mut table = Table::named(["a", "b", "c"].into_iter());
        for (record, cells) in [
            ("(1,two,3.5)", [Some("1"), Some("two"), Some("3.5")]),
            ("(,,)", [None, None, None]),
            (r#"("",x,)"#, [Some(""), Some("x"), None]),
            (r#"("two words","say ""hi"", \\o/","ä,ö")"#, [Some("two words"), Some(r#"say "hi", \o/"#), Some("ä,ö")]),
            (r#"((1),"{1,2}",t)"#, [Some("(1)"), Some("{1,2}"), Some("t")]),
        ] {
            assert!(table.push_record(record), "{record}");
            let row = table.rows().last().unwrap();
            assert_eq!(["a", "b", "c"].map(|column| row.text(column)), cells, "{record}");
        }
        let rows = table.rows().count();
        for other in ["", "1,2,3", "(1,2)", "(1,2,3,4)", r#"("1,2,3)"#, r#"("1"2,3,4)"#] {
            assert!(!table.push_record(other), "{other}");
        }
        assert_eq!(table.rows().count(), rows, "what cannot be read adds nothing");
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
