//! What surrounds the daemon machine: what came in goes to it, what it wants is carried out. Nothing here decides.

use std::{collections::HashMap, future::pending, path::PathBuf, pin::Pin};

use io_engine::{AwsLc, fresh_entropy};
use io_tokio::{Adapter, Clock, DriverLoop, MachineIo, Network, Next, Perform, drive};
use proto_core::{
    Misuse, Reason,
    device::{
        bridge::SourceId,
        consent::Directory,
        control::{BindRequest, PairEvent, ProxyRow, Report},
        daemon::{Answer, Bind, Daemon, EffectId, Input, Output, Request, RequestId},
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
    turns: DriverLoop,
    host: DaemonHost,
}

/// What surrounds the daemon.
struct DaemonHost {
    adapter: Adapter<EffectId>,
    network: Network,
    questions: mpsc::Receiver<Question>,
    /// As many as the daemon has tasks at most.
    tasks: mpsc::UnboundedReceiver<Input>,
    task_done: mpsc::UnboundedSender<Input>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    waiting: HashMap<RequestId, Waiting>,
    /// The request that is being handed over, if it is one.
    asked: Option<RequestId>,
    sources: HashMap<SourceId, mpsc::Sender<ToSource>>,
    pairing: Vec<mpsc::UnboundedSender<PairEvent>>,
    numbers: u64,
}

/// The caller that waits for an answer, and for which.
enum Waiting {
    Done(Reply<()>),
    Unpaired(Reply<proto_core::device::control::Unpaired>),
    Bound(Reply<proto_core::device::control::Bound>),
    Unbound(Reply<proto_core::device::control::Unbound>),
}

/// What a question comes to.
enum Asked {
    /// It is for the daemon.
    Input(Input),
    /// It is answered.
    Answered,
    /// The daemon is to stop.
    Stop,
}

impl Process {
    /// A daemon that was made with the reading `wall` of `clock` from what `files` hold, and reaches servers as `network` says.
    pub(super) fn new(
        daemon: Daemon<Snow<AwsLc>>,
        clock: Clock,
        wall: proto_core::WallClock,
        network: Network,
        files: io_engine::Home,
        questions: mpsc::Receiver<Question>,
    ) -> Self {
        let (task_done, tasks) = mpsc::unbounded_channel();
        let host = DaemonHost {
            adapter: Adapter::new(Some(files), network.clone()),
            network,
            questions,
            tasks,
            task_done,
            stop: Box::pin(pending()),
            waiting: HashMap::new(),
            asked: None,
            sources: HashMap::new(),
            pairing: Vec::new(),
            numbers: 0,
        };
        Self { daemon, clock, turns: DriverLoop::new(wall), host }
    }

    /// Runs until a client asks it to stop, or `stop` comes.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()> + Send + 'static) {
        self.host.stop = Box::pin(stop);
        drive(&mut self.daemon, &mut self.turns, &mut self.clock, &mut self.host).await;
        self.host.adapter.shutdown().await;
    }
}

impl MachineIo<Daemon<Snow<AwsLc>>> for DaemonHost {
    /// One at a time, so that a question about how things stand is answered by the questions before it.
    async fn inputs(&mut self, daemon: &Daemon<Snow<AwsLc>>, inputs: &mut Vec<Input>) -> Next {
        self.asked = None;
        loop {
            let question = tokio::select! {
                io_event = self.adapter.next() => {
                    inputs.push(Input::Io(io_event));
                    return Next::GoOn;
                }
                Some(input) = self.tasks.recv() => {
                    inputs.push(input);
                    return Next::GoOn;
                }
                Some(question) = self.questions.recv() => question,
                () = &mut self.stop => return Next::Stop,
            };
            match self.ask(daemon, question) {
                Asked::Input(input) => {
                    inputs.push(input);
                    return Next::GoOn;
                }
                Asked::Answered => {}
                Asked::Stop => return Next::Stop,
            }
        }
    }
}

impl Perform<Daemon<Snow<AwsLc>>> for DaemonHost {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(effect) => self.adapter.perform(effect),
            Output::Answer(id, answer) => self.answer(id, answer),
            Output::Pairing(event) => self.spread(&event),
            Output::Attached(source, attached) => self.tell_source(source, ToSource::Attached(attached)),
            Output::ToSource(source, frame) => self.tell_source(source, ToSource::Frame(frame)),
            Output::Look(task_id, directory) => self.task(move || Input::Looked(task_id, io_engine::look(directory))),
            Output::Change(task_id, changes) => self.task(move || Input::Changed(task_id, io_engine::change(&changes))),
            Output::Log(event) => narrate::event(&event),
        }
    }

    /// The caller is told by the end of its channel.
    fn refused(&mut self, misuse: Misuse) {
        tracing::error!(%misuse, "the daemon did not take an input");
        if let Some(id) = self.asked.take() {
            self.waiting.remove(&id);
        }
    }
}

impl DaemonHost {
    fn ask(&mut self, daemon: &Daemon<Snow<AwsLc>>, question: Question) -> Asked {
        match question {
            Question::Status(reply) => {
                // The caller may have gone.
                let _ = reply.send(self.with_proxies(daemon.report()));
                Asked::Answered
            }
            Question::Pair(request, events, reply) => {
                self.pairing.push(events);
                self.request(Request::Pair(request, fresh_entropy()), Waiting::Done(reply))
            }
            Question::CancelPairing(reply) => self.request(Request::CancelPairing, Waiting::Done(reply)),
            Question::Reconnect(reply) => self.request(Request::Reconnect, Waiting::Done(reply)),
            Question::Unpair(request, reply) => self.request(Request::Unpair(request), Waiting::Unpaired(reply)),
            Question::Bind(directory, BindRequest { org, recursive, confirmed, .. }, reply) => match parse(directory) {
                Ok(directory) => {
                    self.request(Request::Bind(Bind { directory, org, recursive, confirmed }), Waiting::Bound(reply))
                }
                Err(reason) => refuse(reply, reason),
            },
            Question::Unbind(directory, reply) => match parse(directory) {
                Ok(directory) => self.request(Request::Unbind(directory), Waiting::Unbound(reply)),
                Err(reason) => refuse(reply, reason),
            },
            Question::Attach(attach, to_source, number) => {
                self.numbers += 1;
                let source = SourceId(self.numbers);
                if number.send(source.0).is_err() {
                    return Asked::Answered;
                }
                self.sources.insert(source, to_source);
                Asked::Input(Input::Attach(source, attach, fresh_entropy()))
            }
            Question::Frame(source, frame) => Asked::Input(Input::Frame(SourceId(source), frame)),
            Question::Detach(source) => {
                self.sources.remove(&SourceId(source));
                Asked::Input(Input::Detach(SourceId(source)))
            }
            Question::Stop => Asked::Stop,
        }
    }

    fn with_proxies(&self, mut report: Report) -> Report {
        let proxy_for = |url: &str| {
            let (address, variable) = self.network.proxy_for(url)?;
            Some(ProxyRow { address, variable: variable.to_owned() })
        };
        report.api_proxy = proxy_for(&report.api_endpoint);
        for binding in &mut report.bindings {
            binding.proxy = proxy_for(&binding.relay);
        }
        report
    }

    fn request(&mut self, request: Request, waiting: Waiting) -> Asked {
        self.numbers += 1;
        let id = RequestId(self.numbers);
        self.waiting.insert(id, waiting);
        self.asked = Some(id);
        Asked::Input(Input::Request(id, request))
    }

    fn task(&self, work: impl FnOnce() -> Input + Send + 'static) {
        let done = self.task_done.clone();
        tokio::task::spawn_blocking(move || drop(done.send(work())));
    }

    fn tell_source(&mut self, source: SourceId, word: ToSource) {
        // One that is gone says so by itself, and so does one that is dropped because it takes nothing.
        if self.sources.get(&source).is_some_and(|to_source| to_source.try_send(word).is_err()) {
            self.sources.remove(&source);
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
        // The client that asked may have gone.
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

fn refuse<T>(reply: Reply<T>, reason: Reason) -> Asked {
    // The caller may have gone.
    let _ = reply.send(Err(reason));
    Asked::Answered
}

fn parse(directory: PathBuf) -> Result<Directory, Reason> {
    let text = directory.into_os_string().into_string().map_err(|_| Reason::DirectoryMissing)?;
    Directory::parse(&text)
}
