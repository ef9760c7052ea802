//! The command line, a consumer of the steps beside HTTP: one file a command.
//!
//! Exit codes: 0 done; 1 the answer is no; 2 the input or the usage is wrong.

pub mod advise;
pub mod assign;
pub mod audit;
pub mod compose;
pub mod demo;
mod desk;
pub mod exchange;
pub mod files;
pub mod import;
pub mod inspect;
mod log;
pub mod output;
pub mod policy;
pub mod protect;
pub mod publish;
pub mod register;
pub mod release;
pub mod review;
pub mod series;
pub mod serve;
pub mod token;
pub mod whatif;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;

/// From a shapefile of employment sectors and a register of establishments to figures that may lawfully be shown.
#[derive(Debug, Parser)]
#[command(name = "arpent", version, max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Inspect(inspect::Args),
    WhatIf(whatif::Args),
    Series(series::Args),
    Assign(Box<assign::AssignArgs>),
    Register(register::Args),
    Compose(compose::Args),
    Review(Box<review::Args>),
    Protect(protect::ProtectArgs),
    Audit(audit::Args),
    Advise(advise::Args),
    Policy(policy::Args),
    Exchange(exchange::Args),
    Import(import::Args),
    Publish(Box<publish::Args>),
    Token(token::Args),
}

/// Reads the arguments and runs one command; wrong usage is answered with 2, and help that nobody could read too.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            let code = ExitCode::from(u8::from(told.use_stderr()) * 2);
            return output::print_by(|| told.print(), code);
        }
    };
    match arguments.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::WhatIf(args) => whatif::run(&args),
        Command::Series(args) => series::run(&args),
        Command::Assign(args) => match assign::run(&args) {
            Ok(code) => code,
            Err(rejects) => {
                for reject in rejects {
                    eprintln!("arpent assign: {reject}");
                }
                ExitCode::from(2)
            }
        },
        Command::Register(args) => register::run(&args),
        Command::Compose(args) => compose::run(&args),
        Command::Review(args) => review::run(&args),
        Command::Protect(args) => match protect::run(&args) {
            Ok(code) => code,
            Err(refusal) => {
                eprint!("arpent protect: {refusal}");
                refusal.exit_code()
            }
        },
        Command::Audit(args) => audit::run(&args),
        Command::Advise(args) => advise::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Exchange(args) => exchange::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Token(args) => token::run(&args),
    }
}

/// A bar of so many steps on a terminal; hidden where nobody watches.
fn progress_bar(show: bool, steps: u64, template: &str) -> ProgressBar {
    if !show {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
