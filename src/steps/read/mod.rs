//! Step 1: bytes become records.

pub mod table;

pub mod csv;
pub mod parquet;

pub mod points;

pub mod register;

pub mod microdata;
