#!/bin/bash
# What an instance does at its first boot; the ECS agent starts after it. components/aws/cluster/userData.ts fills in the name.
set -euo pipefail
cat >/etc/ecs/ecs.config <<'END'
ECS_CLUSTER=@CLUSTER@
# Containers get no role from the instance's metadata service.
ECS_AWSVPC_BLOCK_IMDS=true
# At a spot notice the task is drained: it has two minutes.
ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
END
# 1.2 GB of weights are 600 entries of the page tables instead of 300,000, if they are in pages of 2 MB; at every boot.
echo 'w /sys/kernel/mm/transparent_hugepage/enabled - - - - always' >/etc/tmpfiles.d/bitnet-server.conf
systemd-tmpfiles --create /etc/tmpfiles.d/bitnet-server.conf
