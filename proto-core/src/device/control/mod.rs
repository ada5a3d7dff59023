//! The daemon's local interface as data: what `vpd` asks its daemon over `vpd.sock` and what it answers.

mod report;
mod request;

pub use report::{BindingRow, DirectoryRow, KeyRow, PendingPairing, ProxyRow, Report, SessionRow, SpoolRow};
pub use request::{
    Attach, Attached, BindRequest, Bound, PairEvent, PairRequest, UnbindRequest, Unbound, UnpairRequest, Unpaired,
};
