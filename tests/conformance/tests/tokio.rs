//! The suite on tokio.

#[path = "subjects/tokio.rs"]
mod subject;

use subject::OnTokio;

conformance::suite!(OnTokio);
