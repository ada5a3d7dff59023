//! async-std's sockets, timers and resolver, as the engine sees them.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use async_std::{
    net::{TcpStream, ToSocketAddrs},
    task::sleep,
};
use io_engine::Runtime;

use crate::Stream;

/// async-std.
#[derive(Clone, Copy, Debug)]
pub struct AsyncStd;

impl Runtime for AsyncStd {
    type Tcp = Stream<TcpStream>;
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn sleep(time: Duration) -> Self::Sleep {
        Box::pin(sleep(time))
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Tcp> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    }
}
