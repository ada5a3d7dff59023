//! The forms of a page: enough HTML for pages that are written carefully.

/// A form, as it would be sent untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Names and values of its fields; unchecked ones are left out, as a browser does.
    pub(crate) fields: Vec<(String, String)>,
}

/// The form whose action is `action`.
pub(crate) fn find(html: &str, action: &str) -> Option<Form> {
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

/// The first `href` that ends so.
pub(crate) fn link_to(html: &str, end: &str) -> Option<String> {
    html.split('<').filter_map(|tag| attribute(tag.split_once('>')?.0, "href")).find(|link| link.ends_with(end))
}

/// The value of the radio button `name` that is labelled `label`.
pub(crate) fn choice(html: &str, name: &str, label: &str) -> Option<String> {
    let labels = html.split("<label").skip(1).filter_map(|rest| rest.split_once("</label>")).map(|(inside, _)| inside);
    let meant = |inside: &&str| inside.split('<').filter_map(|tag| tag.split_once('>')).any(|(_, text)| text.trim() == label);
    let inputs = labels.filter(meant).flat_map(|inside| inside.split("<input").skip(1));
    let tags = inputs.filter_map(|input| input.split_once('>')).map(|(tag, _)| tag);
    tags.filter(|tag| attribute(tag, "name").as_deref() == Some(name)).find_map(|tag| attribute(tag, "value"))
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
    fn a_radio_button_is_found_by_its_label() {
        assert_eq!(choice(PAGE, "workspace", "One").as_deref(), Some("one"));
        assert_eq!(choice(PAGE, "workspace", "Two").as_deref(), Some("two"));
        assert_eq!((choice(PAGE, "workspace", "T"), choice(PAGE, "code", "One")), (None, None));
    }

    #[test]
    fn a_link_is_found_by_its_end() {
        let page = r#"<a href="/w/a/machines">M</a> <a class="button" href="/w/a/machines/7/revoke">Revoke <span>x</span></a>"#;
        assert_eq!(link_to(page, "/revoke").as_deref(), Some("/w/a/machines/7/revoke"));
        assert_eq!(link_to(page, "/members"), None);
    }

    #[test]
    fn other_forms_are_passed_over() {
        assert_eq!(find(PAGE, "/sign-out").unwrap().fields.len(), 1);
        assert_eq!(find(PAGE, "/setup"), None);
        assert_eq!(find("<form action=\"/x\"", "/x"), None);
    }
}
