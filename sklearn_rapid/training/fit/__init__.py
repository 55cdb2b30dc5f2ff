"""A fit, from rows of X to a trained machine.

`plan` is what an estimator asks of it. Read `fit` (epochs, callbacks, early ends), `starts` (where
it starts) and `run` (a fit in progress). `batches` chooses rows, `progress` keeps what resuming
takes, `stream` divides the rows of `partial_fit` into epochs, `verdict` estimates likelihoods of
rows set aside, `independent` compares with independent columns, `settings` makes objects of
parameters.
"""
