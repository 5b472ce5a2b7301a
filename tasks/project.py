"""The cached task of stage ``project``."""

from geocore.pipeline.project import STAGE
from tasks.cached import cached_task

project = cached_task(STAGE)
