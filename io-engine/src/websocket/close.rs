//! Close frames and the reasons they carry.

use bytes::Bytes;
use proto_core::{Reason, effect::Close};
use tungstenite::protocol::frame::coding::CloseCode;

/// The body of a close frame: a code and a text (RFC 6455 section 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CloseFrame {
    code: CloseCode,
    text: String,
}

impl CloseFrame {
    pub(super) const fn bare(code: CloseCode) -> Self {
        Self { code, text: String::new() }
    }

    pub(super) fn of(close: Close) -> Self {
        match close {
            Close::Normal => Self::bare(CloseCode::Normal),
            Close::Because(reason) => Self { code: reason.close_code().into(), text: reason.code().to_owned() },
        }
    }

    /// The answer to this one: the same code (RFC 6455 section 5.5.1).
    pub(super) const fn echo(&self) -> Self {
        Self::bare(self.code)
    }

    /// What the other side gave as its reason. Its text decides, its code where there is no text; a reason that only a newer
    /// version knows is [`Reason::PeerError`].
    pub(super) fn reason(&self) -> Option<Reason> {
        let place = u16::from(self.code).checked_sub(4000)?;
        let unknown = if self.text.is_empty() { Reason::ALL.get(usize::from(place)).copied() } else { None };
        Some(self.text.parse().ok().or(unknown).unwrap_or(Reason::PeerError))
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut body = u16::from(self.code).to_be_bytes().to_vec();
        body.extend_from_slice(self.text.as_bytes());
        body.into()
    }

    /// From a frame's body: `Some(None)` when it is empty, `None` when it may not be sent like that.
    #[expect(clippy::option_option, reason = "an empty body is valid, and is not the same as an invalid one")]
    pub(super) fn decode(body: &[u8]) -> Option<Option<Self>> {
        let Some((code, text)) = body.split_first_chunk() else { return body.is_empty().then_some(None) };
        let code = CloseCode::from(u16::from_be_bytes(*code));
        let text = std::str::from_utf8(text).ok()?.to_owned();
        code.is_allowed().then_some(Some(Self { code, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed_with(code: u16, text: &str) -> Option<Reason> {
        CloseFrame { code: code.into(), text: text.to_owned() }.reason()
    }

    /// D12: each reason of the catalogue arrives as itself.
    #[test]
    fn every_reason_survives_the_close_frame() {
        for reason in Reason::ALL {
            let frame = CloseFrame::of(Close::Because(*reason));
            let body = frame.encode();
            assert!(body.len() <= 125, "{reason:?}");
            assert_eq!(CloseFrame::decode(&body).unwrap().unwrap().reason(), Some(*reason));
        }
    }

    #[test]
    fn text_wins_over_code_and_codes_of_others_are_no_reason() {
        assert_eq!(closed_with(Reason::RateLimited.close_code(), ""), Some(Reason::RateLimited));
        assert_eq!(closed_with(4001, "rate_limited"), Some(Reason::RateLimited));
        assert_eq!(closed_with(4999, "from_the_future"), Some(Reason::PeerError));
        assert_eq!(closed_with(4999, ""), Some(Reason::PeerError));
        assert_eq!(closed_with(1000, "rate_limited"), None);
        assert_eq!(closed_with(3999, ""), None);
    }

    #[test]
    fn bodies_that_may_not_be_sent_are_refused() {
        assert_eq!(CloseFrame::decode(&[]), Some(None));
        for bad in [&[3][..], &[3, 237], &[0, 0], &[3, 232, 0xff]] {
            assert_eq!(CloseFrame::decode(bad), None, "{bad:?}");
        }
    }
}
