//! The Viewport daemon and its command line.
//!
//! `cli` is what can be typed, `command` what the daemon is asked for, `run` a streamed command, `control` what is spoken over
//! the daemon's socket, `failure` how errors look.

mod cli;
mod client;
mod command;
mod control;
mod daemon;
mod demo;
mod failure;
mod home;
mod log;
mod machine;
mod obstacle;
mod plain;
mod run;
mod serve;
mod settings;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime;

use cli::{Cli, Command};
use command::{bind, explain, lifecycle, logs, pair, reasons_page, status};
use home::Home;

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Pair(args) => at_home(async |home| pair::pair(&home, &args).await),
        Command::Unpair(args) => at_home(async |home| bind::unpair(&home, &args).await),
        Command::Bind(args) => at_home(async |home| bind::bind(&home, &args).await),
        Command::Unbind(args) => at_home(async |home| bind::unbind(&home, &args).await),
        Command::Run(args) => run::run(Home::from_environment(), &args),
        Command::Watch(args) => one_thread()?.block_on(watch::watch(&Home::from_environment()?, &args)),
        Command::Sessions(args) => one_thread()?.block_on(watch::sessions(&Home::from_environment()?, &args)),
        Command::Viewers(args) => one_thread()?.block_on(watch::viewers(&Home::from_environment()?, &args)),
        Command::Status(args) => at_home(async |home| status::status(&home, &args).await),
        Command::Start => at_home(async |home| lifecycle::start(&home).await),
        Command::Stop => at_home(async |home| lifecycle::stop(&home).await),
        Command::Restart => at_home(async |home| lifecycle::restart(&home).await),
        Command::Logs(args) => at_home(async |home| logs::logs(&home, &args).await),
        Command::Serve(args) => many_threads()?.block_on(serve::serve(Home::from_environment, &args)).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => many_threads()?.block_on(demo::demo(&args)).map(|()| ExitCode::SUCCESS),
        Command::Explain(args) => explain::explain(&args).map(|()| ExitCode::SUCCESS),
        Command::Daemon(args) => {
            if args.detached {
                daemon::close_descriptors()?;
            }
            at_home(async |home| daemon::run(&home, args.detached).await)
        }
        Command::Keep(args) => Ok(run::keep(&args)),
        Command::Carry => Ok(run::carry()),
        Command::ReasonsPage => reasons_page::write().map(|()| ExitCode::SUCCESS),
    }
}

/// Runs a command of one home to its end.
fn at_home(command: impl AsyncFnOnce(Home) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    let home = Home::from_environment()?;
    one_thread()?.block_on(command(home))?;
    Ok(ExitCode::SUCCESS)
}

fn one_thread() -> std::io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

fn many_threads() -> std::io::Result<runtime::Runtime> {
    runtime::Builder::new_multi_thread().enable_all().build()
}
