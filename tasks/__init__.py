"""One cached Prefect task a verb: thin wrappers around the stages of ``geocore.pipeline``."""

from tasks.environment import settle

settle()
