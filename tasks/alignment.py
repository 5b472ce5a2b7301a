"""The cached task of stage ``alignment``."""

from geocore.pipeline.alignment import STAGE
from tasks.cached import cached_task

alignment = cached_task(STAGE)
