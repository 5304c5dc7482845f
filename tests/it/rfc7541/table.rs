//! The server's table follows the client's (2.3, 4.1 to 4.4), and it reads all that may be written (6). Whether a field was read is seen from the call: it
//! is answered only if its path is right.

use crate::raw::*;

on_every_engine!(
    s2_3_2_entries_last_from_request_to_request,
    s2_3_2_the_same_entry_twice,
    s4_3_a_smaller_table_evicts,
    s4_2_size_updates_before_a_block,
    s4_4_the_oldest_are_evicted_first,
    s4_4_an_entry_larger_than_the_table_empties_it,
    s4_4_a_name_whose_entry_is_evicted_by_its_own_field,
    s5_2_huffman,
    s6_2_3_never_indexed,
    s6_2_names_of_both_tables,
);

const PATH: &str = "/helloworld.Greeter/SayHello";

/// All that a good request needs besides its path, without touching the dynamic table.
fn rest() -> Block {
    Fields::hello().without(":path").without("te").without("content-type").block()
}

/// And behind the path.
fn fields() -> Block {
    Block::new().literal("te", "trailers").literal("content-type", "application/grpc")
}

/// Calls with this block in place of the path's field.
fn calls_with(connection: &mut Connection, path: Block) {
    let stream = connection.new_stream();
    let block = path.then(&rest()).then(&fields());
    connection.send([headers(stream, block), data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
}

/// The same with a block that refers to what is not there.
fn cannot_call_with(connection: &mut Connection, path: Block) {
    let stream = connection.new_stream();
    connection.send([headers(stream, path.then(&rest()).then(&fields())).end()]);
    connection.goes_away(&[code::COMPRESSION_ERROR, code::PROTOCOL_ERROR]);
}

fn s2_3_2_entries_last_from_request_to_request(server: &mut Server) {
    let mut connection = server.open();
    calls_with(&mut connection, Block::new().remembered(":path", PATH));
    for _ in 0..5 {
        calls_with(&mut connection, Block::new().indexed(62));
    }
    // A newer entry takes its place, and its name serves for another value.
    let stream = connection.new_stream();
    let block = Block::new().indexed(62).then(&rest()).remembered("x-a", "1").indexed(62).indexed(62).then(&fields());
    connection.send([headers(stream, block), data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
    calls_with(&mut connection, Block::new().indexed(63));
    calls_with(&mut connection, Block::new().remembered_with_name(63, PATH));
    calls_with(&mut connection, Block::new().indexed(62));
}

/// It is no error, and each takes its room.
fn s2_3_2_the_same_entry_twice(server: &mut Server) {
    let mut connection = server.open();
    for _ in 0..2 {
        calls_with(&mut connection, Block::new().remembered(":path", PATH));
    }
    for index in [62, 63] {
        calls_with(&mut connection, Block::new().indexed(index));
    }
    cannot_call_with(&mut connection, Block::new().indexed(64));
}

fn s4_3_a_smaller_table_evicts(server: &mut Server) {
    let mut connection = server.open();
    calls_with(&mut connection, Block::new().remembered(":path", PATH));
    // 5 + 28 + 32 octets: it just fits, and then no longer.
    calls_with(&mut connection, Block::new().table_size(65).indexed(62));
    cannot_call_with(&mut connection, Block::new().table_size(64).indexed(62));
}

fn s4_2_size_updates_before_a_block(server: &mut Server) {
    let mut connection = server.open();
    calls_with(&mut connection, Block::new().remembered(":path", PATH));
    // Down and up again: empty, and as large as before.
    calls_with(&mut connection, Block::new().table_size(0).table_size(4096).remembered(":path", PATH));
    calls_with(&mut connection, Block::new().indexed(62));
    cannot_call_with(&mut connection, Block::new().table_size(0).table_size(4096).indexed(62));
}

fn s4_4_the_oldest_are_evicted_first(server: &mut Server) {
    // Room for two entries of 65 octets.
    let mut connection = server.open();
    let entry = |n: u32| Block::new().remembered(format!("x-{n}"), "v".repeat(65 - 32 - 3));
    calls_with(&mut connection, Block::new().table_size(130).remembered(":path", PATH));
    let with_fields = |connection: &mut Connection, path: Block, field: Block| {
        let stream = connection.new_stream();
        let block = path.then(&rest()).then(&field).then(&fields());
        connection.send([headers(stream, block), data(stream, hello("Joe", 0)).end()]);
        connection.is_greeted(stream, "Joe");
    };
    with_fields(&mut connection, Block::new().indexed(62), entry(1));
    // The path is the older of the two, still there; entering a third evicts it, and no more than it.
    with_fields(&mut connection, Block::new().indexed(63), entry(2));
    with_fields(&mut connection, Block::new().literal(":path", PATH), Block::new().indexed(62).indexed(63));
    cannot_call_with(&mut connection, Block::new().indexed(64));
}

fn s4_4_an_entry_larger_than_the_table_empties_it(server: &mut Server) {
    let mut connection = server.open();
    calls_with(&mut connection, Block::new().remembered(":path", PATH));
    let stream = connection.new_stream();
    let block = Block::new().indexed(62).then(&rest()).remembered("x-large", "v".repeat(4096)).then(&fields());
    connection.send([headers(stream, block), data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
    calls_with(&mut connection, Block::new().remembered(":path", PATH));
    calls_with(&mut connection, Block::new().indexed(62));
    cannot_call_with(&mut connection, Block::new().indexed(63));
}

fn s4_4_a_name_whose_entry_is_evicted_by_its_own_field(server: &mut Server) {
    let mut connection = server.open();
    calls_with(&mut connection, Block::new().table_size(65).remembered(":path", PATH));
    for _ in 0..3 {
        calls_with(&mut connection, Block::new().remembered_with_name(62, PATH));
    }
    calls_with(&mut connection, Block::new().indexed(62));
}

fn s5_2_huffman(server: &mut Server) {
    // `:path` and its value in Huffman code, as PyPI's hpack 4.2.0 writes them.
    let name = [0xb9, 0x58, 0xd3, 0x3f];
    let value =
        [0x62, 0x72, 0xd1, 0x41, 0xfc, 0x1e, 0xca, 0x24, 0x5f, 0x15, 0x85, 0x2a, 0x4b, 0x63, 0x1b, 0x87, 0xeb, 0x19, 0x68, 0xa0, 0xff];
    let field = |pattern: u8| {
        let len = |bytes: &[u8]| 0x80 | u8::try_from(bytes.len()).expect("it is short");
        Block::new().raw([pattern, len(&name)]).raw(name).raw([len(&value)]).raw(value)
    };
    let mut connection = server.open();
    for pattern in [0x00, 0x10, 0x40] {
        calls_with(&mut connection, field(pattern));
    }
    calls_with(&mut connection, Block::new().indexed(62));
}

fn s6_2_3_never_indexed(server: &mut Server) {
    let mut connection = server.open();
    calls_with(&mut connection, Block::new().never_indexed(":path", PATH));
    cannot_call_with(&mut connection, Block::new().indexed(62));
}

/// Literals of each kind, their names from the static table and from the dynamic one; only the first kind enters it.
fn s6_2_names_of_both_tables(server: &mut Server) {
    // An index of 4 or 6 bits, and the value behind it.
    let literal = |pattern: u8, bits: u32, index: u8| {
        let max = (1 << bits) - 1;
        let index = if index < max { vec![pattern | index] } else { vec![pattern | max, index - max] };
        Block::new().raw(index).raw([PATH.len() as u8]).raw(PATH)
    };
    let mut connection = server.open();
    // 4 is `:path` in the static table; then 62 is what the first has entered, and the third enters another.
    for (pattern, bits) in [(0x40, 6), (0x00, 4), (0x10, 4)] {
        calls_with(&mut connection, literal(pattern, bits, 4));
    }
    for (pattern, bits) in [(0x00, 4), (0x10, 4), (0x40, 6)] {
        calls_with(&mut connection, literal(pattern, bits, 62));
    }
    calls_with(&mut connection, Block::new().indexed(62));
    calls_with(&mut connection, Block::new().indexed(63));
    cannot_call_with(&mut connection, Block::new().indexed(64));
}
