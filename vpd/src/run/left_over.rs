//! What outlives a command: its output goes on to where it would have gone, although `vpd run` has ended with the command.

use std::{
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command, ExitCode, Stdio},
};

use super::{
    keeper::this_program,
    pty,
    scene::{CommandHandle, OutputPipe},
    through,
};

/// Hands over the ways that something still writes to. Gives the terminal back first.
pub(super) fn hand_over(actor: CommandHandle, left: Vec<OutputPipe>) {
    let mut kept = match actor {
        CommandHandle::OnOwnTerminal(kept, _) => Some(kept),
        CommandHandle::InJob(..) => None,
    };
    for way in left {
        let Ok(to) = way.to.as_fd().try_clone_to_owned() else { continue };
        match kept.take_if(|_| way.is_terminal) {
            Some(kept) => {
                // The terminal in front of the person makes lines again. Where that fails they have one return too many.
                let _ = pty::disable_output_processing(&way.from);
                kept.carry_on(way.from, to);
            }
            // Where no process can be had any more, the output ends here.
            None => drop(carrier(way.from, to)),
        }
    }
}

/// It outlives us, which is what it is for.
fn carrier(from: OwnedFd, to: OwnedFd) -> io::Result<Child> {
    Command::new(this_program()?).arg0("vpd").arg("carry").stdin(from).stdout(to).stderr(Stdio::null()).spawn()
}

/// The process of `vpd carry`: copies its standard input to its standard output.
pub(crate) fn carry() -> ExitCode {
    match through::copy(io::stdin().as_fd(), io::stdout().as_fd()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
