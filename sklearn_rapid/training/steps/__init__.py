"""The step of an update: its length, penalties, projections, scales of real columns."""
