"""Parts common to all trainings: the loop, checkpoints, the log and its report, processes."""
