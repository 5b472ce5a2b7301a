"""The cached task of stage ``cost``."""

from geocore.pipeline.cost import STAGE
from tasks.cached import cached_task

cost = cached_task(STAGE)
