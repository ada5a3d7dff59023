//! From a host name to a connected TCP socket.

use std::{io, net::SocketAddr};

use async_std::{
    future::timeout,
    net::{TcpStream, ToSocketAddrs},
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use io_engine::{ATTEMPT_DELAY, Target, connect_fault};
use proto_core::effect::NetFault;

/// Connects to the first address of `target` that answers. Bounded in time by the caller.
pub(crate) async fn dial(target: &Target) -> Result<TcpStream, NetFault> {
    let addresses = (target.host.as_str(), target.port).to_socket_addrs().await.map_err(|error| {
        tracing::debug!(host = target.host, %error, "no address");
        NetFault::Dns
    })?;
    first_to_answer(addresses).await
}

async fn first_to_answer(addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, NetFault> {
    let mut addresses = addresses.fuse();
    let mut attempts = FuturesUnordered::new();
    let mut fault = NetFault::Dns;
    loop {
        attempts.extend(addresses.next().map(attempt));
        match timeout(ATTEMPT_DELAY, attempts.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => fault = connect_fault(&error),
            Ok(None) => return Err(fault),
            Err(_) => {} // The next address gets its turn beside this one.
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use async_std::{net::TcpListener, task::block_on};

    use super::*;

    #[test]
    fn an_address_where_nobody_listens_does_not_stop_the_next_one() {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let there = listener.local_addr().unwrap();
            let closed = SocketAddr::from(([127, 0, 0, 1], 1));
            assert_eq!(first_to_answer([closed, there].into_iter()).await.unwrap().peer_addr().unwrap(), there);
            assert_eq!(first_to_answer([closed].into_iter()).await.unwrap_err(), NetFault::Refused);
            assert_eq!(first_to_answer([].into_iter()).await.unwrap_err(), NetFault::Dns);
        });
    }
}
