"""Encode real columns: standardised, by a map to normal scores, or with spikes beside the rest.

Read `moments`, `gaussian`, `maps`, `mapped`, `spiked`.
"""
