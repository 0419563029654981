#!/usr/bin/env bash
# Two machines of eight GPUs under Slurm; the folder of the run lies where all see it, or on the first one alone:
#   sbatch recipes/launch/slurm.sh recipes/spam.py --train_file train.csv --output_dir runs/spam --resume_from_checkpoint auto
# Two minutes before its time is over the run is told to stop: it saves, is queued again, and goes on from there.
#SBATCH --job-name=llmtune
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -euo pipefail
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p) # not head: it would end the pipe early, and pipefail the job
export FIRST_HOST=$first
# Each task knows its own SLURM_NODEID only where it runs: single quotes.
srun bash -c 'exec accelerate launch --config_file recipes/accelerate/multi_node.yaml \
    --num_machines "$SLURM_NNODES" --num_processes "$((SLURM_NNODES * SLURM_GPUS_ON_NODE))" \
    --machine_rank "$SLURM_NODEID" --main_process_ip "$FIRST_HOST" "$@"' llmtune "$@"
