#!/bin/sh
# Runs HAProxy with the configuration in HAPROXY_CONFIG, which may refer to other variables as "${NAME}".
set -eu
printf '%s\n' "${HAPROXY_CONFIG:?is not set}" >/run/haproxy.cfg
unset HAPROXY_CONFIG
exec haproxy -db -f /run/haproxy.cfg
