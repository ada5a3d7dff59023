//! The suite on async-std.

#[path = "subjects/async_std.rs"]
mod subject;

use subject::OnAsyncStd;

conformance::suite!(OnAsyncStd);
