//! What requests carry and answers say, the same at both servers.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use proto_core::api::Problem;

/// The credentials that the `Authorization` field gives for `scheme`, which is written in any case (RFC 9110 section 11.1).
pub fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (given, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

/// An answer whose body is a problem document (RFC 9457).
pub fn problem(problem: &Problem) -> Response<String> {
    let mut response = Response::new(serde_json::to_string(problem).unwrap_or_default());
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
    response
}

/// A problem of plain HTTP, without a reason of the catalogue.
pub fn plain_problem(status: StatusCode, title: &str) -> Response<String> {
    problem(&Problem { status: status.as_u16(), title: title.to_owned(), reason: None, detail: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F34.
    #[test]
    fn a_scheme_is_one_in_any_case() {
        let given = |value: &'static str| {
            let headers = [(header::AUTHORIZATION, value.parse().unwrap())].into_iter().collect::<HeaderMap>();
            authorization(&headers, "bearer").map(str::to_owned)
        };
        for value in ["Bearer t0ken", "bearer t0ken", "BEARER   t0ken"] {
            assert_eq!(given(value).as_deref(), Some("t0ken"), "{value}");
        }
        for value in ["Basic t0ken", "Bearert0ken", "Bearer", ""] {
            assert_eq!(given(value), None, "{value}");
        }
        assert_eq!(authorization(&HeaderMap::new(), "bearer"), None);
    }

    #[test]
    fn a_problem_says_its_status_twice() {
        let answer = plain_problem(StatusCode::NOT_FOUND, "no such thing");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(answer.body(), r#"{"status":404,"title":"no such thing"}"#);
    }
}
