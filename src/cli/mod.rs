//! The command line: one file a command.

pub mod assign;
pub mod output;

pub mod files;
