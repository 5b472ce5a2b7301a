"""The cached task of stage ``synthesize``."""

from geocore.pipeline.synthesize import STAGE
from tasks.cached import cached_task

synthesize = cached_task(STAGE)
