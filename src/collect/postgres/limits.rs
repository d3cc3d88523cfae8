//! How long a statement may take, where its names are looked up, and how the server is told.

use std::time::Duration;

use tokio::time::Instant;

/// Where names are looked up: the server's own only. Unless named, the temporary schema would come first.
const PATH: &str = "pg_catalog,pg_temp";

/// How long one statement, and the wait for one lock in it, may take on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `statement_timeout`.
    pub statement: Duration,
    /// `lock_timeout`: shorter, so that a locked table costs little of the look.
    pub lock: Duration,
}

impl Limits {
    /// Limits that leave a look of this length time for other statements.
    pub fn within(look: Duration) -> Self {
        Self::of((look / 2).min(Duration::from_secs(2)))
    }

    fn of(statement: Duration) -> Self {
        Self { statement, lock: (statement / 4).min(Duration::from_millis(250)) }
    }

    /// Limits for the next statement: tighter ones when `deadline` is near, so that the server cuts it before we
    /// have to; none when so little is left that hardly a statement could be answered.
    pub fn before(self, deadline: Instant) -> Option<Self> {
        let left = deadline.saturating_duration_since(Instant::now());
        let statement = self.statement.min(left * 3 / 4);
        (statement >= self.statement / 4 && statement >= Duration::from_millis(1)).then(|| Self::of(statement))
    }

    /// For one message with the statement, which then is one transaction: a pooler hands the server's session on to
    /// others after it, so nothing may stay set.
    /// (Before 11 a server applies the `statement_timeout` only from the next message on; there the agent's own time-out
    /// must do.) 0 would mean no limit. Compiling a statement costs the server more than any of ours does.
    ///
    /// The limit and the path are set by commands, which nobody can shadow and which come before any name is looked up.
    /// Whatever path the role or the database has, a function or operator that somebody made in `public` is never run.
    pub fn around(self, sql: &str) -> String {
        format!("{};{sql}", self.set(true))
    }

    /// For a session that is ours alone: once and for all.
    pub fn for_session(self) -> String {
        self.set(false)
    }

    fn set(self, local: bool) -> String {
        let [statement, lock] = [self.statement, self.lock].map(|limit| limit.as_millis().max(1));
        let how = if local { "SET LOCAL" } else { "SET" };
        format!(
            "{how} statement_timeout={statement};{how} search_path={PATH};\
             SELECT set_config('lock_timeout','{lock}',{local}),set_config('jit','off',{local})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_leave_room_in_the_look() {
        let usual = Limits::within(Duration::from_secs(5));
        assert_eq!((usual.statement.as_millis(), usual.lock.as_millis()), (2000, 250));
        let short = Limits::within(Duration::from_millis(400));
        assert_eq!((short.statement.as_millis(), short.lock.as_millis()), (200, 50));
        let message = short.around("SELECT 1");
        let start = "SET LOCAL statement_timeout=200;SET LOCAL search_path=pg_catalog,pg_temp;\
                     SELECT set_config('lock_timeout','50',true),";
        assert!(message.starts_with(start) && message.ends_with(";SELECT 1"), "{message}");
        let shortest = Limits::within(Duration::from_millis(4));
        assert!(shortest.around("").contains("'lock_timeout','1'"), "0 would be no limit");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_the_look_limits_the_next_statement() {
        let limits = Limits::within(Duration::from_secs(5));
        let statement =
            |left| limits.before(Instant::now() + Duration::from_millis(left)).map(|l| l.statement.as_millis());
        assert_eq!([4950, 2400, 800, 600].map(statement), [Some(2000), Some(1800), Some(600), None]);
        let tight = Limits::within(Duration::from_millis(45));
        assert!(tight.before(Instant::now() + Duration::from_millis(45)).is_some(), "a look of 50 ms asks too");
        assert!(tight.before(Instant::now()).is_none());
    }
}
