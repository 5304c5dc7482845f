//! A request's head, and what is answered.

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// Without its query.
    pub(super) path: &'a str,
    /// All `accept` fields that were sent.
    pub(super) accept: &'a str,
}

/// A head that is no HTTP/1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Request<'a> {
    /// Reads a head, which ends with an empty line (RFC 9112, 2.1). Of the fields, `accept` alone matters.
    ///
    /// # Errors
    ///
    /// It is no head of HTTP/1.0 or HTTP/1.1.
    pub(super) fn parse(head: &'a [u8]) -> Result<Self, Malformed> {
        let head = std::str::from_utf8(head).map_err(|_| Malformed)?;
        let mut lines = head.split("\r\n");
        let mut line = lines.next().ok_or(Malformed)?.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.0" | "HTTP/1.1"), None) = (line.next(), line.next(), line.next(), line.next()) else {
            return Err(Malformed);
        };
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !is_token(method) || !target.starts_with('/') {
            return Err(Malformed);
        }
        let mut accept = "";
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(Malformed)?;
            if !is_token(name) {
                return Err(Malformed);
            }
            if name.eq_ignore_ascii_case("accept") {
                accept = value.trim();
            }
        }
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let path = target.split('?').next().unwrap_or(target);
        Ok(Self { method, path, accept })
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: &'static str,
    content_type: &'static str,
    fields: &'static str,
    body: String,
}

impl Reply {
    pub(super) fn new(status: &'static str, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, fields: "", body }
    }

    /// A line for people.
    pub(super) fn text(status: &'static str, line: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// With this field besides, its end included.
    pub(super) fn with(self, fields: &'static str) -> Self {
        Self { fields, ..self }
    }

    /// All of it, as it is sent: a connection has one. To HEAD without the body, whose length it has all the same (RFC 9110, 9.3.2).
    pub(super) fn into_bytes(self, method: Method) -> Vec<u8> {
        let Self { status, content_type, fields, body } = self;
        let mut text = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\ncache-control: no-store\r\n{fields}connection: close\r\n\r\n",
            body.len()
        );
        if method != Method::Head {
            text.push_str(&body);
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_is_asked_for() {
        let head = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nACCEPT:  text/plain \r\n\r\n";
        assert_eq!(Request::parse(head), Ok(Request { method: Method::Get, path: "/metrics", accept: "text/plain" }));
        assert_eq!(Request::parse(b"HEAD /healthz HTTP/1.0\r\n\r\n").unwrap().method, Method::Head);
        assert_eq!(Request::parse(b"DELETE / HTTP/1.1\r\n\r\n").unwrap().method, Method::Other);
    }

    #[test]
    fn nothing_else_is_one() {
        let malformed: [&[u8]; 9] = [
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /metrics\r\n\r\n",
            b"GET /metrics HTTP/2.0\r\n\r\n",
            b"GET  /metrics HTTP/1.1\r\n\r\n",
            b"GET metrics HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nna me: x\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\n\r\n",
        ];
        for head in malformed {
            assert_eq!(Request::parse(head), Err(Malformed), "{:?}", String::from_utf8_lossy(head));
        }
    }
}
