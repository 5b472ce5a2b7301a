"""The cached task of stage ``resample``."""

from geocore.pipeline.resample import STAGE
from tasks.cached import cached_task

resample = cached_task(STAGE)
