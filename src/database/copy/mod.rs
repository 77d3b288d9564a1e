//! All that is recorded, from one database into another, which is empty: from
//! SQLite to PostgreSQL, back, or from one of a kind to another.
//!
//! Tables, columns and keys are what the two databases say of themselves, so
//! that no migration is forgotten here. The source is read as it is at one
//! moment, and never written. The target gets its tables and all rows in one
//! transaction, is read again and compared, and committed last: where that
//! does not come, there is nothing in it.

mod digest;
mod ends;
mod rows;
mod schema;
mod sequences;
mod transfer;
mod triggers;

pub use transfer::{Copied, CopiedTable, Progress, copy};
