#!/bin/bash
# Starts llama-server with the container's settings, watches it, and stops it without cutting off an answer.
# Environment, all optional:
#   MODEL_ALIAS    the name that the API reports (default: the model's)
#   CONTEXT_SIZE   tokens of one conversation (default: the model's, at most 4096)
#   PARALLEL       requests answered at once (default: 1)
#   THREADS        default: the physical cores that the container may use
#   LOCK_MEMORY    required | try | off (default: required; off in an image built with OPTIMIZE=false)
#   API_KEY        one or more, comma separated (default: everybody may ask)
#   EXTRA_ARGS     further arguments of llama-server, one a line
#   PORT           of the API (8080)
#   DRAIN_PORT     of HAProxy's agent-check (8081)
#   METRICS_PORT   of Prometheus' text on the server's memory (8082); the API's port has llama-server's own, /metrics
#   SMOKE_PROMPT   the question that is answered before anybody else may ask (Hello! How are you?); empty: none is asked
#   SMOKE_ANSWER   the exact answer expected (default: any text will do)
#   DRAIN_DELAY    seconds to go on taking requests after SIGTERM (0)
#   DRAIN_TIMEOUT  seconds that running requests may take after that (600)
#   START_TIMEOUT  seconds that loading the model and the first answer may take (900)
#   STALL_TIMEOUT  seconds after which a server that has something to do, and does not compute, is ended (3)
#   HANG_TIMEOUT   the same for one that computes, and says nothing (default: 60, and what a slow CPU takes to read
#                  512 tokens: in all 206 with 0.8 GB of model and 2 threads)
# Exit status: 78 if the CPU lacks instructions that the server was compiled for, 1 if a setting is wrong, memory
# cannot be locked or the model does not answer as it should, otherwise the server's.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/engine.sh"
# shellcheck source=/dev/null
. "$here/compiled" # ENGINE and OPTIMIZE, as they were when the image was built
export ENGINE

uid=65532
model=/model/model.gguf

fail() {
  echo "bitnet-server: $1" >&2
  exit "${2:-1}"
}

main() {
  # Process 1 gets no signal that it has no trap for. From here until serve() there is nothing to finish.
  trap 'exit 0' TERM INT
  check_cpu
  leave_root "$@"
  hide_keys "$@"
  read_settings
  check_lock
  repeat_self_test
  serve "$@"
}

check_cpu() {
  local missing
  missing=$("$here/cpus.sh" missing "$here/instructions" /)
  [[ -z $missing ]] || fail "this CPU lacks $missing, which this image was compiled for; \
build it on this machine, or with --build-arg CPU_TARGET=x86-64-v3 or OPTIMIZE=false" 78
}

# Root becomes a user that holds nothing but the capability to lock memory, if the container has that.
leave_root() {
  if ((EUID != 0)); then return; fi
  local keep=-all become
  if holds_ipc_lock; then keep+=,+ipc_lock; fi
  become=(setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps="$keep" --ambient-caps="$keep"
    --bounding-set="$keep")
  "${become[@]}" true ||
    fail "cannot become user $uid: add the capabilities SETUID, SETGID and SETPCAP, or start with --user $uid:$uid"
  exec "${become[@]}" "$0" "$@"
}

holds_ipc_lock() {
  local effective
  effective=$(sed -n 's/^CapEff:\s*//p' /proc/self/status)
  ((16#$effective >> 14 & 1)) # linux/capability.h
}

# Moves API keys from the environment into a file of ours, and starts over so that /proc forgets them, too. /dev/shm is
# in memory, and can be written to in every container.
hide_keys() {
  if [[ -z ${API_KEY-} ]]; then return; fi
  API_KEY_FILE=$(mktemp /dev/shm/api-keys.XXXXXX)
  tr ',' '\n' <<<"$API_KEY" >"$API_KEY_FILE"
  unset API_KEY
  export API_KEY_FILE
  exec "$0" "$@"
}

read_settings() {
  local -A facts
  local key value
  # A line without a key is the rest of a name with a line break in it.
  while IFS='=' read -r key value; do facts[${key:-rest}]=$value; done </model/facts

  MODEL_ALIAS=${MODEL_ALIAS:-${facts[name]}}
  export PORT=${PORT:-8080} MODEL_ALIAS=${MODEL_ALIAS//[[:cntrl:]]/}
  local longest=${facts[context_length]}
  CONTEXT_SIZE=${CONTEXT_SIZE:-$((longest < 4096 ? longest : 4096))}
  PARALLEL=${PARALLEL:-1}
  THREADS=${THREADS:-$("$here/cpus.sh" cores /)}
  LOCK_MEMORY=${LOCK_MEMORY:-$([[ $OPTIMIZE == true ]] && echo required || echo off)}
  DRAIN_PORT=${DRAIN_PORT:-8081} DRAIN_DELAY=${DRAIN_DELAY:-0} DRAIN_TIMEOUT=${DRAIN_TIMEOUT:-600}
  METRICS_PORT=${METRICS_PORT:-8082}
  START_TIMEOUT=${START_TIMEOUT:-900} STALL_TIMEOUT=${STALL_TIMEOUT:-3}
  SMOKE_PROMPT=${SMOKE_PROMPT-Hello! How are you?} SMOKE_ANSWER=${SMOKE_ANSWER-}
  chat_template=${facts[chat_template]-} pre_tokenizer=${facts[pre_tokenizer]-} kv_cache=${facts[kv_cache]}
  mapfile -t extra_arguments < <(printf '%s' "${EXTRA_ARGS-}")

  require_whole PORT DRAIN_PORT METRICS_PORT CONTEXT_SIZE PARALLEL THREADS DRAIN_TIMEOUT START_TIMEOUT STALL_TIMEOUT
  HANG_TIMEOUT=${HANG_TIMEOUT:-$(hang_timeout "$(stat -c %s "$model")" "$THREADS")}
  require_whole HANG_TIMEOUT
  [[ $DRAIN_DELAY =~ ^(0|[1-9][0-9]{0,8})$ ]] || fail "DRAIN_DELAY=$DRAIN_DELAY: it should be a whole number"
  [[ $LOCK_MEMORY =~ ^(required|try|off)$ ]] || fail "LOCK_MEMORY=$LOCK_MEMORY: it should be required, try or off"
  ((CONTEXT_SIZE <= longest)) || fail "CONTEXT_SIZE=$CONTEXT_SIZE: this model's is at most $longest"
  ((PARALLEL <= $(max_parallel))) ||
    fail "PARALLEL=$PARALLEL: $ENGINE answers rightly at most $(max_parallel) at once; start more replicas instead"
}

require_whole() {
  local key
  for key in "$@"; do
    [[ ${!key} =~ ^[1-9][0-9]{0,8}$ ]] || fail "$key=${!key}: it should be a whole number of at least 1"
  done
}

# llama-server only warns when it cannot lock memory. The capability lifts the limit for whoever holds it.
check_lock() {
  local limit
  limit=$(ulimit -l)
  if [[ $LOCK_MEMORY == off || $limit == unlimited ]] || holds_ipc_lock; then return; fi
  if ((limit * 1024 >= $(stat -c %s "$model"))); then return; fi
  lock_failed "at most $limit kB may be locked" || exit 1
}

lock_failed() {
  local message="the model cannot be locked in memory ($1): add --cap-add IPC_LOCK --ulimit memlock=-1:-1"
  echo "bitnet-server: $message, or set LOCK_MEMORY=try to go on without" >&2
  [[ $LOCK_MEMORY == try ]]
}

# The build could not run what it compiled for another CPU. This is that CPU.
repeat_self_test() {
  if [[ ! -e $here/self-test/pending ]]; then return; fi
  # In the background: a trap waits for what is in the foreground.
  "$here/self-test.sh" llama-server "$here/self-test" &
  wait $!
}

serve() {
  local arguments server agent metrics state watcher status=0 told=false
  mapfile -t arguments < <(engine_arguments "$([[ $LOCK_MEMORY == off ]] || echo true)" "$chat_template" \
    "$pre_tokenizer" "$kv_cache")
  arguments+=(--model "$model" --alias "$MODEL_ALIAS" --host 0.0.0.0 --port "$PORT" --metrics
    --ctx-size $((CONTEXT_SIZE * PARALLEL)) --parallel "$PARALLEL" --threads "$THREADS"
    --threads-http 64 # each client that waits takes one, and /health needs one as well
    ${API_KEY_FILE:+--api-key-file "$API_KEY_FILE"})

  # Ahead of the server, which reads in small pieces and first makes room for them: up to a second less.
  cat "$model" >/dev/null &
  # In a session of its own, where a terminal's Ctrl-C comes to this script alone.
  setsid llama-server "${arguments[@]}" "${extra_arguments[@]}" "$@" &
  server=$!
  state=$(mktemp /dev/shm/agent.XXXXXX)
  echo down >"$state"
  perl "$here/agent.pl" "$DRAIN_PORT" "$state" &
  agent=$!
  perl "$here/metrics.pl" "$METRICS_PORT" "$server" &
  metrics=$!
  watch "$server" "$state" &
  watcher=$!
  trap 'told=true; trap "stop $server &" TERM; drain $server $state &' TERM
  trap 'told=true; echo drain >"$state"; stop $server &' INT

  # A signal ends `wait` as well.
  while status=0 && { wait "$server" || status=$?; } && kill -0 "$server" 2>/dev/null; do :; done

  kill "$watcher" "$agent" "$metrics" 2>/dev/null || true
  # Only if it ended the server itself has the watcher a status of its own.
  wait "$watcher" || if (($? == 1)); then status=1; fi
  # One engine exits well on SIGTERM, the other dies of it (143): either way it ended as it was told to.
  if $told && ((status == 143)); then status=0; fi
  rm -f "$state" "${API_KEY_FILE-}"
  exit "$status"
}

# By itself the server would first finish what it is doing.
stop() {
  kill -TERM "$1" 2>/dev/null || true
  sleep 2
  kill -KILL "$1" 2>/dev/null || true
}

# Lets HAProxy send its requests elsewhere, waits for the running ones, then stops the server.
drain() {
  local server=$1 state=$2 quiet=0 end=$((SECONDS + DRAIN_DELAY + DRAIN_TIMEOUT))
  # While the model loads there is nothing to finish.
  if [[ $(<"$state") == down ]] && ! "$here/ask.sh" 5 /health >/dev/null 2>&1; then
    echo drain >"$state"
    stop "$server"
    return
  fi
  sleep "$DRAIN_DELAY"
  echo drain >"$state"
  # Two quiet seconds: HAProxy asks every quarter of a second, and what it sent until then is still to come.
  while ((quiet < 8 && SECONDS < end)); do
    sleep 0.25
    if is_idle; then quiet=$((quiet + 1)); else quiet=0; fi
  done
  stop "$server"
}

is_idle() {
  local name value busy=0
  while read -r name value; do
    case $name in
    llamacpp:requests_processing | llamacpp:requests_deferred) busy=$((busy + ${value%.*})) ;;
    esac
  done < <("$here/ask.sh" 5 /metrics 2>/dev/null || echo llamacpp:requests_processing 1)
  ((busy == 0))
}

# Tells HAProxy when the model is loaded and has answered a question. Ends a server that could not lock the model,
# answers wrongly, or hangs: nobody restarts a container that is merely unhealthy.
watch() {
  local server=$1 state=$2 heard=$SECONDS
  until "$here/ask.sh" 5 /health >/dev/null 2>&1; do
    if ((SECONDS - heard >= START_TIMEOUT)); then
      end_at_once "$server" "llama-server has not answered for $((SECONDS - heard)) s"
    fi
    sleep 0.5
  done
  if [[ $LOCK_MEMORY != off ]] && ! is_locked "$server"; then
    lock_failed "llama-server locked only a part" || end_useless "$server"
  fi
  if ! first_answer $((START_TIMEOUT - (SECONDS - heard))); then
    sleep 0.5 # a server that crashed has a status of its own, and serve() ends this function meanwhile
    if [[ $(<"$state") == down ]]; then end_useless "$server"; fi
  fi
  # Unless it was told to drain meanwhile.
  if [[ $(<"$state") == down ]]; then echo up ready >"$state"; fi
  end_stuck "$server" "$state"
}

# Whatever else is right, a model with bad weights, or an engine that computes nonsense, shows only in an answer.
first_answer() {
  [[ -z $SMOKE_PROMPT ]] || perl "$here/ask-question.pl" "$(($1 > 1 ? $1 : 1))" "$SMOKE_PROMPT" "$SMOKE_ANSWER"
}

end_useless() {
  trap 'exit 1' TERM # the server's end is ours, too
  stop "$1"
  exit 1
}

# $1: the server, $2: why.
end_at_once() {
  echo "bitnet-server: $2; ending it" >&2
  kill -KILL "$1"
  exit 1
}

# Waits until the server makes no progress. HAProxy hears of it first.
end_stuck() {
  local reason
  reason=$(perl "$here/await-stall.pl" "$1" "$STALL_TIMEOUT" "$HANG_TIMEOUT")
  if [[ -z $reason ]]; then return; fi
  echo down >"$2"
  end_at_once "$1" "$reason"
}

# Not all of a file is loaded: the header stays out, a few MB of vocabulary.
is_locked() {
  local locked
  locked=$(sed -n 's/^VmLck:\s*\([0-9]*\) kB/\1/p' "/proc/$1/status")
  ((locked * 1024 >= $(stat -c %s "$model") * 9 / 10))
}

main "$@"
