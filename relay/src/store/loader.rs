//! The thread that opens the logs of organizations when somebody comes who asks for them.

use std::sync::{
    Arc,
    mpsc::{Receiver, Sender},
};

use proto_core::OrgId;

use super::{Answer, Answers, log::OrgLog, root::Root, writer::Task};

/// The loader.
pub(super) struct Loader {
    pub(super) root: Root,
    pub(super) segment_bytes: u32,
    pub(super) wanted: Receiver<OrgId>,
    pub(super) writer: Sender<Task>,
    pub(super) answers: Answers,
}

impl Loader {
    pub(super) fn run(self) {
        while let Ok(org) = self.wanted.recv() {
            let dir = super::root::dir_of(&self.root.logs(), &org);
            let loaded = OrgLog::open(dir, org.clone(), self.segment_bytes).map(|log| {
                let sessions = log.sessions();
                // The writer knows it before anything for it can come.
                let _ = self.writer.send(Task::Opened(Arc::new(log)));
                sessions
            });
            (self.answers)(Answer::Loaded(org, loaded));
        }
    }
}
