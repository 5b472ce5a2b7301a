"""Wiring: which task after which, with what parameters. No mathematics, no file formats."""

from tasks.environment import settle

settle()
