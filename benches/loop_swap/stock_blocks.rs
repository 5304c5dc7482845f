//! The Blocks of the stock peer: the same business over tokio's blocking pool, one job a call, with `pread(2)` and `pwrite(2)`.
//!
//! `tokio::fs::File` runs its calls on that pool too, but has one position a file: it would need a job to seek besides, and a file opened for each call. This
//! is the least that tokio's files cost.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use loopswap::blocks::stock::blocks_server::Blocks;
use loopswap::blocks::{
    AppendReply, AppendRequest, BLOCK_BYTES, BLOCKS_MAX, Dice, ReadReply, ReadRequest, Store, check_upload, contents, status,
};
use tonic::{Request, Response, Status};

/// The service.
pub(crate) struct StockBlocks {
    store: Arc<Store>,
    file: Arc<File>,
    dice: Mutex<Dice>,
}

impl StockBlocks {
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let store = Arc::new(Store::open(path, BLOCKS_MAX)?);
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
        Ok(Self { store, file, dice: Mutex::new(Dice::new(0)) })
    }
}

#[tonic::async_trait]
impl Blocks for StockBlocks {
    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<ReadReply>, Status> {
        let block = self.store.choose(request.get_ref().block, &self.dice.lock().unwrap_or_else(PoisonError::into_inner))?;
        let file = Arc::clone(&self.file);
        let data = on_the_pool(move || {
            let mut data = vec![0; BLOCK_BYTES];
            file.read_exact_at(&mut data, block * BLOCK_BYTES as u64).map(|()| data)
        });
        Ok(Response::new(ReadReply { block, data: data.await.map_err(|error| status("read", &error))? }))
    }

    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendReply>, Status> {
        check_upload(&request.get_ref().data)?;
        let (place, file) = (Store::next_place(&self.store)?, Arc::clone(&self.file));
        let appended = on_the_pool(move || {
            file.write_all_at(&contents(place.block()), place.offset())?;
            file.sync_data()?;
            Ok(place.complete())
        });
        Ok(Response::new(AppendReply { block: appended.await.map_err(|error| status("written", &error))? }))
    }
}

async fn on_the_pool<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
