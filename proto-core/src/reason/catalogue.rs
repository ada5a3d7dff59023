//! The catalogue itself. `docs/REASONS.md` is generated from it. Codes are stable: never renamed, never reused; new ones go
//! to the end, because the close code is the place in this list.

use super::Family;

macro_rules! catalogue {
    ($($name:ident, $code:literal, $family:ident, $summary:literal, $cause:literal, $next:literal;)*) => {
        /// Why something was refused or failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Reason {
            $(#[doc = concat!("`", $code, "`: ", $summary, ". ", $cause)] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it is about.
            pub const fn family(self) -> Family {
                match self { $(Self::$name => Family::$family,)* }
            }

            /// What happened, in a few words.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$name => $summary,)* }
            }

            /// The likely cause.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause,)* }
            }

            /// What to type or do next.
            pub const fn next(self) -> &'static str {
                match self { $(Self::$name => $next,)* }
            }
        }
    };
}

catalogue! {
    PeerError, "peer_error", Network, "the other side reports an error this version does not know",
        "It runs a newer version.", "install the latest vpd";

    // JWT validation
    JwksUnreachable, "jwks_unreachable", Credential, "JWT validation failed: JWKS unreachable",
        "The relay cannot fetch the platform's key set: network policy, DNS, or a wrong RELAY_JWKS_URL.",
        "curl -I \"$RELAY_JWKS_URL\"   (on the relay's host)";
    SignatureMismatch, "signature_mismatch", Credential, "JWT validation failed: signature mismatch",
        "The token was signed by a key that the relay's key set does not have: the wrong relay, or a key set from before a rotation.",
        "check daemon.relay.endpoint in ~/.viewport/config.json, then: vpd restart";
    TokenExpired, "token_expired", Credential, "JWT validation failed: token expired",
        "The credential was not renewed in time: this machine was offline past its expiry, or its clock is wrong.",
        "vpd restart   (and when that does not help: vpd unpair && vpd pair)";
    TokenMalformed, "token_malformed", Credential, "JWT validation failed: not a well-formed token",
        "The credential was damaged or made by something else.", "vpd unpair && vpd pair";
    TokenNotYetValid, "token_not_yet_valid", Credential, "JWT validation failed: token not valid yet",
        "The clocks of this machine, the platform and the relay disagree by more than a minute.",
        "check this machine's clock (timedatectl), then: vpd restart";
    TokenWrongAudience, "token_wrong_audience", Credential, "JWT validation failed: the token was issued for another recipient",
        "Its issuer, audience or role is not the expected one.", "vpd unpair && vpd pair";
    TokenKeyMismatch, "token_key_mismatch", Credential, "JWT validation failed: the token names another key",
        "The token was copied from another machine, or the identity file was replaced.", "vpd unpair && vpd pair";
    TokenSuperseded, "token_superseded", Credential, "the credential was already renewed by a copy of this machine",
        "Two daemons run from copies of one home directory.", "stop one of them; on the other: vpd unpair && vpd pair";

    // Noise handshake
    NoisePskInvalid, "noise_psk_invalid", Handshake, "Noise handshake failed: invalid psk",
        "The workspace's policy mode (crypto_pairing or standard) does not match how this machine was paired.",
        "vpd unpair && vpd pair   (or an admin sets Settings, Security, Policy mode to Standard)";
    NoiseHandshakeFailed, "noise_handshake_failed", Handshake, "Noise handshake failed",
        "Something between the two ends changed the messages, or the relay has another key than the one pinned at pairing.",
        "check daemon.relay.endpoint in ~/.viewport/config.json, then: vpd restart";
    NoiseVersionUnsupported, "noise_version_unsupported", Handshake, "Noise handshake failed: no common protocol version or suite",
        "One side is much older than the other.", "install the latest vpd";
    HandshakeTimedOut, "handshake_timed_out", Handshake, "Noise handshake failed: no answer in time",
        "The relay, or something before it, accepted the connection and then said nothing.", "vpd logs --since 2m";

    // Workspace and keys
    WorkspaceNotFound, "workspace_not_found", Workspace, "workspace not found",
        "The workspace was deleted, or the relay asks another platform than the one this machine is paired with.",
        "compare daemon.api.endpoint with the relay's RELAY_VALIDATE_URL";
    MachineRevoked, "machine_revoked", Workspace, "this machine's pairing was revoked",
        "An admin revoked it, or its owner is no longer a member of the organization.", "vpd pair";
    InternalKeyMismatch, "internal_key_mismatch", Workspace, "RELAY_INTERNAL_KEY mismatch",
        "The relay and the platform were given different values.", "set the same RELAY_INTERNAL_KEY on both, restart both";
    ValidateUnreachable, "validate_unreachable", Workspace, "the relay cannot reach the platform's validate endpoint",
        "RELAY_VALIDATE_URL is wrong, or the platform is down.", "curl \"$RELAY_VALIDATE_URL\"   (on the relay's host)";

    // Limits
    FrameTooLarge, "frame_too_large", Limit, "frame too large",
        "One frame exceeded RELAY_FRAME_MAX_BYTES (default 1 MiB).", "raise RELAY_FRAME_MAX_BYTES on the relay";
    RateLimited, "rate_limited", Limit, "rate limit exceeded",
        "Too many connections from one address within a minute.", "wait a minute, or raise RELAY_RATE_LIMIT_PER_IP (0 switches it off)";
    RelayFull, "relay_full", Limit, "the relay takes no more connections",
        "Its limit of connections is reached, or this organization's: 512 viewers, each with 4,096 sessions.",
        "wait; where it is the relay's own limit, its operator can raise RELAY_MAX_CONNECTIONS";
    Superseded, "superseded", Limit, "a newer connection of the same machine took over",
        "Two daemons run with the same pairing, or the old connection had died unnoticed.", "vpd status";

    // Network
    FrameMalformed, "frame_malformed", Network, "the other side sent something that is no frame",
        "The two sides run versions that do not fit, or something changed the bytes.", "install the latest vpd";
    RelayUnreachable, "relay_unreachable", Network, "the relay cannot be reached",
        "Network, DNS, TLS, a proxy that answers in its place, or a wrong daemon.relay.endpoint.",
        "check this machine's network; the daemon keeps trying by itself";
    RelayClosed, "relay_closed", Network, "the relay closed the connection",
        "It restarts, or something between closes idle connections.", "nothing: the daemon reconnects by itself";
    PingTimeout, "ping_timeout", Network, "the other side fell silent",
        "The network changed or the machine slept.", "nothing: the daemon reconnects by itself";
    PlatformUnreachable, "platform_unreachable", Network, "pairing API unreachable",
        "VIEWPORT_API_URL or daemon.api.endpoint is wrong, or the platform is down.",
        "curl \"$VIEWPORT_API_URL/api/health\"   (it should answer 200)";
    PlatformAnswerInvalid, "platform_answer_invalid", Network, "the platform's answer is invalid",
        "The URL leads to something else: a proxy's sign-in page, another product, an older version.",
        "curl \"$VIEWPORT_API_URL/api/health\"   (it should answer 200)";

    // Pairing
    CodeExpired, "code_expired", Pairing, "the pairing code expired (404 on its poll)",
        "Codes live for 15 minutes.", "vpd pair";
    PairingDenied, "pairing_denied", Pairing, "the pairing was denied in the browser",
        "Deny was pressed on the approval page.", "vpd pair";
    PairingCancelled, "pairing_cancelled", Pairing, "the pairing was cancelled",
        "Ctrl-C, or a newer vpd pair.", "vpd pair";
    PairingInProgress, "pairing_in_progress", Request, "another pairing is waiting for its approval",
        "A vpd pair is open in another terminal.", "approve it, or: vpd pair --cancel";
    AlreadyPaired, "already_paired", Request, "already paired",
        "This daemon has a binding, and nothing is overwritten by surprise.",
        "vpd pair --add   (keep it and add another)   or   vpd pair --replace   (drop it)";
    OrgMismatch, "org_mismatch", Pairing, "approved for another organization than the one asked for",
        "Another workspace was picked in the browser.", "vpd pair --org <id or slug>, and pick that workspace";
    OrgAlreadyBound, "org_already_bound", Pairing, "approved for an organization this daemon is already paired with",
        "The same workspace was picked again.", "vpd pair --add   (refreshes that binding)";
    CredentialRejected, "credential_rejected", Pairing, "the platform's approval does not hold",
        "Its credential names another key or organization, or its signature is wrong.", "vpd pair";

    // Requests
    NotPaired, "not_paired", Request, "not paired",
        "This daemon has no binding yet.", "vpd pair";
    OrgUnknown, "org_unknown", Request, "not paired with that organization",
        "No binding has this id or slug.", "vpd status   (lists the bindings)";
    OrgAmbiguous, "org_ambiguous", Request, "which organization?",
        "This daemon has several bindings.", "name one: --org <id or slug>   (vpd status lists them)";
    DirectoryMissing, "directory_missing", Request, "no such directory",
        "The path does not exist, or is no directory.", "check the path";
    NotBound, "not_bound", Request, "that directory is not bound",
        "No vpd bind was made for it on this machine.", "vpd bind <path>";
    SessionUnknown, "session_unknown", Request, "no such session",
        "It is mistyped, belongs to another organization, or is no longer kept.", "vpd sessions";

    // This machine
    GrantMissing, "grant_missing", Local, "local.yaml was not written by vpd bind on this machine",
        "It came with the repository, was copied, or was edited to another organization.", "vpd bind <path>";
    LocalFileInvalid, "local_file_invalid", Local, "local.yaml cannot be read",
        "It is no valid YAML, lacks a field, or another user owns it.", "vpd bind <path>";
    StreamingDisabled, "streaming_disabled", Local, "local.yaml says streaming: disabled",
        "It was switched off in this directory.", "vpd bind <path>";
    SessionCut, "session_cut", Local, "remote streaming of this session was cut",
        "Its binding was revoked or removed. The session itself goes on.", "vpd status";
    ConfigInvalid, "config_invalid", Local, "config.json cannot be read",
        "It is no valid JSON, or lacks a field.", "correct it, or move it away and: vpd pair";
    ConfigTooOpen, "config_too_open", Local, "a file with secrets can be read by others",
        "Its mode is wider than 0600.", "chmod 600 ~/.viewport/config.json ~/.viewport/relay-identities/*";
    ConfigNewer, "config_newer", Local, "config.json was written by a newer version",
        "This vpd is older than the one that wrote it.", "install the latest vpd";
    HomeInUse, "home_in_use", Local, "another daemon runs on this home",
        "One process owns it at a time.", "vpd status; or: vpd stop";
    DaemonNotRunning, "daemon_not_running", Local, "the daemon is not running",
        "It was not started, or it stopped.", "vpd start";
    StateNotWritten, "state_not_written", Local, "a state file could not be written",
        "The disk is full, read-only, or the directory belongs to another user.", "df -h ~/.viewport; ls -ld ~/.viewport";

    // Later additions, of any family
    RecordsLost, "records_lost", Network, "the relay no longer has the beginning of this session",
        "Its record store was removed or restored from an old copy.", "start the session again; the relay's RELAY_DATA_DIR must be kept";
    SessionTooLong, "session_too_long", Limit, "the session has used up all its keys",
        "It streamed more than 2^32 GiB.", "start a new session";
    StateInvalid, "state_invalid", Local, "a state file cannot be read",
        "It was damaged, or edited to something invalid.", "move it away, then: vpd restart";
    RecordForged, "record_forged", Handshake, "a record of this session does not open",
        "Something between its daemon and this viewer changed, left out or reordered records.", "vpd watch   (once more; then tell the relay's operator)";
    NestedRepository, "nested_repository", Local, "the binding above does not reach into this repository",
        "It was made without --recursive, and this directory is in a repository of its own.", "vpd bind <path>   (or the outer one again, with --recursive)";
    LocalFileMissing, "local_file_missing", Local, "this directory was bound, and its .viewport/local.yaml is gone",
        "It was removed, as git clean -fdx does, or the directory was cloned anew.", "vpd bind <path>   (or: vpd unbind <path>)";
    ViewerInUse, "viewer_in_use", Local, "another vpd watch of this home is open",
        "A viewer has one connection to its relay, so one process owns it at a time.", "end the other one (Ctrl-C in its terminal); or, as a viewing device of its own: VIEWPORT_HOME=~/.viewport-2 vpd watch";
    SpoolFull, "spool_full", Local, "no more of this session can be kept on this machine",
        "The relay was out of reach, or slow, for so long that the spool is full. The session itself goes on.", "vpd status   (it shows what waits, and why)";
    WatchesItself, "watches_itself", Request, "this terminal is part of that session",
        "What vpd watch shows would become part of the session that it shows, without end.", "vpd watch   (in another terminal)";
    OrganizationKeyForked, "organization_key_forked", Handshake, "the organization's key does not follow from the one this device knows",
        "The platform shows this device another key than before: it was restored from an old copy, or it is malicious.",
        "compare the fingerprint with another member's   (vpd status --keys); tell the platform's operator";
    OrganizationKeyTaken, "organization_key_taken", Request, "another device made the organization's next key first",
        "Two devices made one at the same time, and the first counts.", "nothing; that one is used";
    OrganizationKeyMissing, "organization_key_missing", Request, "this viewer does not hold the organization's key yet",
        "A viewer that holds it hands it over while it runs, and none that does was running since this one was paired.",
        "open vpd watch on a device that showed sessions before; this one goes on by itself";
    EnvelopeForged, "envelope_forged", Handshake, "this session's envelope was not signed by its machine",
        "Something between that machine and this viewer made or changed it.", "vpd watch   (once more; then tell the relay's operator)";
    BindReplaces, "bind_replaces", Request, "this directory is bound to another organization",
        "Sessions that start there would stream to this one instead; that is asked first.", "vpd bind --yes ...   (or leave it as it is)";
    SessionLimit, "session_limit", Limit, "the relay takes no more sessions of this machine, or of its organization",
        "Too many run at once, or too many are kept. Those that have ended leave the relay in time.",
        "nothing: the daemon keeps the session and asks again by itself; or end sessions that are not needed";
    SessionAmbiguous, "session_ambiguous", Request, "several sessions fit",
        "Nothing that was said tells them apart.", "vpd watch SESSION   (the beginning of its id is enough), or: vpd watch --latest";
    RelayCannotStore, "relay_cannot_store", Limit, "the relay cannot store what it is sent",
        "Its disk is full or broken. What streams waits on this machine until the relay can store it.",
        "ask the relay's operator to make room below RELAY_DATA_DIR (its log says what failed)";
}
