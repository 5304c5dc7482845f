//! Fields of an answer, on their way into a header block.

/// A field to send. The name is in lower case.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// How it is compressed.
    pub indexing: Indexing,
}

/// What is shown fields, one after the other.
pub type Visitor<'v> = &'v mut dyn FnMut(Field<'_>);

/// The fields of an answer's header block.
#[derive(Clone, Copy)]
pub enum Fields<'a> {
    /// The same in many answers: once encoded, the block is kept and copied.
    Static(&'static [Field<'static>]),
    /// One after the other; called as often as the block is encoded.
    Each(&'a dyn Fn(Visitor<'_>)),
}

impl Fields<'_> {
    pub(super) fn for_each(self, each: Visitor<'_>) {
        match self {
            Self::Static(fields) => fields.iter().copied().for_each(each),
            Self::Each(fields) => fields(each),
        }
    }
}

/// How a field is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// Nearly every answer has it: it enters the dynamic table, and is one byte from then on.
    Common,
    /// It stands as it is.
    Plain,
    /// A secret: nobody on the way may index it either (RFC 7541, 7.1.3).
    Never,
}

/// A field that waits behind data.
#[derive(Clone, Debug)]
pub(super) struct OwnedField {
    name: Box<[u8]>,
    value: Box<[u8]>,
    indexing: Indexing,
}

impl From<Field<'_>> for OwnedField {
    fn from(field: Field<'_>) -> Self {
        Self { name: field.name.into(), value: field.value.into(), indexing: field.indexing }
    }
}

impl OwnedField {
    pub(super) fn as_field(&self) -> Field<'_> {
        Field { name: &self.name, value: &self.value, indexing: self.indexing }
    }
}
