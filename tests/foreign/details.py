"""Rich error details of examples/error_details, read by gRPC's Python packages: grpcio-status and googleapis-common-protos.

    details.py ADDR    a line a case, `ok   NAME` or `FAIL NAME: why`; exit code 0 when both passed

The generated modules are on PYTHONPATH: see `run`.
"""

import sys

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import helloworld_pb2
import helloworld_pb2_grpc

PATIENCE = 20


def details_of(stub, request):
    try:
        stub.SayHello(request, timeout=PATIENCE)
    except grpc.RpcError as error:
        return error.code(), rpc_status.from_call(error)
    raise AssertionError("it ended well")


def unpacked(status, message_type):
    for detail in status.details:
        message = message_type()
        if detail.Unpack(message):
            return message
    raise AssertionError(f"no {message_type.DESCRIPTOR.full_name} in {status}")


def what_is_wrong_in_which_field(stub):
    code, status = details_of(stub, helloworld_pb2.HelloRequest(name="", sleep_millisecond=-1))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and status.message == "the request is not valid", status
    violations = unpacked(status, error_details_pb2.BadRequest).field_violations
    assert [violation.field for violation in violations] == ["name", "sleep_millisecond"], violations
    assert unpacked(status, error_details_pb2.Help).links[0].url == "https://example.org/greetings"


def when_to_try_again(stub):
    code, status = details_of(stub, helloworld_pb2.HelloRequest(name="everybody"))
    assert code == grpc.StatusCode.UNAVAILABLE, code
    assert unpacked(status, error_details_pb2.RetryInfo).retry_delay.seconds == 7, status


def main():
    n_failed = 0
    with grpc.insecure_channel(sys.argv[1], [("grpc.enable_http_proxy", 0)]) as channel:
        for case in [what_is_wrong_in_which_field, when_to_try_again]:
            try:
                case(helloworld_pb2_grpc.GreeterStub(channel))
                print(f"ok   {case.__name__}", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                print(f"FAIL {case.__name__}: {type(error).__name__}: {error}", flush=True)
                n_failed += 1
    sys.exit(1 if n_failed else 0)


if __name__ == "__main__":
    main()
