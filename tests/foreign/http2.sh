# shellcheck shell=bash
# HTTP/2 without gRPC, against plain_server: the conformance suites h2spec and httpwg, and nghttp.
#
# No case of either suite is excepted.
# shellcheck disable=SC2154 # $work and its like are those of `run`

# Cases that there are at least: a suite that runs fewer has not been run.
n_h2spec_min=146
n_httpwg_min=107

with_plain() {
  local loop=$1 name="$1: plain"
  start "$name" "$plain" --runtime "$loop" --http2 native || return 0
  h2spec "$name"
  httpwg "$name"
  nghttp_all "$name"
  stop "$name"
}

# All cases, the strict ones too.
h2spec() {
  local name=$1 summary n
  timeout 300 "$h2spec" --strict --host "${addr%:*}" --port "${addr##*:}" >"$work/h2spec" 2>&1 || true
  summary=$(tail -n 1 "$work/h2spec")
  n=${summary%% *}
  if [ "$summary" = "$n tests, $n passed, 0 skipped, 0 failed" ] && [ "$n" -ge "$n_h2spec_min" ]; then
    passed "$name: h2spec: $summary"
  else
    failed "$name: h2spec: $summary"
    sed -n '/^Failures:/,$p' "$work/h2spec"
  fi
}

# Its own patience is 250 ms.
httpwg() {
  local name=$1 code=0 summary
  timeout 300 "$tools/bin/httpwg" --address "$addr" --frame-timeout 5000 --connect-timeout 5000 >"$work/httpwg" 2>&1 || code=$?
  summary=$(sed -n 's/\x1b\[[0-9;]*m//g; s/.*Passed \([0-9]*\/[0-9]*\) tests.*/\1/p' "$work/httpwg")
  if [ "$code" -eq 0 ] && [ "${summary%/*}" = "${summary#*/}" ] && [ "${summary#*/}" -ge "$n_httpwg_min" ]; then
    passed "$name: httpwg: $summary"
  else
    failed "$name: httpwg: ${summary:-it ended with $code}"
    grep --text -A 8 'Test failed\|panicked' "$work/httpwg" || tail -n 20 "$work/httpwg"
  fi
}

nghttp_all() {
  local name=$1 echo=http://$addr/echo
  head -c 300000 "$work/letters" >"$work/300000"
  head -c 3000 "$work/letters" >"$work/3000"
  head -c 26 "$work/letters" >"$work/26"
  : >"$work/0"
  # The FNV-1a checksum of the alphabet.
  printf '26 bytes, FNV-1a 8450deb1cdc382a2\n' >"$work/summary"
  # Forty answers, one behind the other.
  local n
  for ((n = 0; n < 40; n++)); do cat "$work/26"; done >"$work/40x26"

  answers "$name: GET" "$work/300000" "http://$addr/bytes/300000"
  answers "$name: GET, with fields" "$work/26" -H 'x-a: b' -H 'cookie: a=1; b=2' -H 'accept: text/html' "http://$addr/bytes/26"
  answers "$name: HEAD" "$work/0" -H ':method: HEAD' "http://$addr/bytes/26"
  answers "$name: an empty answer" "$work/0" "http://$addr/bytes/0"
  answers "$name: two URIs, 20 times each" "$work/40x26" -m 20 "http://$addr/bytes/26" "http://$addr/bytes/26?again"
  answers "$name: stream windows of 1 byte" "$work/3000" -w 1 "http://$addr/bytes/3000"
  answers "$name: stream windows of 1023 bytes" "$work/300000" -w 10 "http://$addr/bytes/300000"
  answers "$name: windows of 1 GiB" "$work/300000" -w 30 -W 30 "http://$addr/bytes/300000"
  answers "$name: no dynamic table" "$work/40x26" -c 0 --encoder-header-table-size=0 -m 40 "http://$addr/bytes/26"
  answers "$name: a dynamic table that shrinks and grows" "$work/40x26" -c 0 -c 100 -m 40 "http://$addr/bytes/26"
  answers "$name: 8 MiB there and back" "$work/upload" -d "$work/upload" "$echo"
  answers "$name: 8 MiB there and back, small windows" "$work/upload" -w 12 -W 16 -d "$work/upload" "$echo"
  answers "$name: 8 MiB there and back, padded" "$work/upload" --padding=255 -d "$work/upload" "$echo"
  answers "$name: 8 MiB there and back, of no announced length" "$work/upload" --no-content-length -d "$work/upload" "$echo"
  answers "$name: 8 MiB there and back, with trailers" "$work/upload" --trailer 'x-a: b' -d "$work/upload" "$echo"
  # Nobody says 100; after a second it goes on without.
  answers "$name: expect: 100-continue" "$work/summary" --expect-continue -d "$work/26" "http://$addr/"
  says "$name: trailers" 'x-bytes: 3000' 1 -d "$work/3000" "$echo"
  # It sends more than the 16 KiB of header list that are allowed, in CONTINUATION frames. Each call fails, not the connection.
  says "$name: long header lists are refused" 'grpc-status: 8' 2 --continuation "http://$addr/a" "http://$addr/b"
}

# answers NAME FILE ARGUMENTS: what nghttp prints is FILE.
answers() {
  local name=$1 wanted=$2
  shift 2
  if timeout 60 nghttp "$@" >"$work/nghttp" 2>"$work/nghttp-stderr" && cmp "$work/nghttp" "$wanted" >>"$work/nghttp-stderr" 2>&1; then
    passed "${name/: plain/: nghttp}"
  else
    failed "${name/: plain/: nghttp}"
    cat "$work/nghttp-stderr"
  fi
}

# says NAME FIELD COUNT ARGUMENTS: so many answers have the field.
says() {
  local name=$1 field=$2 count=$3 n
  shift 3
  timeout 60 nghttp --verbose --null-out "$@" >"$work/nghttp" 2>&1 || true
  n=$(grep --text -c "recv (stream_id=[0-9]*) $field" "$work/nghttp" || true)
  if [ "$n" = "$count" ]; then
    passed "${name/: plain/: nghttp}"
  else
    failed "${name/: plain/: nghttp}: $n answers say $field; wanted $count"
    tail -n 40 "$work/nghttp"
  fi
}
