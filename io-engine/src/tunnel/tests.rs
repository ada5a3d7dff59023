use super::*;

/// Tells what came to it, in order.
#[derive(Debug, Default)]
struct Above {
    events: Vec<String>,
    out: Vec<u8>,
}

impl Above {
    fn received(&mut self, text: &str) {
        // Cuts do not matter above.
        match self.events.last_mut().filter(|last| last.starts_with('+')) {
            Some(last) => last.push_str(text),
            None => self.events.push(format!("+{text}")),
        }
    }
}

impl Transducer for Above {
    type Event = ();

    fn receive(&mut self, bytes: &[u8]) {
        self.received(std::str::from_utf8(bytes).unwrap());
    }

    fn receive_end(&mut self) {
        self.events.push("end".into());
    }

    fn fail(&mut self, fault: NetFault) {
        self.events.push(format!("{fault:?}"));
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        slices[0] = IoSlice::new(&self.out);
        usize::from(!self.out.is_empty())
    }

    fn transmitted(&mut self, count: usize) {
        self.out.drain(..count);
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }
}

fn tunnel() -> Tunnel<Above> {
    let above = Above { out: b"hello".to_vec(), ..Above::default() };
    Tunnel::to("relay.example:443", Some(&SecretText::new("Basic c2VjcmV0")), above)
}

fn sent(tunnel: &mut Tunnel<Above>, piece: usize) -> String {
    let mut all = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[])];
        if tunnel.transmit(&mut slices) == 0 {
            return String::from_utf8(all).unwrap();
        }
        let taken = slices[0][..slices[0].len().min(piece)].to_vec();
        tunnel.transmitted(taken.len());
        all.extend(taken);
        assert!(all.len() < 1000, "without an end: {}", String::from_utf8_lossy(&all));
    }
}

/// What becomes of an answer, which must not depend on how it is cut. The proxy hangs up after it.
fn outcome(answer: &[u8]) -> Vec<String> {
    let outcomes = [1, 3, 1000, usize::MAX].map(|size| {
        let mut tunnel = tunnel();
        answer.chunks(size.min(answer.len().max(1))).for_each(|piece| tunnel.receive(piece));
        tunnel.receive_end();
        tunnel.above.events
    });
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
    outcomes[0].clone()
}

#[test]
fn nothing_but_the_question_is_sent_before_the_answer() {
    for piece in [1, 1000] {
        let mut tunnel = tunnel();
        let expected =
            "CONNECT relay.example:443 HTTP/1.1\r\nHost: relay.example:443\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n";
        assert_eq!(sent(&mut tunnel, piece), expected);
        assert!(!format!("{tunnel:?}").contains("c2Vj"));
        tunnel.receive(b"HTTP/1.1 200 Connection established\r\n\r\n");
        assert_eq!(sent(&mut tunnel, piece), "hello");
    }
    let mut anonymous = Tunnel::to("[::2]:1", None, Above::default());
    assert_eq!(sent(&mut anonymous, 1000), "CONNECT [::2]:1 HTTP/1.1\r\nHost: [::2]:1\r\n\r\n");
}

#[test]
fn an_open_tunnel_passes_everything_on() {
    assert_eq!(outcome(b"HTTP/1.1 200 OK\r\n\r\n"), ["end"]);
    assert_eq!(outcome(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"), ["+abcdef", "end"]);
    assert_eq!(outcome(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n\r\nHTTP/1.1 204 x\r\n\r\nabc"), ["+abc", "end"]);
    let mut direct = Tunnel::none(Above::default());
    direct.receive(b"abc");
    direct.fail(NetFault::Tls);
    assert_eq!(direct.above.events, ["+abc", "Tls"]);
}

#[test]
fn a_refusal_is_told_with_its_status() {
    for status in [101, 302, 403, 407, 502, 999] {
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!(outcome(answer.as_bytes()), [format!("ProxyStatus({status})")]);
    }
    let mut refused = tunnel();
    refused.receive(b"HTTP/1.1 403 No\r\n\r\n");
    assert_eq!(sent(&mut refused, 1000), "", "nothing goes to a proxy that refused");
}

#[test]
fn what_is_no_answer_is_the_proxys_fault() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"] {
        assert_eq!(outcome(answer), ["ProxyBroken"], "{:?}", String::from_utf8_lossy(answer));
    }
    let headers = b"HTTP/1.1 200 OK\r\n".iter().chain(b"a: b\r\n".iter().cycle().take(6 * (MAX_HEADERS + 1))).chain(b"\r\n");
    assert_eq!(outcome(&headers.copied().collect::<Vec<_>>()), ["ProxyBroken"]);
}

/// As much as may be, and no byte more.
#[test]
fn an_answer_is_bounded_interim_ones_included() {
    let answer = |len: usize, before: &str| {
        let fixed = format!("{before}HTTP/1.1 200 OK\r\na: \r\n\r\n").len();
        format!("{before}HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(len - fixed)).into_bytes()
    };
    for before in ["", "HTTP/1.1 100 Continue\r\n\r\n"] {
        assert_eq!(outcome(&answer(MAX_HEAD, before)), ["end"]);
        assert_eq!(outcome(&answer(MAX_HEAD + 1, before)), ["ProxyBroken"]);
    }
    assert_eq!(outcome(&b"HTTP/1.1 100 x\r\n\r\n".repeat(MAX_HEAD / 10)), ["ProxyBroken"]);
}

#[test]
fn faults_below_are_the_proxys_until_the_tunnel_is_open() {
    let told = |fault| {
        let mut tunnel = tunnel();
        tunnel.fail(fault);
        tunnel.fail(NetFault::TooLarge);
        tunnel.above.events.concat()
    };
    for fault in [NetFault::CertificateUntrusted, NetFault::CertificateName, NetFault::CertificateExpired, NetFault::Tls] {
        assert_eq!(told(fault), "ProxyTls");
    }
    assert_eq!([told(NetFault::Broken), told(NetFault::TimedOut)], ["ProxyBroken", "TimedOut"]);
}
