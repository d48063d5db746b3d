#!/bin/sh
# Runs HAProxy with haproxy.cfg, which says what the environment has to hold.
set -eu
# HAProxy reads certificates from files; /run is in memory.
if [ -n "${TLS_PEM-}" ]; then
  (umask 077 && printf '%s\n' "$TLS_PEM" >/run/tls.pem)
  unset TLS_PEM
  export TLS=on
fi
exec haproxy -db -f /usr/local/etc/haproxy/haproxy.cfg
