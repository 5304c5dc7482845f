"""What the binary's metrics say, read by Prometheus' own Python client, in both of its formats.

    metrics.py ADDR METRICS    every case; a line each, `ok   NAME` or `FAIL NAME: why`

The exit code is 0 when every case passed. The generated modules are on PYTHONPATH: see `run`.
"""

import math
import sys
from urllib.request import Request, urlopen

import grpc
from greeter import OPTIONS, PATIENCE, equal, hello, passed, status_of
from helloworld_pb2_grpc import GreeterStub
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

METHOD = {"grpc_type": "unary", "grpc_service": "helloworld.Greeter", "grpc_method": "SayHello"}

# What Prometheus itself asks for.
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"

FORMATS = {
    "text/plain": ("text/plain; version=0.0.4; charset=utf-8", parse_prometheus),
    OPENMETRICS: ("application/openmetrics-text; version=1.0.0; charset=utf-8", parse_openmetrics),
}

cases = []


def case(function):
    cases.append(function)
    return function


def scrape(accept):
    """The families, by name."""
    content_type, parse = FORMATS[accept]
    with urlopen(Request(f"http://{metrics}/metrics", headers={"accept": accept}), timeout=PATIENCE) as answer:
        equal(answer.headers["content-type"], content_type)
        families = list(parse(answer.read().decode()))
    by_name = {family.name: family for family in families}
    equal(len(by_name), len(families))
    return by_name


def samples(family, name, **labels):
    return [sample for sample in family.samples if sample.name == name and labels.items() <= sample.labels.items()]


def total(families, name, **labels):
    """The sum of a counter's samples."""
    found = samples(families[name], f"{name}_total", **labels)
    assert found, f"no {name} with {labels}"
    return sum(sample.value for sample in found)


def in_both(function):
    """A case in either format."""
    for accept, (name, _) in FORMATS.items():
        kind = name.split(";", maxsplit=1)[0].rsplit("/", maxsplit=1)[1]
        cases.append(lambda accept=accept: function(accept))
        cases[-1].__name__ = f"{function.__name__}, {kind}"
    return function


@in_both
def every_family_has_a_type_a_help_and_samples(accept):
    families = scrape(accept)
    for name in ["grpc_server_started", "grpc_server_handled", "loopswap_limit_reached", "loopswap_stalls", "loopswap_received_bytes"]:
        equal(families[name].type, "counter")
    for name in ["grpc_server_in_flight", "loopswap_connections_open", "process_open_fds"]:
        equal(families[name].type, "gauge")
    equal(families["grpc_server_handling_seconds"].type, "histogram")
    for family in families.values():
        assert family.type in ("counter", "gauge", "histogram") and family.documentation and family.samples, family


@in_both
def calls_are_counted(accept):
    before = scrape(accept)
    with grpc.insecure_channel(address, OPTIONS) as channel:
        stub = GreeterStub(channel)
        for _ in range(50):
            hello(stub)
        for _ in range(5):
            equal(status_of(lambda: hello(stub, sleep_millisecond=-1))[0], grpc.StatusCode.INVALID_ARGUMENT)
    after = scrape(accept)

    def more(name, **labels):
        earlier = samples(before[name], f"{name}_total", **METHOD, **labels)
        return total(after, name, **METHOD, **labels) - sum(sample.value for sample in earlier)

    equal(more("grpc_server_started"), 55)
    equal(more("grpc_server_handled", grpc_code="OK"), 50)
    equal(more("grpc_server_handled", grpc_code="InvalidArgument"), 5)
    equal(more("grpc_server_msg_received"), 55)
    equal(more("grpc_server_msg_sent"), 50)


@in_both
def histograms_are_cumulative_and_end_with_all(accept):
    families = scrape(accept)
    family = families["grpc_server_handling_seconds"]
    series = {}
    for sample in samples(family, "grpc_server_handling_seconds_bucket"):
        labels = {label: value for label, value in sample.labels.items() if label != "le"}
        series.setdefault(tuple(sorted(labels.items())), []).append((float(sample.labels["le"]), sample.value))
    assert series
    n_calls = 0
    for labels, buckets in series.items():
        bounds, counts = zip(*buckets)
        equal(bounds[-1], math.inf)
        equal(list(bounds), sorted(set(bounds)))
        equal(list(counts), sorted(counts))
        (count,) = samples(family, "grpc_server_handling_seconds_count", **dict(labels))
        (seconds,) = samples(family, "grpc_server_handling_seconds_sum", **dict(labels))
        equal(counts[-1], count.value)
        equal(count.value, total(families, "grpc_server_handled", **dict(labels)))
        assert (seconds.value > 0) == (count.value > 0), (seconds, count)
        n_calls += count.value
    assert n_calls > 0


@in_both
def both_workers_are_there(accept):
    workers = {sample.labels["worker"] for sample in scrape(accept)["grpc_server_started"].samples}
    equal(workers, {"0", "1"})


@case
def what_is_not_there_is_told():
    try:
        urlopen(f"http://{metrics}/nothing", timeout=PATIENCE)
    except Exception as error:  # pylint: disable=broad-except
        equal(getattr(error, "code", None), 404)
    else:
        raise AssertionError("it is there")
    for path in ["/healthz", "/readyz"]:
        with urlopen(f"http://{metrics}{path}", timeout=PATIENCE) as answer:
            equal(answer.status, 200)


if __name__ == "__main__":
    address, metrics = sys.argv[1:]
    results = [passed(function.__name__, function) for function in cases]
    sys.exit(0 if all(results) else 1)
