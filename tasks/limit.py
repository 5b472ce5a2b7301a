"""The cached task of stage ``limit``."""

from geocore.pipeline.limit import STAGE
from tasks.cached import cached_task

limit = cached_task(STAGE)
