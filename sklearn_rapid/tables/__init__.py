"""The columns of X: encode rows as states of visible units, and decode states.

`table` holds the columns of X, of one or several `kinds`. `spins`, `reals` and `categories` encode
a kind each, `mixed` puts kinds side by side, `latent` appends units that no column shows.
`features` are those of hidden units; `missing` finds missing entries.
"""
