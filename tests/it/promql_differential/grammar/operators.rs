//! Operators, with sides that mostly match.

use super::super::expression::{Kind, Node};
use super::super::selectors;
use super::Grammar;
use super::words::{AGGREGATIONS, ARITHMETIC, COMPARISONS, GROUPINGS, OF_MATRIX, OF_VECTOR, SETS};

impl Grammar<'_> {
    pub(super) fn binary(&mut self, depth: usize) -> Node {
        match self.random.below(100) {
            0..22 => self.with_scalar(depth),
            22..52 => {
                let sides = [self.per_instance(depth - 1), self.per_instance(depth - 1)];
                let matching =
                    self.random.one_of(&["", "", "on (job, instance) ", "on (instance, job) ", "ignoring (code) "]);
                self.operation(matching, sides)
            }
            52..68 => {
                let (many, one) = selectors::many_to_one(self.random);
                let (many, one) = (Node::leaf(Kind::Vector, many), Node::leaf(Kind::Vector, one));
                let (on, with) = (
                    self.random.one_of(&["job", "job, instance", "instance"]),
                    self.random.one_of(&["", "version", "zone, version"]),
                );
                match self.random.below(2) {
                    0 => self.operation(&format!("on ({on}) group_left ({with}) "), [many, one]),
                    _ => self.operation(&format!("on ({on}) group_right ({with}) "), [one, many]),
                }
            }
            68..84 => {
                let labels = self.random.one_of(GROUPINGS);
                let mut side = || {
                    let aggregation = self.random.one_of(AGGREGATIONS);
                    let operand = self.vector(depth - 1);
                    Node::new(Kind::Vector, format!("{aggregation} by ({labels}) (§)"), [operand])
                };
                let sides = [side(), side()];
                let matching = self.random.one_of(&["", "on (job) ", "on () ", "ignoring (le) "]);
                self.operation(matching, sides)
            }
            _ => {
                let sides = [self.vector(depth - 1), self.vector(depth - 1)];
                let matching = match self.random.below(5) {
                    0 => format!("on ({}) ", self.random.one_of(GROUPINGS)),
                    1 => format!("ignoring ({}) ", self.random.one_of(GROUPINGS)),
                    2 => format!("ignoring ({}) group_left () ", self.random.one_of(GROUPINGS)),
                    _ => String::new(),
                };
                self.operation(&matching, sides)
            }
        }
    }

    fn with_scalar(&mut self, depth: usize) -> Node {
        let operator = match self.random.below(4) {
            0 => self.random.one_of(COMPARISONS).to_owned(),
            1 => format!("{} bool", self.random.one_of(COMPARISONS)),
            _ => self.random.one_of(ARITHMETIC).to_owned(),
        };
        let mut sides = [self.vector(depth - 1), self.scalar((depth - 1).min(1))];
        if self.random.percent(40) {
            sides.reverse();
        }
        Node::new(Kind::Vector, self.perhaps_in_brackets(&format!("§ {operator} §")), sides)
    }

    fn operation(&mut self, matching: &str, sides: [Node; 2]) -> Node {
        let operator = match self.random.below(20) {
            0..9 => self.random.one_of(ARITHMETIC).to_owned(),
            9..13 => self.random.one_of(COMPARISONS).to_owned(),
            13..15 => format!("{} bool", self.random.one_of(COMPARISONS)),
            // Sets know no grouping.
            _ if matching.contains("group") && self.random.percent(90) => "*".to_owned(),
            _ => self.random.one_of(SETS).to_owned(),
        };
        Node::new(Kind::Vector, self.perhaps_in_brackets(&format!("§ {operator} {matching}§")), sides)
    }

    /// Without brackets, precedence decides.
    pub(super) fn perhaps_in_brackets(&mut self, text: &str) -> String {
        if self.random.percent(50) { format!("({text})") } else { text.to_owned() }
    }

    /// A vector with a value for each job and instance.
    fn per_instance(&mut self, depth: usize) -> Node {
        let selector = selectors::per_instance(self.random);
        let range = selectors::duration(self.random);
        match self.random.below(8) {
            0..3 => Node::leaf(Kind::Vector, selector),
            3 | 4 => Node::leaf(Kind::Vector, format!("{}({selector}[{range}])", self.random.one_of(OF_MATRIX))),
            5 => Node::leaf(Kind::Vector, format!("{selector} offset {range}")),
            6 if depth > 0 => {
                let aggregation = self.random.one_of(AGGREGATIONS);
                let operand = self.vector(depth - 1);
                Node::new(Kind::Vector, format!("{aggregation} by (job, instance) (§)"), [operand])
            }
            _ => Node::leaf(Kind::Vector, format!("{}({selector})", self.random.one_of(&OF_VECTOR[..20]))),
        }
    }
}
