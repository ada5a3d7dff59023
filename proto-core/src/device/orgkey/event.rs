//! Inputs and outputs of `OrganizationKey`.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::{
    Entropy, Reason,
    api::{Handover, NamedMachine, Publication, Registration},
    device::files::OrganizationKeyFile,
    effect::IoEvent,
    machine::TimerKind,
};

/// The n-th call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u32);

/// What happened.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The link is up: the platform can be asked from now on. The entropy is for what this device makes and wraps.
    Up(Entropy),
    /// Look now: something is to be sealed or opened.
    Poll,
    /// What came of an [`Output::Call`].
    Io(IoEvent<EffectId>),
    /// The file of [`Output::Keep`] is durable.
    Kept,
    /// It is not.
    NotKept,
}

/// Effects to carry out, and news.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Ask the platform, with the device's credential and proof of possession. Answered by [`Input::Io`].
    Call(EffectId, Call),
    /// Make this durable, then answer with [`Input::Kept`] or [`Input::NotKept`].
    Keep(Box<OrganizationKeyFile>),
    /// What happened.
    KeyEvent(KeyEvent),
    /// The machines whose sessions there may be, for a device that watches: once each time the link comes up.
    Machines(Vec<NamedMachine>),
}

/// A request to the platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// What is there after this generation?
    View {
        /// The one before the newest that is known here: a platform has to show that one again, or it is found out.
        after: u32,
        /// Whether the machines of the organization are wanted too.
        machines: bool,
    },
    /// Register this device's wrapping key.
    Register(Box<Registration>),
    /// Publish a generation.
    Publish(Box<Publication>),
    /// Hand a generation over.
    HandOver(Box<Handover>),
}

/// What happened, for the owner of the machine and for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyEvent {
    /// There is a newer generation than before.
    Newer,
    /// This device holds all generations up to the newest now.
    Held,
    /// This device founded the organization's key.
    Founded,
    /// This device made the next generation.
    Renewed,
    /// It handed the newest generation to this device.
    HandedOver {
        /// Its name.
        name: String,
        /// Whose it is.
        owner: String,
    },
    /// The last attempt brought nothing, and why; it goes on. Said again only when the reason changes.
    Trouble(Reason),
}

/// What the machine does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The next look at the platform.
    Poll,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Poll => "look at the organization's key",
        }
    }
}
