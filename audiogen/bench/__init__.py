"""Speed, side by side with what a user would write otherwise, on the machine at hand.

`audiogen bench` prints it; nothing here decides whether a test passes.
"""

from audiogen.bench.compare import Race, Result, Skipped, machine, run
from audiogen.bench.jobs import JOBS

__all__ = ["JOBS", "Race", "Result", "Skipped", "machine", "run"]
