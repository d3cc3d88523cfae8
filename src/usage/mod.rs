//! Tokens and money: what each model call used, what it cost, and how much of a budget is left.
//!
//! In: [`UsageEvent`]s from every source. Out: counters, totals, and what budgets have left.
//!
//! Invariant: each event counts once, and an event that was taken is on disk. Money is exact until it is rendered.

pub mod budget;
pub mod cost_line;
pub mod event;
pub mod formats;
pub mod ledger;
pub mod meter;
pub mod metrics;
pub mod money;
pub mod price;
pub mod raw;
pub mod settings;
pub mod tokens;
pub mod wire;

pub use cost_line::cost_line;
pub use event::UsageEvent;
pub use ledger::LedgerPath;
pub use meter::{Meter, TakeError, Taken};
pub use money::Usd;
pub use price::{Cost, PriceTable};
pub use raw::RawUsage;
pub use settings::Settings;
pub use tokens::{TokenType, Tokens};
