//! What goes on at one WebSocket of an adapter.

use std::{future::poll_fn, pin::pin, task::Poll};

use async_std::{channel::Receiver, net::TcpStream};
use bytes::Bytes;
use futures_util::{
    future::{Either, select},
    stream::{self, Stream, StreamExt},
};
use io_engine::Network;
use proto_core::effect::{Close, Closed, Connect, IoEvent};

use crate::{ClientSocket, client};

#[derive(Debug)]
pub(crate) enum Order {
    Send(Bytes),
    Close(Close),
}

/// Opens the WebSocket and serves it until it is closed. Without an owner (no more orders can come) it is dropped at once.
pub(crate) fn serve(connect: Connect, network: Network, orders: Receiver<Order>) -> impl Stream<Item = IoEvent<()>> {
    stream::unfold(Stage::Opening(connect, network, orders), Stage::next)
}

enum Stage {
    Opening(Connect, Network, Receiver<Order>),
    Open(ClientSocket<TcpStream>, Receiver<Order>),
    Ended,
}

impl Stage {
    async fn next(self) -> Option<(IoEvent<()>, Self)> {
        match self {
            Self::Opening(connect, network, mut orders) => Some(match open(&connect, &network, &mut orders).await {
                Ok((socket, connected)) => (connected, Self::Open(socket, orders)),
                Err(closed) => (IoEvent::Closed((), closed), Self::Ended),
            }),
            Self::Open(mut socket, mut orders) => {
                let event = exchange(&mut socket, &mut orders).await?;
                let ended = matches!(event, IoEvent::Closed(..));
                Some((event, if ended { Self::Ended } else { Self::Open(socket, orders) }))
            }
            Self::Ended => None,
        }
    }
}

async fn open(
    connect: &Connect,
    network: &Network,
    orders: &mut Receiver<Order>,
) -> Result<(ClientSocket<TcpStream>, IoEvent<()>), Closed> {
    match select(pin!(client::connect(connect, network)), pin!(given_up(orders))).await {
        Either::Left((Ok((socket, entropy)), _)) => Ok((socket, IoEvent::Connected((), entropy))),
        Either::Left((Err(closed), _)) => Err(closed),
        Either::Right(_) => Err(Closed::ByUs),
    }
}

/// Waits until the WebSocket is not wanted any more. There is no peer yet to send to.
async fn given_up(orders: &mut Receiver<Order>) {
    while let Some(Order::Send(_)) = orders.next().await {}
}

/// Takes all orders before the socket gets its turn: what they send goes out in one write.
async fn exchange(socket: &mut ClientSocket<TcpStream>, orders: &mut Receiver<Order>) -> Option<IoEvent<()>> {
    poll_fn(|cx| {
        loop {
            match orders.poll_next_unpin(cx) {
                Poll::Ready(Some(Order::Send(message))) => socket.send(message),
                Poll::Ready(Some(Order::Close(close))) => socket.close(close),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return socket.poll_next(cx).map(Some),
            }
        }
    })
    .await
}
