//! One group of keys: its sample is measured at the end of a pass, and looked up again at the end of the next.
//!
//! Redis does not say which keys expired or were evicted. So the keys of a sample are looked up again one pass later:
//! who is gone after its time has expired, who is gone before was evicted or deleted. That share of the group is the
//! estimate, never more than the server itself counted meanwhile; where nothing was evicted, nothing is. Keys that come
//! and go between two passes, and those written again under the same name, escape it.

use redis::{Pipeline, Value};
use tokio::time::{Duration, Instant};

use crate::collect::Look;
use crate::collect::redis::connection::{Connection, Missed};
use crate::collect::redis::reply::{number, text};

use super::Group;
use super::figures::{Figures, Pressure};

/// Keys of a group that are measured. A smaller group is measured whole.
pub const SAMPLED: usize = 128;
/// The same where the values count requests: who is near the limit is a small part.
pub const SAMPLED_WITH_LIMIT: usize = 1024;
/// Keys asked for in one go.
const AT_ONCE: usize = 64;
/// PTTL of a key that is not there.
const GONE: f64 = -2.0;

/// The sample of the last pass, to be looked up again.
#[derive(Debug, Default)]
pub struct Former {
    /// Keys of the group then.
    count: f64,
    keys: Vec<(Vec<u8>, Option<Instant>)>,
}

/// How many keys of the group are gone since the last pass, by estimate.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Gone {
    /// Their time was over.
    pub expired: f64,
    /// It was not.
    pub early: f64,
}

/// Looks the former sample up again, in the selected database.
pub async fn recall(connection: &mut Connection, former: &Former, deadline: Instant) -> Result<Gone, Missed> {
    let (mut asked, mut gone) = (0.0, Gone::default());
    for keys in former.keys.chunks(AT_ONCE) {
        let mut commands = Pipeline::new();
        for (key, _) in keys {
            commands.cmd("PTTL").arg(key);
        }
        let answers = connection.ask_each("PTTL", &mut commands, deadline).await?;
        let now = Instant::now();
        for ((_, due), left) in keys.iter().zip(answers.iter().map(number)) {
            asked += f64::from(u8::from(left.is_some()));
            match due {
                _ if left != Some(GONE) => {}
                Some(due) if *due <= now => gone.expired += 1.0,
                _ => gone.early += 1.0,
            }
        }
    }
    let share = if asked > 0.0 { former.count / asked } else { 0.0 };
    Ok(Gone { expired: gone.expired * share, early: gone.early * share })
}

/// Measures a sample of a group of `count` keys, in the selected database. What is refused for the first key is not asked of
/// the others.
pub async fn measure(
    connection: &mut Connection,
    group: &Group,
    count: f64,
    sample: Vec<Vec<u8>>,
    deadline: Instant,
    look: &mut Look,
) -> Result<(Figures, Former), Missed> {
    let counter = match (group.limit, sample.first()) {
        (Some(_), Some(key)) => Counter::of(connection, key, deadline).await?,
        _ => None,
    };
    let mut asked = vec![Question::Memory, Question::Left];
    asked.extend(counter.map(Question::Count));
    asked.retain(|question| connection.may_ask(question.words(), &group.pattern));
    let (mut sums, mut former) = (Sums::default(), Former { count, keys: Vec::with_capacity(sample.len()) });
    let (first, others) = sample.split_at(sample.len().min(1));
    for (at, keys) in first.chunks(1).chain(others.chunks(AT_ONCE)).enumerate() {
        if asked.is_empty() {
            break;
        }
        let mut commands = Pipeline::new();
        for key in keys {
            for question in &asked {
                question.ask(key, &mut commands);
            }
        }
        let answers = connection.ask_each("MEMORY USAGE", &mut commands, deadline).await?;
        let now = Instant::now();
        for (key, answers) in keys.iter().zip(answers.chunks_exact(asked.len())) {
            former.keys.extend(sums.add(&in_order(&asked, answers), now).map(|due| (key.clone(), due)));
        }
        if at == 0 {
            let mut answers = answers.iter();
            asked.retain(|question| {
                let refused =
                    answers.next().and_then(|answer| connection.refusal_for(question.words(), &group.pattern, answer));
                refused.map(|error| look.missed(error)).is_none()
            });
        }
    }
    let may_count = asked.iter().any(|question| matches!(question, Question::Count(_)));
    Ok((sums.figures(count, group.limit.filter(|_| may_count)), former))
}

/// What is asked of each key.
#[derive(Debug, Clone, Copy)]
enum Question {
    Memory,
    Left,
    Count(Counter),
}

impl Question {
    fn words(self) -> &'static str {
        match self {
            Self::Memory => "MEMORY USAGE",
            Self::Left => "PTTL",
            Self::Count(Counter::Number) => "GETRANGE",
            Self::Count(Counter::Elements(command)) => command,
        }
    }

    fn ask(self, key: &[u8], commands: &mut Pipeline) {
        match self {
            Self::Memory => {
                commands.cmd("MEMORY").arg("USAGE").arg(key);
            }
            Self::Left => {
                commands.cmd("PTTL").arg(key);
            }
            Self::Count(counter) => counter.question(key, commands),
        }
    }
}

/// The answers as [`Sums::add`] takes them; what was not asked is nil.
fn in_order(asked: &[Question], answers: &[Value]) -> [Value; 3] {
    let mut all = [Value::Nil, Value::Nil, Value::Nil];
    for (question, answer) in asked.iter().zip(answers) {
        let place = match question {
            Question::Memory => 0,
            Question::Left => 1,
            Question::Count(_) => 2,
        };
        all[place].clone_from(answer);
    }
    all
}

/// What tells how many requests a key stands for: a number, or as many elements.
#[derive(Debug, Clone, Copy)]
enum Counter {
    Number,
    Elements(&'static str),
}

impl Counter {
    async fn of(connection: &mut Connection, key: &[u8], deadline: Instant) -> Result<Option<Self>, Missed> {
        let mut commands = Pipeline::new();
        commands.cmd("TYPE").arg(key);
        let answers = connection.ask_each("TYPE", &mut commands, deadline).await?;
        Ok(match answers.first().and_then(text).as_deref() {
            Some("string") => Some(Self::Number),
            Some("zset") => Some(Self::Elements("ZCARD")),
            Some("list") => Some(Self::Elements("LLEN")),
            _ => None,
        })
    }

    fn question(self, key: &[u8], commands: &mut Pipeline) {
        match self {
            // No number is longer; a text that is not one stays there.
            Self::Number => commands.cmd("GETRANGE").arg(key).arg(0).arg(31),
            Self::Elements(command) => commands.cmd(command).arg(key),
        };
    }
}

/// What the keys of a sample add up to.
#[derive(Debug, Default)]
struct Sums {
    measured: f64,
    bytes: f64,
    asked: f64,
    expiring: f64,
    left: f64,
    values: Vec<f64>,
}

impl Sums {
    /// Adds MEMORY USAGE, PTTL and, where asked, the value. Gives when the key is due; nothing where it is gone already.
    #[expect(clippy::option_option, reason = "gone, without end, and due at a time are three things")]
    fn add(&mut self, answers: &[Value], now: Instant) -> Option<Option<Instant>> {
        if let Some(bytes) = number(&answers[0]) {
            self.measured += 1.0;
            self.bytes += bytes;
        }
        let millis = number(&answers[1]).filter(|millis| *millis != GONE)?;
        self.asked += 1.0;
        self.values.extend(answers.get(2).and_then(number));
        if millis < 0.0 {
            return Some(None);
        }
        self.expiring += 1.0;
        self.left += millis / 1e3;
        Some(Some(now + Duration::from_secs_f64((millis / 1e3).min(1e9))))
    }

    fn figures(&self, count: f64, limit: Option<f64>) -> Figures {
        let share = |part: f64, of: f64| (of > 0.0).then(|| part / of);
        let empty = (count == 0.0).then_some(0.0);
        Figures {
            count,
            bytes: share(self.bytes, self.measured).map(|mean| mean * count).or(empty),
            expiring: share(self.expiring, self.asked).map(|share| share * count).or(empty),
            ttl_seconds: share(self.left, self.expiring),
            pressure: limit.map(|limit| Pressure::of(&self.values, limit, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::redis::reply::tests::bulk;

    #[test]
    fn a_sample_stands_for_its_group() {
        let (mut sums, now) = (Sums::default(), Instant::now());
        assert_eq!(
            sums.add(&[Value::Int(100), Value::Int(60_000), bulk("95")], now),
            Some(Some(now + Duration::from_mins(1)))
        );
        assert_eq!(sums.add(&[Value::Int(300), Value::Int(-1), bulk("100")], now), Some(None));
        assert_eq!(sums.add(&[Value::Nil, Value::Int(-2), bulk("")], now), None, "gone since it was found");
        let figures = sums.figures(1000.0, Some(100.0));
        assert_eq!((figures.bytes, figures.expiring, figures.ttl_seconds), (Some(200_000.0), Some(500.0), Some(60.0)));
        let pressure = figures.pressure.unwrap();
        assert_eq!((pressure.at_limit, pressure.near_limit, pressure.highest), (500.0, 1000.0, Some(100.0)));
    }

    #[test]
    fn what_is_not_asked_is_unknown_and_the_rest_is_told() {
        let answers = in_order(&[Question::Left, Question::Count(Counter::Number)], &[Value::Int(-1), bulk("7")]);
        let mut sums = Sums::default();
        assert_eq!(sums.add(&answers, Instant::now()), Some(None));
        let figures = sums.figures(10.0, Some(100.0));
        assert_eq!((figures.bytes, figures.expiring), (None, Some(0.0)));
        assert_eq!(figures.pressure.unwrap().highest, Some(7.0));
    }

    #[test]
    fn an_empty_group_takes_no_memory_and_one_that_could_not_be_measured_an_unknown_amount() {
        assert_eq!(Sums::default().figures(0.0, None).bytes, Some(0.0));
        assert_eq!(Sums::default().figures(5.0, None).bytes, None);
    }
}
