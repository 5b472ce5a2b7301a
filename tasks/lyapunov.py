"""The cached task of stage ``lyapunov``."""

from geocore.pipeline.lyapunov import STAGE
from tasks.cached import cached_task

lyapunov = cached_task(STAGE)
