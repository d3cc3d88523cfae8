//! Picks answers apart: RESP2 gives texts, numbers and arrays, and maps as arrays of names and values.

use std::borrow::Cow;

use redis::Value;

use crate::model::readable;

/// A text, with what is not UTF-8 escaped.
pub fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::BulkString(bytes) => Some(readable(bytes)),
        Value::SimpleString(text) => Some(Cow::Borrowed(text)),
        Value::Okay => Some(Cow::Borrowed("OK")),
        _ => None,
    }
}

/// A whole number, also where it came as text.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        other => text(other)?.trim().parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// The items of an array; none of anything else.
pub fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

/// The value of a name in an array of names and values.
pub fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let named = |pair: &&[Value]| matches!(&pair[0], Value::BulkString(bytes) if bytes == name.as_bytes());
    items(value).chunks_exact(2).find(named).map(|pair| &pair[1])
}

/// The number of a name in such an array.
pub fn number_of(value: &Value, name: &str) -> Option<f64> {
    number(field(value, name)?)
}

/// The text of a name in such an array.
pub fn text_of<'v>(value: &'v Value, name: &str) -> Option<Cow<'v, str>> {
    text(field(value, name)?)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A text as servers send it.
    pub fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn maps_are_arrays_of_names_and_values() {
        let map = Value::Array(vec![bulk("length"), Value::Int(5), bulk("id"), bulk("17-0"), bulk("lag"), Value::Nil]);
        assert_eq!((number_of(&map, "length"), text_of(&map, "id").as_deref()), (Some(5.0), Some("17-0")));
        assert_eq!((number_of(&map, "lag"), number_of(&map, "none")), (None, None));
    }
}
