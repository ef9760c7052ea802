//! The strongroom: raw cells come in, protected tables go out, and nothing else.
//!
//! It knows no geography: contributor, weight and codes by dimension come in, so that `arpent protect` and the service
//! use one door.

mod audit;
mod certificate;
mod history;
mod lp;
mod microdata;
mod policy;
mod primary;
mod protect;
mod secondary;
mod stored;
mod tabulate;

pub use audit::{
    Certified, Checks, FAULTS_LISTED, Fault, FaultKind, Mutations, NotAuditable, REMAINDERS_ARE_FAULTS, ReleasedTable,
    ReleasedTables, Verdict, audit, examine,
};
pub use certificate::Certificate;
pub use history::{Earlier, EarlierTable, NotProtected, ProtectedAfter, protect_after};
pub use microdata::{Column, Microdata};
pub use policy::{BadSpec, CountOf, Dimension, Dominance, Protection, Rules, Spec, Table};
pub use protect::{
    Cell, Coordinate, Counts, Dossier, NotProtectable, Proof, ProtectedTable, ProtectedTables, Reason, TableDimension,
    protect,
};
pub use stored::{reopen, store};
pub use tabulate::{NotTabulable, RawTables, WEIGHT_SUM_MAX, tabulate};
