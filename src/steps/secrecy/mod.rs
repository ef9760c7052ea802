//! The strongroom: raw cells come in, protected tables go out, and nothing else.
//!
//! It knows no geography: contributor, weight and codes by dimension come in, so that `arpent protect` and the service
//! use one door.

mod advisor;
pub mod argus;
mod audit;
mod certificate;
mod history;
mod kept;
mod lp;
mod microdata;
mod policy;
mod primary;
mod protect;
mod secondary;
mod stored;
mod strictness;
mod tabulate;

pub use advisor::{Advice, Advised, CODES_PAIRED_MAX, Layer, NotAdvisable, Question, Shown, advise};
pub use audit::{
    Certified, Checks, FAULTS_LISTED, Fault, FaultKind, Mutations, NotAuditable, Noted, REMAINDERS_ARE_FAULTS,
    ReleasedTable, ReleasedTables, ToldEnd, Verdict, audit, examine,
};
pub use certificate::Certificate;
pub use history::{
    BothProfiles, Change, Earlier, EarlierTable, Leads, NotProtected, Past, ProtectedAfter, SAME_RECORDS,
    protect_after, protect_in, protect_profiles, protect_revision, published_together, refuse_given_away,
    seen_by_partners, seen_by_partners_alone,
};
pub use kept::{earlier_of, keep};
pub use microdata::{Column, Microdata};
pub use policy::{
    BadSpec, Cost, CountOf, CountRules, Dimension, Dominance, Fallback, HistoryRules, Integrality, Population,
    Protection, Revision, Rules, Search, Spec, Table, Years, Zeros, check_bounds,
};
pub use protect::{
    Cell, Coordinate, Counts, Dossier, NotProtectable, Proof, ProtectedTable, ProtectedTables, Reason, TableDimension,
    protect,
};
pub use secondary::Remainders;
pub use stored::{reopen, store};
pub use strictness::Terms;
pub use tabulate::{NotTabulable, RawTables, WEIGHT_SUM_MAX, tabulate};
