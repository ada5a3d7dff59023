//! A daemon on tokio and one on async-std in one org, and a viewer on neither.

#[path = "subjects/async_std.rs"]
mod async_std_subject;
#[path = "subjects/super_loop.rs"]
mod super_loop_subject;
#[path = "subjects/tokio.rs"]
mod tokio_subject;

use async_std_subject::OnAsyncStd;
use super_loop_subject::OnNothing;
use tokio_subject::OnTokio;

#[test]
fn stream_through_the_same_relay_at_the_same_time() {
    conformance::journeys::two_runtimes::<OnTokio<_>, OnAsyncStd<_>, OnNothing<_>>();
}
