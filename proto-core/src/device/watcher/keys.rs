//! What is kept of the organizations' keys.

use alloc::boxed::Box;

use super::{EffectId, Output, Watcher};
use crate::{
    device::{files::OrganizationKeyFile, viewer},
    effect::Effect,
    noise::Noise,
};

impl<N: Noise> Watcher<N> {
    /// The viewer knows or holds more of its organization's key: durable before it is used.
    pub(super) fn keep_key(&mut self, file: Box<OrganizationKeyFile>) {
        let Some(life) = self.state.watching().map(|watching| watching.viewer.life) else { return };
        match self.keys.keep(file) {
            Ok(Some((file, contents))) => self.port.push(Output::Effect(Effect::Store(EffectId::Keep(life), file, contents))),
            Ok(None) => self.drive_viewer(viewer::Input::Kept(true)),
            Err(_) => self.drive_viewer(viewer::Input::Kept(false)),
        }
    }

    /// Nothing stays of the key of an organization that this device has no binding with. What cannot be removed now is removed at
    /// the next start.
    pub(super) fn forget_lost_keys(&mut self) {
        let lost = self.keys.retain(|org| self.bindings.iter().any(|(id, _)| id.org == *org));
        self.port.extend(lost.into_iter().map(|file| Output::Effect(Effect::Remove(EffectId::ForgetKey, file))));
    }
}
