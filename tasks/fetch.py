"""The cached task of stage ``fetch``."""

from geocore.pipeline.fetch import STAGE
from tasks.cached import cached_task

fetch = cached_task(STAGE)
