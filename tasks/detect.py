"""The cached task of stage ``detect``."""

from geocore.pipeline.detect import STAGE
from tasks.cached import cached_task

detect = cached_task(STAGE)
