//! Asks both the same, and gathers in what their answers differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::answer::{Answer, Difference};
use super::expression::{Kind, Node};
use super::grammar::Grammar;
use super::known;
use super::question::{Question, When};
use super::random::Random;
use super::wrong;

/// Someone who answers questions.
pub trait Answers {
    /// The answer; an error when it is not understood.
    fn ask(&mut self, question: &Question) -> Result<Answer, String>;
}

/// Which questions.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    pub seed: u64,
    /// How many expressions; each is asked at an instant and over a range.
    pub count: usize,
    /// When the data end, in unix milliseconds.
    pub end: i64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many questions were asked.
    pub asked: usize,
    /// How many both answered with something.
    pub telling: usize,
    /// The functions, aggregations and operators in those.
    pub met: BTreeSet<String>,
    /// How many both refused.
    pub refused: usize,
    /// Error texts that were not equal, though the errors were: the expression, Prometheus' words, the agent's.
    pub worded_otherwise: Vec<[String; 3]>,
    /// How often each known difference was met.
    pub known: BTreeMap<&'static str, usize>,
    /// What differs, by its kind.
    pub differences: Vec<(Difference, String)>,
}

/// Asks everything, from as many threads as there are pairs.
pub fn run<A: Answers + Send>(course: Course, pairs: Vec<(A, A)>) -> Outcome {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for (mut prometheus, mut agent) in pairs {
            let (next, outcome) = (&next, &outcome);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= course.count {
                        return;
                    }
                    Case::of(course, number).compare(&mut prometheus, &mut agent, outcome);
                }
            });
        }
    });
    outcome.into_inner().expect("no thread panicked")
}

/// The known differences that are none any more.
pub fn overcome(end: i64, prometheus: &mut impl Answers, agent: &mut impl Answers) -> Vec<&'static str> {
    let mut differs = |known: &known::Known| {
        let (expression, before) = known.example;
        let question = Question::new(expression, When::Instant(end - before), end);
        let (theirs, ours) = (prometheus.ask(&question).ok()?, agent.ask(&question).ok()?);
        let difference = theirs.difference(&ours, question.is_sorted())?;
        (known.is)(&question, difference, &theirs, &ours).then_some(())
    };
    known::KNOWN.iter().filter(|known| differs(known).is_none()).map(|known| known.reason).collect()
}

/// One expression with its times.
struct Case {
    course: Course,
    number: usize,
    /// None for a text that is no expression.
    tree: Option<Node>,
    text: String,
    whens: [When; 2],
}

impl Case {
    fn of(course: Course, number: usize) -> Self {
        let mut random = Random::new(course.seed, number as u64);
        let tree = Grammar::new(&mut random).expression();
        let (tree, text) = match wrong::all().nth(number) {
            // Each that is written down, once.
            Some(text) => (None, text.to_owned()),
            None if random.percent(5) => (None, wrong::damage(&mut random, &tree.render())),
            None => {
                let text = tree.render();
                (Some(tree), text)
            }
        };
        let whens = [When::instant(&mut random, course.end), When::range(&mut random, course.end)];
        Self { course, number, tree, text, whens }
    }

    fn compare(&self, prometheus: &mut impl Answers, agent: &mut impl Answers, outcome: &Mutex<Outcome>) {
        for when in self.whens {
            if matches!(when, When::Range { .. }) && self.tree.as_ref().is_some_and(|tree| tree.kind == Kind::Matrix) {
                continue; // Refused by both, whatever it is.
            }
            let question = Question::new(&self.text, when, self.course.end);
            let verdict = judge(&question, prometheus, agent);
            let mut sum = outcome.lock().expect("no thread panicked");
            sum.asked += 1;
            match verdict {
                Verdict::Same(answer) if answer.is_telling() => {
                    sum.telling += 1;
                    sum.met.extend(question.words().map(str::to_owned));
                }
                Verdict::Same(answer) if answer.is_given() => {}
                Verdict::Same(_) => sum.refused += 1,
                Verdict::WordedOtherwise(theirs, ours) => {
                    sum.refused += 1;
                    sum.worded_otherwise.push([question.expression, theirs, ours]);
                }
                Verdict::Known(reason) => *sum.known.entry(reason).or_default() += 1,
                Verdict::Differs(difference) => {
                    drop(sum);
                    let shown = self.show(&question, difference, prometheus, agent);
                    outcome.lock().expect("no thread panicked").differences.push((difference, shown));
                }
            }
        }
    }

    /// The smallest question that differs in the same, with both answers.
    fn show(
        &self,
        question: &Question,
        difference: Difference,
        prometheus: &mut impl Answers,
        agent: &mut impl Answers,
    ) -> String {
        let Course { seed, end, .. } = self.course;
        let again = |node: &Node| Question::new(&node.render(), question.when, end);
        let smallest = self.tree.clone().map(|tree| {
            tree.shrink(|node| {
                let question = again(node);
                matches!(judge(&question, prometheus, agent), Verdict::Differs(found) if found == difference)
            })
        });
        let smallest = smallest.as_ref().map_or_else(|| question.clone(), again);
        let mut text = format!("{difference:?} (seed {seed}, number {}): {smallest}", self.number);
        if smallest.expression != question.expression {
            let _ = write!(text, "\n    found in {}", question.expression);
        }
        for (name, answer) in [("Prometheus", prometheus.ask(&smallest)), ("the agent", agent.ask(&smallest))] {
            let _ = match answer {
                Ok(answer) => write!(text, "\n  {name}: {answer}"),
                Err(problem) => write!(text, "\n  {name}: not understood: {problem}"),
            };
        }
        text
    }
}

enum Verdict {
    Same(Answer),
    /// Both refused for the same kind of error, with other words.
    WordedOtherwise(String, String),
    Known(&'static str),
    Differs(Difference),
}

/// Asks both.
fn judge(question: &Question, prometheus: &mut impl Answers, agent: &mut impl Answers) -> Verdict {
    let (theirs, ours) = (prometheus.ask(question), agent.ask(question));
    let (Ok(theirs), Ok(ours)) = (theirs, ours) else { return Verdict::Differs(Difference::Type) };
    let sorted = question.is_sorted();
    let Some(difference) = theirs.difference(&ours, sorted) else {
        return match (theirs.error(), ours.error()) {
            (Some(theirs), Some(ours)) if theirs != ours => Verdict::WordedOtherwise(theirs.into(), ours.into()),
            _ => Verdict::Same(theirs),
        };
    };
    if let Some(reason) = known::reason(question, difference, &theirs, &ours) {
        return Verdict::Known(reason);
    }
    let mut again = (0..known::asked_again(question)).filter_map(|_| prometheus.ask(question).ok());
    if again.any(|other| theirs.difference(&other, sorted).is_some()) {
        Verdict::Known(known::UNSTEADY)
    } else {
        Verdict::Differs(difference)
    }
}
