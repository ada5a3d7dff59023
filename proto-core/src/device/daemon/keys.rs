//! What the bindings keep of their organizations' keys.

use alloc::{boxed::Box, sync::Arc};

use super::{Daemon, EffectId, Output};
use crate::{
    BindingId,
    device::{bridge, files::OrganizationKeyFile, incarnation::Incarnation},
    effect::Effect,
    noise::Noise,
};

impl<N: Noise> Daemon<N> {
    /// A binding knows more of its organization's key: durable before it is used.
    pub(super) fn keep_key(&mut self, id: &Arc<BindingId>, file: Box<OrganizationKeyFile>) {
        let life = self.bridges.get(id).map_or(Incarnation(0), |bridge| bridge.life);
        match self.keys.keep(file) {
            Ok(Some((file, contents))) => {
                self.port.push(Output::Effect(Effect::Store(EffectId::Keep(Arc::clone(id), life), file, contents)));
            }
            Ok(None) => self.drive_bridge(id, bridge::Input::Kept(true)),
            Err(_) => self.drive_bridge(id, bridge::Input::Kept(false)),
        }
    }

    /// Nothing stays of the key of an organization that this daemon has no binding with. What cannot be removed now is removed at
    /// the next start.
    pub(super) fn forget_lost_keys(&mut self) {
        let lost = self.keys.retain(|org| self.bindings.iter().any(|(id, _)| id.org == *org));
        self.port.extend(lost.into_iter().map(|file| Output::Effect(Effect::Remove(EffectId::ForgetKey, file))));
    }
}
