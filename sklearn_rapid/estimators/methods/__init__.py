"""Methods of fitted estimators, a mixin each.

`rows` applies functions to rows. `likelihood` scores them, `sampling` draws them, `completion`
fills in missing entries, and `conditional` gives the distribution of a column given the others.
"""
