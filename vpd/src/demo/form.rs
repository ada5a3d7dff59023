//! The forms of a page: enough HTML for pages that are written carefully.

/// A form, as it would be sent if nobody typed anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Names and values of its fields; unchecked ones are left out, as a browser does.
    pub(super) fields: Vec<(String, String)>,
}

/// The form whose action is `action`.
pub(super) fn find(html: &str, action: &str) -> Option<Form> {
    html.split("<form").skip(1).find_map(|form| {
        let (form, _) = form.split_once("</form>")?;
        let (tag, inside) = form.split_once('>')?;
        (attribute(tag, "action")? == action).then(|| Form { fields: fields(inside) })
    })
}

fn fields(form: &str) -> Vec<(String, String)> {
    let inputs = form.split("<input").skip(1).filter_map(|input| input.split_once('>')).map(|(tag, _)| tag);
    inputs
        .filter(|tag| is_sent(tag))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())))
        .collect()
}

/// Boxes and radio buttons count when they are checked.
fn is_sent(tag: &str) -> bool {
    let kind = attribute(tag, "type").unwrap_or_default();
    !matches!(kind.as_str(), "radio" | "checkbox") || tag.split_whitespace().any(|word| word == "checked")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!DOCTYPE html><html><body>
        <form class="hint" method="post" action="/sign-out"><input type="hidden" name="form_token" value="t"></form>
        <form method="post" action="/pair/approve">
        <input type="hidden" name="form_token" value="a&amp;b&quot;c"><input type="hidden" name="code" value="BCDF2345">
        <label class="choice"><input type="radio" name="workspace" value="one" required><span>One</span></label>
        <label class="choice"><input type="radio" name="workspace" value="two" required checked><span>Two</span></label>
        <button class="primary">Approve</button><button formaction="/pair/deny">Deny</button></form></body></html>"#;

    #[test]
    fn a_form_is_sent_as_it_stands() {
        let form = find(PAGE, "/pair/approve").unwrap();
        let fields = [("form_token", "a&b\"c"), ("code", "BCDF2345"), ("workspace", "two")];
        assert_eq!(form.fields, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn other_forms_are_passed_over() {
        assert_eq!(find(PAGE, "/sign-out").unwrap().fields.len(), 1);
        assert_eq!(find(PAGE, "/setup"), None);
        assert_eq!(find("<form action=\"/x\"", "/x"), None);
    }
}
