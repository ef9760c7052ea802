//! The command line, a consumer of the steps beside HTTP: one file a command.

pub mod assign;
pub mod audit;
pub mod files;
pub mod inspect;
pub mod output;
pub mod protect;
pub mod release;
