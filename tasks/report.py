"""The cached task of stage ``report``."""

from geocore.pipeline.report import STAGE
from tasks.cached import cached_task

report = cached_task(STAGE)
