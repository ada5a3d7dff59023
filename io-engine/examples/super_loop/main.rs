//! Fetches a URL with an adapter that has no runtime: `cargo run -p io-engine --example super_loop -- http://localhost:8080/`.

mod adapter;

use std::time::Duration;

use io_engine::Roots;
use proto_core::{
    Deadline,
    effect::{Effect, Happening, HttpRequest, Method},
};

use adapter::SuperLoop;

fn main() {
    let Some(url) = std::env::args().nth(1) else { return eprintln!("usage: super_loop URL") };
    let timeout = Duration::from_secs(10);
    let mut adapter = SuperLoop::new(None, Roots::default());
    let deadline = Deadline::new(adapter.now().after(2 * timeout), "giving up");
    let request = HttpRequest { method: Method::Get, url, headers: Vec::new(), body: None, timeout, max_answer: 1 << 20 };
    adapter.perform(Effect::Http("page", request));
    match adapter.next(Some(deadline)) {
        Some(Happening::Answered(_, answer)) => {
            println!("{}\n{}", answer.status, String::from_utf8_lossy(answer.body.expose()));
        }
        other => eprintln!("no answer: {other:?}"),
    }
    adapter.shutdown();
}
