//! The adapters, each on the runtime that it is for.

use futures_util::FutureExt;
use io_engine::Network;
use proto_core::effect::{Effect, IoEvent};
use tokio::runtime::Builder;

use crate::{super_loop::SuperLoop, work::Work};

/// An adapter, as far as the work needs one.
pub(crate) trait Adapter {
    /// Begins to carry out `effect`.
    fn perform(&mut self, effect: Effect<u32>);

    /// What happens next.
    async fn next(&mut self) -> IoEvent<u32>;

    /// Closes what is open.
    async fn shutdown(self);
}

/// Which adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// On as many threads as there are processors, as `vpd run` has it.
    Tokio,
    /// The same adapter on one thread, as the daemon has it.
    TokioAlone,
    AsyncStd,
    SuperLoop,
}

impl Name {
    /// Every one.
    pub(crate) const ALL: [Self; 4] = [Self::Tokio, Self::TokioAlone, Self::AsyncStd, Self::SuperLoop];

    /// As it is called.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::TokioAlone => "tokio on one thread",
            Self::AsyncStd => "async-std",
            Self::SuperLoop => "super-loop",
        }
    }

    /// The adapter of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|adapter| adapter.as_str() == name)
    }

    /// Lets it do the work, from its start to its shutdown.
    pub(crate) fn run(self, work: Work, address: &str) {
        match self {
            Self::Tokio => on_tokio(&mut Builder::new_multi_thread(), work, address),
            Self::TokioAlone => on_tokio(&mut Builder::new_current_thread(), work, address),
            Self::AsyncStd => async_std::task::block_on(async {
                work.run(io_async_std::Adapter::new(None, Network::default()), address).await;
            }),
            // Its `next` blocks, so that nothing is ever pending.
            Self::SuperLoop => {
                let done = work.run(SuperLoop::new(None, Network::default()), address).now_or_never();
                done.expect("an adapter that does not wait for a runtime");
            }
        }
    }
}

fn on_tokio(builder: &mut Builder, work: Work, address: &str) {
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async { work.run(io_tokio::Adapter::new(None, Network::default()), address).await });
}

impl Adapter for io_tokio::Adapter<u32> {
    fn perform(&mut self, effect: Effect<u32>) {
        self.perform(effect);
    }

    async fn next(&mut self) -> IoEvent<u32> {
        self.next().await
    }

    async fn shutdown(self) {
        self.shutdown().await;
    }
}

impl Adapter for io_async_std::Adapter<u32> {
    fn perform(&mut self, effect: Effect<u32>) {
        self.perform(effect);
    }

    async fn next(&mut self) -> IoEvent<u32> {
        self.next().await
    }

    async fn shutdown(self) {
        self.shutdown().await;
    }
}

impl Adapter for SuperLoop<u32> {
    fn perform(&mut self, effect: Effect<u32>) {
        self.perform(effect);
    }

    async fn next(&mut self) -> IoEvent<u32> {
        self.next(None).expect("without a deadline it waits until something happens")
    }

    async fn shutdown(self) {
        self.shutdown();
    }
}
