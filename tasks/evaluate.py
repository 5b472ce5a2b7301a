"""The cached task of stage ``evaluate``."""

from geocore.pipeline.evaluate import STAGE
from tasks.cached import cached_task

evaluate = cached_task(STAGE)
