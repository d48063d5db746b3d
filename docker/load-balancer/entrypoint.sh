#!/bin/sh
# Runs HAProxy with haproxy.cfg, which says what the environment has to hold.
set -eu
config=/usr/local/etc/haproxy/haproxy.cfg
# The certificate comes once the container runs, by install-certificate.pl, and stays for its next start. One that HAProxy
# does not take is waited out: another one may come.
trap 'exit 0' USR1 TERM
until [ -z "${TLS-}" ] || { [ -s "$TLS" ] && haproxy -c -q -f "$config"; }; do sleep 0.5; done
exec haproxy -db -f "$config"
