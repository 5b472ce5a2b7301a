"""The cached task of stage ``orbits``."""

from geocore.pipeline.orbits import STAGE
from tasks.cached import cached_task

orbits = cached_task(STAGE)
