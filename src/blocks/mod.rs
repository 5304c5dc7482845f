//! The demo service that does I/O: `blocks.Blocks` reads and appends blocks of a file. Its business, and nothing else.
//!
//! * `contents` is what a block holds, computed from its number: whoever reads one can check it.
//! * `store` is the file as all workers share it: how many blocks may be read, and where the next one goes.
//!
//! The I/O is the loop's own: the service opens the file once a worker, by the ambient calls.

mod contents;
mod store;

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::rt::{File, OpenOptions};
use crate::{Request, Response, Status};

mod proto {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    crate::include_proto!("blocks");
}

pub use contents::{BLOCK_BYTES, contents, holds};
pub use proto::blocks_client::BlocksClient;
pub use proto::{AppendReply, AppendRequest, Blocks, BlocksServer, ReadReply, ReadRequest};
pub use store::{BLOCKS_MAX, Place, Store};

/// The same service as tonic generates it, for those who compare.
pub mod stock {
    pub use super::proto::blocks_server;
}

/// The service, on one worker.
#[derive(Debug)]
pub struct FileBlocks {
    store: Arc<Store>,
    /// Opened by the first call, because only a loop can open its files.
    file: OnceCell<File>,
    dice: Dice,
}

impl FileBlocks {
    /// The service over a file that all workers share. Workers with different seeds read in different orders.
    pub fn new(store: Arc<Store>, seed: u64) -> Self {
        Self { store, file: OnceCell::new(), dice: Dice::new(seed) }
    }

    async fn file(&self) -> Result<&File, Status> {
        let options = OpenOptions { read: true, write: true, ..OpenOptions::default() };
        self.file.get_or_try_init(|| File::open(self.store.path(), &options)).await.map_err(|error| status("opened", &error))
    }
}

impl Blocks for FileBlocks {
    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<ReadReply>, Status> {
        let block = self.store.choose(request.get_ref().block, &self.dice)?;
        let data = read(self.file().await?, block).await.map_err(|error| status("read", &error))?;
        Ok(Response::new(ReadReply { block, data }))
    }

    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendReply>, Status> {
        check_upload(&request.get_ref().data)?;
        let place = Store::next_place(&self.store)?;
        let file = self.file().await?;
        let (written, _) = file.write_all_at(contents(place.block()), place.offset()).await;
        written.map_err(|error| status("written", &error))?;
        file.sync().await.map_err(|error| status("synced", &error))?;
        Ok(Response::new(AppendReply { block: place.complete() }))
    }
}

/// A whole block.
async fn read(file: &File, block: u64) -> io::Result<Vec<u8>> {
    let start = block * BLOCK_BYTES as u64;
    let (read, mut data) = file.read_at(Vec::with_capacity(BLOCK_BYTES), start).await;
    read?;
    while data.len() < BLOCK_BYTES {
        // A short read is rare: copying the rest keeps the interface simple.
        let (read, rest) = file.read_at(Vec::with_capacity(BLOCK_BYTES - data.len()), start + data.len() as u64).await;
        if read? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "somebody has cut the file"));
        }
        data.extend_from_slice(&rest);
    }
    // A buffer may be larger than was asked for.
    data.truncate(BLOCK_BYTES);
    Ok(data)
}

/// Whether a caller who appends has uploaded what it is to: what block 0 holds, or nothing.
///
/// # Errors
///
/// INVALID_ARGUMENT: it is something else.
pub fn check_upload(data: &[u8]) -> Result<(), Status> {
    if data.is_empty() || holds(0, data) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("{} bytes that are not what block 0 holds: upload those, or nothing", data.len())))
}

/// What a caller is told when the file cannot be used.
pub fn status(what: &str, error: &io::Error) -> Status {
    let message = format!("the file cannot be {what}: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Status::resource_exhausted(message),
        io::ErrorKind::UnexpectedEof => Status::data_loss(message),
        _ => Status::internal(message),
    }
}

/// Which block a caller gets who names none: numbers that look random, the same ones for the same seed.
#[derive(Debug)]
pub struct Dice {
    state: Cell<u64>,
}

impl Dice {
    /// Begins with this seed.
    pub fn new(seed: u64) -> Self {
        // xorshift stands still at 0.
        Self { state: Cell::new(contents::mixed(seed) | 1) }
    }

    /// A number below `n`. xorshift64: Marsaglia, "Xorshift RNGs", 2003.
    fn below(&self, n: u64) -> u64 {
        let mut x = self.state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.state.set(x);
        ((u128::from(x) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn dice_reach_every_number_and_no_other() {
        let dice = Dice::new(0);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            seen[dice.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
        assert_eq!(Dice::new(7).below(1), 0);
        assert_ne!(Dice::new(1).below(1 << 60), Dice::new(2).below(1 << 60), "seeds differ");
    }

    #[test]
    fn a_full_disk_is_not_a_broken_one() {
        let code = |kind| status("written", &io::Error::from(kind)).code();
        assert_eq!(code(io::ErrorKind::StorageFull), Code::ResourceExhausted);
        assert_eq!(code(io::ErrorKind::FileTooLarge), Code::ResourceExhausted);
        assert_eq!(code(io::ErrorKind::UnexpectedEof), Code::DataLoss);
        assert_eq!(code(io::ErrorKind::Other), Code::Internal);
    }
}
