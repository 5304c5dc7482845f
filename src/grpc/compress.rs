//! Messages of answers, compressed: at once, on the loop. A service chooses this for itself, and by message.

use std::cell::Cell;
use std::io::Write;
use std::rc::Rc;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::grpc::encoding::Encoding;

/// What the message becomes: flate2's and zstd's default levels, 6 and 3.
pub(super) fn compress(encoding: Encoding, message: &[u8]) -> Vec<u8> {
    const NEVER_FAILS: &str = "a vector takes all";
    match encoding {
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(message).expect(NEVER_FAILS);
            encoder.finish().expect(NEVER_FAILS)
        }
        Encoding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(message).expect(NEVER_FAILS);
            encoder.finish().expect(NEVER_FAILS)
        }
        #[cfg(feature = "zstd")]
        Encoding::Zstd => zstd_frame(message).expect(NEVER_FAILS),
    }
}

/// A frame with a checksum, as gzip and deflate have one.
#[cfg(feature = "zstd")]
fn zstd_frame(message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.write_all(message)?;
    encoder.finish()
}

/// Whether the messages of an answer are compressed that come from here on, where the service [compresses](crate::Compression::send) and the client
/// accepts it. What a stream of responses holds to decide it message by message; its clones are the same switch.
///
/// ```
/// use loopswap::Response;
/// use loopswap::greeter::HelloReply;
/// use futures_util::{StreamExt, stream};
///
/// let mut response = Response::new(());
/// let compression = response.message_compression();
/// let photos = stream::iter([("a text", true), ("a photo, compressed by itself", false)]).map(move |(message, compressible)| {
///     compression.set(compressible);
///     Ok::<_, loopswap::Status>(HelloReply { message: message.into() })
/// });
/// let response = response.map(|()| photos);
/// ```
#[derive(Clone, Debug)]
pub struct MessageCompression(Rc<Cell<bool>>);

impl Default for MessageCompression {
    fn default() -> Self {
        Self(Rc::new(Cell::new(true)))
    }
}

impl MessageCompression {
    /// Whether the next messages are compressed.
    pub fn set(&self, compress: bool) {
        self.0.set(compress);
    }

    /// Whether the next message is compressed: so it is unless it was said otherwise.
    pub fn get(&self) -> bool {
        self.0.get()
    }
}
