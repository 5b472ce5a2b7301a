"""The cached task of stage ``spheres``."""

from geocore.pipeline.spheres import STAGE
from tasks.cached import cached_task

spheres = cached_task(STAGE)
