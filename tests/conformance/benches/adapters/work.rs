//! What the adapters are given to do.

use std::time::Duration;

use bytes::Bytes;
use proto_core::effect::{Close, Closed, Connect, Effect, HttpRequest, IoEvent, Method};

use crate::adapters::Adapter;

/// How many messages are handed over and not yet taken by the socket, at most.
const WINDOW: u32 = 64;

/// How many requests are made, one after the other.
const REQUESTS: u32 = 1_000;

const TIMEOUT: Duration = Duration::from_secs(30);

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// WebSocket messages to the server.
    Sending(Messages),
    /// WebSocket messages from the server.
    Receiving(Messages),
    /// HTTP requests.
    Asking,
}

/// So many messages of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Messages {
    pub(crate) count: u32,
    /// In bytes.
    pub(crate) size: usize,
}

/// 16 MiB.
const SMALL: Messages = Messages { count: 16 * 1024, size: 1024 };
/// 64 MiB.
const LARGE: Messages = Messages { count: 4 * 1024, size: 16 * 1024 };

impl Work {
    /// Every kind.
    pub(crate) const ALL: [Self; 5] =
        [Self::Sending(SMALL), Self::Sending(LARGE), Self::Receiving(SMALL), Self::Receiving(LARGE), Self::Asking];

    /// Its name, which is also the path that it asks the server for.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sending(SMALL) => "sending-1-KiB",
            Self::Sending(_) => "sending-16-KiB",
            Self::Receiving(SMALL) => "receiving-1-KiB",
            Self::Receiving(_) => "receiving-16-KiB",
            Self::Asking => "1000-requests",
        }
    }

    /// The work of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.as_str() == name)
    }

    /// Does it.
    ///
    /// # Panics
    /// When something goes wrong.
    pub(crate) async fn run(self, mut adapter: impl Adapter, address: &str) {
        match self {
            Self::Sending(messages) => send(&mut adapter, self.url("ws", address), messages).await,
            Self::Receiving(messages) => receive(&mut adapter, self.url("ws", address), messages).await,
            Self::Asking => ask(&mut adapter, &self.url("http", address)).await,
        }
        adapter.shutdown().await;
    }

    fn url(self, scheme: &str, address: &str) -> String {
        format!("{scheme}://{address}/{}", self.as_str())
    }
}

fn connect(adapter: &mut impl Adapter, url: String) {
    adapter.perform(Effect::Connect(0, Connect { url, timeout: TIMEOUT, max_message: 1 << 20 }));
}

async fn send(adapter: &mut impl Adapter, url: String, Messages { count, size }: Messages) {
    let message = Bytes::from(vec![7; size]);
    let (mut handed_over, mut taken, mut is_closing) = (0, 0, false);
    connect(adapter, url);
    loop {
        match adapter.next().await {
            IoEvent::Connected(..) => {}
            IoEvent::Sent(_, messages) => taken += messages,
            IoEvent::Closed(_, Closed::ByUs) => break,
            other => panic!("{other:?}"),
        }
        while handed_over < count && handed_over - taken < WINDOW {
            adapter.perform(Effect::Send(0, message.clone()));
            handed_over += 1;
        }
        if taken == count && !is_closing {
            adapter.perform(Effect::Close(0, Close::Normal));
            is_closing = true;
        }
    }
    assert_eq!((handed_over, taken), (count, count));
}

async fn receive(adapter: &mut impl Adapter, url: String, Messages { count, size }: Messages) {
    let mut received = 0;
    connect(adapter, url);
    loop {
        match adapter.next().await {
            IoEvent::Received(_, message) => {
                assert_eq!(message.len(), size);
                received += 1;
                if received == count {
                    adapter.perform(Effect::Close(0, Close::Normal));
                }
            }
            IoEvent::Connected(..) => {}
            IoEvent::Closed(_, Closed::ByUs) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, count);
}

async fn ask(adapter: &mut impl Adapter, url: &str) {
    for number in 0..REQUESTS {
        let request = HttpRequest {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: TIMEOUT,
            max_answer: 65_536,
        };
        adapter.perform(Effect::Http(number, request));
        match adapter.next().await {
            IoEvent::Answered(answered, answer) => assert_eq!((answered, answer.status), (number, 200)),
            other => panic!("{other:?}"),
        }
    }
}
