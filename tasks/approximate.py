"""The cached task of stage ``approximate``."""

from geocore.pipeline.approximate import STAGE
from tasks.cached import cached_task

approximate = cached_task(STAGE)
