use std::time::Duration;

use proto_core::secret::SecretText;

use super::*;

fn get(max_answer: usize) -> HttpRequest {
    HttpRequest {
        method: Method::Get,
        url: "http://platform.example:8080/api/codes?x=1".to_owned(),
        headers: vec![("authorization", SecretText::new("Bearer t0ken"))],
        body: None,
        timeout: Duration::from_secs(1),
        max_answer,
    }
}

fn request_of(call: &mut HttpCall) -> String {
    let mut sent = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 4];
        let used = call.transmit(&mut slices);
        let piece: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.iter().copied()).take(7).collect();
        if piece.is_empty() {
            return String::from_utf8(sent).unwrap();
        }
        call.transmitted(piece.len());
        sent.extend(piece);
    }
}

/// Feeds the answer in pieces of each of several sizes, hangs up, and expects the same outcome every time.
fn answer_to(request: &HttpRequest, answer: &[u8]) -> Result<HttpAnswer, NetFault> {
    let outcomes = [1, 2, 7, answer.len().max(1)].map(|size| {
        let (_, mut call) = HttpCall::new(request).unwrap();
        answer.chunks(size).for_each(|piece| call.receive(piece));
        call.receive_end();
        let outcome = call.poll_event().unwrap();
        assert_eq!(call.poll_event(), None);
        outcome
    });
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    outcomes[0].clone()
}

fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body) }
}

#[test]
fn a_get_carries_its_headers_and_no_body() {
    let (target, mut call) = HttpCall::new(&get(100)).unwrap();
    assert_eq!((target.host.as_str(), target.port, target.tls), ("platform.example", 8080, false));
    let sent = request_of(&mut call);
    assert!(sent.starts_with("GET /api/codes?x=1 HTTP/1.1\r\n"), "{sent}");
    for line in ["host: platform.example:8080", "accept: application/json", "connection: close", "authorization: Bearer t0ken"] {
        assert!(sent.contains(&format!("\r\n{line}\r\n")), "{line} in {sent}");
    }
    assert!(sent.ends_with("\r\n\r\n") && !sent.contains("content-"), "{sent}");
    assert!(!format!("{call:?}").contains("t0ken"));
}

#[test]
fn a_post_carries_its_body_whole() {
    let body = "x".repeat(70_000);
    let request = HttpRequest { method: Method::Post, body: Some(SecretBytes::new(body.clone())), ..get(100) };
    let sent = request_of(&mut HttpCall::new(&request).unwrap().1);
    assert!(sent.contains("\r\ncontent-type: application/json\r\n") && sent.contains("\r\ncontent-length: 70000\r\n"));
    assert_eq!(sent.split_once("\r\n\r\n").unwrap().1, body);
    let empty = HttpRequest { method: Method::Post, ..get(100) };
    assert!(request_of(&mut HttpCall::new(&empty).unwrap().1).contains("\r\ncontent-length: 0\r\n"));
}

#[test]
fn bodies_end_by_length_by_chunks_or_by_closing() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n";
    assert_eq!(answer_to(&get(100), chunked), Ok(answer(200, "Wikipedia")));
    assert_eq!(answer_to(&get(100), b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}surplus"), Ok(answer(404, "{}")));
    assert_eq!(answer_to(&get(100), b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), Ok(answer(200, "until the end")));
    assert_eq!(answer_to(&get(100), b"HTTP/1.0 200 OK\r\n\r\nold"), Ok(answer(200, "old")));
    assert_eq!(answer_to(&get(100), b"HTTP/1.1 204 No Content\r\n\r\n"), Ok(answer(204, "")));
    assert_eq!(answer_to(&get(100), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok(answer(200, "")));
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(answer_to(&get(100), early), Ok(answer(200, "x")));
}

#[test]
fn the_answer_is_there_before_the_connection_ends() {
    let (_, mut call) = HttpCall::new(&get(100)).unwrap();
    call.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{");
    assert_eq!(call.poll_event(), None);
    call.receive(b"}");
    assert_eq!(call.poll_event(), Some(Ok(answer(200, "{}"))));
}

/// PAIR-4: a redirect is an answer like any other; nothing is fetched from where it leads.
#[test]
fn redirects_are_not_followed() {
    assert_eq!(answer_to(&get(9), b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n"), Ok(answer(302, "")));
    assert_eq!(answer_to(&get(9), b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 2\r\n\r\nhi"), Ok(answer(302, "hi")));
}

/// PAIR-1: `Retry-After` in seconds counts, its date form does not.
#[test]
fn retry_after_is_read_in_seconds() {
    let retry_after = |value: &str| {
        let answer = format!("HTTP/1.1 429 Slow\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
        answer_to(&get(9), answer.as_bytes()).unwrap().retry_after
    };
    assert_eq!(retry_after("120"), Some(120));
    assert_eq!(retry_after("99999999999999999999"), Some(u32::MAX));
    for none in ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1.5", ""] {
        assert_eq!(retry_after(none), None, "{none}");
    }
}

#[test]
fn answers_larger_than_allowed_are_refused_as_they_come() {
    let body = "x".repeat(11);
    let sized = format!("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{body}");
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{body}\r\n0\r\n\r\n");
    let closed = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    for bytes in [sized, chunked, closed] {
        assert_eq!(answer_to(&get(10), bytes.as_bytes()), Err(NetFault::TooLarge), "{bytes}");
        assert_eq!(answer_to(&get(11), bytes.as_bytes()), Ok(answer(200, &body)), "{bytes}");
    }
    assert_eq!(answer_to(&get(9), b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"), Err(NetFault::TooLarge));
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_HEAD));
    let (_, mut call) = HttpCall::new(&get(9)).unwrap();
    call.receive(endless.as_bytes());
    assert_eq!(call.poll_event(), Some(Err(NetFault::TooLarge)));
}

#[test]
fn a_truncated_answer_is_no_answer() {
    for cut in [
        &b""[..],
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n",
    ] {
        assert_eq!(answer_to(&get(100), cut), Err(NetFault::Broken), "{}", String::from_utf8_lossy(cut));
    }
}

#[test]
fn what_is_not_http_is_not_understood() {
    for nonsense in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        assert_eq!(answer_to(&get(100), nonsense), Err(NetFault::NotUnderstood), "{}", String::from_utf8_lossy(nonsense));
    }
}

#[test]
fn what_would_break_out_of_the_request_is_refused() {
    let bad_header = HttpRequest { headers: vec![("x", SecretText::new("a\r\nevil: b"))], ..get(9) };
    let bad_url = HttpRequest { url: "gopher://a".to_owned(), ..get(9) };
    for request in [bad_header, bad_url] {
        assert_eq!(HttpCall::new(&request).unwrap_err(), NetFault::BadUrl);
    }
}

/// A peer that sends a line without an end fills no memory.
#[test]
fn lines_between_chunks_are_bounded() {
    for start in ["", "1\r\nx\r\n", "0\r\nX: "] {
        let mut endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{start}").into_bytes();
        endless.extend([b'1'; 2 * MAX_LINE]);
        assert_eq!(answer_to(&get(100_000), &endless), Err(NetFault::TooLarge), "{start}");
    }
}

#[test]
fn which_fault_it_is_does_not_depend_on_the_cuts() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let too_much_then_nonsense = format!("{chunked}5\r\nabcde\r\nno size\r\n");
    assert_eq!(answer_to(&get(4), too_much_then_nonsense.as_bytes()), Err(NetFault::TooLarge));
    assert_eq!(answer_to(&get(5), too_much_then_nonsense.as_bytes()), Err(NetFault::NotUnderstood));
    let long_line = format!("{chunked}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(MAX_LINE));
    assert_eq!(answer_to(&get(4), long_line.as_bytes()), Err(NetFault::TooLarge));

    let long_head_then_nonsense = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\0\r\n\r\n", "x".repeat(MAX_HEAD));
    for size in [MAX_HEAD / 16, long_head_then_nonsense.len()] {
        let (_, mut call) = HttpCall::new(&get(4)).unwrap();
        long_head_then_nonsense.as_bytes().chunks(size).for_each(|piece| call.receive(piece));
        assert_eq!(call.poll_event(), Some(Err(NetFault::TooLarge)), "in pieces of {size}");
    }
}
