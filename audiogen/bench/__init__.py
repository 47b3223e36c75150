"""Speed of audiogen beside its alternatives, measured in turn on this machine.

`audiogen bench` prints it; no test depends on it.
"""

from audiogen.bench.compare import Job, Race, Result, Skipped, machine, run
from audiogen.bench.jobs import JOBS

__all__ = ["JOBS", "Job", "Race", "Result", "Skipped", "machine", "run"]
