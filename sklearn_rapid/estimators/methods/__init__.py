"""Methods of fitted estimators, a mixin each.

`likelihood` scores rows, `sampling` draws them, `completion` fills in missing entries, and
`conditional` gives the distribution of a column given the others.
"""
