# shellcheck shell=bash
# What the binary tells of itself, to gRPC's Python packages; the SIGTERM comes while it is watched.
# shellcheck disable=SC2154 # $work and its like are those of `run`

# with_health LOOP ENGINE
with_health() {
  local loop=$1 engine=$2 name="$1, $2: what it tells of itself"
  start "$name" "$binary" serve --runtime "$loop" --http2 "$engine" --workers 2 --addr 127.0.0.1:0 --reflection --admin --drain-delay 3s || return 0
  python "$name" health.py "$addr"
  python "$name" health.py "$addr" drain "$server"
  # It has sent the SIGTERM, unless it failed before; a second one would cut calls.
  grep -q 'SIGTERM: leaving' "$work/stderr" || kill -TERM "$server" 2>/dev/null || true
  await_stop "$name"
}
