//! The loop around the daemon machine: what came in goes to it, what it wants is carried out. Nothing here decides.

use std::{collections::HashMap, path::PathBuf};

use io_engine::{AwsLc, StepWatch, fresh_entropy};
use io_tokio::{Adapter, Clock};
use proto_core::{
    Machine, Reason,
    device::{
        bridge::SourceId,
        consent::Directory,
        control::PairEvent,
        daemon::{Answer, Ask, Daemon, Input, Output, Request, RequestId},
    },
    noise::Snow,
};
use tokio::sync::mpsc;

use super::{
    narrate,
    question::{Question, Reply, ToSource},
};

/// The machine with everything around it.
pub(super) struct Process {
    daemon: Daemon<Snow<AwsLc>>,
    clock: Clock,
    steps: StepWatch,
    adapter: Adapter<Ask>,
    questions: mpsc::UnboundedReceiver<Question>,
    errands: mpsc::UnboundedReceiver<Input>,
    errand_done: mpsc::UnboundedSender<Input>,
    waiting: HashMap<RequestId, Waiting>,
    sources: HashMap<SourceId, mpsc::UnboundedSender<ToSource>>,
    pairing: Vec<mpsc::UnboundedSender<PairEvent>>,
    numbers: u64,
}

/// Who waits for an answer, and for which.
enum Waiting {
    Done(Reply<()>),
    Unpaired(Reply<proto_core::device::control::Unpaired>),
    Bound(Reply<proto_core::device::control::Bound>),
    Unbound(Reply<proto_core::device::control::Unbound>),
}

/// Whether the daemon goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl Process {
    pub(super) fn new(
        daemon: Daemon<Snow<AwsLc>>,
        clock: Clock,
        wall: proto_core::WallClock,
        adapter: Adapter<Ask>,
        questions: mpsc::UnboundedReceiver<Question>,
    ) -> Self {
        let (errand_done, errands) = mpsc::unbounded_channel();
        Self {
            daemon,
            clock,
            steps: StepWatch::new(wall),
            adapter,
            questions,
            errands,
            errand_done,
            waiting: HashMap::new(),
            sources: HashMap::new(),
            pairing: Vec::new(),
            numbers: 0,
        }
    }

    /// Runs until somebody asks it to stop.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        self.drain();
        loop {
            let input = tokio::select! {
                happening = self.adapter.next() => Some(Input::Happening(happening)),
                Some(input) = self.errands.recv() => Some(input),
                Some(question) = self.questions.recv() => match self.ask(question) {
                    Next::GoOn => None,
                    Next::Stop => break,
                },
                () = self.clock.sleep_until(self.daemon.poll_timeout()) => None,
                () = &mut stop => break,
            };
            self.fire_due();
            self.notice_clock_step();
            if let Some(input) = input {
                self.tell(input);
            }
        }
        self.adapter.shutdown().await;
    }

    /// What was due comes before what arrived, so that the outcome does not depend on how late the runtime wakes up (L10).
    fn fire_due(&mut self) {
        let now = self.clock.now();
        if self.daemon.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
            self.daemon.handle_timeout(now);
            self.drain();
        }
    }

    fn notice_clock_step(&mut self) {
        if let Some(wall) = self.steps.stepped(self.clock.now(), self.clock.wall()) {
            self.daemon.handle_clock(self.clock.now(), wall);
            self.drain();
        }
    }

    fn tell(&mut self, input: Input) {
        if let Err(misuse) = self.daemon.handle_input(self.clock.now(), input) {
            tracing::error!(%misuse, "the daemon did not take an input");
        }
        self.drain();
    }

    fn request(&mut self, request: Request, waiting: Waiting) {
        self.numbers += 1;
        let id = RequestId(self.numbers);
        self.waiting.insert(id, waiting);
        if let Err(misuse) = self.daemon.handle_input(self.clock.now(), Input::Request(id, request)) {
            tracing::error!(%misuse, "a request was not taken");
            self.waiting.remove(&id);
        }
        self.drain();
    }

    fn ask(&mut self, question: Question) -> Next {
        match question {
            Question::Status(reply) => drop(reply.send(self.daemon.report())),
            Question::Pair(request, events, reply) => {
                self.pairing.push(events);
                self.request(Request::Pair(request, fresh_entropy()), Waiting::Done(reply));
            }
            Question::CancelPairing(reply) => self.request(Request::CancelPairing, Waiting::Done(reply)),
            Question::Reconnect(reply) => self.request(Request::Reconnect, Waiting::Done(reply)),
            Question::Unpair(request, reply) => self.request(Request::Unpair(request), Waiting::Unpaired(reply)),
            Question::Bind { directory, org, recursive, reply } => match parse(directory) {
                Ok(directory) => self.request(Request::Bind { directory, org, recursive }, Waiting::Bound(reply)),
                Err(reason) => drop(reply.send(Err(reason))),
            },
            Question::Unbind(directory, reply) => match parse(directory) {
                Ok(directory) => self.request(Request::Unbind(directory), Waiting::Unbound(reply)),
                Err(reason) => drop(reply.send(Err(reason))),
            },
            Question::Attach(attach, to_source, number) => {
                self.numbers += 1;
                let source = SourceId(self.numbers);
                if number.send(source.0).is_ok() {
                    self.sources.insert(source, to_source);
                    self.tell(Input::Attach(source, attach, fresh_entropy()));
                }
            }
            Question::Frame(source, frame) => self.tell(Input::Frame(SourceId(source), frame)),
            Question::Detach(source) => {
                self.sources.remove(&SourceId(source));
                self.tell(Input::Detach(SourceId(source)));
            }
            Question::Stop => return Next::Stop,
        }
        Next::GoOn
    }

    fn drain(&mut self) {
        while let Some(output) = self.daemon.poll_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(effect) => self.adapter.perform(effect),
            Output::Answer(id, answer) => self.answer(id, answer),
            Output::Pairing(event) => self.spread(&event),
            Output::Attached(source, attached) => self.tell_source(source, ToSource::Attached(attached)),
            Output::ToSource(source, frame) => self.tell_source(source, ToSource::Frame(frame)),
            Output::Look(errand, directory) => self.errand(move || Input::Looked(errand, io_engine::look(directory))),
            Output::Change(errand, changes) => self.errand(move || Input::Changed(errand, io_engine::change(&changes))),
            Output::Log(event) => narrate::event(&event),
        }
    }

    fn errand(&self, work: impl FnOnce() -> Input + Send + 'static) {
        let done = self.errand_done.clone();
        tokio::task::spawn_blocking(move || drop(done.send(work())));
    }

    fn tell_source(&self, source: SourceId, word: ToSource) {
        // One that is gone says so by itself.
        if let Some(to_source) = self.sources.get(&source) {
            let _ = to_source.send(word);
        }
    }

    fn spread(&mut self, event: &PairEvent) {
        self.pairing.retain(|listener| listener.send(event.clone()).is_ok());
        if matches!(event, PairEvent::Paired { .. } | PairEvent::Failed { .. }) {
            self.pairing.clear();
        }
    }

    fn answer(&mut self, id: RequestId, answer: Result<Answer, Reason>) {
        let Some(waiting) = self.waiting.remove(&id) else { return };
        // Whoever asked may have gone.
        match (waiting, answer) {
            (Waiting::Done(reply), Ok(Answer::Done)) => drop(reply.send(Ok(()))),
            (Waiting::Unpaired(reply), Ok(Answer::Unpaired(unpaired))) => drop(reply.send(Ok(unpaired))),
            (Waiting::Bound(reply), Ok(Answer::Bound(bound))) => drop(reply.send(Ok(bound))),
            (Waiting::Unbound(reply), Ok(Answer::Unbound(unbound))) => drop(reply.send(Ok(unbound))),
            (Waiting::Done(reply), Err(reason)) => drop(reply.send(Err(reason))),
            (Waiting::Unpaired(reply), Err(reason)) => drop(reply.send(Err(reason))),
            (Waiting::Bound(reply), Err(reason)) => drop(reply.send(Err(reason))),
            (Waiting::Unbound(reply), Err(reason)) => drop(reply.send(Err(reason))),
            (_, Ok(other)) => tracing::error!(?other, "the answer to another question"),
        }
    }
}

fn parse(directory: PathBuf) -> Result<Directory, Reason> {
    let text = directory.into_os_string().into_string().map_err(|_| Reason::DirectoryMissing)?;
    Directory::parse(&text)
}
