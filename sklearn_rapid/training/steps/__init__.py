"""How far an update goes: its length, penalties, projections, scales of real columns."""
