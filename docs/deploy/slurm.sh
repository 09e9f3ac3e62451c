#!/bin/bash
# A scoring run on Slurm: one Ray node per Slurm node, the driver on the first.   sbatch slurm.sh
# Submitted again, also after a time-out, it continues: all progress is in the run.
#SBATCH --job-name=coursepack
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

POOL=/shared/pool RUN=/shared/run
PORT=$((20000 + SLURM_JOB_ID % 10000))

# A token of this job's own, readable by its owner alone; srun hands the path on, not the token.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$HOME/.coursepack-token-$SLURM_JOB_ID
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

mapfile -t NODES < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
HEAD=${NODES[0]}
ADDRESS=$(srun --nodes=1 --ntasks=1 -w "$HEAD" hostname --ip-address | awk '{print $1}')

srun --nodes=1 --ntasks=1 --overlap -w "$HEAD" \
    ray start --head --block --node-ip-address="$ADDRESS" --port="$PORT" &
for NODE in "${NODES[@]:1}"; do
    srun --nodes=1 --ntasks=1 --overlap -w "$NODE" \
        ray start --block --address="$ADDRESS:$PORT" &
done

# Until every node has joined, the doctor says what is missing.
for _ in $(seq 60); do
    JOINED=$(srun --nodes=1 --ntasks=1 --overlap -w "$HEAD" ray status 2> /dev/null \
        | grep -c '^ 1 node_' || test $? -eq 1)
    [ "$JOINED" -ge "$SLURM_JOB_NUM_NODES" ] && break
    sleep 5
done

RUN_ON_HEAD=(srun --nodes=1 --ntasks=1 --overlap -w "$HEAD")
"${RUN_ON_HEAD[@]}" coursepack doctor "$RUN" --address "$ADDRESS:$PORT"
"${RUN_ON_HEAD[@]}" coursepack score "$POOL" --teacher torchvision/resnet34 \
    --weights /shared/resnet34.safetensors --out "$RUN" --address "$ADDRESS:$PORT" &
SCORE=$!
# Slurm's warning before the time-out: score commits what is done and gives the lock back.
trap 'kill -TERM $SCORE' TERM
wait $SCORE
