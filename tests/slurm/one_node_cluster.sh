#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, on loopback: slurmctld, slurmd and munged of its own, all files in FOLDER.
#
#   tests/slurm/one_node_cluster.sh FOLDER
#
# Prints "ready", with SLURM_CONF=FOLDER/slurm.conf the cluster's commands work, and it runs until its standard input
# ends. Then, and whatever happens, it cancels the jobs and stops its daemons. To be run as root; needs Debian's
# packages slurm-wlm and munge. Three jobs run at once, whatever the number of cores.
set -euo pipefail
folder=$(realpath "$1")
host=$(hostname -s)
chmod 755 "$folder"
mkdir -p "$folder/state" "$folder/spool"
export SLURM_CONF="$folder/slurm.conf"
read -r controller_port node_port < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')

cat > "$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
KillWait=1
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=3 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=60 State=UP
CONF
touch "$folder/cgroup.conf"
dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
chmod 400 "$folder/munge.key"

daemons=()
stop() {
    trap - EXIT INT TERM
    scancel --state=RUNNING --state=PENDING >/dev/null 2>&1 || true
    scancel --signal=KILL --user=root >/dev/null 2>&1 || true
    for _ in $(seq 20); do
        [ -z "$(squeue --noheader 2>/dev/null)" ] && break
        sleep 0.5
    done
    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
        kill "${daemons[i]}" 2>/dev/null || true
        wait "${daemons[i]}" 2>/dev/null || true
    done
}
trap stop EXIT
trap 'exit 1' INT TERM

munged --foreground --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --seed-file="$folder/munged.seed" --log-file="$folder/munged.log" \
    >"$folder/munged.out" 2>&1 </dev/null &
daemons+=($!)
for _ in $(seq 50); do
    [ -S "$folder/munge.socket" ] && break
    sleep 0.1
done
slurmctld -D >"$folder/slurmctld.out" 2>&1 </dev/null &
daemons+=($!)
slurmd -D -N "$host" >"$folder/slurmd.out" 2>&1 </dev/null &
daemons+=($!)
for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
        echo ready
        cat >/dev/null
        exit 0
    fi
    sleep 0.5
done
echo "the node did not come up:" >&2
tail -n 20 "$folder"/*.out "$folder"/*.log >&2
exit 1
