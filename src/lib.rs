//! arpent turns contours and a register of establishments into figures that may lawfully be shown.
//!
//! | step | room | takes → gives |
//! |---|---|---|
//! | 1 parse | [`steps::read`] | bytes → records, rejected ones beside accepted ones |
//! | 2 reproject | [`steps::reproject`] | any system PROJ knows → EPSG:2154 |
//! | 3 validate | [`steps::validate`] | records → a zoning, or the faults |
//! | 4 index | [`steps::index`] | zoning → index |
//! | 5 assign | [`steps::assign`] | points → exactly one zone each, or none |
//! | 6 tabulate | [`steps::secrecy`] | records → raw tables, which nothing outside can read |
//! | 7 protect, audit | [`steps::secrecy`] | raw tables → protected tables, or nothing |
//! | 8 publish | [`steps::publish`] | protected tables → a release |
//! | 9 serve | [`http`] | release + query → GeoJSON, HTML, CSV |

pub mod model;
pub mod steps;

pub mod store;

pub mod config;
pub mod pipeline;

pub mod http;

pub mod cli;
