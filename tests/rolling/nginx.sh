# shellcheck shell=bash
# nginx with deploy/nginx/loopswap.conf in front of two addresses, for `run` and for tests/foreign/run.
# shellcheck disable=SC2154 # $root and its like are those of whoever reads this

# start_nginx FOLDER ADDRESS ADDRESS: sets `nginx`, its process, and `front`, where it listens.
start_nginx() {
  local folder=$1 port kind n
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  front=127.0.0.1:$port
  mkdir -p "$folder"
  : >"$folder/error.log"
  sed "s/127.0.0.1:50051/$2/; s/127.0.0.1:50052/$3/; s/127.0.0.1:8080/$front/" "$root/deploy/nginx/loopswap.conf" >"$folder/loopswap.conf"
  {
    printf 'daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log error.log info;\nevents { worker_connections 4096; }\nhttp {\n  access_log off;\n'
    for kind in client_body proxy fastcgi uwsgi scgi; do printf '  %s_temp_path %s;\n' "$kind" "$kind"; done
    printf '  include loopswap.conf;\n}\n'
  } >"$folder/nginx.conf"
  nginx -p "$folder" -c nginx.conf -e error.log &
  nginx=$!
  for ((n = 0; n < patience; n++)); do
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
    sleep 0.1
  done
  kill -TERM "$nginx" 2>/dev/null || true
  die 'waited in vain until nginx listens'
}

# What nginx has logged but for refused connects, by which it notices that an instance restarts.
nginx_errors() {
  grep '\[\(warn\|error\|crit\|alert\|emerg\)\]' "$1/error.log" | grep -v 'connect() failed (111: Connection refused)' || true
}
