//! Reads `prometheus.WriteRequest` in protobuf, a series after the other, without copying text.
//!
//! Fields: request 1 series, 3 metadata; series 1 label, 2 sample, 3 exemplar, 4 native histogram; label 1 name, 2 value;
//! sample 1 value (double), 2 time in milliseconds (varint). Unknown fields are skipped, as protobuf asks.

use crate::model::Millis;

/// Labels of one series; more are refused.
const MAX_LABELS: usize = 1000;

/// What is wrong with a message, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    what: &'static str,
    at: usize,
}

/// One series of a request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series<'b> {
    /// In the order in which they came.
    pub labels: Vec<(&'b str, &'b str)>,
    /// How many samples it has.
    pub samples: u64,
    /// How many exemplars it has.
    pub exemplars: u64,
    /// How many native histograms it has.
    pub histograms: u64,
    /// Where the samples are read from: there may be millions.
    message: Message<'b>,
}

impl<'b> Series<'b> {
    /// The samples in the order in which they came; staleness markers keep their bits.
    pub fn samples(&self) -> impl Iterator<Item = (Millis, f64)> + use<'b> {
        let mut message = self.message;
        std::iter::from_fn(move || {
            loop {
                // It was read to its end before.
                if let (2, Value::Bytes(sample)) = message.field().ok()?? {
                    return read_sample(sample).ok();
                }
            }
        })
    }
}

/// The series of a request, read one after the other. Ends behind the first error.
#[derive(Debug, Clone)]
pub struct WriteRequest<'b> {
    message: Option<Message<'b>>,
}

impl<'b> WriteRequest<'b> {
    /// A request that is not read yet.
    pub fn new(body: &'b [u8]) -> Self {
        Self { message: Some(Message { bytes: body, at: 0 }) }
    }
}

impl<'b> Iterator for WriteRequest<'b> {
    type Item = Result<Series<'b>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.message.as_mut()?;
        let found = loop {
            match message.field() {
                Ok(None) => break None,
                Ok(Some((1, Value::Bytes(series)))) => break Some(read_series(series)),
                Ok(Some((1, _))) => break Some(message.wrong("a series of another type")),
                Ok(Some(_)) => {}
                Err(error) => break Some(Err(error)),
            }
        };
        if !matches!(found, Some(Ok(_))) {
            self.message = None;
        }
        found
    }
}

fn read_series(mut message: Message<'_>) -> Result<Series<'_>, Malformed> {
    let mut series = Series { message, ..Series::default() };
    while let Some(field) = message.field()? {
        match field {
            (1, Value::Bytes(label)) => {
                if series.labels.len() == MAX_LABELS {
                    return message.wrong("more than 1000 labels");
                }
                series.labels.push(read_label(label)?);
            }
            (2, Value::Bytes(sample)) => {
                read_sample(sample)?;
                series.samples += 1;
            }
            (3, Value::Bytes(_)) => series.exemplars += 1,
            (4, Value::Bytes(_)) => series.histograms += 1,
            (1..=4, _) => return message.wrong("a part of a series of another type"),
            _ => {}
        }
    }
    Ok(series)
}

fn read_label(mut message: Message<'_>) -> Result<(&str, &str), Malformed> {
    let (mut name, mut value) = ("", "");
    while let Some(field) = message.field()? {
        match field {
            (1, Value::Bytes(text)) => name = text.text()?,
            (2, Value::Bytes(text)) => value = text.text()?,
            (1 | 2, _) => return message.wrong("a label's text of another type"),
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_sample(mut message: Message<'_>) -> Result<(Millis, f64), Malformed> {
    // Protobuf leaves zeros out.
    let (mut at, mut value) = (Millis(0), 0.0);
    while let Some(field) = message.field()? {
        match field {
            (1, Value::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Value::Varint(millis)) => at = Millis(millis.cast_signed()),
            (1 | 2, _) => return message.wrong("a part of a sample of another type"),
            _ => {}
        }
    }
    Ok((at, value))
}

/// A part of the body, with its place in it for errors.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Message<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// A field's value.
#[derive(Debug, Clone, Copy)]
enum Value<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(Message<'b>),
    Fixed32,
}

impl<'b> Message<'b> {
    fn wrong<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { what, at: self.at })
    }

    /// The next field's number and value; nothing at the end.
    fn field(&mut self) -> Result<Option<(u64, Value<'b>)>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.part(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            _ => return self.wrong("a field of a type that proto3 has not"),
        };
        if key >> 3 == 0 { self.wrong("a field of number 0") } else { Ok(Some((key >> 3, value))) }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.bytes.split_first() else { return self.wrong("the end within a number") };
            (self.bytes, self.at) = (rest, self.at + 1);
            if shift == 63 && *byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        self.wrong("a number of more than 64 bits")
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((array, rest)) = self.bytes.split_first_chunk() else { return self.wrong("the end within a number") };
        (self.bytes, self.at) = (rest, self.at + N);
        Ok(*array)
    }

    fn part(&mut self, length: usize) -> Result<Self, Malformed> {
        let Some((bytes, rest)) = self.bytes.split_at_checked(length) else {
            return self.wrong("a part that is longer than what is left");
        };
        let part = Self { bytes, at: self.at };
        (self.bytes, self.at) = (rest, self.at + length);
        Ok(part)
    }

    fn text(&self) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.bytes).or_else(|_| self.wrong("a text that is not UTF-8"))
    }
}
