//! `raas doctor`: looks at everything a node depends on, and says of each trouble what mends it.
//!
//! It asks and reads only: no store is opened, since that would take it over from a running node, and nothing is sent.
//! `look` gathers plain data ([`looked`]), [`judge()`] decides on it alone.

mod examine;
mod finding;
mod judge;
mod look;
pub mod looked;

pub use examine::{DoctorError, Examine, examine};
pub use finding::{Area, Code, Finding, Level};
pub use judge::judge;
