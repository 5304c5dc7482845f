# shellcheck shell=bash
# gRPC's Python client, ghz, and h2load with gRPC's messages; and our load generator against gRPC's Python server.
# shellcheck disable=SC2154 # $work and its like are those of `run`

with_greeter() {
  local loop=$1
  start "$loop" "$binary" serve --runtime "$loop" --workers 1 --addr 127.0.0.1:0 || return 0
  python "$loop" greeter.py "$addr"
  # "Hello, Joe!" is 11 bytes, 2 before them are protobuf's, and 5 gRPC's.
  h2 "$loop" '1 connection × 100 streams' "$work/joe" 18 20000 1 100
  h2 "$loop" '10 connections × 10 streams' "$work/joe" 18 20000 10 10
  h2 "$loop" '1 connection × 100 streams, 10 ms sleep' "$work/joe-10-ms" 18 5000 1 100
  h2 "$loop" 'no dynamic table for answers' "$work/joe" 18 5000 1 100 --header-table-size=0
  h2 "$loop" 'a small dynamic table for answers' "$work/joe" 18 5000 1 100 --header-table-size=64
  h2 "$loop" 'no dynamic table for requests' "$work/joe" 18 5000 1 100 --encoder-header-table-size=0
  h2 "$loop" 'stream windows of 7 bytes' "$work/joe" 18 2000 1 100 --window-bits=3
  h2 "$loop" 'stream windows of 1 byte' "$work/joe" 18 500 1 10 --window-bits=1
  ghz "$loop"
  python "$loop" greeter.py "$addr" drain "$server"
  # It has sent the SIGTERM, unless it failed before; a second one would cut calls.
  grep -q 'SIGTERM: draining' "$work/stderr" || kill -TERM "$server" 2>/dev/null || true
  await_stop "$loop"
}

# Our load generator on this loop, against gRPC's Python server.
with_python_server() {
  local loop=$1 name="$1: load against grpcio"
  PYTHONPATH=$work/stubs PYTHONDONTWRITEBYTECODE=1 start "$name" "$venv/bin/python" "$here/greeter_server.py" || return 0
  loads "$name" '[OK]   1000 responses' -c 50 -n 1000
  loads "$name" '[OK]   1000 responses' -c 50 -n 1000 --connections 10 --payload 1024
  loads "$name" '[OK]   100 responses' -c 10 -n 100 --payload 65536
  loads "$name" '[OK]   500 responses' -c 100 -n 500 -d '{"name":"Joe","sleep_millisecond":10}'
  loads "$name" '[100]   FAILED_PRECONDITION: not today, ü' -n 100 -d '{"name":"fail: not today, ü"}'
  loads "$name" '[20]   DEADLINE_EXCEEDED: ' -c 20 -n 20 --timeout 100ms -d '{"sleep_millisecond":2000}'
  stop "$name"
}

# loads NAME WANTED FLAGS: a run whose summary has this text, and no other sort of ending.
loads() {
  local name=$1 wanted=$2 n
  shift 2
  LOOPSWAP_DATA='{"name":"Joe"}' timeout 120 "$binary" load --runtime "$loop" --no-progress "$addr" "$@" >"$work/load" 2>&1 || true
  n=$(sed -n '/^Status code distribution/,/^$/p' "$work/load" | grep -c '^  \[' || true)
  if [ "$n" = 1 ] && grep -qF -- "$wanted" "$work/load"; then
    passed "$name: $*, $(sed -n 's/^ *Requests\/sec:[^0-9]*//p' "$work/load") req/s"
  else
    failed "$name: $*: wanted $wanted and nothing else"
    cat "$work/load"
  fi
}

# python NAME SCRIPT ARGUMENTS: each case is a line; dying without one is a failure too.
python() {
  local name=$1 script=$2 line n=0 code=0
  shift 2
  PYTHONPATH=$work/stubs PYTHONDONTWRITEBYTECODE=1 timeout 300 "$venv/bin/python" "$here/$script" "$@" \
    >"$work/python" 2>"$work/python-stderr" || code=$?
  while IFS= read -r line; do
    case $line in
    'ok   '*) passed "$name: python: ${line#ok   }" ;;
    'FAIL '*)
      failed "$name: python: ${line#FAIL }"
      n=$((n + 1))
      ;;
    esac
  done <"$work/python"
  if [ "$code" -ne 0 ] && [ "$n" -eq 0 ]; then
    failed "$name: python: $script ended with $code"
    tail -n 20 "$work/python-stderr"
  fi
}

# The command of the article that the experiment reproduces, with fewer calls.
ghz() {
  local loop=$1 n=2000
  timeout 120 "$tools/bin/ghz" -c 100 -n "$n" --insecure --proto "$root/proto/helloworld.proto" --call helloworld.Greeter.SayHello \
    -d '{"name":"Joe","sleep_millisecond":10}' "$addr" >"$work/ghz" 2>&1 || true
  if grep -q "^ *\[OK\] *$n responses" "$work/ghz" && ! grep -q '^Error distribution' "$work/ghz"; then
    passed "$loop: ghz: $n calls, $(sed -n 's/^ *Requests\/sec:[^0-9]*//p' "$work/ghz") req/s"
  else
    failed "$loop: ghz: wanted $n responses, each of them OK"
    cat "$work/ghz"
  fi
}

# h2 SERVER NAME BODY REPLY_BYTES REQUESTS CONNECTIONS STREAMS [FLAGS]: all calls are answered with 200, and the replies have the length that they should:
# h2load looks at no grpc-status. With `scheme=https`, over TLS.
h2() {
  local server_name=$1 name=$2 body=$3 reply_bytes=$4 n=$5 connections=$6 streams=$7 requests statuses data
  shift 7
  timeout 120 h2load --requests="$n" --clients="$connections" --max-concurrent-streams="$streams" --data="$body" \
    --header='content-type: application/grpc' --header='te: trailers' "$@" "${scheme:-http}://$addr/helloworld.Greeter/SayHello" \
    >"$work/h2load" 2>&1 || true
  requests=$(grep '^requests: ' "$work/h2load" || true)
  statuses=$(grep '^status codes: ' "$work/h2load" || true)
  data=$(sed -n 's/^traffic: .*(\([0-9]*\)) data$/\1/p' "$work/h2load")
  if [ "$requests" = "requests: $n total, $n started, $n done, $n succeeded, 0 failed, 0 errored, 0 timeout" ] &&
    [ "$statuses" = "status codes: $n 2xx, 0 3xx, 0 4xx, 0 5xx" ] && [ "$data" = $((n * reply_bytes)) ]; then
    passed "$server_name: h2load: $name, $(sed -n 's/^finished in [^,]*, \([^,]*\),.*/\1/p' "$work/h2load")"
  else
    failed "$server_name: h2load: $name: wanted $n replies of $reply_bytes bytes"
    cat "$work/h2load"
  fi
}
