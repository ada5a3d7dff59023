//! The way from an adapter's tasks back to its machine.

use proto_core::effect::IoEvent;
use tokio::sync::mpsc;

/// What was reported, and of which generation of WebSockets; 0 for everything else.
pub(crate) type Told<I> = (u64, IoEvent<I>);

/// The way from the tasks back to the machine.
#[derive(Clone, Debug)]
pub(crate) struct Reports<I> {
    generation: u64,
    sender: mpsc::Sender<Told<I>>,
}

/// Room for one event.
pub(crate) struct Room<'a, I>(u64, mpsc::Permit<'a, Told<I>>);

impl<I> Reports<I> {
    /// The way into `sender` for what belongs to no WebSocket.
    pub(crate) const fn new(sender: mpsc::Sender<Told<I>>) -> Self {
        Self { generation: 0, sender }
    }

    /// The same way, for a WebSocket of `generation`.
    pub(crate) fn of_generation(&self, generation: u64) -> Self {
        Self { generation, sender: self.sender.clone() }
    }
    /// Waits for room; `None` when the adapter is gone.
    pub(crate) async fn room(&self) -> Option<Room<'_, I>> {
        self.sender.reserve().await.ok().map(|permit| Room(self.generation, permit))
    }

    /// Reports what happened, once there is room. `None` when the adapter is gone.
    pub(crate) async fn tell(&self, event: IoEvent<I>) -> Option<()> {
        self.room().await.map(|room| room.tell(event))
    }
}

impl<I> Room<'_, I> {
    pub(crate) fn tell(self, event: IoEvent<I>) {
        self.1.send((self.0, event));
    }
}
