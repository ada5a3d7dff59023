//! A transducer over a plain byte stream, or over TLS.

use std::io::IoSlice;

use bytes::Bytes;
use proto_core::effect::{Close, NetFault};

use crate::{MessageSocket, Roots, Target, Tls, Transducer};

/// `T` over a byte stream, with TLS between the two where the URL asks for it.
#[derive(Debug)]
pub struct Connection<T> {
    protocol: T,
    pub(crate) tls: Option<Box<Tls>>,
}

impl<T: Transducer> Connection<T> {
    /// Over a stream that carries `protocol` as it is.
    pub const fn plain(protocol: T) -> Self {
        Self { protocol, tls: None }
    }

    /// Over a stream that carries `protocol` inside of TLS.
    pub fn secure(protocol: T, tls: Tls) -> Self {
        Self { protocol, tls: Some(Box::new(tls)) }
    }

    /// A client's, to `target`: with TLS, and a server that `roots` vouch for, where the URL asks for that.
    ///
    /// # Errors
    /// [`NetFault::Tls`] without a trusted root, [`NetFault::BadUrl`] when the host is no valid server name.
    pub fn to(target: &Target, protocol: T, roots: &Roots) -> Result<Self, NetFault> {
        if !target.tls {
            return Ok(Self::plain(protocol));
        }
        let trust = roots.trust().map_err(|_| NetFault::Tls)?;
        Ok(Self::secure(protocol, Tls::client(trust, &target.host)?))
    }

    /// A client's over a stream that was connected by other means, which leaves nothing to vouch for.
    ///
    /// # Errors
    /// [`NetFault::BadUrl`] when the URL asks for TLS.
    pub fn to_plain(target: &Target, protocol: T) -> Result<Self, NetFault> {
        if target.tls { Err(NetFault::BadUrl) } else { Ok(Self::plain(protocol)) }
    }

    /// What speaks over this connection.
    pub const fn protocol(&mut self) -> &mut T {
        &mut self.protocol
    }
}

impl<T: Transducer> Transducer for Connection<T> {
    type Event = T::Event;

    fn receive(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => tls.receive(bytes, &mut self.protocol),
            None => self.protocol.receive(bytes),
        }
    }

    fn receive_end(&mut self) {
        match &mut self.tls {
            Some(tls) => tls.receive_end(&mut self.protocol),
            None => self.protocol.receive_end(),
        }
    }

    fn fail(&mut self, fault: NetFault) {
        self.protocol.fail(fault);
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        match &mut self.tls {
            Some(tls) => tls.transmit(&mut self.protocol, slices),
            None => self.protocol.transmit(slices),
        }
    }

    fn transmitted(&mut self, count: usize) {
        match &mut self.tls {
            Some(tls) => tls.transmitted(count),
            None => self.protocol.transmitted(count),
        }
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.protocol.poll_event()
    }
}

impl<T: MessageSocket> MessageSocket for Connection<T> {
    fn send(&mut self, message: Bytes) {
        self.protocol.send(message);
    }

    fn close(&mut self, close: Close) {
        self.protocol.close(close);
    }

    fn is_closing(&self) -> bool {
        self.protocol.is_closing()
    }
}
