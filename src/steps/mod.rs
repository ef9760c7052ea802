//! Steps 1 to 8: plain functions, values in and values out, without clock, disk, network or global state.

pub mod publish;
pub mod read;
pub mod secrecy;
