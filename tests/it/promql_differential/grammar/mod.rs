//! Expressions by chance, most of them well typed and with something to find.

mod operators;
mod words;

use super::expression::{Kind, Node};
use super::random::Random;
use super::selectors;
use words::{AGGREGATIONS, ARITHMETIC, COMPARISONS, GROUPINGS, NUMBERS, OF_MATRIX, OF_VECTOR, QUANTILES};

pub use words::vocabulary;

/// Makes expressions. How deep they nest is an argument.
pub struct Grammar<'r> {
    pub random: &'r mut Random,
    /// Subqueries may be nested once: what they cost multiplies.
    in_subquery: bool,
}

impl<'r> Grammar<'r> {
    /// Of a source of chance.
    pub fn new(random: &'r mut Random) -> Self {
        Self { random, in_subquery: false }
    }

    /// An expression of any kind that can be asked at an instant.
    pub fn expression(&mut self) -> Node {
        let depth = self.random.below(4) + 1;
        match self.random.below(100) {
            0..8 => self.scalar(depth),
            8..11 => self.matrix(depth),
            _ => self.vector(depth),
        }
    }

    fn vector(&mut self, depth: usize) -> Node {
        if depth == 0 {
            return match self.random.below(10) {
                0 => Node::leaf(Kind::Vector, format!("vector({})", self.random.one_of(NUMBERS))),
                _ => Node::leaf(Kind::Vector, selectors::any(self.random)),
            };
        }
        match self.random.below(100) {
            0..5 => self.vector(0),
            5..17 => self.function_of_vector(depth),
            17..24 => self.function_with_scalars(depth),
            24..46 => self.function_of_matrix(depth),
            46..62 => self.aggregation(depth),
            62..68 => self.ranking(depth),
            68..73 => self.quantile_of_histogram(depth),
            73..76 => self.labelling(depth),
            76..94 => self.binary(depth),
            94..97 => Node::new(Kind::Vector, "-§", [self.vector(depth - 1)]),
            97..99 => Node::new(Kind::Vector, "(§)", [self.vector(depth - 1)]),
            _ => Node::new(Kind::Vector, "vector(§)", [self.scalar(depth - 1)]),
        }
    }

    fn scalar(&mut self, depth: usize) -> Node {
        let text = match self.random.below(if depth == 0 { 6 } else { 12 }) {
            0..4 => self.random.one_of(NUMBERS).to_owned(),
            4 => "time()".into(),
            5 => "pi()".into(),
            6 => return Node::new(Kind::Scalar, "-§", [self.scalar(depth - 1)]),
            7 => return Node::new(Kind::Scalar, "(§)", [self.scalar(depth - 1)]),
            8 | 9 => return Node::new(Kind::Scalar, "scalar(§)", [self.vector(depth - 1)]),
            _ => {
                let operator = match self.random.below(3) {
                    0 => format!("{} bool", self.random.one_of(COMPARISONS)),
                    _ => self.random.one_of(ARITHMETIC).to_owned(),
                };
                let sides = [self.scalar(depth - 1), self.scalar(depth - 1)];
                return Node::new(Kind::Scalar, self.perhaps_in_brackets(&format!("§ {operator} §")), sides);
            }
        };
        Node::leaf(Kind::Scalar, text)
    }

    fn matrix(&mut self, depth: usize) -> Node {
        let range = selectors::duration(self.random);
        if depth == 0 || self.in_subquery || self.random.percent(70) {
            let (selector, modifiers) = selectors::with_modifiers(self.random);
            return Node::leaf(Kind::Matrix, format!("{selector}[{range}]{modifiers}"));
        }
        self.in_subquery = true;
        let inner = self.vector(depth - 1);
        self.in_subquery = false;
        let inner = if self.random.percent(10) { self.scalar(depth - 1) } else { inner };
        let step = self.random.one_of(&["", "30s", "15s", "1m", "47s", "2m", "60"]);
        let modifiers = selectors::modifiers(self.random);
        Node::new(Kind::Matrix, format!("(§)[{range}:{step}]{modifiers}"), [inner])
    }

    fn function_of_vector(&mut self, depth: usize) -> Node {
        let function = self.random.one_of(OF_VECTOR);
        if self.random.percent(2) {
            return Node::leaf(Kind::Vector, format!("{}()", self.random.one_of(&["hour", "month", "day_of_year"])));
        }
        let operand = match function {
            "hour" | "minute" | "month" | "year" if self.random.percent(60) => {
                Node::leaf(Kind::Vector, "d_clock_seconds")
            }
            name if name.starts_with("day") && self.random.percent(60) => Node::leaf(Kind::Vector, "d_clock_seconds"),
            "timestamp" if self.random.percent(60) => self.vector(0),
            _ => self.vector(depth - 1),
        };
        Node::new(Kind::Vector, format!("{function}(§)"), [operand])
    }

    fn function_with_scalars(&mut self, depth: usize) -> Node {
        let text = self.random.one_of(&["clamp(§, §, §)", "clamp_min(§, §)", "clamp_max(§, §)", "round(§, §)"]);
        let mut operands = vec![self.vector(depth - 1)];
        while operands.len() < text.matches('§').count() {
            operands.push(self.scalar((depth - 1).min(1)));
        }
        Node::new(Kind::Vector, text, operands)
    }

    fn function_of_matrix(&mut self, depth: usize) -> Node {
        let matrix = self.matrix(depth - 1);
        match self.random.below(100) {
            0..6 => {
                let quantile = Node::leaf(Kind::Scalar, self.random.one_of(QUANTILES));
                Node::new(Kind::Vector, "quantile_over_time(§, §)", [quantile, matrix])
            }
            6..11 => {
                let ahead = self.scalar(0);
                Node::new(Kind::Vector, "predict_linear(§, §)", [matrix, ahead])
            }
            _ => Node::new(Kind::Vector, format!("{}(§)", self.random.one_of(OF_MATRIX)), [matrix]),
        }
    }

    fn aggregation(&mut self, depth: usize) -> Node {
        let operand = self.vector(depth - 1);
        let aggregation = self.random.one_of(AGGREGATIONS);
        let text = self.grouped(aggregation, "§");
        Node::new(Kind::Vector, text, [operand])
    }

    /// An aggregation with a parameter.
    fn ranking(&mut self, depth: usize) -> Node {
        let operand = self.vector(depth - 1);
        match self.random.below(8) {
            0..5 => {
                let count = match self.random.below(6) {
                    0 => self.scalar(1),
                    _ => Node::leaf(Kind::Scalar, self.random.one_of(&["1", "2", "3", "5", "0", "1.9", "100"])),
                };
                let name = self.random.one_of(&["topk", "bottomk"]);
                Node::new(Kind::Vector, self.grouped(name, "§, §"), [count, operand])
            }
            5 | 6 => {
                let quantile = Node::leaf(Kind::Scalar, self.random.one_of(QUANTILES));
                Node::new(Kind::Vector, self.grouped("quantile", "§, §"), [quantile, operand])
            }
            _ => {
                let label = self.random.one_of(&["value", "job", "v", "code"]);
                Node::new(Kind::Vector, self.grouped("count_values", &format!("\"{label}\", §")), [operand])
            }
        }
    }

    fn grouped(&mut self, name: &str, arguments: &str) -> String {
        if self.random.percent(30) {
            return format!("{name}({arguments})");
        }
        let word = self.random.one_of(&["by", "by", "without"]);
        let labels = self.random.one_of(GROUPINGS);
        match self.random.below(2) {
            0 => format!("{name} {word} ({labels}) ({arguments})"),
            _ => format!("{name}({arguments}) {word} ({labels})"),
        }
    }

    fn quantile_of_histogram(&mut self, depth: usize) -> Node {
        let range = selectors::duration(self.random);
        let of = self.random.one_of(&["d_latency_bucket", "d_latency_bucket", "d_odd_latency_bucket"]);
        let buckets = match self.random.below(6) {
            0 => Node::leaf(Kind::Vector, of),
            1 => Node::leaf(Kind::Vector, format!("rate({of}[{range}])")),
            2 => Node::leaf(Kind::Vector, format!("sum by (le) (rate({of}[{range}]))")),
            3 => Node::leaf(Kind::Vector, format!("sum by (job, le) (increase({of}[{range}]))")),
            4 => Node::leaf(Kind::Vector, format!("sum without (instance) ({of})")),
            _ => self.vector(depth - 1),
        };
        let quantile = match self.random.below(8) {
            0 => self.scalar(1),
            _ => Node::leaf(Kind::Scalar, self.random.one_of(QUANTILES)),
        };
        if self.random.percent(30) {
            let bounds = [self.scalar(0), self.scalar(0)];
            let [lower, upper] = bounds;
            return Node::new(Kind::Vector, "histogram_fraction(§, §, §)", [lower, upper, buckets]);
        }
        Node::new(Kind::Vector, "histogram_quantile(§, §)", [quantile, buckets])
    }

    fn labelling(&mut self, depth: usize) -> Node {
        let operand = self.vector(depth - 1);
        let text = self.random.one_of(&[
            r#"label_replace(§, "to", "$1-x", "instance", "(.*):.*")"#,
            r#"label_replace(§, "job", "", "job", "api|web")"#,
            r#"label_replace(§, "to", "${first}_$2_$$", "code", "(?P<first>.)(.*)")"#,
            r#"label_replace(§, "instance", "one", "nothing", "")"#,
            r#"label_replace(§, "__name__", "renamed", "job", ".*")"#,
            r#"label_replace(§, "to", "$job", "job", "(?P<job>a.i)")"#,
            r#"label_join(§, "to", "/", "job", "instance")"#,
            r#"label_join(§, "job", "", "code", "nothing")"#,
            r#"label_join(§, "to", "-")"#,
            r#"label_join(§, "instance", "", "job")"#,
        ]);
        Node::new(Kind::Vector, text, [operand])
    }
}
