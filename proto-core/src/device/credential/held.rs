//! A credential as its holder sees it: how old it is by the holder's own clock.

use core::time::Duration;

use crate::{
    Instant, JitterRng, Reason, UnixTime, WallClock,
    jose::{Claims, Unverified},
    secret::SecretText,
};

/// The shortest rest before a renewal: an odd lifetime makes no busy loop.
const MIN_REST: Duration = Duration::from_secs(2);

/// The longest rest before a renewal.
const MAX_REST: Duration = Duration::from_hours(30 * 24);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) token: SecretText,
    pub(super) claims: Claims,
    /// When it was issued, by this device's clock. That of the platform may differ by any amount; ages are what counts.
    issued_here: UnixTime,
    /// How old it is when its renewal starts.
    rest: Duration,
}

impl Held {
    /// A credential from a file: both clocks are taken to agree, as nothing else is known.
    pub(super) fn stored(token: SecretText, jitter: &mut JitterRng) -> Result<Self, Reason> {
        Self::issued(token, None, jitter)
    }

    /// A credential that was issued just now.
    pub(super) fn fresh(token: SecretText, now: UnixTime, jitter: &mut JitterRng) -> Result<Self, Reason> {
        Self::issued(token, Some(now), jitter)
    }

    /// Its renewal starts at a random age between a half and five sixths of its lifetime, two thirds on average, so that
    /// devices that were paired together do not renew together (ROT-4).
    fn issued(token: SecretText, here: Option<UnixTime>, jitter: &mut JitterRng) -> Result<Self, Reason> {
        let claims = Unverified::parse(&token)?.into_unproven();
        let lifetime = Duration::from_secs(claims.expires_at.since(claims.issued_at)).min(MAX_REST);
        let rest = (lifetime / 2).saturating_add(jitter.up_to(lifetime / 3)).max(MIN_REST);
        let issued_here = here.unwrap_or(claims.issued_at);
        Ok(Self { token, claims, issued_here, rest })
    }

    /// When its renewal starts. A clock that was set back moves that at most one rest away.
    pub(super) fn renew_at(&self, now: Instant, clock: WallClock) -> Instant {
        let due = clock.moment_of(self.issued_here.plus(self.rest.as_secs()));
        let due = due.after(Duration::from_nanos(self.rest.subsec_nanos().into()));
        due.clamp(now, now.after(self.rest))
    }

    /// From when on no relay takes it.
    pub(super) fn expires_at(&self, clock: WallClock) -> Instant {
        clock.moment_of(self.issued_here.plus(self.claims.expires_at.since(self.claims.issued_at)))
    }

    /// From when on it cannot be renewed.
    pub(super) fn lapses_at(&self, clock: WallClock) -> Instant {
        clock.moment_of(self.issued_here.plus(self.claims.renewable_until.since(self.claims.issued_at)))
    }

    /// Whether `next` renews this one: one generation on, and about the same device in every other way.
    pub(super) fn is_renewed_by(&self, next: &Claims) -> bool {
        let Claims { issuer, audience, install, org, runtime_target, machine, role, confirmation, .. } = &self.claims;
        Some(next.generation) == self.claims.generation.checked_add(1)
            && (issuer, audience, install, org) == (&next.issuer, &next.audience, &next.install, &next.org)
            && (runtime_target, machine, role) == (&next.runtime_target, &next.machine, &next.role)
            && *confirmation == next.confirmation
    }
}
