//! The fields of a posted form.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use proto_core::secret::SecretText;
use zeroize::Zeroizing;

use super::error::PageError;
use crate::{app::Shared, error::Error};

/// The name of the field that proves that a form is ours.
pub(super) const FORM_TOKEN: &str = "form_token";

/// A posted form. Only forms that passed the gate get this far.
#[derive(Clone)]
pub(crate) struct Fields(Arc<BTreeMap<String, Zeroizing<String>>>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`; of fields that occur twice the last one counts.
    pub(super) fn parse(body: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(body);
        Self(Arc::new(pairs.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect()))
    }

    /// A field's text; empty where it is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.as_str())
    }

    /// A field that must not be seen.
    pub(crate) fn secret(&self, name: &str) -> SecretText {
        SecretText::new(self.get(name))
    }
}

impl FromRequestParts<Shared> for Fields {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, PageError> {
        let passed = parts.extensions.get::<Self>().cloned();
        passed.ok_or_else(|| Error::Internal("a form without its gate".into()).into())
    }
}
