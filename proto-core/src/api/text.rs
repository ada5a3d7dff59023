//! What a server says becomes part of URLs, header lines and terminals: only visible text does.

/// The longest URL that is shown or dialled.
const MAX_URL_LEN: usize = 2_048;

/// An absolute URL of one of these schemes (`https://`, …), with something after it.
pub(crate) fn is_url(text: &str, schemes: &[&str]) -> bool {
    let is_of_scheme = schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    is_of_scheme && is_visible(text, MAX_URL_LEN)
}

/// Visible ASCII only: it can neither end a header line nor move a terminal's cursor.
pub(crate) fn is_visible(text: &str, max_len: usize) -> bool {
    (1..=max_len).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
