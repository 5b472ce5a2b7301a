"""The cached task of stage ``laws``."""

from geocore.pipeline.laws import STAGE
from tasks.cached import cached_task

laws = cached_task(STAGE)
