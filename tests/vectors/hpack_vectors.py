#!/usr/bin/env python3
"""Vectors of HPACK, made and checked with an implementation that is not ours: PyPI's hpack, of the version below.

    python3 -m venv venv && venv/bin/pip install hpack==4.1.0
    venv/bin/python tests/vectors/hpack_vectors.py make      # writes hpack-decode.txt, the same at each run
    venv/bin/python tests/vectors/hpack_vectors.py check     # reads hpack-encode.txt, which our encoder wrote, as a peer would

Both files are read by the unit tests of src/http2/hpack/. Their lines:

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


def check():
    decoder, fields, n_blocks = None, [], 0
    for line in (HERE / "hpack-encode.txt").read_text(encoding="ascii").splitlines():
        word, _, rest = line.partition(" ")
        if word == "case":
            assert not fields, line
            decoder = hpack.Decoder(max_header_list_size=LIST_BYTES_MAX)
        elif word == "table":
            # A peer may refuse what does not follow its announcement.
            decoder.max_allowed_table_size = int(rest)
        elif word == "block":
            fields = decoder.decode(bytes.fromhex(rest), raw=True)
            n_blocks += 1
        elif word in ("field", "common", "secret"):
            expected = tuple(unescape(text) for text in rest.split("\t"))
            got = fields.pop(0)
            assert tuple(map(bytes, got)) == expected, (line, got)
            assert got.indexable == (word != "secret"), line
        else:
            assert word == "#", line
    assert not fields and n_blocks > 0
    print(f"{n_blocks} blocks of our encoder are understood")


if __name__ == "__main__":
    assert metadata.version("hpack") == VERSION, f"want hpack {VERSION}"
    {"make": make, "check": check}[sys.argv[1]]()
