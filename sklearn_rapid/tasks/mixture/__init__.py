"""A mixture of machines that rows set aside choose.

`views` says how machines see the columns of a table, `groups` finds columns that exclude each
other, `candidates` which machines are tried and what they cost, `members` is one of them, fitted,
`search` tries them, `weights` weighs them, `mixture` is what they make together, and `fitting` does
all of this in turn.
"""
