"""
A tour in ten minutes
=====================

Text.
"""

print(1)
