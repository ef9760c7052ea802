//! arpent turns contours and a register of establishments into figures that may lawfully be shown.

pub mod http;
pub mod model;
pub mod steps;
