//! What every request goes through: the key, the limits, the measuring.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use riptide::files::digest;
use subtle::ConstantTimeEq;

use super::reply::Reason;
use crate::metrics::OfRoute;
use crate::payload::Rejection;
use crate::shared::Shared;

/// Lets those pass who have the key.
pub(super) async fn authorise(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    // A browser sends the key it knows along with requests that other sites make it send.
    let is_foreign = request
        .headers()
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site");
    if is_foreign && request.method() != Method::GET {
        return Rejection::new(403, "foreign", "requests from other sites are not taken").into_response();
    }
    if let Some(key) = &shared.config.key
        && !has_key(request.headers(), key)
    {
        let mut response = Rejection::new(401, "unauthorised", "a key is needed").into_response();
        let challenge = HeaderValue::from_static("Basic realm=\"riptide\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    next.run(request).await
}

/// Whether the headers have the key, as a bearer's token or as the password of any user, which is what browsers can send.
fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let Some((scheme, given)) = value.split_once(' ') else {
        return false;
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => is_same(given.trim(), key),
        "basic" => {
            let decoded = STANDARD
                .decode(given.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.is_some_and(|pair| pair.split_once(':').is_some_and(|(_, password)| is_same(password, key)))
        }
        _ => false,
    }
}

/// Compares in a time that tells nothing: digests are of one length whatever was given.
fn is_same(given: &str, key: &str) -> bool {
    let digest = |text: &str| digest::of_bytes(text.as_bytes());
    digest(given).as_bytes().ct_eq(digest(key).as_bytes()).into()
}

/// Bounds how many requests are in work, and for how long.
pub(super) async fn limit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Ok(_slot) = Arc::clone(&shared.requests).try_acquire_owned() else {
        return Rejection::busy("requests", "too many requests are in work; try again").into_response();
    };
    let longest = Duration::from_secs(shared.config.limits.request_seconds);
    match tokio::time::timeout(longest, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Rejection::new(408, "timeout", "the request took too long").into_response(),
    }
}

/// Counts and measures.
pub(super) async fn observe(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    // The pattern and not the path: paths are as many as clients like.
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str);
    let route = format!("{} {path}", method(request.method()));
    let response = next.run(request).await;
    let of = OfRoute {
        route,
        status: response.status().as_u16(),
    };
    shared
        .metrics
        .requests
        .get_or_create(&of)
        .observe(started.elapsed().as_secs_f64());
    if let Some(Reason(reason)) = response.extensions().get::<Reason>() {
        shared.metrics.reject(reason);
    }
    response
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

/// Keeps pages from being framed, scripts from elsewhere from running, and what is shown here from being cached.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; script-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_is_the_key() {
        let key = "a-key-of-some-length";
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            has_key(&headers, key)
        };
        assert!(with("Bearer a-key-of-some-length") && with("bearer  a-key-of-some-length"));
        assert!(with(&format!(
            "Basic {}",
            STANDARD.encode("anybody:a-key-of-some-length")
        )));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a-key-of-some-lengt",
            "Bearer a-key-of-some-length1",
            "Token a-key-of-some-length",
            "Basic ????",
        ] {
            assert!(!with(wrong), "{wrong}");
        }
        assert!(!with(&format!("Basic {}", STANDARD.encode("a-key-of-some-length"))));
        assert!(!has_key(&HeaderMap::new(), key));
    }
}
