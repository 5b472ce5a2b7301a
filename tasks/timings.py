"""The cached task of stage ``timings``."""

from geocore.pipeline.timings import STAGE
from tasks.cached import cached_task

timings = cached_task(STAGE)
