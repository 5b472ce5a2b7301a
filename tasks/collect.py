"""The cached task of stage ``collect``."""

from geocore.pipeline.collect import STAGE
from tasks.cached import cached_task

collect = cached_task(STAGE)
