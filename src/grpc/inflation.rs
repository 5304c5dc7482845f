//! Messages that are being inflated: a step at a time, and one step in a turn of their connection, so that messages of any size, number and malice hold
//! a worker up for some milliseconds at most.
//!
//! It knows the formats and the limits, not the framing.

use std::io::{self, BufRead, ErrorKind, Read};
use std::rc::Rc;
use std::task::{Context, Poll};

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use tonic::Status;

use crate::grpc::Transport;
use crate::grpc::encoding::Encoding;

/// What a step reads at most. The slowest input that is known, nothing but deflate's tables, costs some 0.15 µs a byte: 0.6 ms a step. A loop that is busy
/// may look for I/O every sixtieth turn only.
const STEP_IN_BYTES_MAX: usize = 4 * 1024;

/// What a step makes at most: some 0.15 ms.
const STEP_OUT_BYTES_MAX: usize = 64 * 1024;

/// The exponent of the largest window that a zstd frame may ask for, which is memory: 8 MiB, as for HTTP (RFC 9659).
#[cfg(feature = "zstd")]
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A message, on its way from what was sent to what it was made of. Both count among what the connection has of messages that are not whole.
pub(crate) struct Inflation {
    transport: Rc<dyn Transport>,
    n_kept: usize,
    encoding: Encoding,
    decoder: Box<dyn Decoder>,
    inflated: Vec<u8>,
    bytes_max: usize,
}

impl Inflation {
    /// Of a message that was sent in these bytes and may have no more than `bytes_max` when it is inflated.
    ///
    /// # Errors
    ///
    /// INTERNAL for no bytes at all; RESOURCE_EXHAUSTED when there is no memory for the decoder.
    pub(super) fn new(transport: Rc<dyn Transport>, encoding: Encoding, bytes: &[u8], bytes_max: usize) -> Result<Self, Status> {
        if bytes.is_empty() {
            return Err(corrupt("it is empty"));
        }
        let input = Allowance { bytes: bytes.into(), at: 0, left: STEP_IN_BYTES_MAX };
        let decoder: Box<dyn Decoder> = match encoding {
            Encoding::Gzip => Box::new(MultiGzDecoder::new(input)),
            Encoding::Deflate => Box::new(ZlibDecoder::new(input)),
            #[cfg(feature = "zstd")]
            Encoding::Zstd => {
                let no_memory = |error: io::Error| Status::resource_exhausted(format!("no decoder for zstd: {error}"));
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(no_memory)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(no_memory)?;
                Box::new(decoder)
            }
        };
        let mut inflation = Self { transport, n_kept: 0, encoding, decoder, inflated: Vec::new(), bytes_max };
        inflation.keep(bytes.len())?;
        Ok(inflation)
    }

    /// How the message was compressed.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// A step. The message, when it is whole; until then the task is woken at once, so that others have their turn between.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED when it has more than the limit, up to which it is inflated and no further, or when the connection has too much of such messages.
    /// INTERNAL when the bytes are corrupt or cut off.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, Status>> {
        let stepped = if self.transport.partials().take_step() { self.step() } else { Ok(false) };
        match stepped {
            Ok(true) => Poll::Ready(Ok(std::mem::take(&mut self.inflated))),
            Ok(false) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(status) => Poll::Ready(Err(status)),
        }
    }

    fn keep(&mut self, n_bytes: usize) -> Result<(), Status> {
        self.transport.partials().keep(n_bytes)?;
        self.n_kept += n_bytes;
        Ok(())
    }

    /// True: it is whole.
    fn step(&mut self) -> Result<bool, Status> {
        self.decoder.input().left = STEP_IN_BYTES_MAX;
        let start = self.inflated.len();
        // One byte more shows that there is one too many.
        let end = (start + STEP_OUT_BYTES_MAX).min(self.bytes_max.saturating_add(1));
        let read = self.decoder.by_ref().take((end - start) as u64).read_to_end(&mut self.inflated);
        self.keep(self.inflated.len() - start)?;
        match read {
            Ok(_) if self.inflated.len() > self.bytes_max => {
                let text = format!("a compressed message is larger than the limit of {} bytes", self.bytes_max);
                Err(Status::resource_exhausted(text))
            }
            Ok(_) if self.inflated.len() == end => Ok(false),
            // Where zlib's stream ends early, flate2 takes it for the end.
            Ok(_) if self.decoder.input().is_empty() => Ok(true),
            Ok(_) => Err(corrupt("there are bytes behind its end")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(corrupt(error)),
        }
    }
}

impl Drop for Inflation {
    fn drop(&mut self) {
        self.transport.partials().give_back(self.n_kept);
    }
}

fn corrupt(why: impl std::fmt::Display) -> Status {
    Status::internal(format!("a compressed message cannot be inflated: {why}"))
}

/// A decoder over a message, which it reads in portions.
trait Decoder: Read {
    fn input(&mut self) -> &mut Allowance;
}

impl Decoder for MultiGzDecoder<Allowance> {
    fn input(&mut self) -> &mut Allowance {
        self.get_mut()
    }
}

impl Decoder for ZlibDecoder<Allowance> {
    fn input(&mut self) -> &mut Allowance {
        self.get_mut()
    }
}

#[cfg(feature = "zstd")]
impl Decoder for zstd::stream::read::Decoder<'_, Allowance> {
    fn input(&mut self) -> &mut Allowance {
        self.get_mut()
    }
}

/// A message as it was sent, of which so much may be read in this step; then there is `WouldBlock`, which every decoder passes on and takes up again.
struct Allowance {
    bytes: Box<[u8]>,
    at: usize,
    left: usize,
}

impl Allowance {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }
}

impl BufRead for Allowance {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 && !self.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let end = self.bytes.len().min(self.at + self.left);
        Ok(&self.bytes[self.at..end])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
        self.left -= n;
    }
}

impl Read for Allowance {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tonic::Code;

    use super::*;
    use crate::grpc::compress::compress;
    use crate::grpc::tests::Recorder;

    /// The message, and how many steps it took.
    fn inflate(encoding: Encoding, bytes: &[u8], bytes_max: usize) -> (Result<Vec<u8>, Status>, usize) {
        let mut inflation = match Inflation::new(Rc::new(Recorder::default()), encoding, bytes, bytes_max) {
            Ok(inflation) => inflation,
            Err(status) => return (Err(status), 0),
        };
        let mut n_steps = 0;
        loop {
            n_steps += 1;
            let before = inflation.decoder.input().at;
            let polled = inflation.poll(&mut Context::from_waker(Waker::noop()));
            assert!(inflation.decoder.input().at - before <= STEP_IN_BYTES_MAX);
            if let Poll::Ready(result) = polled {
                return (result, n_steps);
            }
        }
    }

    fn noise(n_bytes: u32) -> Vec<u8> {
        (0..n_bytes / 4).flat_map(|n| (n ^ n >> 3).wrapping_mul(2_654_435_761).rotate_left(n).to_le_bytes()).collect()
    }

    #[test]
    fn the_limit_is_what_comes_out() {
        for encoding in Encoding::ALL.iter().copied() {
            for message in [vec![], vec![7; 1000]] {
                assert_eq!(inflate(encoding, &compress(encoding, &message), 1000).0.expect("it fits"), message);
            }
            let status = inflate(encoding, &compress(encoding, &[7; 1001]), 1000).0.expect_err("one byte too many");
            assert_eq!(status.code(), Code::ResourceExhausted, "{encoding:?}");
        }
    }

    #[test]
    fn messages_of_any_size_come_back() {
        for encoding in Encoding::ALL.iter().copied() {
            for n_bytes in [1 << 10, STEP_IN_BYTES_MAX as u32, 1 << 20] {
                let message = noise(n_bytes);
                let (inflated, n_steps) = inflate(encoding, &compress(encoding, &message), usize::MAX);
                assert!(inflated.expect("it is right") == message, "{encoding:?}, {n_bytes} bytes");
                assert!(n_steps as u32 <= 2 + n_bytes / (STEP_IN_BYTES_MAX as u32 / 2), "{encoding:?}: {n_steps} steps");
            }
            // What is made bounds a step as well.
            let zeros = vec![0; 4 * STEP_OUT_BYTES_MAX];
            let (inflated, n_steps) = inflate(encoding, &compress(encoding, &zeros), zeros.len());
            assert!(inflated.expect("it fits") == zeros && n_steps >= 4, "{encoding:?}: {n_steps} steps");
        }
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let limit = 4 << 20;
        for encoding in Encoding::ALL.iter().copied() {
            let bomb = compress(encoding, &vec![0; 10_000_000]);
            let (result, n_steps) = inflate(encoding, &bomb, limit);
            assert_eq!(result.expect_err("it is too large").code(), Code::ResourceExhausted, "{encoding:?}");
            assert_eq!(n_steps, limit / STEP_OUT_BYTES_MAX + 1, "{encoding:?}");
        }
    }

    /// Nothing comes out of them, so it is the input that bounds a step.
    #[test]
    fn what_makes_nothing_is_read_in_steps() {
        let nothing = compress(Encoding::Gzip, b"").repeat(10_000);
        let (result, n_steps) = inflate(Encoding::Gzip, &nothing, 1000);
        assert_eq!(result.expect("it is right"), b"");
        assert_eq!(n_steps, nothing.len().div_ceil(STEP_IN_BYTES_MAX));
    }

    #[test]
    fn what_is_cut_changed_or_longer_is_internal() {
        let message = noise(2000);
        for encoding in Encoding::ALL.iter().copied() {
            let good = compress(encoding, &message);
            let cut = (0..good.len()).map(|len| good[..len].to_vec());
            let mut longer = good.clone();
            longer.extend_from_slice(b"more");
            let mut changed = good.clone();
            *changed.last_mut().expect("a checksum") ^= 1;
            for bad in cut.chain([longer, changed]) {
                let status = inflate(encoding, &bad, 1 << 20).0.expect_err("it is corrupt");
                assert_eq!(status.code(), Code::Internal, "{encoding:?}, {} of {} bytes", bad.len(), good.len());
            }
        }
    }

    /// RFC 8878, 3.1.1.1.2: a window of 1 GiB, announced in a frame of some bytes.
    #[cfg(feature = "zstd")]
    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0, 0];
        let status = inflate(Encoding::Zstd, &frame, 1000).0.expect_err("it asks for too much");
        assert_eq!(status.code(), Code::Internal, "{status}");
    }
}
