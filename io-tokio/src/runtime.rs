//! tokio's sockets, timers and resolver, as the engine sees them.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use io_engine::Runtime;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Sleep, sleep},
};

use crate::Stream;

/// tokio.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl Runtime for Tokio {
    type Tcp = Stream<TcpStream>;
    type Sleep = Pin<Box<Sleep>>;

    fn sleep(time: Duration) -> Self::Sleep {
        Box::pin(sleep(time))
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Tcp> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    }
}
