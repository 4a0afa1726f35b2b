#!/bin/bash
#SBATCH --job-name=albench
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --time=08:00:00
#SBATCH --exclusive
#SBATCH --requeue

# Usage: sbatch slurm.sh grid.yaml. Submitted again, it goes on where it was.
set -euo pipefail
grid=${1:?usage: sbatch slurm.sh GRID}

source "$HOME/albench-env/bin/activate" # a folder that all nodes see, with albench in it

export RAY_AUTH_MODE=token # Ray's programs then ask for ~/.ray/auth_token, which all nodes see too
[ -s "$HOME/.ray/auth_token" ] || (umask 077 && ray get-auth-token --generate >/dev/null)

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(echo "$nodes" | head -n 1)

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" --include-dashboard=false -- \
    albench run --grid "$grid" --address auto --mlflow off
