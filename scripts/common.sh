# shellcheck shell=bash
# What up, down and services share. To be sourced.

say() { printf '%s\n' "$*"; }

# A pid alone proves nothing: after a reboot it is somebody else's. So who asks for one looks at its command line too.
command_line() {
  local i words
  if [ -d /proc/self ]; then
    for i in 1 2 3; do # a process that is just becoming another has none for a moment
      words=$({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null) || return 0
      if [ -n "$words" ]; then break; fi
      sleep "0.0$i"
    done
    say "$words"
  else # macOS
    ps -ww -o args= -p "$1" 2>/dev/null || true
  fi
}

# The pid in a file, when it runs with a text in its command line; else nothing.
running_with() { # pid file, text
  local pid
  pid=$(head -n 1 "$1" 2>/dev/null) || return 0
  case $pid in '' | *[!0-9]*) return 0 ;; esac
  case $(command_line "$pid") in *"$2"*) say "$pid" ;; esac
}

# Starts a command detached: in a session of its own, so it outlives us and our terminal. The pid file is written by the
# process itself before it becomes the command, so there is never one without the other.
launch() { # folder to run in, pid file, log, command
  local folder=$1 pid_file=$2 log=$3 new_session='setsid'
  shift 3
  command -v setsid >/dev/null || new_session='nohup' # macOS
  rm -f "$pid_file"
  # shellcheck disable=SC2016 # expanded by the shell that is started
  (cd "$folder" && exec "$new_session" bash -c 'echo $$ >"$1"; shift; exec "$@"' launch "$pid_file" "$@") \
    </dev/null >>"$log" 2>&1 9>&- &
}

# Sends signals in turn to what `running_with` finds, and waits up to 30 s after each. False when it still runs.
stop_running() { # pid file, text, signals
  local pid_file=$1 text=$2 signal pid i
  shift 2
  for signal in "$@"; do
    pid=$(running_with "$pid_file" "$text")
    [ -n "$pid" ] || return 0
    kill -s "$signal" "$pid" 2>/dev/null || true
    for ((i = 0; i < 300; i++)); do
      [ -n "$(running_with "$pid_file" "$text")" ] || return 0
      sleep 0.1
    done
  done
  return 1
}

in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Whether HTTP is served there: a port is bound before that. In a shell of its own, for a connection that is closed under us ends it.
serves() ( # port
  exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
  printf 'GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
  IFS= read -r -t 3 status <&3
  [[ $status == "HTTP/1."?" 200"* ]]
) 2>/dev/null

# Below the range that the kernel takes ports of outgoing connections from, so nobody gets it by chance.
free_port() {
  local port i
  for ((i = 0; i < 100; i++)); do
    port=$((12000 + (RANDOM * 32768 + RANDOM) % 20000))
    in_use "$port" || { say "$port"; return; }
  done
  return 1
}

# Keeps a port that was chosen before, unless somebody else has it. To be asked while ours does not run; who was killed a
# moment ago may still have it, on a busy machine for seconds, and who asks there would not look elsewhere.
keep_or_choose_port() {
  local i
  if [ -n "$1" ]; then
    for ((i = 0; i < 50; i++)); do
      in_use "$1" || { say "$1"; return; }
      sleep 0.2
    done
  fi
  free_port
}

# One at a time on one folder: two would both choose.
lock() { # file
  exec 9>"$1"
  if command -v flock >/dev/null; then flock -w 600 9; fi
}

# --- what a build and the services need --------------------------------------------------------------------------

step() { printf '==> %s\n' "$*"; }

# What Debian calls the tools that are missing.
missing_packages() {
  local tool package packages=
  while read -r tool package; do
    command -v "$tool" >/dev/null && continue
    case " $packages " in *" $package "*) ;; *) packages="${packages:+$packages }$package" ;; esac
  done <<'TOOLS'
cc build-essential
c++ build-essential
make build-essential
java default-jre-headless
mvn maven
tar tar
xz xz-utils
TOOLS
  say "$packages"
}

# Installs what is missing where it can, else says how. Ends with 3 when something is missing still.
ensure_tools() { # log
  local packages
  PATH=$PATH:${HOME:-/root}/.cargo/bin
  if ! command -v cargo >/dev/null; then
    say "cargo is missing: install Rust with rustup (https://rustup.rs), then run this again" >&2
    exit 3
  fi
  packages=$(missing_packages)
  [ -n "$packages" ] || return 0
  if ! command -v apt-get >/dev/null; then
    say "missing: what Debian calls $packages. Install a C and C++ compiler, make, xz, Java 17 or newer and Maven, then run this again" >&2
    exit 3
  fi
  if [ "$(id -u)" != 0 ]; then
    say "missing packages. Run this, then try again:  sudo apt-get update && sudo apt-get install -y $packages" >&2
    exit 3
  fi
  step "installing $packages"
  # shellcheck disable=SC2086 # words
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } \
    >"$1" 2>&1 </dev/null; then
    tail -n 5 "$1" >&2
    say "apt-get failed; its log: $1. Install $packages yourself, then run this again" >&2
    exit 3
  fi
}

# --- what up and down know of this clone -------------------------------------------------------------------------

# shellcheck disable=SC2034 # used by who sources this
load_clone() {
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
  state=$root/.daybook
  binary=$root/target/release/daybook
  pid_file=$state/daybook.pid
  log=$state/log/daybook.log
  services=$root/scripts/services/services
}

# Starts a Daybook with every role in a run's folder, on the services that the environment names, and returns once it serves.
# Its ports are in `port` and `queries_port` then. Its operations get a port that nobody asks.
# shellcheck disable=SC2034 # used by who calls this
launch_daybook() { # folder, binary, options for `daybook up`
  local dir=$1 binary=$2 running
  shift 2
  (cd "$dir" && "$binary" migrate --partitions 4) </dev/null >"$dir/migrate.log" 2>&1 || { cat "$dir/migrate.log" >&2; die "migrating failed"; }
  port=$(free_port) || die "no free port"
  queries_port=$(free_port) || die "no free port"
  say "$port" >"$dir/port"
  running="up --commands-listen 127.0.0.1:$port"
  launch "$dir" "$dir/daybook.pid" "$dir/daybook.log" "$binary" up --commands-listen "127.0.0.1:$port" \
    --queries-listen "127.0.0.1:$queries_port" --operations-listen 127.0.0.1:0 "$@"
  for _ in {1..300}; do
    if serves "$port"; then return; fi
    if [ -s "$dir/daybook.pid" ] && [ -z "$(running_with "$dir/daybook.pid" "$running")" ]; then break; fi
    sleep 0.1
  done
  tail -n 15 "$dir/daybook.log" >&2
  die "Daybook ended, or does not serve after 30 s"
}

# Stops the Daybook and the services that a run has in a folder of its own, and forgets it.
clear_away() { # folder
  local port
  port=$(cat "$1/port" 2>/dev/null) || port=
  if [ -n "$port" ]; then stop_running "$1/daybook.pid" "up --commands-listen 127.0.0.1:$port" TERM KILL || true; fi
  if [ -d "$1/services" ]; then "$services" wipe "$1/services" >/dev/null || true; fi
  rm -rf "$1"
}

# What a killed run could not clear away itself: its folder ends with its pid.
clear_leftovers() { # what the folder's name begins with
  local left
  for left in "$state/$1"-*; do
    if [ -d "$left" ] && ! kill -0 "${left##*-}" 2>/dev/null; then clear_away "$left"; fi
  done
}

# The pid of the Daybook that `up` started, or nothing.
daybook_running() { running_with "$pid_file" "$binary up"; }

stop_daybook() { stop_running "$pid_file" "$binary up" TERM KILL; }

# --- the simulators that `up` started: payment-provider, carrier ---------------------------------------------------

# The pid of one, or nothing.
simulator_running() { running_with "$state/$1.pid" "$binary simulate $1"; } # which

stop_simulator() { stop_running "$state/$1.pid" "$binary simulate $1" TERM KILL; } # which
