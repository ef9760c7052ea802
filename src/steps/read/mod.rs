//! Step 1: bytes become records.

pub mod table;

mod csv;
mod parquet;

pub mod points;
pub mod register;

pub mod microdata;
