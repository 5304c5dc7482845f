//! How the builder is told of gRPC-Web.

use std::sync::Arc;

use crate::Error;
use crate::hyper_engine::Origins;
use crate::server::{Builder, Http2};

/// gRPC-Web, and whose pages may call by it: see [`Builder::grpc_web`].
///
/// Pages of the server's own origin always may: those that came from the host and port that they call, as behind a proxy that serves both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcWeb {
    origins: Vec<String>,
}

impl GrpcWeb {
    /// For pages of the server's own origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets pages of this origin call, too, as their browser writes it: `https://app.example.com`, `http://localhost:8080`, or `null` for pages that have none. Cookies
    /// and client certificates may come with their calls. `*` alone is every origin, without those.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// What the engine serves by.
    ///
    /// # Errors
    ///
    /// An origin is none; the engine speaks no HTTP/1.1.
    pub(super) fn load(&self, http2: Http2) -> Result<Arc<Origins>, Error> {
        if http2 != Http2::Hyper {
            return Err(Error::usage(format!(
                "gRPC-Web is not spoken by the engine {http2}, but by {} alone: choose that (--http2, Builder::http2)",
                Http2::Hyper
            )));
        }
        Origins::parse(&self.origins).map(Arc::new).map_err(Error::usage)
    }
}

impl Builder {
    /// Serves gRPC-Web as well, for pages in browsers: over HTTP/1.1 and HTTP/2, on the ports that gRPC's own clients use. The engine [`Http2::Hyper`] alone does; with
    /// another the server does not start. Over TLS, `http/1.1` is offered by ALPN beside `h2`. Default: not served.
    ///
    /// Unary methods and streams from the server are what browsers can call; bodies are bytes or text (`application/grpc-web`, `application/grpc-web-text`). CORS is the server's
    /// business: a browser that asks is told whose pages may call, and a call of another's page is answered with HTTP 403.
    ///
    /// A connection of HTTP/1.1 carries one call at a time, and is closed when it waits for the next for longer than
    /// [`Limits::connection_idle_max`](crate::Limits::connection_idle_max), or than a minute where that is not set. Its first request must be there within the
    /// [time for the handshake](crate::Limits::handshake_timeout). The request's head may have 100 fields, and the bytes of
    /// [`Limits::header_list_bytes_max`](crate::Limits::header_list_bytes_max).
    pub fn grpc_web(mut self, grpc_web: GrpcWeb) -> Self {
        self.grpc_web = Some(grpc_web);
        self
    }
}
