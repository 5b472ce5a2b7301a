"""The cached task of stage ``ensemble``."""

from geocore.pipeline.ensemble import STAGE
from tasks.cached import cached_task

ensemble = cached_task(STAGE)
