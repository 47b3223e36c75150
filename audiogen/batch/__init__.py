"""Many renders at once: jobs over scores, presets and seeds, on all cores or on a cluster."""

from audiogen.batch.job import Job, Rendered, render_job
from audiogen.batch.pool import run
from audiogen.batch.table import read_jobs

__all__ = ["Job", "Rendered", "read_jobs", "render_job", "run"]
