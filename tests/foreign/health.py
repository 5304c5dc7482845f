"""What a server tells of itself, asked by gRPC's own Python packages: health, reflection and channelz; and by the C-core, which heeds health.

    health.py ADDR              every case; a line each, `ok   NAME` or `FAIL NAME: why`
    health.py ADDR drain PID    one case: the server PID is told to end while it is watched; it has a drain delay of some seconds

The exit code is 0 when every case passed. The generated modules are on PYTHONPATH: see `run`.
"""

import json
import os
import signal
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from greeter import OPTIONS, PATIENCE, equal, hello, is_healthy, passed, status_of
from grpc_channelz.v1.channelz_pb2 import GetServerSocketsRequest, GetServersRequest, GetSocketRequest
from grpc_channelz.v1.channelz_pb2_grpc import ChannelzStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from helloworld_pb2_grpc import GreeterStub

GREETER = "helloworld.Greeter"

# The C-core calls only servers that say they serve.
HEEDFUL = OPTIONS + [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": GREETER}})),
]

cases = []


def case(function):
    cases.append(function)
    return function


def check(channel, service):
    return HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=PATIENCE).status


def watch(channel, service):
    return HealthStub(channel).Watch(HealthCheckRequest(service=service), timeout=PATIENCE, wait_for_ready=True)


@case
def the_server_and_its_services_serve(channel):
    for service in ["", GREETER]:
        equal(check(channel, service), HealthCheckResponse.SERVING)
        updates = watch(channel, service)
        equal(next(updates).status, HealthCheckResponse.SERVING)
        updates.cancel()


@case
def a_service_that_is_not_there(channel):
    code, text = status_of(lambda: check(channel, "no.Such"))
    equal(code, grpc.StatusCode.NOT_FOUND)
    assert "no.Such" in text, text
    updates = watch(channel, "no.Such")
    equal(next(updates).status, HealthCheckResponse.SERVICE_UNKNOWN)
    updates.cancel()


@case
def all_services_are_listed(channel):
    statuses = HealthStub(channel).List(HealthListRequest(), timeout=PATIENCE).statuses
    assert {"", GREETER} <= set(statuses), statuses
    equal({response.status for response in statuses.values()}, {HealthCheckResponse.SERVING})


@case
def reflection_lists_the_services(channel):
    services = list(ProtoReflectionDescriptorDatabase(channel).get_services())
    for name in [GREETER, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]:
        equal(services.count(name), 1)


@case
def a_call_with_messages_that_reflection_told(channel):
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName(GREETER).FindMethodByName("SayHello")
    request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = channel.unary_unary(f"/{GREETER}/{method.name}", request.SerializeToString, reply.FromString)
    equal(call(request(name="Joe"), timeout=PATIENCE).message, "Hello, Joe!")


@case
def a_client_that_heeds_health_calls(_):
    with grpc.insecure_channel(address, HEEDFUL) as heedful:
        is_healthy(GreeterStub(heedful))


@case
def channelz_tells_of_calls_and_of_this_connection(channel):
    stub = ChannelzStub(channel)
    is_healthy(GreeterStub(channel))
    (server,) = stub.GetServers(GetServersRequest(), timeout=PATIENCE).server
    assert server.data.calls_succeeded > 0 and len(server.listen_socket) == 2, server
    port = int(address.rsplit(":", 1)[1])
    for ref in server.listen_socket:
        equal(stub.GetSocket(GetSocketRequest(socket_id=ref.socket_id), timeout=PATIENCE).socket.local.tcpip_address.port, port)
    sockets = stub.GetServerSockets(GetServerSocketsRequest(server_id=server.ref.server_id), timeout=PATIENCE)
    assert sockets.end and sockets.socket_ref, sockets
    for ref in sockets.socket_ref:
        socket = stub.GetSocket(GetSocketRequest(socket_id=ref.socket_id), timeout=PATIENCE).socket
        equal((socket.local.tcpip_address.port, socket.remote.tcpip_address.ip_address), (port, bytes([127, 0, 0, 1])))


def drain(channel, pid):
    """It says that it does not serve, and serves; who heeds it goes elsewhere; then the watch ends, and not because it is cut."""
    with grpc.insecure_channel(address, HEEDFUL) as heedful:
        is_healthy(GreeterStub(heedful))
        updates = watch(channel, GREETER)
        equal(next(updates).status, HealthCheckResponse.SERVING)
        os.kill(pid, signal.SIGTERM)
        equal(next(updates).status, HealthCheckResponse.NOT_SERVING)
        equal(hello(GreeterStub(channel)), "Hello, Joe!")
        with grpc.insecure_channel(address, OPTIONS) as another:
            equal(hello(GreeterStub(another), "another"), "Hello, another!")
        # It has been told at about the same time.
        code = None
        while code is None:
            try:
                hello(GreeterStub(heedful), timeout=5)
            except grpc.RpcError as error:
                code = error.code()
        equal(code, grpc.StatusCode.UNAVAILABLE)
        equal(hello(GreeterStub(channel), "still"), "Hello, still!")
        code, text = status_of(lambda: next(updates))
        equal((code, text), (grpc.StatusCode.UNAVAILABLE, "the server is going away"))


def run(function, *more):
    with grpc.insecure_channel(address, OPTIONS) as channel:
        function(channel, *more)


if __name__ == "__main__":
    address = sys.argv[1]
    if sys.argv[2:3] == ["drain"]:
        results = [passed("health_in_the_drain", lambda: run(drain, int(sys.argv[3])))]
    else:
        results = [passed(function.__name__, lambda function=function: run(function)) for function in cases]
    sys.exit(0 if all(results) else 1)
