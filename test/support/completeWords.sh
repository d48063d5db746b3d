#!/usr/bin/env bash
# Completes the words that it is given, as bash does at Tab, with the script on standard input. Prints the options that the
# script sets, then each completion, a line each. The function stands in for the package bash-completion, which may be missing.
# shellcheck disable=SC2034,SC2317
set -euo pipefail

_get_comp_words_by_ref() {
  words=("${COMP_WORDS[@]}")
  cword=$COMP_CWORD
  cur=${words[cword]}
  prev=${words[cword - 1]}
}
# Bash's own refuses to work outside a completion.
compopt() { echo "compopt $*"; }

eval "$(cat)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
__bitnet_server_complete
printf '%s\n' "${COMPREPLY[@]}"
