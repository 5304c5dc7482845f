//! The flags of gRPC-Web.

use clap::builder::FalseyValueParser;

use crate::{Builder, Error, GrpcWeb};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Browsers")]
pub(super) struct WebArgs {
    /// Serve gRPC-Web as well, for pages in browsers, over HTTP/1.1 and HTTP/2, on the same ports. Engine hyper only [default: no].
    #[arg(long, env = "LOOPSWAP_GRPC_WEB", value_parser = FalseyValueParser::new())]
    grpc_web: bool,

    /// Let pages of this origin call by --grpc-web, as browsers write it: https://app.example.com, http://localhost:8080; * for pages of any. May be given more than
    /// once, or as a list with commas [default: pages of the host and port that they call].
    #[arg(long, env = "LOOPSWAP_GRPC_WEB_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    grpc_web_origin: Vec<String>,
}

impl WebArgs {
    /// The server with these settings.
    ///
    /// # Errors
    ///
    /// Origins without gRPC-Web.
    pub(super) fn configure(&self, builder: Builder) -> Result<Builder, Error> {
        match (self.grpc_web, self.grpc_web_origin.first()) {
            (true, _) => Ok(builder.grpc_web(self.grpc_web_origin.iter().fold(GrpcWeb::new(), GrpcWeb::allow_origin))),
            (false, None) => Ok(builder),
            (false, Some(origin)) => Err(Error::usage(format!("--grpc-web-origin {origin} is for gRPC-Web; give --grpc-web too"))),
        }
    }
}
