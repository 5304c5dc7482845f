//! What cannot be decoded (RFC 9113, 4.3: COMPRESSION_ERROR, and the connection ends).

use crate::raw::*;

on_every_engine!(
    s2_3_3_an_index_behind_the_tables("hyper: PROTOCOL_ERROR instead"),
    s4_2_a_size_above_what_is_allowed("hyper: PROTOCOL_ERROR instead"),
    s4_2_a_size_update_in_the_middle("hyper: PROTOCOL_ERROR instead"),
    s5_1_integers_that_overflow("hyper: PROTOCOL_ERROR instead"),
    s5_2_a_string_behind_the_end("hyper: PROTOCOL_ERROR instead"),
    s5_2_huffman_padding_of_8_bits("hyper: PROTOCOL_ERROR instead"),
    s5_2_huffman_padding_that_is_not_of_eos("hyper: PROTOCOL_ERROR instead"),
    s5_2_huffman_eos("hyper: PROTOCOL_ERROR instead"),
    s6_1_index_0("hyper: PROTOCOL_ERROR instead"),
);

// What GOAWAY says of each fault.
const TRUNCATED: &str = "HPACK: the block ends within a field";
const INTEGER: &str = "HPACK: an integer is too large or too long";
const INDEX: &str = "HPACK: an index that no table has";
const HUFFMAN: &str = "HPACK: a string that is no Huffman code";
const SIZE: &str = "HPACK: a table size that is too large or comes too late";

/// The connection ends, and GOAWAY says why.
fn is_told(connection: &mut Connection, reason: &str) {
    assert_eq!(connection.goes_away(&[code::COMPRESSION_ERROR]).debug, reason);
}

/// A good request with these octets behind its fields, for each of them on a connection of its own.
fn cannot_be_decoded(server: &Server, reason: &str, blocks: &[&[u8]]) {
    for bytes in blocks {
        let mut connection = server.open();
        let block = Fields::hello().block().raw(bytes);
        connection.send([headers(1, block).end()]);
        is_told(&mut connection, reason);
    }
}

fn s2_3_3_an_index_behind_the_tables(server: &mut Server) {
    // The dynamic table is empty: 62 does not exist, as a field, as a name, or far out.
    cannot_be_decoded(server, INDEX, &[&[0x80 | 62], &[0x40 | 62, 1, b'v'], &[0x0f, 62 - 15, 1, b'v'], &[0xff, 0xff, 0x7f]]);
    // Nor does 63, with one entry there.
    let mut connection = server.open();
    connection.send([headers(1, Fields::hello().block().remembered("x-a", "1").indexed(63)).end()]);
    is_told(&mut connection, INDEX);
}

fn s4_2_a_size_above_what_is_allowed(server: &mut Server) {
    // The last is above what an integer may be, whatever it is for (5.1).
    for (size, reason) in [(4097, SIZE), (1 << 20, SIZE), ((1 << 31) - 1, INTEGER)] {
        let mut connection = server.open();
        let allowed = connection.server_settings.iter().find(|(id, _)| *id == setting::HEADER_TABLE_SIZE);
        assert!(allowed.is_none_or(|(_, value)| *value <= 4096), "this case wants to be told: {allowed:?}");
        connection.send([headers(1, Block::new().table_size(size).then(&Fields::hello().block())).end()]);
        is_told(&mut connection, reason);
    }
}

fn s4_2_a_size_update_in_the_middle(server: &mut Server) {
    let behind_all = Block::new().table_size(100);
    let in_between = Block::new().table_size(0).literal("x-a", "1");
    cannot_be_decoded(server, SIZE, &[behind_all.bytes(), in_between.bytes()]);
}

fn s5_1_integers_that_overflow(server: &mut Server) {
    // An index, a string's length, and a table's size that no machine has words for; an integer that never ends.
    let endless = [0xff; 12];
    let over_64_bits = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let length = [&[0x00, 1, b'n', 0x7f][..], &over_64_bits[1..]].concat();
    let over_32_bits = [0xff, 0x80, 0x80, 0x80, 0x80, 0x10];
    cannot_be_decoded(server, INTEGER, &[&endless, &over_64_bits, &length, &over_32_bits]);
}

fn s5_2_a_string_behind_the_end(server: &mut Server) {
    cannot_be_decoded(
        server,
        TRUNCATED,
        &[&[0x00, 5, b'n'], &[0x00, 1, b'n', 5, b'v'], &[0x00, 1, b'n'], &[0x00], &[0x00, 1, b'n', 0x85, 0xff]],
    );
}

fn s5_2_huffman_padding_of_8_bits(server: &mut Server) {
    // `a` is 00011, with 3 bits of padding; then 8 more.
    cannot_be_decoded(
        server,
        HUFFMAN,
        &[&[0x00, 0x82, 0x1f, 0xff, 1, b'v'], &[0x00, 1, b'n', 0x82, 0x1f, 0xff], &[0x00, 1, b'n', 0x81, 0xff]],
    );
}

fn s5_2_huffman_padding_that_is_not_of_eos(server: &mut Server) {
    // `a` and 3 bits that are not all ones.
    cannot_be_decoded(server, HUFFMAN, &[&[0x00, 1, b'n', 0x81, 0x18], &[0x00, 1, b'n', 0x81, 0x1e], &[0x00, 1, b'n', 0x81, 0x1b]]);
}

fn s5_2_huffman_eos(server: &mut Server) {
    // 30 ones and 2 of padding; and `a` before it.
    cannot_be_decoded(
        server,
        HUFFMAN,
        &[&[0x00, 1, b'n', 0x84, 0xff, 0xff, 0xff, 0xff], &[0x00, 1, b'n', 0x85, 0x1f, 0xff, 0xff, 0xff, 0xff]],
    );
}

fn s6_1_index_0(server: &mut Server) {
    cannot_be_decoded(server, INDEX, &[&[0x80]]);
}
