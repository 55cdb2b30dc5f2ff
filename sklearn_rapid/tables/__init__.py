"""What the columns of X mean: X to states of visible units, and back.

`spins` reads binary columns and is the model for `reals` and `categories`; `kinds` puts columns of
several kinds side by side; `gaps` finds entries that are missing.
"""
