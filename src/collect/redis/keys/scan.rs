//! One SCAN: at most so many keys that no server notices.

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::redis::connection::{Connection, Missed};
use crate::collect::redis::reply::{items, text};
use crate::collect::{CollectError, Reason};

/// The cursor at which a pass over a database begins and ends.
pub const START: &str = "0";

/// The next cursor, and some `count` keys of the selected database. `None` when the server forbids SCAN and that was said before.
pub async fn scan(
    connection: &mut Connection,
    cursor: &str,
    pattern: Option<&[u8]>,
    count: u16,
    deadline: Instant,
) -> Option<Result<(String, Vec<Vec<u8>>), Missed>> {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor);
    if let Some(pattern) = pattern {
        command.arg("MATCH").arg(pattern);
    }
    command.arg("COUNT").arg(count);
    let mut commands = Pipeline::new();
    commands.add_command(command);
    let answer = connection.ask_if_allowed::<(Value,)>("SCAN", &commands, deadline).await?;
    Some(answer.and_then(|(answer,)| read(answer)))
}

fn read(answer: Value) -> Result<(String, Vec<Vec<u8>>), Missed> {
    let cursor = items(&answer).first().and_then(text).map(std::borrow::Cow::into_owned);
    let keys = match answer {
        Value::Array(mut parts) if parts.len() == 2 => parts.pop(),
        _ => None,
    };
    let (Some(cursor), Some(Value::Array(keys))) = (cursor, keys) else {
        let error = CollectError::new(Reason::Malformed, "SCAN's answer is not a cursor and keys");
        return Err(Missed { error, broken: false });
    };
    let name = |key| if let Value::BulkString(name) = key { Some(name) } else { None };
    Ok((cursor, keys.into_iter().filter_map(name).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::redis::reply::tests::bulk;

    #[test]
    fn an_answer_is_a_cursor_and_keys() {
        let answer = Value::Array(vec![bulk("17"), Value::Array(vec![bulk("a"), bulk("b")])]);
        let (cursor, keys) = read(answer).ok().unwrap();
        assert_eq!((cursor.as_str(), keys), ("17", vec![b"a".to_vec(), b"b".to_vec()]));
        assert!(read(Value::Okay).is_err());
    }
}
