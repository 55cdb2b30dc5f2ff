"""The columns of X: encode rows as states of visible units, and decode states.

`frames` reads data frames and builds them; `columns` and `first_columns` find the kinds of columns
by `kinds`, and their numbers. `table` holds the columns of X. `spins`, `reals` and `categories`
encode kinds, `mixed` puts kinds side by side, `latent` appends units that no column shows.
`features` are those of hidden units; `missing` finds missing entries; `settings` are parameters.
"""
