"""Spans that the binary exports, taken by gRPC's own Python server and read by OpenTelemetry's own definitions.

    otlp.py COMMAND ...    serves by this command, which is told where to export to; a line a case, `ok   NAME` or `FAIL NAME: why`

The exit code is 0 when every case passed. The generated modules are on PYTHONPATH: see `run`.
"""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.json_format import MessageToDict
from greeter import OPTIONS, PATIENCE, equal, hello, passed, status_of
from helloworld_pb2_grpc import GreeterStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Collector(TraceServiceServicer):
    def __init__(self):
        self.requests = []

    def Export(self, request, context):
        self.requests.append(request)
        return ExportTraceServiceResponse()


def attributes(pairs):
    """Keys and values; all are texts or numbers."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def serve_and_call(command):
    """What the collector gets of two calls, and where they went."""
    collector = Collector()
    grpc_server = grpc.server(ThreadPoolExecutor(max_workers=2), options=[("grpc.so_reuseport", 0)])
    add_TraceServiceServicer_to_server(collector, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    command = command + ["--otlp", f"http://127.0.0.1:{port}", "--otlp-service", "shop"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[2]
            with grpc.insecure_channel(address, OPTIONS) as channel:
                stub = GreeterStub(channel)
                metadata = [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("tracestate", "congo=t61rcWkgMzE")]
                equal(hello(stub, sleep_millisecond=30, metadata=metadata), "Hello, Joe!")
                unknown = channel.unary_unary("/helloworld.Greeter/Vanish")
                equal(status_of(lambda: unknown(b"", timeout=PATIENCE))[0], grpc.StatusCode.UNIMPLEMENTED)
            server.send_signal(signal.SIGTERM)
            equal(server.wait(PATIENCE), 0)
        finally:
            server.kill()
            grpc_server.stop(None).wait()
    return collector.requests, address


def main(command):
    began = time.time_ns()
    requests, address = serve_and_call(command)
    spans = []

    def the_resource_is_the_service():
        for request in requests:
            (of_resource,) = request.resource_spans
            resource = attributes(of_resource.resource.attributes)
            equal((resource["service.name"], resource["telemetry.sdk.language"]), ("shop", "rust"))
            (of_scope,) = of_resource.scope_spans
            equal(of_scope.scope.name, "loopswap")
            assert of_scope.schema_url.startswith("https://opentelemetry.io/schemas/1."), of_scope.schema_url
            spans.extend(of_scope.spans)
        equal(len(spans), 2)

    def a_span_has_its_parent():
        (span,) = [span for span in spans if span.parent_span_id]
        equal((span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state), (TRACE, PARENT, "congo=t61rcWkgMzE"))
        equal((len(span.span_id), span.name, span.kind), (8, "helloworld.Greeter/SayHello", Span.SPAN_KIND_SERVER))
        remote = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
        equal(span.flags, 1 | remote)
        assert span.end_time_unix_nano - span.start_time_unix_nano >= 30_000_000, span
        assert began <= span.start_time_unix_nano <= span.end_time_unix_nano <= time.time_ns(), span
        told = attributes(span.attributes)
        equal(told["rpc.system.name"], "grpc")
        equal(told["rpc.method"], "helloworld.Greeter/SayHello")
        equal(told["rpc.response.status_code"], "OK")
        equal((told["server.address"], told["server.port"]), (address.rsplit(":", 1)[0], int(address.rsplit(":", 1)[1])))
        equal((told["network.peer.address"], told["network.transport"]), ("127.0.0.1", "tcp"))
        equal(span.status.code, Status.STATUS_CODE_UNSET)

    def a_root_that_failed():
        (span,) = [span for span in spans if not span.parent_span_id]
        assert span.trace_id.hex() != TRACE and len(span.trace_id) == 16, span
        told = attributes(span.attributes)
        equal((span.name, told["rpc.method"], told["rpc.method_original"]), ("grpc", "_OTHER", "helloworld.Greeter/Vanish"))
        equal((told["rpc.response.status_code"], told["error.type"]), ("UNIMPLEMENTED", "UNIMPLEMENTED"))
        equal(span.status.code, Status.STATUS_CODE_ERROR)

    def nothing_is_unknown():
        # What the definitions do not have is left out here.
        for request in requests:
            again = type(request)()
            again.CopyFrom(request)
            again.DiscardUnknownFields()
            equal(again.SerializeToString(), request.SerializeToString())
            assert MessageToDict(request)

    return all([passed(case.__name__, case) for case in [the_resource_is_the_service, a_span_has_its_parent, a_root_that_failed, nothing_is_unknown]])


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
