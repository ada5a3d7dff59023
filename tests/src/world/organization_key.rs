//! What the platform keeps of one organization's key, and what it answers (WIRE section 12.1).

use std::collections::BTreeMap;

use proto_core::{
    PlatformId,
    api::{Base64url, Handover, KeyView, OwnDevice, Publication, Registration, WaitingDevice},
    id::DeviceKind,
    jose::Claims,
    key::IdentityKey,
    orgkey::{Statement, Wrapped},
};

/// A viewing device that registered its wrapping key.
#[derive(Clone, Debug)]
struct Device {
    identity: IdentityKey,
    registration: Registration,
    wrapped: Option<Wrapped>,
}

/// The statements, and the devices.
#[derive(Clone, Debug, Default)]
pub struct OrganizationKey {
    statements: Vec<Statement>,
    devices: BTreeMap<PlatformId, Device>,
}

impl OrganizationKey {
    /// How many generations there are.
    pub fn generation(&self) -> u32 {
        self.statements.last().map_or(0, Statement::generation)
    }

    /// What was wrapped, for whomever.
    pub fn wrapped(&self) -> impl Iterator<Item = &Wrapped> {
        self.devices.values().filter_map(|device| device.wrapped.as_ref())
    }

    pub(super) fn view(&self, who: &Claims, after: u32, is_revoked: impl Fn(&PlatformId) -> bool) -> KeyView {
        let statements = self.statements.iter().filter(|statement| statement.generation() > after);
        let mut view = KeyView {
            statements: statements.map(|statement| Base64url(statement.encode())).collect(),
            device: None,
            waiting: Vec::new(),
            renew: false,
            machines: Vec::new(),
        };
        if who.role == DeviceKind::Viewer {
            let own = self.devices.get(&who.runtime_target);
            let wrapped = own.and_then(|device| device.wrapped.as_ref()).map(|wrapped| Base64url(wrapped.encode()));
            view.device = Some(OwnDevice { registered: own.is_some(), wrapped });
            let newest = self.generation();
            let holds = |device: &Device| device.wrapped.as_ref().is_some_and(|wrapped| wrapped.generation() == newest);
            let waiting = self.devices.iter().filter(|(target, device)| newest > 0 && !holds(device) && !is_revoked(target));
            view.waiting = waiting.map(|(target, device)| waiting_device(target, device)).collect();
            view.renew = self.devices.iter().any(|(target, device)| newest > 0 && holds(device) && is_revoked(target));
        }
        view
    }

    pub(super) fn register(&mut self, who: &Claims, identity: IdentityKey, registration: Registration) -> u16 {
        self.devices.insert(who.runtime_target.clone(), Device { identity, registration, wrapped: None });
        204
    }

    pub(super) fn publish(&mut self, publication: &Publication) -> u16 {
        let Ok(statement) = Statement::decode(&publication.statement.0) else { return 400 };
        let follows = self.statements.last().map_or_else(|| statement.founds(), |newest| statement.follows(newest));
        if follows {
            self.statements.push(statement);
        }
        if follows { 201 } else { 409 }
    }

    pub(super) fn hand_over(&mut self, handover: &Handover) -> u16 {
        let Ok(wrapped) = Wrapped::decode(&handover.wrapped.0) else { return 400 };
        if wrapped.generation() != self.generation() {
            return 409;
        }
        match self.devices.get_mut(&handover.runtime_target_id) {
            Some(device) => device.wrapped = Some(wrapped),
            None => return 404,
        }
        204
    }
}

fn waiting_device(target: &PlatformId, device: &Device) -> WaitingDevice {
    WaitingDevice {
        runtime_target_id: target.clone(),
        identity_key: device.identity,
        name: "tablet".into(),
        owner: "Ada".into(),
        wrapping_key: device.registration.wrapping_key.clone(),
        signature: device.registration.signature,
    }
}
