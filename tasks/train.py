"""The cached task of stage ``train``."""

from geocore.pipeline.train import STAGE
from tasks.cached import cached_task

train = cached_task(STAGE)
