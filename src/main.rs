//! arpent
fn main() {}
