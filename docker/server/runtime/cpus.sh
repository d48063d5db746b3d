#!/bin/bash
# What the CPUs offer. ROOT: the folder that holds /proc and /sys; tests have their own.
# usage: cpus.sh cores ROOT          the number of threads that compute fastest
#        cpus.sh missing LIST ROOT   which instruction sets of the file LIST, one line of names, this CPU lacks
set -euo pipefail

# The physical cores that we may run on (a second hyperthread of a core shares its multipliers), and no more than the CPU time that the container's cgroup grants. Never less than 1.
usable_cores() {
  local root=$1 cores quota
  cores=$(allowed_cpus "$root" | while read -r cpu; do
    cat "$root/sys/devices/system/cpu/cpu$cpu/topology/thread_siblings_list" 2>/dev/null || echo "$cpu"
  done | sort -u | wc -l)
  quota=$(cpu_quota "$root")
  if [[ -n $quota ]] && ((quota < cores)); then cores=$quota; fi
  echo $((cores > 1 ? cores : 1))
}

# One number a line, of the CPUs that this process is allowed on: a list like 0-3,8 in /proc/self/status.
allowed_cpus() {
  local name list range ranges
  while read -r name list; do
    if [[ $name == Cpus_allowed_list: ]]; then
      IFS=, read -ra ranges <<<"$list"
      for range in "${ranges[@]}"; do seq "${range%-*}" "${range#*-}"; done
    fi
  done <"$1/proc/self/status"
}

# The whole CPUs' worth of time that the cgroup grants, rounded down; nothing where it sets no limit.
cpu_quota() {
  local quota=max period=1 folder
  if [[ -r $1/sys/fs/cgroup/cpu.max ]]; then # cgroup v2
    read -r quota period <"$1/sys/fs/cgroup/cpu.max"
  else
    for folder in "$1"/sys/fs/cgroup/{cpu,cpu\,cpuacct}; do # v1
      if [[ -r $folder/cpu.cfs_quota_us ]]; then
        read -r quota <"$folder/cpu.cfs_quota_us"
        read -r period <"$folder/cpu.cfs_period_us"
        break
      fi
    done
  fi
  if [[ $quota =~ ^[0-9]+$ ]]; then echo $((quota / period)); fi
}

missing_instructions() {
  local list=$1 root=$2 has needed flag missing=()
  has=" $(grep -m1 -E '^(flags|Features)' "$root/proc/cpuinfo" | cut -d: -f2) "
  read -ra needed <"$list" || true
  for flag in "${needed[@]}"; do
    [[ $has == *" $flag "* ]] || missing+=("$flag")
  done
  echo "${missing[*]}"
}

case $1 in
cores) usable_cores "$2" ;;
missing) missing_instructions "$2" "$3" ;;
esac
