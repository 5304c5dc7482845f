//! HPACK, for those who feed it nonsense. No part of the library's face: it changes as the fuzz targets want it to.

use super::hpack;

/// What reads header blocks.
#[derive(Debug)]
pub struct Decoder(hpack::Decoder);

/// What writes header blocks.
#[derive(Debug)]
pub struct Encoder(hpack::Encoder);

impl Decoder {
    /// One whose table may take this many bytes.
    pub fn new(table_bytes_max: usize) -> Self {
        Self(hpack::Decoder::new(table_bytes_max))
    }

    /// Shows `each` the name and the value of all fields of a block. False: it means nothing.
    pub fn decode(&mut self, block: &[u8], mut each: impl FnMut(&[u8], &[u8])) -> bool {
        self.0.decode(block, |field| each(field.name, field.value)).is_ok()
    }

    /// Changes whenever the dynamic table does.
    pub fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// What the dynamic table counts (RFC 7541, 4.1), in bytes.
    pub fn table_bytes(&self) -> usize {
        self.0.table_bytes()
    }
}

impl Encoder {
    /// One in step with a decoder whose table may take 4096 bytes.
    #[expect(clippy::new_without_default, reason = "as the decoder is made")]
    pub fn new() -> Self {
        Self(hpack::Encoder::new())
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE.
    pub fn set_table_bytes_max(&mut self, n: u32) {
        self.0.set_table_bytes_max(n);
    }

    /// To be called before the first field of a block.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.0.begin(out);
    }

    /// `:status`, of three digits.
    pub fn status(&mut self, out: &mut Vec<u8>, status: u16) {
        self.0.status(out, status);
    }

    /// A field, written as `indexing` says.
    pub fn field(&mut self, out: &mut Vec<u8>, field: super::Field<'_>) {
        match field.indexing {
            super::Indexing::Common => self.0.common_field(out, field.name, field.value),
            super::Indexing::Plain => self.0.field(out, field.name, field.value),
            super::Indexing::Never => self.0.sensitive_field(out, field.name, field.value),
        }
    }
}
