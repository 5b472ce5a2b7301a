"""The cached task of stage ``ntk``."""

from geocore.pipeline.ntk import STAGE
from tasks.cached import cached_task

ntk = cached_task(STAGE)
