//! What of a session's output reaches the viewer's terminal: an allow-list, by parsing.
//!
//! A session's bytes come from another machine. They may draw: text, colours, moves of the cursor, erasing, scrolling, the
//! other screen. They may not ask the terminal anything (it would answer into the viewer's shell), name its window, set its
//! clipboard or its colours, resize it, switch on reports of keys, mouse or focus, or send it strings. What is not on the list
//! below does not pass. What passes is written anew from what was parsed, so that nothing reaches the terminal in a form that
//! it could understand in another way.
//!
//! What a session switched on and did not take back is known here, and [`Allowed::restore`] takes back that and nothing else.

use std::collections::BTreeSet;

use vte::{Params, Parser, Perform};

/// The filter of one session, with what the session has changed so far.
#[derive(Default)]
pub(super) struct Allowed {
    parser: Parser,
    drawing: Drawing,
}

impl Allowed {
    /// What of `bytes`, the next ones of the session, may be shown.
    pub(super) fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.advance(&mut self.drawing, bytes);
        std::mem::take(&mut self.drawing.out)
    }

    /// What takes back all that the session has changed and has not taken back itself. The parser starts anew too: half of a
    /// sequence is never completed by what comes later.
    pub(super) fn restore(&mut self) -> Vec<u8> {
        self.parser = Parser::default();
        self.drawing.out.clear();
        self.drawing.take_back();
        std::mem::take(&mut self.drawing.out)
    }
}

/// Something that a session changed. In the order in which it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Changed {
    /// Output is held back until the picture is whole (mode 2026).
    Synchronized,
    Insert,
    Origin,
    /// The part of the screen that scrolls. Setting it moves the cursor, so that is kept.
    Region,
    NoWrap,
    ReverseVideo,
    Charset,
    CursorShape,
    CursorHidden,
    Colours,
    OtherScreen,
}

impl Changed {
    const fn undo(self) -> &'static str {
        match self {
            Self::Synchronized => "\x1b[?2026l",
            Self::Insert => "\x1b[4l",
            Self::Origin => "\x1b[?6l",
            Self::Region => "\x1b7\x1b[r\x1b8",
            Self::NoWrap => "\x1b[?7h",
            Self::ReverseVideo => "\x1b[?5l",
            Self::Charset => "\x0f\x1b(B\x1b)B",
            Self::CursorShape => "\x1b[0 q",
            Self::CursorHidden => "\x1b[?25h",
            Self::Colours => "\x1b[0m",
            Self::OtherScreen => "\x1b[?1049l",
        }
    }
}

/// Writes what is allowed.
#[derive(Default)]
struct Drawing {
    out: Vec<u8>,
    changed: BTreeSet<Changed>,
}

impl Drawing {
    fn take_back(&mut self) {
        for changed in std::mem::take(&mut self.changed) {
            self.out.extend_from_slice(changed.undo().as_bytes());
        }
    }

    fn write(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn set(&mut self, changed: Changed, is_on: bool) {
        if is_on {
            self.changed.insert(changed);
        } else {
            self.changed.remove(&changed);
        }
    }

    /// A control sequence with its parameters as they were understood.
    fn sequence(&mut self, params: &Params, intermediates: &str, action: char) {
        let groups = params.iter().map(|group| group.iter().map(u16::to_string).collect::<Vec<_>>().join(":"));
        let params = groups.collect::<Vec<_>>().join(";");
        self.write(&format!("\x1b[{params}{intermediates}{action}"));
    }

    /// `CSI ? mode h` and `l`: modes of the picture only, one by one.
    fn private_mode(&mut self, mode: u16, is_on: bool) {
        let (changed, is_changed, mode) = match mode {
            5 => (Changed::ReverseVideo, is_on, 5),
            6 => (Changed::Origin, is_on, 6),
            7 => (Changed::NoWrap, !is_on, 7),
            25 => (Changed::CursorHidden, !is_on, 25),
            // Three ways to the other screen; one way back.
            47 | 1047 | 1049 => (Changed::OtherScreen, is_on, 1049),
            1048 => return self.write(if is_on { "\x1b7" } else { "\x1b8" }),
            2026 => (Changed::Synchronized, is_on, 2026),
            _ => return,
        };
        self.set(changed, is_changed);
        self.write(&format!("\x1b[?{mode}{}", if is_on { 'h' } else { 'l' }));
    }

    fn colours(&mut self, params: &Params) {
        // The last number of an indexed or direct colour (ISO 8613-6) is no reset.
        let has_colour = params.iter().any(|group| matches!(group, [38 | 48 | 58]));
        let ends_plain = !has_colour && params.iter().last().is_none_or(|last| *last == [0]);
        self.set(Changed::Colours, !ends_plain);
        self.sequence(params, "", 'm');
    }

    /// A reset of the terminal is one of what the session did to it.
    fn reset(&mut self) {
        self.take_back();
        self.write("\x1b[0m");
    }
}

/// The parameter at `index`, 0 where it was left out.
fn param(params: &Params, index: usize) -> u16 {
    params.iter().nth(index).and_then(|group| group.first()).copied().unwrap_or_default()
}

impl Perform for Drawing {
    fn print(&mut self, c: char) {
        if !c.is_control() {
            self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// Bell, backspace, tab, the line feeds, return, and the shift between two sets of characters.
    fn execute(&mut self, byte: u8) {
        if matches!(byte, 0x07..=0x0f) {
            if byte == 0x0e {
                self.set(Changed::Charset, true);
            }
            self.out.push(byte);
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        match (intermediates, action) {
            // Inserting, deleting, moving, tabulating, erasing characters and lines, repeating.
            ([], '@' | 'A'..='I' | 'K'..='M' | 'P' | 'S' | 'X' | 'Z' | '`' | 'a' | 'b' | 'd' | 'e' | 'f' | 'g') => {
                self.sequence(params, "", action);
            }
            // Not the scrollback, which is the viewer's.
            ([], 'J') if param(params, 0) <= 2 => self.sequence(params, "", action),
            // With more parameters it is about the mouse, or about margins.
            ([], 'T') if params.len() <= 1 => self.sequence(params, "", action),
            ([], 's' | 'u') if params.len() <= 1 && param(params, 0) == 0 => self.write(&format!("\x1b[{action}")),
            ([], 'm') => self.colours(params),
            ([], 'r') => {
                self.set(Changed::Region, param(params, 0) != 0 || param(params, 1) != 0);
                self.sequence(params, "", action);
            }
            ([], 'h' | 'l') => {
                for _ in params.iter().filter(|group| **group == [4]) {
                    self.set(Changed::Insert, action == 'h');
                    self.out.extend_from_slice(if action == 'h' { b"\x1b[4h" } else { b"\x1b[4l" });
                }
            }
            ([b'?'], 'h' | 'l') => params.iter().for_each(|group| {
                if let [mode] = group {
                    self.private_mode(*mode, action == 'h');
                }
            }),
            ([b' '], 'q') if param(params, 0) <= 6 => {
                self.set(Changed::CursorShape, param(params, 0) != 0);
                self.sequence(params, " ", action);
            }
            ([b'!'], 'p') => self.reset(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        match (intermediates, byte) {
            _ if ignore => {}
            // The cursor kept and put back, line feeds, a tab stop.
            ([], b'7' | b'8' | b'D' | b'E' | b'H' | b'M') => self.out.extend_from_slice(&[0x1b, byte]),
            ([], b'c') => {
                self.reset();
                self.write("\x1b[H\x1b[2J");
            }
            ([b'#'], b'8') => self.write("\x1b#8"),
            ([set @ (b'(' | b')')], b'0' | b'A' | b'B') => {
                if byte != b'B' {
                    self.set(Changed::Charset, true);
                }
                self.out.extend_from_slice(&[0x1b, *set, byte]);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &str) -> String {
        String::from_utf8(Allowed::default().filter(bytes.as_bytes())).unwrap()
    }

    /// What a session draws arrives as it is.
    #[test]
    fn drawing_passes_unchanged() {
        for drawn in [
            "plain ü 漢字 🦀\r\n\ttab\x08\x07",
            "\x1b[1;31mred\x1b[0m\x1b[38:2:1:2:3mrgb\x1b[38;5;9mindexed\x1b[4:3mcurly\x1b[0m",
            "\x1b[2J\x1b[1;1H\x1b[5;10Hthere\x1b[3A\x1b[2K\x1b[1P\x1b[2@\x1b[3X\x1b[2L\x1b[2M",
            "\x1b[3;10r\x1b[2S\x1b[2T\x1b[0r\x1bM\x1bD\x1b7\x1b8\x1b[s\x1b[u",
            "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2026h\x1b[?2026l\x1b[2 q",
            "\x1b(0lqqk\x1b(B\x0e\x0f\x1b#8",
        ] {
            assert_eq!(shown(drawn), drawn, "{drawn:?}");
        }
    }

    /// F7, e1: nothing that a terminal answers, and nothing that names, writes, resizes or reports.
    #[test]
    fn what_drives_a_terminal_does_not_pass() {
        for driving in [
            "\x1b[c",
            "\x1b[>c",
            "\x1b[=c",
            "\x1b[0c",
            "\x1b[5n",
            "\x1b[6n",
            "\x1b[?6n",
            "\x1b[?15n",
            "\x1b[x",
            "\x1b[>q",
            "\x1bZ",
            "\x05",
            "\x1b[?25$p",
            "\x1b[4$p",
            "\x1b[18t",
            "\x1b[21t",
            "\x1b[8;50;100t",
            "\x1b[3t",
            "\x1b[1;1;1;1;1;1*y",
            "\x1b]0;owned\x07",
            "\x1b]2;owned\x1b\\",
            "\x1b]52;c;b3duZWQ=\x07",
            "\x1b]4;1;?\x07",
            "\x1b]10;?\x1b\\",
            "\x1b]11;#ff0000\x07",
            "\x1b]8;;https://example.com\x07",
            "\x1b]1337;File=:AAAA\x07",
            "\x1b]9;owned\x07",
            "\x1b]777;notify;a;b\x07",
            "\x1bP$qm\x1b\\",
            "\x1bP+q544e\x1b\\",
            "\x1bPq#0;2;0;0;0#0~~\x1b\\",
            "\x1b_Gi=1,a=q;AAAA\x1b\\",
            "\x1b^pm\x1b\\",
            "\x1bXsos\x1b\\",
            "\x1b[?1000h",
            "\x1b[?1002h",
            "\x1b[?1003h",
            "\x1b[?1004h",
            "\x1b[?1006h",
            "\x1b[?2004h",
            "\x1b[?1h",
            "\x1b[?3h",
            "\x1b[?12h",
            "\x1b[>4;2m",
            "\x1b[>1u",
            "\x1b[<u",
            "\x1b[=5;1u",
            "\x1b[?u",
            "\x1b=",
            "\x1b>",
            "\x1b%@",
            "\x1b[20h",
            "\x1b[2h",
            "\x1b[3J",
            "\x1b[?3J",
            "\x1b[?1000s",
            "\x1b[?1000r",
            "\x1b[1;2;3;4;5T",
            "\x1b[5;20s",
            "\x1b[5i",
            "\x1b[?5i",
            "\x1b[1;1$}",
            "\x1b#6",
            "\x1b[61\"p",
            "\x1bc\x05".trim_start_matches("\x1bc"),
            "\u{9b}6n",
            "\u{9d}0;owned\u{9c}",
            "\u{90}$qm\u{9c}",
        ] {
            let passed = shown(driving);
            assert!(!passed.contains('\x1b') && !passed.chars().any(char::is_control), "{driving:?} left {passed:?}");
        }
        // Neither the raw eight-bit controls.
        let passed = Allowed::default().filter(b"\x9b6n\x9d0;owned\x9c");
        assert!(passed.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f), "{passed:?}");
    }

    /// A sequence is the same however it was cut into records.
    #[test]
    fn pieces_make_no_difference() {
        let whole = "a\x1b[1;31mü\x1b]52;c;AAAA\x07b\x1b[6n\x1b[?1049hc\x1bP$qm\x1b\\d";
        let mut piecewise = Allowed::default();
        let passed: Vec<u8> = whole.as_bytes().iter().flat_map(|byte| piecewise.filter(&[*byte])).collect();
        assert_eq!(String::from_utf8(passed).unwrap(), shown(whole));
        assert_eq!(shown(whole), "a\x1b[1;31müb\x1b[?1049hcd");
    }

    /// e2: what was changed is taken back, once, and nothing else: no jump of the cursor, no screen left that was not entered.
    #[test]
    fn what_was_changed_is_taken_back_and_nothing_else() {
        let restored = |bytes: &str| {
            let mut allowed = Allowed::default();
            allowed.filter(bytes.as_bytes());
            let first = allowed.restore();
            assert_eq!(allowed.restore(), b"", "{bytes:?}");
            String::from_utf8(first).unwrap()
        };
        assert_eq!(restored("plain\r\n\x1b[1mbold\x1b[0m\x1b[2K\x1b[?25l\x1b[?25h\x1b[?1049h\x1b[?1049l\x1b[?1000h"), "");
        assert_eq!(restored("\x1b[?1049h\x1b[?25l\x1b[31m"), "\x1b[?25h\x1b[0m\x1b[?1049l");
        assert_eq!(restored("\x1b[?47h\x1b[2;5r\x1b[?7l\x1b[4h"), "\x1b[4l\x1b7\x1b[r\x1b8\x1b[?7h\x1b[?1049l");
        assert_eq!(restored("\x1b(0\x1b[3 q\x1b[?5;6h"), "\x1b[?6l\x1b[?5l\x0f\x1b(B\x1b)B\x1b[0 q");
        assert_eq!(restored("\x1b[?1049h\x1b[?25l\x1bc"), "");
        assert_eq!(restored("\x1b[31"), "");
    }

    /// Half of a sequence at the end does not swallow, or change, what the next session shows.
    #[test]
    fn a_restored_filter_starts_anew() {
        let mut allowed = Allowed::default();
        allowed.filter(b"\x1b]0;half");
        allowed.restore();
        assert_eq!(allowed.filter(b"whole"), b"whole");
    }
}
