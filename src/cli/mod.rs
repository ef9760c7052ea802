//! The command line, a consumer of the steps beside HTTP: one file a command.

pub mod files;
pub mod inspect;
