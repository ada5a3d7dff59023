//! The task behind one WebSocket of an adapter.

use bytes::Bytes;
use io_engine::Network;
use proto_core::effect::{Close, Closed, Connect, IoEvent};
use tokio::{net::TcpStream, sync::mpsc};

use crate::{ClientSocket, client, reports::Reports};

/// How many orders are taken before the socket gets its turn: what they send goes out in one write.
const BATCH: usize = 64;

#[derive(Debug)]
pub(crate) enum Order {
    Send(Bytes),
    Close(Close),
}

/// What a task needs to know about its WebSocket.
pub(crate) struct Link {
    pub(crate) connect: Connect,
    pub(crate) network: Network,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
}

/// Opens the WebSocket and serves it until it is closed, and that was reported. Without an owner (no more orders can come) it is
/// dropped at once.
pub(crate) async fn serve<I: Clone>(id: I, mut link: Link, reports: Reports<I>) {
    let outcome = tokio::select! {
        opened = client::connect(&link.connect, &link.network) => opened,
        () = given_up(&mut link.orders) => Err(Closed::ByUs),
    };
    match outcome {
        Ok((socket, entropy)) => {
            // Without a receiver the orders have ended too.
            let _ = reports.tell(IoEvent::Connected(id.clone(), entropy)).await;
            exchange(&id, socket, link.orders, &reports).await;
        }
        Err(closed) => {
            let _ = reports.tell(IoEvent::Closed(id, closed)).await;
        }
    }
}

/// Waits until the WebSocket is not wanted any more. There is no peer yet to send to.
async fn given_up(orders: &mut mpsc::UnboundedReceiver<Order>) {
    while let Some(Order::Send(_)) = orders.recv().await {}
}

/// Moves orders in and events out. While an event finds no room, nothing more is read, and writing goes on.
async fn exchange<I: Clone>(
    id: &I,
    mut socket: ClientSocket<TcpStream>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    reports: &Reports<I>,
) {
    let mut batch = Vec::new();
    let mut untold = None;
    loop {
        tokio::select! {
            taken = orders.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    return;
                }
                carry_out(&mut socket, &mut batch);
            }
            event = socket.next_with(untold.is_none()) => untold = Some(event),
            room = reports.room(), if untold.is_some() => {
                let Some(event) = untold.take() else { continue };
                let last = matches!(event, IoEvent::Closed(..));
                if let Some(room) = room {
                    room.tell(event.with_id(id.clone()));
                }
                if last {
                    return;
                }
            }
        }
    }
}

fn carry_out(socket: &mut ClientSocket<TcpStream>, batch: &mut Vec<Order>) {
    for order in batch.drain(..) {
        match order {
            Order::Send(message) => socket.send(message),
            Order::Close(close) => socket.close(close),
        }
    }
}
