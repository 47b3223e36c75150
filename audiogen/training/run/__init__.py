"""What every training has: the loop, checkpoints, the log and its report, processes."""
