//! The visitor of a page, as far as the gate found out.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{FromRequestParts, OriginalUri, Path},
    http::{Method, request::Parts},
    response::{IntoResponse, Redirect, Response},
};

use super::error::PageError;
use crate::{
    app::Shared,
    error::Error,
    store::{
        account::Account,
        member::Role,
        organization::{Joined, Organization},
    },
};

/// A visitor's cookies, parsed. The gate adds it to the request.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The account that is signed in, if any.
    pub(crate) signed_in: Option<SignedIn>,
    /// What every form of this visitor must bring along.
    pub(crate) form_token: Arc<str>,
}

/// A signed-in visitor.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) account: Account,
    /// The workspaces of the account, by name.
    pub(crate) organizations: Arc<[Joined]>,
    /// The session that says so.
    pub(crate) session_hash: [u8; 32],
}

/// A signed-in visitor on a page of a workspace that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) visitor: Visitor,
    pub(crate) account: Account,
    pub(crate) organization: Organization,
    pub(crate) role: Role,
    /// The session of the request.
    pub(crate) session_hash: [u8; 32],
}

/// A [`Member`] that is an admin there.
#[derive(Clone, Debug)]
pub(crate) struct Admin(pub(crate) Member);

impl FromRequestParts<Shared> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, PageError> {
        let passed = parts.extensions.get::<Self>().cloned();
        passed.ok_or_else(|| Error::Internal("a page without its gate".into()).into())
    }
}

/// A visitor who is not signed in is asked to, and comes back.
impl FromRequestParts<Shared> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        visitor.signed_in.ok_or_else(|| {
            // A nested router takes its prefix off the URI.
            let whole = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
            let wanted = whole.path_and_query().filter(|_| parts.method == Method::GET);
            Redirect::to(&sign_in_path(wanted.map_or("/", |wanted| wanted.as_str()))).into_response()
        })
    }
}

/// The sign-in page that leads on to `next`.
pub(crate) fn sign_in_path(next: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/sign-in?{query}")
}

/// A visitor who does not belong to a workspace learns nothing about it, not even whether it exists.
impl FromRequestParts<Shared> for Member {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let not_found = || PageError::from(Error::NotFound).into_response();
        let signed_in = SignedIn::from_request_parts(parts, app).await?;
        let visitor = Visitor::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let path = Path::<BTreeMap<String, String>>::from_request_parts(parts, app).await.map_err(|_| not_found())?;
        let slug = path.get("slug").ok_or_else(not_found)?;
        let joined = signed_in.organizations.iter().find(|joined| joined.organization.slug == *slug);
        let Joined { organization, role } = joined.cloned().ok_or_else(not_found)?;
        Ok(Self { visitor, account: signed_in.account, organization, role, session_hash: signed_in.session_hash })
    }
}

impl FromRequestParts<Shared> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let member = Member::from_request_parts(parts, app).await?;
        if member.role == Role::Admin {
            Ok(Self(member))
        } else {
            Err(PageError::from(Error::Forbidden("Only an admin of this workspace can do that.")).into_response())
        }
    }
}
