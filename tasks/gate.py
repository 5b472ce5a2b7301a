"""The cached task of stage ``gate``."""

from geocore.pipeline.gate import STAGE
from tasks.cached import cached_task

gate = cached_task(STAGE)
