//! Two screens side by side: what the local terminal showed and what the remote viewer saw.

use anstream::adapter::strip_bytes;

/// Columns of one side.
const WIDTH: usize = 38;
/// Lines of one side.
const HEIGHT: usize = 12;

/// The last lines of both, without colours, each side under its heading.
pub(super) fn render(headings: [&str; 2], screens: [&[u8]; 2]) -> String {
    let [left, right] = screens.map(last_lines);
    let blank = String::new();
    let rule = "─".repeat(WIDTH);
    let mut text = format!("  {:WIDTH$}   {}\n  {rule}   {rule}\n", headings[0], headings[1]);
    for row in 0..left.len().max(right.len()) {
        let (left, right) = (left.get(row).unwrap_or(&blank), right.get(row).unwrap_or(&blank));
        text.push_str(format!("  {left:WIDTH$}   {right}").trim_end());
        text.push('\n');
    }
    text
}

fn last_lines(screen: &[u8]) -> Vec<String> {
    let plain = String::from_utf8_lossy(&strip_bytes(screen).into_vec()).into_owned();
    let lines: Vec<String> = plain.lines().map(fitted).collect();
    lines[lines.len().saturating_sub(HEIGHT)..].to_vec()
}

/// One line as it fits: what a carriage return overwrote is gone, what is too long is cut.
fn fitted(line: &str) -> String {
    let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    let visible: Vec<char> = line.replace('\t', "    ").chars().filter(|c| !c.is_control()).collect();
    if visible.len() <= WIDTH {
        return visible.into_iter().collect();
    }
    visible[..WIDTH - 1].iter().chain(&['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_stand_next_to_each_other() {
        let text = render(["local", "remote"], [b"\x1b[31mred\x1b[0m\r\n10%\r100%\r\n", b"red\r\n"]);
        let rule = "─".repeat(WIDTH);
        let expected = format!("  {:WIDTH$}   remote\n  {rule}   {rule}\n  {:WIDTH$}   red\n  {}\n", "local", "red", "100%");
        assert_eq!(text, expected);
    }

    #[test]
    fn long_screens_and_long_lines_are_cut() {
        let screen = (0..50).map(|n| format!("{n} {}\r\n", "x".repeat(100))).collect::<Vec<_>>().concat();
        let lines = last_lines(screen.as_bytes());
        assert_eq!(lines.len(), HEIGHT);
        assert!(lines[0].starts_with("38 x") && lines.iter().all(|line| line.chars().count() == WIDTH && line.ends_with('…')));
    }
}
