//! What a streamed command finds in its environment, so that a prompt can show it and `vpd` knows where it is.

use std::env;

use proto_core::{SessionId, api::Workspace, device::control::Attached};

use crate::plain::Line;

/// The variable with the session's id.
const SESSION: &str = "VPD_SESSION";
/// The variable with the slug of the organization that the session streams to.
const ORG: &str = "VPD_ORG";

/// The longest name in the line, in characters.
const NAME: usize = 32;

/// The session that a command streams to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionEnv {
    session: SessionId,
    org: Workspace,
}

impl SessionEnv {
    /// The mark of a session that streams.
    pub(super) fn of(attached: &Attached) -> Option<Self> {
        match attached {
            Attached::Streaming { session, org, .. } => Some(Self { session: *session, org: org.clone() }),
            Attached::LocalOnly { .. } => None,
        }
    }

    /// Its id.
    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// The variables of the command.
    pub(super) fn environment(&self) -> [(&'static str, String); 2] {
        [(SESSION, self.session.to_string()), (ORG, self.org.slug.clone())]
    }

    /// To whom it streams and under which id, on one line of a terminal of 80 columns. The name comes from the platform.
    pub(super) fn line(&self) -> String {
        let mut name: String = Line(&self.org.name).to_string();
        if let Some((end, _)) = name.char_indices().nth(NAME) {
            name.truncate(end);
            name.push('…');
        }
        format!("streams to {name} as {}", self.session)
    }
}

/// The session that this very process runs in, where there is one.
pub(crate) fn surrounding_session() -> Option<SessionId> {
    env::var(SESSION).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_both_and_has_no_control_characters() {
        let org = Workspace { id: "01J7".parse().unwrap(), slug: "acme".into(), name: "Ac\u{1b}]0;me\u{9b}".into() };
        let mark = SessionEnv { session: SessionId([7; 16]), org };
        let id = SessionId([7; 16]).to_string();
        assert_eq!(mark.line(), format!("streams to Ac\\u{{1b}}]0;me\\u{{9b}} as {id}"));
        let long = SessionEnv { org: Workspace { name: "ä".repeat(100), ..mark.org.clone() }, ..mark.clone() };
        assert!("vpd: ".len() + long.line().chars().count() <= 80, "{}", long.line());
        assert_eq!(mark.environment(), [("VPD_SESSION", id), ("VPD_ORG", "acme".to_owned())]);
    }
}
