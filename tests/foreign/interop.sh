# shellcheck shell=bash
# gRPC's interoperability tests: three clients against examples/interop, on a loop and both engines; and the matrix of what they came to.
#
# * grpc-go's interop client, and gRPC's Python client (interop.py), against a server that is started here.
# * tonic's client: the cases of tests/it/interop.rs, which start servers of their own.
# * grpc-go's once more, with nginx in between (deploy/nginx/).
#
# grpc-go's client has none of the cases of compression; tools/compressed makes them with grpc-go.
#
# Of the cases in gRPC's doc/interop-test-descriptions.md, not here: those that want credentials or a load balancer; cacheable_unary, which wants a caching
# proxy and a client that sends GET, and neither of these does.
# shellcheck disable=SC2154 # $work and its like are those of `run`

# "CLIENT CASE LOOP ENGINE" → ok or FAIL; and the cases in the order in which they came.
declare -A matrix=()
cases=()

with_interop() {
  local loop=$1 engine=$2 name="$1: interop on $2"
  start "$name" "$interop" --runtime "$loop" --http2 "$engine" --port 0 || return 0
  grpc_go grpc-go
  python "$name" interop.py "$addr" "$work/interop.pb" "$engine"
  take_cells python "$work/python"
  behind_nginx
  stop "$name"
}

# grpc-go's client through nginx. Of nginx's log but refused connects, nothing may be amiss.
behind_nginx() {
  local addr=$addr name="$name behind nginx" strange
  start_nginx "$work/nginx" "$addr" "$addr"
  addr=$front
  grpc_go nginx
  kill -QUIT "$nginx"
  wait "$nginx" || true
  nginx=
  strange=$(nginx_errors "$work/nginx")
  if [ -z "$strange" ]; then
    passed "$name: no error in nginx's log"
  else
    failed "$name: no error in nginx's log"
    printf '%s\n' "$strange"
  fi
}

# Errors with details, as Python's packages read them.
with_details() {
  local loop=$1 engine=$2 name="$1: error details on $2"
  start "$name" "$details" 127.0.0.1:0 "$loop" "$engine" || return 0
  python "$name" details.py "$addr"
  stop "$name"
}

# grpc_go_cases COLUMN CASE ...: of the matrix; that of `grpc-go-tls`, which is not shown, trusts gRPC's test CA.
grpc_go_cases() {
  local column=$1 test_case
  local -a flags=(--use_tls=false)
  [ "$column" != grpc-go-tls ] || flags=(--use_tls=true --use_test_ca=true --server_host_override=foo.test.google.fr)
  shift
  for test_case in "$@"; do
    # A soak call of it may take a second by default, which is little on a busy machine.
    if timeout 60 "$tools/bin/client" "${flags[@]}" --server_host="${addr%:*}" --server_port="${addr##*:}" --test_case="$test_case" \
      --soak_iterations=20 --soak_per_iteration_max_acceptable_latency_ms=20000 --soak_overall_timeout_seconds=50 >"$work/grpc-go" 2>&1; then
      passed "$name: grpc-go: $test_case"
      cell "$column" "$test_case" "$loop" "$engine" ok
    else
      failed "$name: grpc-go: $test_case"
      cell "$column" "$test_case" "$loop" "$engine" FAIL
      tail -n 20 "$work/grpc-go"
    fi
  done
}

# grpc_go COLUMN: those of grpc-go's cases that want neither TLS nor credentials, and those of compression.
grpc_go() {
  local test_case
  grpc_go_cases "$1" empty_unary large_unary client_streaming server_streaming ping_pong empty_stream timeout_on_sleeping_server \
    cancel_after_begin cancel_after_first_response custom_metadata status_code_and_message special_status_message unimplemented_method \
    unimplemented_service rpc_soak channel_soak
  timeout 120 "$tools/bin/compressed" "$addr" >"$work/compressed" 2>&1 || true
  for test_case in client_compressed_unary server_compressed_unary client_compressed_streaming server_compressed_streaming; do
    if grep -qx "ok   $test_case" "$work/compressed"; then
      passed "$name: grpc-go: $test_case"
    else
      failed "$name: grpc-go: $test_case"
      cat "$work/compressed"
    fi
  done
  take_cells "$1" "$work/compressed"
}

# The cases of tonic's client, which are tests of this project, on the loops that are asked for.
with_tonic() {
  local wanted=("${loops[@]//-/_}") line path loop engine test_case
  timeout 900 cargo test --test it -- "${wanted[@]/#/interop::}" >"$work/tonic" 2>&1 || true
  if ! grep -q '^test interop::.* ok$' "$work/tonic"; then
    failed 'tonic: cargo test --test it interop:: ran nothing'
    tail -n 20 "$work/tonic"
    return 0
  fi
  while IFS= read -r line; do
    path=${line#test interop::}
    path=${path%% *}
    IFS=' ' read -r loop engine test_case <<<"${path//::/ }"
    loop=${loop//_/-}
    if [ "${line##* }" = ok ]; then
      passed "$loop: interop on $engine: tonic: $test_case"
      cell tonic "$test_case" "$loop" "$engine" ok
    else
      failed "$loop: interop on $engine: tonic: $test_case"
      cell tonic "$test_case" "$loop" "$engine" FAIL
    fi
  done < <(grep '^test interop::.* \.\.\. ' "$work/tonic" | sort)
  ! grep -q '^failures:' "$work/tonic" || sed -n '/^failures:/,$p' "$work/tonic"
}

# take_cells CLIENT FILE: from lines `ok   CASE` and `FAIL CASE: why`.
take_cells() {
  local verdict test_case
  while read -r verdict test_case _; do
    case $verdict in ok | FAIL) cell "$1" "${test_case%:}" "$loop" "$engine" "$verdict" ;; esac
  done <"$2"
}

cell() {
  local known
  matrix["$1 $2 $3 $4"]=$5
  for known in "${cases[@]}"; do [ "$known" != "$2" ] || return 0; done
  cases+=("$2")
}

# A row a case, a column a loop and engine, in it a letter for each client.
show_matrix() {
  local test_case loop engine client letters
  printf '\ninteroperability: g grpc-go, n the same behind nginx, p Python, t tonic; upper case failed, a dot is a case that the client does not have\n%-50s' ''
  for loop in "${loops[@]}"; do printf '%-14s' "$loop"; done
  printf '\n%-50s' ''
  for loop in "${loops[@]}"; do printf '%-7s%-7s' native hyper; done
  printf '\n'
  for test_case in "${cases[@]}"; do
    printf '%-50s' "$test_case"
    for loop in "${loops[@]}"; do
      for engine in native hyper; do
        letters=
        for client in grpc-go nginx python tonic; do
          case ${matrix["$client $test_case $loop $engine"]:-} in
          ok) letters+=${client:0:1} ;;
          FAIL) client=${client^} && letters+=${client:0:1} ;;
          *) letters+=. ;;
          esac
        done
        printf '%-7s' "$letters"
      done
    done
    printf '\n'
  done
  printf '\n'
}
