//! Which pages may call, by their origin (RFC 6454), and how they are told (CORS, of the Fetch standard).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN,
    VARY,
};
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request};

use super::Direct;

/// How long a browser may go on without asking again, in seconds: two hours, the most that Chromium allows.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// What says that pages of any origin may call.
const ANY: &str = "*";

/// The origins whose pages may call, beside the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    Any,
    Listed(Vec<HeaderValue>),
}

/// Why a page's request goes on, as its browser is told.
pub(super) struct Leave {
    origin: HeaderValue,
    /// Cookies and client certificates may come with it. Browsers refuse that where any origin may call.
    credentials: bool,
}

impl Origins {
    /// These, each as browsers write it, or `*` alone.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that browsers never write.
    pub(crate) fn parse(origins: &[String]) -> Result<Self, String> {
        match origins.iter().any(|origin| origin == ANY) {
            true if origins.len() == 1 => Ok(Self::Any),
            true => Err(format!("the origin `{ANY}` is every origin; leave the others out, or it")),
            false => Ok(Self::Listed(origins.iter().map(|origin| parse(origin)).collect::<Result<_, _>>()?)),
        }
    }

    /// Whether a page of this origin may call a server of this authority.
    pub(super) fn leave(&self, origin: &HeaderValue, authority: Option<&[u8]>) -> Option<Leave> {
        match self {
            Self::Any => Some(Leave { origin: HeaderValue::from_static(ANY), credentials: false }),
            Self::Listed(listed) => {
                let is_allowed = listed.contains(origin) || authority.is_some_and(|authority| is_of(origin, authority));
                is_allowed.then(|| Leave { origin: origin.clone(), credentials: true })
            }
        }
    }

    /// The answer to a browser that asks what a page may do, if that is what it does.
    pub(super) fn preflight(&self, parts: &request::Parts) -> Option<Box<Direct>> {
        let origin = parts.headers.get(ORIGIN)?;
        if parts.method != Method::OPTIONS || !parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let Some(leave) = self.leave(origin, authority(parts)) else { return Some(Direct::of_origin(origin)) };
        let mut fields = HeaderMap::new();
        leave.insert_into(&mut fields);
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        if let Some(names) = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        fields.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
        Some(Direct::new(StatusCode::NO_CONTENT, fields, String::new()))
    }
}

impl Leave {
    /// Lets the page read an answer, and all of its fields.
    pub(super) fn expose(&self, fields: &mut HeaderMap) {
        let names = fields.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
        if let Ok(names) = HeaderValue::try_from(names) {
            fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
        self.insert_into(fields);
    }

    fn insert_into(&self, fields: &mut HeaderMap) {
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        if self.credentials {
            fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            fields.append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

/// Whom a request is for, as its client has it.
pub(super) fn authority(parts: &request::Parts) -> Option<&[u8]> {
    let of_uri = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    of_uri.or_else(|| parts.headers.get(HOST).map(HeaderValue::as_bytes))
}

/// Whether the page came from there. By which scheme, the server need not know: TLS may end in front of it.
fn is_of(origin: &HeaderValue, authority: &[u8]) -> bool {
    let origin = origin.as_bytes();
    let host = origin.windows(3).position(|three| three == b"://").map(|at| &origin[at + 3..]);
    host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

/// An origin as browsers write it (RFC 6454, 6.2): scheme and host in lower case, no port that is the scheme's own, no path.
fn parse(origin: &str) -> Result<HeaderValue, String> {
    let wrong = |why: &str| Err(format!("the origin `{origin}` {why}; write it as in https://app.example.com, or http://localhost:8080"));
    // Of a page without one: a file, a sandboxed frame.
    if origin == "null" {
        return Ok(HeaderValue::from_static("null"));
    }
    if origin.contains(ANY) {
        return wrong("is a pattern, and each origin is listed by itself");
    }
    if origin != origin.to_ascii_lowercase() {
        return wrong("has capitals, which browsers do not write");
    }
    let Ok(parts) = origin.parse::<Uri>().map(Uri::into_parts) else { return wrong("is none") };
    let (Some(scheme), Some(authority)) = (&parts.scheme, &parts.authority) else { return wrong("has no scheme, or no host") };
    let is_own_port = matches!((scheme.as_str(), authority.port_u16()), ("https", Some(443)) | ("http", Some(80)));
    if is_own_port {
        return wrong("has a port that browsers leave out");
    }
    let written = format!("{scheme}://{authority}");
    if written != origin || authority.as_str().contains('@') {
        return wrong("is more than scheme, host and port");
    }
    match HeaderValue::try_from(written) {
        Ok(value) if !Authority::host(authority).is_empty() => Ok(value),
        _ => wrong("is none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(origins: &[&str]) -> Result<Origins, String> {
        Origins::parse(&origins.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    fn may(origins: &Origins, origin: &'static str, authority: Option<&str>) -> Option<(String, bool)> {
        let leave = origins.leave(&HeaderValue::from_static(origin), authority.map(str::as_bytes))?;
        Some((leave.origin.to_str().unwrap().into(), leave.credentials))
    }

    #[test]
    fn listed_pages_may_call_and_the_servers_own() {
        let origins = listed(&["https://app.example.com", "http://localhost:8080", "null"]).unwrap();
        for origin in ["https://app.example.com", "http://localhost:8080", "null"] {
            assert_eq!(may(&origins, origin, Some("grpc.example.com")), Some((origin.into(), true)));
        }
        let others =
            ["http://app.example.com", "https://app.example.com:444", "https://example.com", "https://evil.app.example.com", "", "NULL"];
        for origin in others {
            assert_eq!(may(&origins, origin, Some("grpc.example.com")), None, "{origin}");
            assert_eq!(may(&origins, origin, None), None, "{origin}");
        }
        let none = listed(&[]).unwrap();
        assert!(may(&none, "https://grpc.example.com", Some("GRPC.example.com")).is_some());
        assert!(may(&none, "http://[::1]:9999", Some("[::1]:9999")).is_some());
        assert_eq!(may(&none, "https://grpc.example.com:1", Some("grpc.example.com")), None);
        assert_eq!(may(&none, "null", Some("null")), None, "a page without an origin is nobody's");
    }

    #[test]
    fn any_page_may_call_without_credentials() {
        assert_eq!(may(&listed(&["*"]).unwrap(), "https://anywhere", None), Some(("*".into(), false)));
    }

    #[test]
    fn what_browsers_never_write_is_refused() {
        let cases = [
            ("app.example.com", "no scheme"),
            ("https://app.example.com/", "more than"),
            ("https://app.example.com/path", "more than"),
            ("https://me@app.example.com", "more than"),
            ("https://app.example.com:443", "port"),
            ("http://app.example.com:80", "port"),
            ("https://App.example.com", "capitals"),
            ("HTTPS://app.example.com", "capitals"),
            ("https://", ""),
            ("https://a b", "is none"),
            ("", ""),
            ("https://*.example.com", "pattern"),
        ];
        for (origin, why) in cases {
            let refused = listed(&[origin]).expect_err(origin);
            assert!(refused.contains(why) && refused.contains("https://app.example.com"), "{origin}: {refused}");
        }
        assert!(listed(&["*", "https://app.example.com"]).expect_err("both").contains("leave the others out"));
    }

    #[test]
    fn each_field_is_exposed() {
        let mut fields = HeaderMap::new();
        fields.insert("grpc-status", HeaderValue::from_static("0"));
        fields.insert("x-own", HeaderValue::from_static("a"));
        Leave { origin: HeaderValue::from_static("https://a"), credentials: true }.expose(&mut fields);
        assert_eq!(fields["access-control-expose-headers"], "grpc-status, x-own");
        assert_eq!(fields["access-control-allow-origin"], "https://a");
        assert_eq!((&fields["access-control-allow-credentials"], &fields["vary"]), (&"true".parse().unwrap(), &"origin".parse().unwrap()));
    }
}
