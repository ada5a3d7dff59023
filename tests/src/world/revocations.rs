//! The platform's feed for relays: which targets' access ended, in order.

use proto_core::{
    OrgId, PlatformId,
    api::Revocations,
    effect::{HttpAnswer, HttpRequest},
};

use super::platform::{Platform, json};

/// The targets whose access ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A runtime target's.
    Target(PlatformId),
    /// That of all devices of an org.
    Org(OrgId),
}

impl Platform {
    /// Whether a relay that asks this is told something at once; otherwise its answer is held back.
    pub fn has_news(&self, request: &HttpRequest) -> bool {
        after(request).is_none_or(|after| after != self.ended.len())
    }

    /// What happened after the event that the relay received last. Without one, how far it is.
    pub(super) fn revocations(&self, request: &HttpRequest) -> HttpAnswer {
        let latest = self.ended.len();
        let mut news = Revocations { last: latest as u64, ..Revocations::default() };
        for ended in self.ended.get(after(request).unwrap_or(latest)..).unwrap_or_default() {
            match ended {
                Ended::Target(target) => news.runtime_targets.push(target.clone()),
                Ended::Org(org) => news.organizations.push(org.clone()),
            }
        }
        json(200, &news)
    }
}

fn after(request: &HttpRequest) -> Option<usize> {
    request.url.split_once("?after=").map(|(_, after)| after.parse().expect("a number"))
}
