"""How the cost of constructions is measured."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from geocore.config.section import Section

__all__ = ["TimingsParams"]


class TimingsParams(Section):
    """``timings``: samples at once, and how often each construction is timed."""

    title: ClassVar[str] = "timings"

    batch: int = Field(ge=1, le=1024, description="samples that go forward and back at once")
    repeats: int = Field(ge=1, le=1000, description="timings, of which the median is told")
