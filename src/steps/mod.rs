//! Steps 1 to 8: plain functions, values in and values out, without clock, disk, network or global state.

pub mod read;
pub mod reproject;
pub mod validate;

pub mod repair;

pub mod coverage;
mod dissolve;
pub mod groups;

pub mod intake;

pub mod index;

pub mod assign;

pub mod compose;
pub mod reconcile;
pub mod review;

pub mod neighbours;
pub mod whatif;

pub mod secrecy;

pub mod evolution;
pub mod publish;

pub(crate) mod bytes;
pub mod seal;

pub mod tiling;
