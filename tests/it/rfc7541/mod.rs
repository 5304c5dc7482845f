//! RFC 7541, HPACK, section by section, as a client sees it: what cannot be decoded ends the connection with COMPRESSION_ERROR, the server's table
//! follows the client's, and the server's own blocks keep to the table that the client allows.

mod answers;
mod errors;
mod table;
