//! Statements that the server has read and planned for a session.
//!
//! Reading and planning costs it several times what answering does, so what is asked again and again is prepared by SQL's
//! `PREPARE`, once a session. The answers stay text, as those of any other statement.
//!
//! Pure: it only writes the messages.

/// What is prepared in one session. Nothing at its beginning, or when it is not known any more.
#[derive(Default)]
pub struct Prepared {
    statements: Vec<Statement>,
}

struct Statement {
    name: &'static str,
    sql: String,
}

impl Prepared {
    /// The message that executes a statement under this name, and prepares it before if need be.
    pub fn execute(&mut self, name: &'static str, sql: &str) -> String {
        let execute = format!("EXECUTE \"sidewatch {name}\"");
        let first = match self.statements.iter().position(|known| known.name == name) {
            Some(at) if self.statements[at].sql == sql => return execute,
            Some(at) => {
                self.statements.remove(at);
                format!("DEALLOCATE \"sidewatch {name}\";")
            }
            // What a failed message left is not known.
            None if self.statements.is_empty() => "DEALLOCATE ALL;".to_owned(),
            None => String::new(),
        };
        self.statements.push(Statement { name, sql: sql.to_owned() });
        format!("{first}PREPARE \"sidewatch {name}\" AS {sql};{execute}")
    }

    /// After a message that failed: it may have prepared something or not. All begins anew.
    pub fn forget(&mut self) {
        self.statements.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_prepared_once() {
        let mut session = Prepared::default();
        let first = r#"DEALLOCATE ALL;PREPARE "sidewatch figures" AS SELECT 1;EXECUTE "sidewatch figures""#;
        assert_eq!(session.execute("figures", "SELECT 1"), first);
        assert_eq!(session.execute("figures", "SELECT 1"), r#"EXECUTE "sidewatch figures""#);
        let beside = r#"PREPARE "sidewatch sizes" AS SELECT 2;EXECUTE "sidewatch sizes""#;
        assert_eq!(session.execute("sizes", "SELECT 2"), beside, "the first stays");
        assert_eq!(session.execute("figures", "SELECT 1"), r#"EXECUTE "sidewatch figures""#);
        let other =
            r#"DEALLOCATE "sidewatch figures";PREPARE "sidewatch figures" AS SELECT 3;EXECUTE "sidewatch figures""#;
        assert_eq!(session.execute("figures", "SELECT 3"), other);
        assert_eq!(session.execute("sizes", "SELECT 2"), r#"EXECUTE "sidewatch sizes""#);
    }

    #[test]
    fn after_a_failure_nothing_is_taken_for_prepared() {
        let mut session = Prepared::default();
        session.execute("figures", "SELECT 1");
        session.execute("sizes", "SELECT 2");
        session.forget();
        assert!(session.execute("sizes", "SELECT 2").starts_with("DEALLOCATE ALL;PREPARE"));
        assert!(session.execute("figures", "SELECT 1").starts_with("PREPARE"));
    }
}
