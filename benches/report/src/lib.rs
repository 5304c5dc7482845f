//! A run of the experiment, once it is measured: its file, its figures, its verdicts, and what is shown of them.
//!
//! It measures nothing, and knows neither which servers nor which loads there are: a [`Run`] names its rows and shapes itself, so that a kept run
//! is shown years later as it was. `benches/loop_swap` fills one.
//!
//! | file | owns |
//! | --- | --- |
//! | `run` | the model, and its file |
//! | `figures` | medians, spreads, ratios within a round |
//! | `footprint` | what a server costs beside its calls |
//! | `clients` | our load generator beside h2load |
//! | `counts` | instructions of whole servers |
//! | `verdict` | the rule by which a difference is called one |
//! | `answer` | the run in three sentences |
//! | `beside` | the tables beside those of the shapes |
//! | `text` | tables, for a terminal and as Markdown; CSV |
//! | `page`, `picture` | the HTML page, and its pictures |
//! | `kept` | folders of runs |
//! | `readme` | the README's block |
//! | `compare` | two runs |
//! | `article` | what is reproduced: its six rows |

mod answer;
mod article;
mod beside;
mod clients;
mod compare;
mod counts;
mod figures;
mod footprint;
mod kept;
mod number;
mod page;
mod picture;
mod readme;
mod run;
mod text;
mod verdict;

pub use answer::{Answer, answer};
pub use clients::{Drive, Driven, Driver, Driving};
pub use compare::compare;
pub use counts::{Count, Counted};
pub use figures::{Metric, Spread};
pub use footprint::{Cost, Footprint, Held, Upkeep};
pub use kept::{Kept, newest};
pub use page::html;
pub use readme::{check as check_readme, renew as renew_readme};
pub use run::{Cell, Extra, Handler, Machine, Measured, Outcome, Plan, Role, Row, Run, Shape, VERSION, slug};
pub use text::{Style, csv, markdown, tables};
pub use verdict::Verdict;

#[cfg(test)]
mod sample;
