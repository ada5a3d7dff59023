//! The platform's HTTP interface as data: what daemons, viewers and relays send it and what it answers, all JSON.
//! `docs/WIRE.md` section 2 is the normative text; unknown members are ignored on both sides.

mod code_text;
mod credential;
mod json;
mod organization_key;
mod pairing;
mod problem;
mod relay;
mod text;

pub use code_text::{CODE_ALPHABET, CODE_LEN, CodeText, InvalidCode};
pub use credential::{RelayEndpoint, Renewed, RotateRequest, key_set};
pub(crate) use json::json;
pub use organization_key::{Base64url, Handover, KeyView, NamedMachine, OwnDevice, Publication, Registration, WaitingDevice};
pub use pairing::{Approval, MintAnswer, MintRequest, PairingMode, PolicyMode, PollAnswer, Workspace};
pub use problem::{Problem, refusal, unanswered};
pub use relay::{Revocations, ValidateAnswer, ValidateRequest};
pub use text::is_name;
pub(crate) use text::{is_url, is_visible};

/// Mint a pairing code: POST a [`MintRequest`], answer 201 with a [`MintAnswer`].
pub const PAIRING_CODES_PATH: &str = "/api/pairing-codes";
/// Renew a credential: POST a [`RotateRequest`] with DPoP (RFC 9449), answer 200 with a [`Renewed`].
pub const ROTATE_PATH: &str = "/api/credentials/rotate";
/// What is published of the organization's key, and for a viewing device what there is to do: GET a [`KeyView`].
pub const ORGANIZATION_KEY_PATH: &str = "/api/organization-key";
/// Register this viewing device's wrapping key: POST a [`Registration`], answer 204.
pub const KEY_DEVICE_PATH: &str = "/api/organization-key/device";
/// Publish the next generation: POST a [`Publication`], answer 201.
pub const KEY_STATEMENTS_PATH: &str = "/api/organization-key/statements";
/// Hand the newest generation to another viewing device: POST a [`Handover`], answer 204.
pub const KEY_HANDOVERS_PATH: &str = "/api/organization-key/handovers";
/// The platform's signing keys (RFC 7517).
pub const JWKS_PATH: &str = "/api/.well-known/jwks.json";
/// 200 while the platform serves.
pub const HEALTH_PATH: &str = "/api/health";
/// For relays: is this credential's machine alive? POST a [`ValidateRequest`].
pub const VALIDATE_PATH: &str = "/api/relay/validate";
/// For relays: which machines were revoked since? Answered with [`Revocations`], held open up to `Prefer: wait`.
pub const REVOCATIONS_PATH: &str = "/api/relay/revocations";
