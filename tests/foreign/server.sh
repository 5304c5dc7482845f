# shellcheck shell=bash
# The server under test: started on a free port, and ended in order.
# shellcheck disable=SC2154 # $work and its like are those of `run`

server=
nginx=

# Ends our server, and nginx, if they still run, and nothing else.
cleanup() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  # nginx is to end its workers.
  [ -z "$nginx" ] || kill -TERM "$nginx" 2>/dev/null || true
  rm -rf "$work"
}

# start NAME COMMAND ...: sets `server` and `addr`.
start() {
  local name=$1 n
  shift
  # The last server's address must not be taken for this one's.
  : >"$work/stdout"
  "$@" >"$work/stdout" 2>"$work/stderr" &
  server=$!
  addr=
  for ((n = 0; n < patience; n++)); do
    addr=$(sed -n 's/^listening on \([^ ]*\).*/\1/p' "$work/stdout")
    [ -z "$addr" ] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  n_failed_before=$n_failed
  if [ -n "$addr" ]; then
    passed "$name: listens"
    return
  fi
  failed "$name: it does not listen"
  cat "$work/stderr"
  kill -KILL "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
  return 1
}

# await_stop NAME: the end of the server, which has had a SIGTERM.
await_stop() {
  local name=$1 code
  await_end
  if [ "$code" = 0 ]; then
    passed "$name: SIGTERM ends it with exit code 0"
  else
    failed "$name: SIGTERM ends it with exit code 0: it was $code"
  fi
  if grep -q panicked "$work/stderr"; then
    failed "$name: no panic in its log"
  else
    passed "$name: no panic in its log"
  fi
  if [ "$n_failed" -gt "$n_failed_before" ]; then
    printf 'the log of %s:\n' "$name"
    tail -n 40 "$work/stderr"
  fi
}

stop() {
  kill -TERM "$server" 2>/dev/null || true
  await_stop "$1"
}

# Waits for the end of the server; sets `code`.
await_end() {
  local n
  code=none
  for ((n = 0; n < patience; n++)); do
    if ! kill -0 "$server" 2>/dev/null; then
      code=0
      wait "$server" || code=$?
      server=
      return
    fi
    sleep 0.1
  done
  kill -KILL "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
}
