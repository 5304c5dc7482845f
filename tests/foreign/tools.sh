# shellcheck shell=bash
# The tools of `run`: what must be there, and what is installed under target/, where a second run finds it.
#
# * Python packages: requirements.txt.
# * Go programs (h2spec, ghz, grpc-go's interop client, and compressed/, which is ours, on grpc-go): tools/go.mod and go.sum. h2spec is wanted at the commit below, which has 147 cases and which no go.mod
#   can name; where it cannot be had, its last release that one can, 2.2.1, stays, with 146. H2SPEC may give the path of another. What the commit adds, a
#   literal field whose index does not exist, is also in `blocks_that_mean_nothing` (src/http2/hpack/tests/).
# * httpwg: the version below.
# shellcheck disable=SC2154 # $here and its like are those of `run`

httpwg_version=0.2.5
h2spec_commit=af83a65f0b62

venv=$target/foreign-venv
tools=$target/foreign-tools
# shellcheck disable=SC2034 # http2.sh runs it.
h2spec=${H2SPEC:-$tools/bin/h2spec}

check_servers() {
  [ -x "$binary" ] || die "there is no $binary; build it (cargo build --release)"
  "$binary" serve --help | grep -q -- --otlp || die "$binary exports no spans; build it with them (cargo build --release --features otel)"
  if ! [ -x "$interop" ] || ! [ -x "$plain" ] || ! [ -x "$details" ]; then
    die "there is no $interop, $plain or $details; build them (cargo build --example plain_server --example interop --example error_details)"
  fi
}

check_tools() {
  local tool
  for tool in h2load nghttp; do
    type -P "$tool" >/dev/null || die "$tool is missing; install Debian's nghttp2-client (apt-get install nghttp2-client)"
  done
  type -P openssl >/dev/null || die "openssl is missing; install it (apt-get install openssl)"
  type -P nginx >/dev/null || die 'nginx is missing; install it (Debian: apt-get install nginx-light)'
  type -P python3 >/dev/null || die "python3 is missing; install it (apt-get install python3 python3-venv)"
  type -P go >/dev/null || die "go is missing; install Go, at least the version that tests/foreign/tools/go.mod names (https://go.dev/dl)"
  type -P cargo >/dev/null || die "cargo is missing; install Rust (https://rustup.rs)"
}

install_tools() {
  mkdir -p "$tools"
  install_python
  install_go
  install_httpwg
}

# Makes the venv, unless it has been made from these very requirements.
install_python() {
  cmp -s "$here/requirements.txt" "$venv/requirements.txt" && return
  printf 'foreign: installing the packages of requirements.txt into %s\n' "$venv"
  python3 -m venv --clear "$venv" || die "python3 cannot make a venv; install its module (apt-get install python3-venv)"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" ||
    die "pip cannot install the packages of tests/foreign/requirements.txt; see above"
  cp "$here/requirements.txt" "$venv/requirements.txt"
}

install_go() {
  cat "$here/tools/go.mod" "$here/tools/go.sum" "$here/tools/compressed/main.go" >"$work/go-tools"
  cmp -s "$work/go-tools" "$tools/go-tools" && return
  printf 'foreign: installing the programs of tools/go.mod into %s\n' "$tools"
  GOBIN=$tools/bin go -C "$here/tools" install tool || die "go cannot install the programs of tests/foreign/tools/go.mod; see above"
  # Outside a module, where a commit may be named. Not every module proxy has it.
  if ! (cd "$tools" && GOBIN=$tools/bin GO111MODULE=on go install "github.com/summerwind/h2spec/cmd/h2spec@$h2spec_commit") 2>"$tools/h2spec.log"; then
    printf 'foreign: h2spec stays at its last release, with 146 cases, because its commit %s, with 147, cannot be had: %s\n' "$h2spec_commit" "$(tail -n 1 "$tools/h2spec.log")"
  fi
  cp "$work/go-tools" "$tools/go-tools"
}

# In debug: it builds in less time, and its own speed does not matter.
install_httpwg() {
  local stamp=$tools/httpwg-$httpwg_version
  [ ! -e "$stamp" ] || return 0
  printf 'foreign: installing httpwg-cli %s into %s\n' "$httpwg_version" "$tools"
  cargo install --quiet --locked --debug --root "$tools" "httpwg-cli@$httpwg_version" || die "cargo cannot install httpwg-cli; see above"
  : >"$stamp"
}

# What the tools are fed with.
make_inputs() {
  mkdir "$work/stubs"
  "$venv/bin/python" -m grpc_tools.protoc --proto_path="$root/proto" --python_out="$work/stubs" --grpc_python_out="$work/stubs" \
    "$root/proto/helloworld.proto"
  "$venv/bin/python" -m grpc_tools.protoc --proto_path="$root/proto" --include_imports --descriptor_set_out="$work/interop.pb" \
    "$root/proto/grpc/testing/test.proto"
  # A gRPC message: not compressed, its length, then `name` and `sleep_millisecond`.
  printf '\000\000\000\000\005\012\003Joe' >"$work/joe"
  printf '\000\000\000\000\007\012\003Joe\020\012' >"$work/joe-10-ms"
  head -c 8388608 /dev/urandom >"$work/upload"
  # What plain_server answers to /bytes/N.
  "$venv/bin/python" -c 'print(end="abcdefghijklmnopqrstuvwxyz" * 40000)' >"$work/letters"
}
