//! Before a command takes the only key of records away: how many, and whether that is meant (D15).

use owo_colors::OwoColorize as _;
use proto_core::device::control::BindingRow;

use crate::{client::Client, failure::Failure, plain::Line};

/// Says what becomes unreadable with the pairing of `org`, or of any organization where none is named; nothing where everything is
/// sealed to an organization's key. `condition` goes before it, where it is not certain to happen. Whether anything was said.
pub(super) async fn warn(client: &Client, org: Option<&str>, condition: Option<&str>) -> Result<bool, Failure> {
    let bindings = client.status().await?.bindings;
    let lines: Vec<_> = bindings.iter().filter(|binding| is_meant(binding, org)).filter_map(line).collect();
    if lines.is_empty() {
        return Ok(false);
    }
    for line in condition.into_iter().map(str::to_owned).chain(lines) {
        anstream::eprintln!("{line}");
    }
    anstream::eprintln!("{} {}, with this machine connected: it seals them", "to keep them:".bold(), "vpd watch".cyan());
    Ok(true)
}

fn is_meant(binding: &BindingRow, org: Option<&str>) -> bool {
    org.is_none_or(|org| binding.org.slug == org || binding.org.id.as_str() == org)
}

fn line(binding: &BindingRow) -> Option<String> {
    let sessions = match binding.without_envelope {
        0 => return None,
        1 => "1 session is".to_owned(),
        more => format!("{more} sessions are"),
    };
    let name = Line(&binding.org.name).bold().to_string();
    Some(format!("{name}: {sessions} not sealed to the organization's key. Without this pairing their records cannot be read."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fixtures::binding;

    /// F1: a count before anything becomes unreadable, of the organization that is meant.
    #[test]
    fn what_would_be_lost_is_counted() {
        let said = |sessions| {
            line(&BindingRow { without_envelope: sessions, ..binding("Acme") })
                .map(|line| anstream::adapter::strip_str(&line).to_string())
        };
        assert_eq!(said(0), None);
        assert!(said(1).unwrap().starts_with("Acme: 1 session is not sealed"));
        assert!(said(3).unwrap().starts_with("Acme: 3 sessions are not sealed"));
        for (org, expected) in [(None, true), (Some("acme"), true), (Some("01J7"), true), (Some("beta"), false)] {
            assert_eq!(is_meant(&binding("Acme"), org), expected);
        }
    }
}
