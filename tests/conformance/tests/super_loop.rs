//! The suite on the example without a runtime.

#[path = "subjects/super_loop.rs"]
mod subject;

use subject::OnNothing;

conformance::suite!(OnNothing);
