"""What a user sees: `RBM`, `RARBM`, `DBM`, `RADBM`, `RABM`.

A module for each class has its parameters and its documentation. What they share is in `base` (fit,
partial_fit, transform), `likelihood`, `sampling`, `input` (validating X), `latent` and `deep`
(units beside the columns of X), `fitted` (what a fitted model is made of, checked) and `parameters`
(parameters documented once).
"""
