"""A fit, from rows of X to a trained machine.

Read `fit` (epochs, callbacks, what ends training), `starts` (where it starts) and `run` (a fit
under way). `batches` chooses rows, `progress` keeps what it takes to go on later, `stream` is
`partial_fit`, `verdict` estimates likelihoods of rows set aside, `independent` compares with
independent columns, `settings` makes objects of parameters.
"""
