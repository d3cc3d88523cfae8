//! An expression as a tree, so that one that differs can be made smaller.

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    Vector,
    Matrix,
}

/// Stands for an operand in a [`Node`]'s text.
pub const HOLE: char = '§';

/// An expression: a text with operands in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub kind: Kind,
    text: String,
    operands: Vec<Node>,
}

impl Node {
    /// Of a text with a [`HOLE`] for each operand.
    pub fn new(kind: Kind, text: impl Into<String>, operands: impl Into<Vec<Self>>) -> Self {
        let (text, operands) = (text.into(), operands.into());
        assert_eq!(text.matches(HOLE).count(), operands.len(), "{text}");
        Self { kind, text, operands }
    }

    /// An expression without operands.
    pub fn leaf(kind: Kind, text: impl Into<String>) -> Self {
        Self::new(kind, text, [])
    }

    /// As it is asked.
    pub fn render(&self) -> String {
        let mut operands = self.operands.iter();
        let mut rendered = String::new();
        for part in self.text.chars() {
            match operands.as_slice().first() {
                Some(operand) if part == HOLE => {
                    rendered += &operand.render();
                    operands.next();
                }
                _ => rendered.push(part),
            }
        }
        rendered
    }

    /// The smallest expression that is found by taking operands for the whole as long as `differs` holds.
    pub fn shrink(self, mut differs: impl FnMut(&Self) -> bool) -> Self {
        let mut smallest = self;
        let mut tries = 80;
        'again: while tries > 0 {
            for smaller in smallest.smaller() {
                tries -= 1;
                if differs(&smaller) {
                    smallest = smaller;
                    continue 'again;
                }
                if tries == 0 {
                    break;
                }
            }
            break;
        }
        smallest
    }

    /// Smaller ones of the same kind, the smallest first.
    fn smaller(&self) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        self.inside(&mut |node| {
            if node.kind == self.kind || node.kind != Kind::Matrix && self.kind != Kind::Matrix {
                found.push(node.clone());
            }
        });
        for (n, operand) in self.operands.iter().enumerate() {
            let mut least: Vec<Self> = match operand.kind {
                Kind::Scalar => vec![Self::leaf(Kind::Scalar, "1")],
                Kind::Vector => vec![Self::leaf(Kind::Vector, "d_level")],
                Kind::Matrix => vec![Self::leaf(Kind::Matrix, "d_level[5m]")],
            };
            least.extend(operand.smaller().into_iter().filter(|smaller| smaller.kind == operand.kind));
            for smaller in least {
                let mut changed = self.clone();
                changed.operands[n] = smaller;
                found.push(changed);
            }
        }
        let length = |node: &Self| node.render().len();
        let own = length(self);
        found.retain(|node| length(node) < own);
        found.sort_by_key(length);
        found
    }

    fn inside(&self, visit: &mut impl FnMut(&Self)) {
        for operand in &self.operands {
            visit(operand);
            operand.inside(visit);
        }
    }
}
