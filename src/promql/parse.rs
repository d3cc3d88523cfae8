//! Text to plan. The only file that knows the parser crate, so that another parser can take its place.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promql_parser::label::{MatchOp as ParsedOp, Matchers};
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinaryExpr, Call as ParsedCall, Expr as Parsed, LabelModifier, Offset, SubqueryExpr,
    VectorMatchCardinality, VectorSelector, parse as parse_text,
};

use crate::model::{METRIC_NAME, Millis};
use crate::store::{MatchOp, Matcher};

use super::error::ParseError;
use super::functions;
use super::pattern::anchored;
use super::place;
use super::plan::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, Expr, Grouping, Kind, Matching, Selector, Shift,
    Subquery,
};

/// Longer texts are refused: nobody writes them, and parsing recurses.
const MAX_TEXT: usize = 16 * 1024;
/// Deeper nesting is refused.
const MAX_DEPTH: usize = 200;

/// Parses a query into its plan and the number of its selectors.
pub(super) fn parse(text: &str) -> Result<(Expr, usize), ParseError> {
    let refuse = |message: String| Err(place::locate(text, message));
    if text.len() > MAX_TEXT {
        return refuse(format!("the query is longer than {MAX_TEXT} bytes"));
    }
    if place::nesting(text) > MAX_DEPTH {
        return refuse(format!("the query is nested deeper than {MAX_DEPTH} levels"));
    }
    let mut reader = Reader { selectors: 0, depth: 0 };
    match parse_text(text).and_then(|parsed| reader.expr(parsed)) {
        Ok(plan) => Ok((plan, reader.selectors)),
        Err(message) => refuse(message),
    }
}

/// Turns the crate's tree into ours.
struct Reader {
    selectors: usize,
    depth: usize,
}

impl Reader {
    fn expr(&mut self, parsed: Parsed) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("the query is nested deeper than {MAX_DEPTH} levels"));
        }
        let plan = match parsed {
            Parsed::Paren(paren) => self.expr(*paren.expr),
            Parsed::NumberLiteral(number) => Ok(Expr::Number(number.val)),
            Parsed::StringLiteral(string) => Ok(Expr::String(string.val)),
            Parsed::VectorSelector(selector) => Ok(Expr::Instant(self.selector(selector)?)),
            Parsed::MatrixSelector(matrix) => {
                Ok(Expr::Range(self.selector(matrix.vs)?, positive_millis(matrix.range)?))
            }
            Parsed::Unary(unary) => Ok(match self.expr(*unary.expr)? {
                Expr::Number(value) => Expr::Number(-value),
                inner => Expr::Negate(Box::new(inner)),
            }),
            Parsed::Subquery(subquery) => self.subquery(subquery),
            Parsed::Binary(binary) => self.binary(binary),
            Parsed::Aggregate(aggregate) => self.aggregate(aggregate),
            Parsed::Call(call) => self.call(call),
            Parsed::Extension(_) => Err("unknown expression".into()),
        };
        self.depth -= 1;
        plan
    }

    fn selector(&mut self, parsed: VectorSelector) -> Result<Selector, String> {
        let id = self.selectors;
        self.selectors += 1;
        let mut matchers = matchers(&parsed.matchers)?;
        if let Some(name) = parsed.name {
            matchers.insert(0, Matcher::equal(METRIC_NAME, name));
        }
        Ok(Selector { id, matchers, shift: shift(parsed.at.as_ref(), parsed.offset.as_ref())? })
    }

    fn subquery(&mut self, parsed: SubqueryExpr) -> Result<Expr, String> {
        Ok(Expr::Subquery(Box::new(Subquery {
            inner: self.expr(*parsed.expr)?,
            range: positive_millis(parsed.range)?,
            step: parsed.step.map(positive_millis).transpose()?,
            shift: shift(parsed.at.as_ref(), parsed.offset.as_ref())?,
        })))
    }

    fn binary(&mut self, parsed: BinaryExpr) -> Result<Expr, String> {
        let op = binary_op(&parsed.op.to_string())?;
        let mut bool = false;
        let mut matching = Matching { labels: Grouping::Without(Vec::new()), cardinality: Cardinality::OneToOne };
        if let Some(modifier) = parsed.modifier {
            if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
                return Err("the modifier `fill` is experimental and not supported".into());
            }
            bool = modifier.return_bool;
            matching.labels = match modifier.matching {
                Some(LabelModifier::Include(labels)) => Grouping::Only(labels.labels),
                Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels),
                None => Grouping::Without(Vec::new()),
            };
            matching.cardinality = match modifier.card {
                VectorMatchCardinality::ManyToOne(labels) => Cardinality::GroupLeft(labels.labels),
                VectorMatchCardinality::OneToMany(labels) => Cardinality::GroupRight(labels.labels),
                VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => Cardinality::OneToOne,
            };
        }
        let (left, right) = (self.expr(*parsed.lhs)?, self.expr(*parsed.rhs)?);
        Ok(Expr::Binary(Box::new(Binary { op, left, right, bool, matching })))
    }

    fn aggregate(&mut self, parsed: AggregateExpr) -> Result<Expr, String> {
        let op = aggregate_op(&parsed.op.to_string())?;
        let param = parsed.param.map(|param| self.expr(*param)).transpose()?;
        let expected = if op == AggregateOp::CountValues { Kind::String } else { Kind::Scalar };
        if let Some(param) = &param
            && param.kind() != expected
        {
            let got = param.kind().as_str();
            return Err(format!("expected type {} in aggregation parameter, got {got}", expected.as_str()));
        }
        let grouping = match parsed.modifier {
            Some(LabelModifier::Include(labels)) => Grouping::Only(labels.labels),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels),
            None => Grouping::Only(Vec::new()),
        };
        Ok(Expr::Aggregate(Box::new(Aggregate { op, inner: self.expr(*parsed.expr)?, param, grouping })))
    }

    fn call(&mut self, parsed: ParsedCall) -> Result<Expr, String> {
        let name = parsed.func.name;
        let Some(function) = functions::find(name) else {
            let why = if parsed.func.experimental { "is experimental and not supported" } else { "is not supported" };
            return Err(format!("the function `{name}` {why}"));
        };
        let args = parsed.args.args.into_iter().map(|arg| self.expr(*arg)).collect::<Result<Vec<_>, _>>()?;
        for (at, (arg, expected)) in args.iter().zip(&parsed.func.arg_types).enumerate() {
            let (got, expected) = (arg.kind().as_str(), kind_name(*expected));
            if got != expected {
                return Err(format!(
                    "expected type {expected} in call to function \"{name}\", got {got} (argument {})",
                    at + 1
                ));
            }
        }
        Ok(Expr::Call(Call { function, args }))
    }
}

fn kind_name(kind: promql_parser::parser::value::ValueType) -> &'static str {
    use promql_parser::parser::value::ValueType;
    match kind {
        ValueType::Vector => Kind::Vector.as_str(),
        ValueType::Scalar => Kind::Scalar.as_str(),
        ValueType::Matrix => Kind::Matrix.as_str(),
        ValueType::String => Kind::String.as_str(),
    }
}

fn matchers(parsed: &Matchers) -> Result<Vec<Matcher>, String> {
    if !parsed.or_matchers.is_empty() {
        return Err("`or` between label matchers is not PromQL".into());
    }
    let read = |matcher: &promql_parser::label::Matcher| {
        let value = matcher.value.clone();
        let compile = || {
            anchored(&value).map_err(|error| {
                let detail = error.to_string().lines().last().unwrap_or_default().to_owned();
                format!("the regular expression \"{value}\" of label `{}` is wrong: {detail}", matcher.name)
            })
        };
        let op = match &matcher.op {
            ParsedOp::Equal => MatchOp::Equal,
            ParsedOp::NotEqual => MatchOp::NotEqual,
            ParsedOp::Re(_) => MatchOp::Matches(compile()?),
            ParsedOp::NotRe(_) => MatchOp::NotMatches(compile()?),
        };
        Ok(Matcher { name: matcher.name.clone(), op, value })
    };
    parsed.matchers.iter().map(read).collect()
}

fn shift(at: Option<&AtModifier>, offset: Option<&Offset>) -> Result<Shift, String> {
    let at = match at {
        None => At::Now,
        Some(AtModifier::Start) => At::Start,
        Some(AtModifier::End) => At::End,
        Some(AtModifier::At(time)) => At::Time(at_millis(*time)),
    };
    let offset = match offset {
        None => 0,
        Some(Offset::Pos(back)) => millis(*back)?,
        Some(Offset::Neg(ahead)) => -millis(*ahead)?,
    };
    Ok(Shift { at, offset })
}

fn at_millis(time: SystemTime) -> Millis {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Millis(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
        Err(before) => Millis(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
    }
}

fn millis(duration: Duration) -> Result<i64, String> {
    i64::try_from(duration.as_millis()).map_err(|_| "duration out of range".to_owned())
}

fn positive_millis(duration: Duration) -> Result<i64, String> {
    let millis = millis(duration)?;
    if millis > 0 { Ok(millis) } else { Err("duration must be greater than 0".into()) }
}

fn binary_op(sign: &str) -> Result<BinaryOp, String> {
    Ok(match sign {
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Sub,
        "*" => BinaryOp::Mul,
        "/" => BinaryOp::Div,
        "%" => BinaryOp::Mod,
        "^" => BinaryOp::Pow,
        "atan2" => BinaryOp::Atan2,
        "==" => BinaryOp::Equal,
        "!=" => BinaryOp::NotEqual,
        "<" => BinaryOp::Less,
        "<=" => BinaryOp::LessEqual,
        ">" => BinaryOp::Greater,
        ">=" => BinaryOp::GreaterEqual,
        "and" => BinaryOp::And,
        "or" => BinaryOp::Or,
        "unless" => BinaryOp::Unless,
        _ => return Err(format!("the operator `{sign}` is not supported")),
    })
}

fn aggregate_op(name: &str) -> Result<AggregateOp, String> {
    Ok(match name {
        "sum" => AggregateOp::Sum,
        "avg" => AggregateOp::Avg,
        "min" => AggregateOp::Min,
        "max" => AggregateOp::Max,
        "count" => AggregateOp::Count,
        "group" => AggregateOp::Group,
        "stddev" => AggregateOp::Stddev,
        "stdvar" => AggregateOp::Stdvar,
        "topk" => AggregateOp::TopK,
        "bottomk" => AggregateOp::BottomK,
        "limitk" => AggregateOp::LimitK,
        "quantile" => AggregateOp::Quantile,
        "count_values" => AggregateOp::CountValues,
        _ => return Err(format!("the aggregation `{name}` is experimental and not supported")),
    })
}
