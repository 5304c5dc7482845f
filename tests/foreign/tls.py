"""TLS and mutual TLS, by gRPC's own Python client: the C-core, which brings a TLS of its own (BoringSSL).

    tls.py ADDR PKI             a server that asks no certificate of its clients
    tls.py ADDR PKI mutual      one that wants certificates of the CA
    tls.py ADDR PKI reload PID  one whose certificate is renewed under it, by SIGHUP to PID

PKI is a folder as docs/guide/tls.md makes it, and beside it `PKI-other`, of another CA. A line each, `ok   NAME` or `FAIL NAME: why`; the exit code is 0 when
every case passed. The generated modules are on PYTHONPATH: see `run`.
"""

import os
import shutil
import signal
import sys
import time

import grpc
from greeter import OPTIONS, PATIENCE, equal, hello, passed, status_of
from helloworld_pb2 import HelloRequest
from helloworld_pb2_grpc import GreeterStub

cases = {"": [], "mutual": [], "reload": []}


def case(kind):
    def add(function):
        cases[kind].append(function)
        return function

    return add


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def opened(trusting=None, shown=None, host="127.0.0.1"):
    """A channel that trusts the CA of a folder, and shows the client's certificate of one."""
    identity = (read(shown, "client.key"), read(shown, "client.pem")) if shown else (None, None)
    credentials = grpc.ssl_channel_credentials(read(trusting or pki, "ca.pem"), *identity)
    return grpc.secure_channel(f"{host}:{port}", credentials, OPTIONS)


def is_greeted(n=1, **more):
    with opened(**more) as channel:
        for _ in range(n):
            equal(hello(GreeterStub(channel)), "Hello, Joe!")


def is_refused(why, **more):
    """The library says why in its own words, of which some are wanted."""
    with opened(**more) as channel:
        code, text = status_of(lambda: hello(GreeterStub(channel), timeout=5))
    equal(code, grpc.StatusCode.UNAVAILABLE)
    assert why in text, text


@case("")
def a_hundred_calls(_):
    is_greeted(100)


@case("")
def by_name(_):
    is_greeted(host="localhost")


@case("")
def ten_names_of_1_mib_at_once(_):
    names = [chr(ord("a") + n) * (1024 * 1024) for n in range(10)]
    with opened() as channel:
        stub = GreeterStub(channel)
        calls = [stub.SayHello.future(HelloRequest(name=name), timeout=PATIENCE) for name in names]
        for name, call in zip(names, calls):
            equal(call.result().message, f"Hello, {name}!")


@case("")
def a_certificate_that_nobody_asked_for(_):
    is_greeted(shown=pki)


@case("")
def a_server_of_an_unknown_ca_is_not_trusted(_):
    is_refused("CERTIFICATE_VERIFY_FAILED", trusting=other)


@case("")
def without_tls(_):
    with grpc.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel:
        code, _ = status_of(lambda: hello(GreeterStub(channel), timeout=5))
    equal(code, grpc.StatusCode.UNAVAILABLE)


@case("mutual")
def with_a_certificate(_):
    is_greeted(100, shown=pki)


@case("mutual")
def without_a_certificate(_):
    is_refused("", shown=None)


@case("mutual")
def with_a_certificate_of_an_unknown_ca(_):
    is_refused("", shown=other)


@case("mutual")
def with_a_certificate_after_the_others(_):
    is_greeted(shown=pki)


@case("reload")
def new_certificates_by_sighup(pid):
    """The new one is of another CA. Who is connected stays so; new channels trust the new CA, and not the old one."""
    with opened() as channel:
        stub = GreeterStub(channel)
        equal(hello(stub), "Hello, Joe!")
        for name in ["server.key", "server.pem"]:
            shutil.copy(os.path.join(other, name), os.path.join(pki, name))
        os.kill(int(pid), signal.SIGHUP)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                is_greeted(trusting=other)
                break
            except grpc.RpcError:
                # The signal is on its way.
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        is_refused("CERTIFICATE_VERIFY_FAILED")
        equal(hello(stub), "Hello, Joe!")


if __name__ == "__main__":
    port, pki = int(sys.argv[1].rsplit(":", 1)[1]), sys.argv[2]
    other = f"{pki}-other"
    kind, pid = (sys.argv[3:] + ["", ""])[:2]
    results = [passed(function.__name__, lambda function=function: function(pid)) for function in cases[kind]]
    sys.exit(0 if all(results) else 1)
