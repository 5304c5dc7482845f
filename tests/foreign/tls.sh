# shellcheck shell=bash
# TLS and mutual TLS, with clients whose TLS is not ours: gRPC's Python client (BoringSSL), h2load (OpenSSL), grpc-go's interop client (Go's own). Certificates
# are made by the commands that docs/guide/tls.md tells people to type, and are gRPC's own test certificates where grpc-go wants those.
# shellcheck disable=SC2154 # $work and its like are those of `run`

# Two folders of certificates, each of a CA of its own.
make_certificates() {
  local folder
  # shellcheck disable=SC2016 # Markdown's backquotes
  sed -n '/^## Certificates/,/^## Serve/p' "$root/docs/guide/tls.md" | sed -n '/^```sh/,/^```/p' | grep -v '^```' >"$work/certificates.sh"
  for folder in "$work/pki" "$work/pki-other"; do
    mkdir "$folder"
    (cd "$folder" && bash -e ../certificates.sh) >"$work/openssl" 2>&1 || die "the commands of docs/guide/tls.md make no certificates: $(tail -n 3 "$work/openssl")"
  done
  # What grpc-go's `-use_test_ca` trusts, and what that CA has signed, for *.test.google.fr.
  test_certificates=$(go -C "$here/tools" list -m -f '{{.Dir}}' google.golang.org/grpc)/testdata
}

# with_tls LOOP ENGINE
with_tls() {
  local loop=$1 engine=$2 name="$1: TLS on $2"
  local -a serve=("$binary" serve --runtime "$loop" --http2 "$engine" --workers 1 --addr 127.0.0.1:0)
  rm -rf "$work/renewed" "$work/renewed-other"
  cp -r "$work/pki" "$work/renewed"
  cp -r "$work/pki-other" "$work/renewed-other"

  start "$name" "${serve[@]}" --tls-cert "$work/renewed/server.pem" --tls-key "$work/renewed/server.key" || return 0
  python "$name" tls.py "$addr" "$work/pki"
  scheme=https h2 "$name" '1 connection × 100 streams' "$work/joe" 18 5000 1 100
  scheme=https h2 "$name" '10 connections × 10 streams' "$work/joe" 18 5000 10 10
  python "$name" tls.py "$addr" "$work/renewed" reload "$server"
  stop "$name"

  name="$1: mutual TLS on $2"
  start "$name" "${serve[@]}" --tls-cert "$work/pki/server.pem" --tls-key "$work/pki/server.key" --tls-client-ca "$work/pki/ca.pem" || return 0
  python "$name" tls.py "$addr" "$work/pki" mutual
  stop "$name"

  name="$1: interop over TLS on $2"
  start "$name" "$interop" --runtime "$loop" --http2 "$engine" --port 0 --use_tls true --tls_cert_file "$test_certificates/server1.pem" \
    --tls_key_file "$test_certificates/server1.key" || return 0
  grpc_go_cases grpc-go-tls empty_unary large_unary client_streaming server_streaming ping_pong empty_stream cancel_after_begin status_code_and_message
  stop "$name"
}
