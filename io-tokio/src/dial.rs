//! From a host name to a connected TCP socket.

use std::{io, net::SocketAddr};

use io_engine::{ATTEMPT_DELAY, Target, connect_fault};
use proto_core::effect::NetFault;
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::sleep,
};

/// Connects to the first address of `target` that answers. Bounded in time by the caller.
pub(crate) async fn dial(target: &Target) -> Result<TcpStream, NetFault> {
    let addresses = lookup_host((target.host.as_str(), target.port)).await.map_err(|error| {
        tracing::debug!(host = target.host, %error, "no address");
        NetFault::Dns
    })?;
    first_to_answer(addresses).await
}

async fn first_to_answer(addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, NetFault> {
    let mut addresses = addresses.fuse();
    let mut attempts = JoinSet::new();
    let mut fault = NetFault::Dns;
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(attempt(address));
        }
        tokio::select! {
            Some(ended) = attempts.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => fault = connect_fault(&error),
                Err(_) => fault = NetFault::Refused,
            },
            () = sleep(ATTEMPT_DELAY), if !attempts.is_empty() => {}
            else => return Err(fault),
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
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_where_nobody_listens_does_not_stop_the_next_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let closed = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(first_to_answer([closed, there].into_iter()).await.unwrap().peer_addr().unwrap(), there);
        assert_eq!(first_to_answer([closed].into_iter()).await.unwrap_err(), NetFault::Refused);
        assert_eq!(first_to_answer([].into_iter()).await.unwrap_err(), NetFault::Dns);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_one_is_a_dns_fault() {
        // Longer than a label may be (RFC 1035 section 2.3.4), so no resolver on the network is asked.
        let target = Target::http(&format!("http://{}.example/", "x".repeat(64))).unwrap();
        assert_eq!(dial(&target).await.unwrap_err(), NetFault::Dns);
    }
}
