#!/usr/bin/env python3
"""Vectors of HPACK, made and checked with an implementation that is not ours: PyPI's hpack, of the version below.

    python3 -m venv venv && venv/bin/pip install hpack==4.1.0
    venv/bin/python tests/vectors/hpack_vectors.py make      # writes hpack-decode.txt, the same at each run
    venv/bin/python tests/vectors/hpack_vectors.py answers   # writes hpack-answers.txt without blocks, which the unit tests then tell
    venv/bin/python tests/vectors/hpack_vectors.py check     # reads hpack-encode.txt and hpack-answers.txt, which our encoder wrote, as a peer would

All files are read by the unit tests of src/http2/hpack/. Their lines:

    # a remark
    case NAME             a new decoder, or encoder; then
    table N               the size of the table that the decoder allows (decode), or that the peer announces before the next block (encode)
    block HEX             a header block, which has the fields that follow
    refused HEX           a header block that means nothing
    field NAME<tab>VALUE  also `common` and `secret` where it matters how it was written

In names and values, octets that are not printable ASCII, and backslashes, stand as \\xNN.
"""

import pathlib
import random
import re
import sys
from importlib import metadata

import hpack

VERSION = "4.1.0"
HERE = pathlib.Path(__file__).parent
LIST_BYTES_MAX = 1 << 30

REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/helloworld.Greeter/SayHello"),
    (b":authority", b"localhost:9999"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"),
    (b"grpc-accept-encoding", b"identity, deflate, gzip"),
]
RESPONSE = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-encoding", b"identity")]
TRAILERS = [(b"grpc-status", b"5"), (b"grpc-message", b"no such greeter: %E4%BD%A0%E5%A5%BD")]
BROWSER = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":path", b"/index.html"),
    (b":authority", b"www.example.com"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"cookie", b"session=0123456789abcdef"),
    (b"cookie", b"theme=dark"),
    (b"accept", b""),
]


def escape(octets):
    return "".join(chr(o) if 0x20 <= o < 0x7F and o != 0x5C else f"\\x{o:02x}" for o in octets)


def unescape(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("ascii"))


class Case:
    """An encoder and a decoder of theirs, and what they say."""

    def __init__(self, lines, name, table=4096):
        self.lines = lines
        lines.append(f"case {name}")
        lines.append(f"table {table}")
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder(max_header_list_size=LIST_BYTES_MAX)
        self.decoder.max_allowed_table_size = table
        if table != 4096:
            self.resize(table)

    def resize(self, table):
        # To say the same size twice would make their encoder forget to announce it.
        if table != self.encoder.header_table_size:
            self.encoder.header_table_size = table

    def block(self, fields, huffman=True):
        """`fields` have a name, a value, and may have True for a secret."""
        block = self.encoder.encode(fields, huffman=huffman)
        self.give(block, [tuple(field[:2]) for field in fields])

    def give(self, block, expected=None):
        """A block as it is."""
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(block, raw=True)]
        except hpack.HPACKError:
            assert expected is None, expected
            self.lines.append(f"refused {block.hex()}")
            return False
        assert expected is None or fields == expected, (fields, expected)
        self.lines.append(f"block {block.hex()}")
        self.lines.extend(f"field {escape(name)}\t{escape(value)}" for name, value in fields)
        return True


def octets(rng, low, high):
    alphabet = rng.choice([b"0123456789", b"abcdefghijklmnopqrstuvwxyz-", b"Mon, 21 Oct 2013 20:13:21 GMT", bytes(range(256))])
    return bytes(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def random_fields(rng, known):
    fields = []
    for _ in range(rng.randint(0, 12)):
        if known and rng.random() < 0.6:
            name, value = rng.choice(known)
            if rng.random() < 0.3:
                value = octets(rng, 0, 60)
        else:
            name, value = octets(rng, 1, 30), octets(rng, 0, 200 if rng.random() < 0.1 else 40)
        known.append((name, value))
        fields.append((name, value, rng.random() < 0.1))
    return fields


def make():
    lines = [f"# Made by hpack_vectors.py with hpack {VERSION}: do not edit."]
    for huffman in (True, False):
        case = Case(lines, f"calls, {'coded' if huffman else 'plain'}")
        for fields in (REQUEST, REQUEST, RESPONSE, TRAILERS, REQUEST[:4] + [(b"grpc-timeout", b"99m")], RESPONSE, TRAILERS, BROWSER, BROWSER):
            case.block(fields, huffman)
    case = Case(lines, "the static table")
    case.give(bytes(0x80 | index for index in range(1, 62)))
    case = Case(lines, "every octet")
    case.block([(b"x-%d" % octet, bytes([octet]) * 3) for octet in range(256)])
    case.block([(b"all", bytes(range(256))), (b"backwards", bytes(range(255, -1, -1)))])
    case = Case(lines, "secrets")
    for huffman in (True, False, True):
        case.block([(b"authorization", b"Bearer 0123456789", True), (b"password", b"hunter2", True), (b"te", b"trailers")], huffman)
    case = Case(lines, "long strings")
    for length in (126, 127, 128, 254, 255, 4065):
        case.block([(b"long", b"v" * length), (b"n" * length, b""), (b"te", b"trailers")], length % 2 == 0)
    for table in (0, 64, 256, 4096, 65536):
        rng = random.Random(table)
        case = Case(lines, f"table of {table}", table)
        known = list(BROWSER)
        for _ in range(8):
            case.block(random_fields(rng, known), rng.random() < 0.7)
    for seed in range(8):
        rng = random.Random(7541 + seed)
        case = Case(lines, f"changing sizes {seed}")
        known = list(REQUEST)
        for _ in range(10):
            for _ in range(rng.choice([0, 0, 1, 2, 3])):
                case.resize(rng.choice([0, 40, 100, 256, 1000, 4095, 4096]))
            case.block(random_fields(rng, known), rng.random() < 0.7)
    make_mutations(lines)
    (HERE / "hpack-decode.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def make_mutations(lines):
    """Blocks with an octet or two changed: most mean something else, some nothing."""
    rng = random.Random(9113)
    for number in range(120):
        case = Case(lines, f"mutation {number}")
        encoder = hpack.Encoder()
        for fields in (REQUEST, BROWSER + TRAILERS):
            block = bytearray(encoder.encode(fields, huffman=number % 3 > 0))
            for _ in range(rng.randint(1, 2)):
                block[rng.randrange(len(block))] = rng.randrange(256)
            if rng.random() < 0.1:
                block = block[: rng.randrange(len(block))]
            if not case.give(bytes(block)):
                break


def answers():
    """Answers of gRPC as a server gives them, to peers whose tables have one size, or change it as they go."""
    lines = ["# Fields by hpack_vectors.py, blocks by our encoder."]
    changing = [[0, 4096], [50, 100, 130, 4096, 65536], [0, 40, 96, 97, 98, 200, 1 << 31], [59, 60, 102, 103, 104], [0, 1, 4095, 4096, 4097]]
    for number, sizes in enumerate([[4096], [0], [64], [100], [160], [256], *changing]):
        rng = random.Random(9110 + number)
        lines.append(f"case answers {number}")
        if sizes != [4096]:
            lines.append(f"table {sizes[0]}")
        for _ in range(16):
            for _ in range(rng.choice([0, 0, 1, 2, 3]) if len(sizes) > 1 else 0):
                lines.append(f"table {rng.choice(sizes)}")
            lines.extend(answer(rng))
    (HERE / "hpack-answers.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def answer(rng):
    """The lines of one answer: head and trailers, or both in one."""

    def metadata(count):
        for _ in range(rng.randint(0, count)):
            word = "secret" if rng.random() < 0.2 else "field"
            name = rng.choice(["x-request-id", "x-trace-bin", "set-cookie", "retry-after", "server-timing", "x-cost"])
            yield f"{word} {name}\t{escape(octets(rng, 0, 200 if rng.random() < 0.1 else 30))}"

    status = rng.choice([b"0", b"0", b"0", b"1", b"4", b"5", b"12", b"13"])
    word = "common" if status == b"0" else "field"
    ending = [f"{word} grpc-status\t{escape(status)}"]
    if status != b"0":
        ending.append("field grpc-message\t" + rng.choice(["the deadline has passed", "no method /a.B/C", "100 %25 na%C3%AFve", ""]))
    http = rng.choice([200] * 9 + [100, 204, 400, 404, 405, 415, 500, 503])
    opening = [f"field :status\t{http}"]
    if http == 100:
        return ["block", *opening]
    if http not in (200, 204):
        return ["block", *opening, *(["field allow\tPOST"] if http == 405 else [])]
    opening.append("common content-type\tapplication/grpc")
    if status != b"0":
        return ["block", *opening, *ending, *metadata(2)]
    return ["block", *opening, *metadata(3), "block", *ending, *metadata(2)]


def check():
    for name in ("hpack-encode.txt", "hpack-answers.txt"):
        check_file(HERE / name)


def check_file(path):
    decoder, fields, n_blocks, n_entered, n_updates, n_gone = None, [], 0, 0, 0, 0
    for line in path.read_text(encoding="ascii").splitlines():
        word, _, rest = line.partition(" ")
        if word == "case":
            assert not fields, line
            decoder = hpack.Decoder(max_header_list_size=LIST_BYTES_MAX)
        elif word == "table":
            # A peer may refuse what does not follow its announcement.
            decoder.max_allowed_table_size = int(rest)
        elif word == "block":
            assert not fields, line
            before = list(decoder.header_table.dynamic_entries)
            block = bytes.fromhex(rest)
            fields = decoder.decode(block, raw=True)
            after = list(decoder.header_table.dynamic_entries)
            n_blocks += 1
            n_updates += block[0] & 0xE0 == 0x20
            n_entered += sum(entry not in before for entry in after)
            n_gone += sum(entry not in after for entry in before)
        elif word in ("field", "common", "secret"):
            expected = tuple(unescape(text) for text in rest.split("\t"))
            got = fields.pop(0)
            assert tuple(map(bytes, got)) == expected, (line, got)
            assert got.indexable == (word != "secret"), line
        else:
            assert word == "#", line
    assert not fields and min(n_blocks, n_entered, n_updates, n_gone) > 0
    print(f"{path.name}: {n_blocks} blocks are understood; {n_updates} begin with a table's size, {n_entered} fields enter a table, {n_gone} leave it")


if __name__ == "__main__":
    assert metadata.version("hpack") == VERSION, f"want hpack {VERSION}"
    {"make": make, "answers": answers, "check": check}[sys.argv[1]]()
