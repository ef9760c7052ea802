//! The tests of the house as a whole, in one binary. Unit tests sit at the foot of the file they test.

mod advise;
mod command;
mod contours;
mod demo;
mod doors;
mod exchange;
mod history;
mod mutants;
mod placing;
mod policy;
mod registers;
mod secrecy;
mod service;
mod story;
mod whatif;
