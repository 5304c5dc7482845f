//! Compressed messages of requests: PROTOCOL-HTTP2, "Message-Encoding". It knows the formats and the limit, not the framing.
//!
//! A message is inflated on the loop, at once. What that takes is bounded by the limit on a message, which holds for what comes out: by default, 4 MiB.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use tonic::Status;

/// What `grpc-accept-encoding` says of this server.
pub(super) const ACCEPTED: &str = "identity,gzip,deflate";

/// How the compressed messages of a request are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950: the name is HTTP's (RFC 9110, 8.4.1.2).
    Deflate,
}

impl Encoding {
    /// What `grpc-encoding` names, other than `identity`. `None` for what is not known.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// The message that these bytes were made of.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED when it has more than `bytes_max`: it is inflated up to there and no further. INTERNAL when the bytes are corrupt or cut off.
    pub(super) fn inflate(self, bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Status> {
        match self {
            Self::Gzip => read(MultiGzDecoder::new(bytes), bytes_max),
            Self::Deflate => {
                let mut decoder = ZlibDecoder::new(bytes);
                let inflated = read(&mut decoder, bytes_max)?;
                // Where the stream ends early, flate2 takes it for the end.
                let n_read = decoder.total_in() as usize;
                if n_read != bytes.len() { Err(corrupt("there are bytes behind its end")) } else { Ok(inflated) }
            }
        }
    }
}

fn read(decoder: impl Read, bytes_max: usize) -> Result<Vec<u8>, Status> {
    let mut inflated = Vec::new();
    let one_too_many = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(one_too_many).read_to_end(&mut inflated).map_err(corrupt)?;
    if inflated.len() > bytes_max {
        return Err(Status::resource_exhausted(format!("a compressed message is larger than the limit of {bytes_max} bytes")));
    }
    Ok(inflated)
}

fn corrupt(why: impl std::fmt::Display) -> Status {
    Status::internal(format!("a compressed message cannot be inflated: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use tonic::Code;

    use super::*;

    fn compressed(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes).expect("a vector takes all");
                encoder.finish().expect("a vector takes all")
            }
            Encoding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes).expect("a vector takes all");
                encoder.finish().expect("a vector takes all")
            }
        }
    }

    #[test]
    fn the_limit_is_what_comes_out() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            for message in [vec![], vec![7; 1000]] {
                assert_eq!(encoding.inflate(&compressed(encoding, &message), 1000).expect("it fits"), message);
            }
            let status = encoding.inflate(&compressed(encoding, &[7; 1001]), 1000).expect_err("one byte too many");
            assert_eq!(status.code(), Code::ResourceExhausted, "{encoding:?}");
        }
    }

    #[test]
    fn what_is_cut_changed_or_longer_is_internal() {
        let message: Vec<u8> = (0..500_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let good = compressed(encoding, &message);
            let cut = (0..good.len()).map(|len| good[..len].to_vec());
            let mut longer = good.clone();
            longer.extend_from_slice(b"more");
            let mut changed = good.clone();
            *changed.last_mut().expect("a checksum") ^= 1;
            for bad in cut.chain([longer, changed]) {
                let status = encoding.inflate(&bad, 1 << 20).expect_err("it is corrupt");
                assert_eq!(status.code(), Code::Internal, "{encoding:?}, {} of {} bytes", bad.len(), good.len());
            }
        }
    }
}
