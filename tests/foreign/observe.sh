# shellcheck shell=bash
# What is seen of the binary from outside: its metrics, read by Prometheus' Python client; its spans, taken by a collector of OpenTelemetry's definitions.
# shellcheck disable=SC2154 # $work and its like are those of `run`

# with_metrics LOOP ENGINE
with_metrics() {
  local loop=$1 engine=$2 name="$1, $2: metrics" metrics
  start "$name" "$binary" serve --runtime "$loop" --http2 "$engine" --workers 2 --addr 127.0.0.1:0 --metrics 127.0.0.1:0 || return 0
  metrics=$(sed -n 's|.*metrics at http://\([^/]*\)/metrics.*|\1|p' "$work/stderr")
  python "$name" metrics.py "$addr" "$metrics"
  stop "$name"
}

# with_collector LOOP ENGINE: the server is the script's own, which knows where its collector is.
with_collector() {
  local loop=$1 engine=$2
  python "$loop, $engine: spans" otlp.py "$binary" serve --runtime "$loop" --http2 "$engine" --workers 1 --addr 127.0.0.1:0
}
