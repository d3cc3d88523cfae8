//! What a query gives.

use crate::model::Labels;
use crate::store::Series;

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// Label sets with one value each, in the order the query asks for (`sort`, `topk`), else by labels.
    Vector(Vec<(Labels, f64)>),
    /// A text.
    String(String),
    /// Label sets with values over time.
    Matrix(Vec<Series>),
}

impl Value {
    /// As the HTTP API calls it: `scalar`, `vector`, `string`, `matrix`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::Vector(_) => "vector",
            Self::String(_) => "string",
            Self::Matrix(_) => "matrix",
        }
    }
}
