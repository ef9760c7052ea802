//! The tests of the house as a whole, in one binary. Unit tests sit at the foot of the file they test.

mod advise;
mod command;
mod contours;
mod demo;
mod desk;
mod doors;
mod entries;
mod exchange;
mod history;
mod montpellier;
mod mutants;
mod placing;
mod policy;
mod registers;
mod secrecy;
mod service;
mod stopping;
mod story;
mod whatif;
