//! State files (BIND-8, ISO-8): what a reader that knows everything would keep, and which names a file system takes for one.

use serde_json::{Map, Value};

/// Whether everything in `before` stands in `after` as well: members may come, none may go or change.
pub fn keeps(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            before.iter().all(|(name, value)| after.get(name).is_some_and(|other| keeps(value, other)))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(one, other)| keeps(one, other))
        }
        (before, after) => before == after,
    }
}

/// The object at the end of `path`, to put unknown members into.
pub fn object_at<'a>(document: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let Some((first, rest)) = path.split_first() else { return document.as_object_mut() };
    let inner = match first.parse::<usize>() {
        Ok(place) => document.get_mut(place)?,
        Err(_) => document.get_mut(*first)?,
    };
    object_at(inner, rest)
}

/// A file name as the least discerning file system sees it: without case, whatever the language.
pub fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Whether a relative path stays in the folder `folder` and names one plain file there.
pub fn is_inside(path: &str, folder: &str) -> bool {
    let Some(name) = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) else { return false };
    !name.contains(['/', '\\', '\0']) && !matches!(name, "" | "." | "..")
}
