"""How the authors' code trains models of patterns, where it departs from the text.

github.com/apozas/rapid: `SGD_xi` in rapid.py, and "MNIST training.ipynb".

- The positive phase, a sum over the images of a batch, is divided by the number of rows of the
  *first* batch, whatever the batch. 57,000 images of MNIST are seven batches of 8000 and one of
  1000, whose images so count an eighth (ten images of bars are three of 3 and one of 1), while
  the model's states count in full: once an epoch, the model is made to unlearn what it believes.
- On MNIST, Gibbs chains start at the patterns' values, between -1 and 1, not at their signs.
"""

from __future__ import annotations

from sklearn_rapid.training.negative_phase import NegativeStates, PatternInducedCorrelations
from sklearn_rapid.training.optimizers import SGD


class PublishedPhase(PatternInducedCorrelations):
    """Gibbs steps from the patterns; images of less than a whole batch count less.

    Twice the weight for the model's states and half a step are a positive phase of half the
    weight: this class does the one, `PublishedSGD` the other. Without a batch size neither does.
    (Weights that do not sum to one are for such steps only: no biases, `scaled=False`.)
    """

    def __init__(self, n_gibbs_steps=1, batch_size=8000, seeds="values"):
        super().__init__(n_gibbs_steps, persistent=False)
        self.batch_size = batch_size
        self.seeds = seeds

    def states(self, machine, data, chains, stream):
        """Where the steps lead, with weights if there are fewer images than in a whole batch."""
        start = machine.couplings.visible_patterns
        if self.seeds == "signs":
            start = machine.backend.sign(start)
        visible = machine.gibbs(start, self.n_gibbs_steps, stream)
        weights = None
        if self.batch_size and data.shape[0] < self.batch_size:
            equal = machine.backend.equal_weights(visible.shape[0], visible.dtype)
            weights = self.batch_size / data.shape[0] * equal
        return NegativeStates(visible, weights), chains


class PublishedSGD(SGD):
    """Plain gradient ascent, the last step of an epoch in proportion to its batch."""

    def __init__(self, n_rows=57_000, batch_size=8000):
        super().__init__(scaled=False)
        self.n_rows = n_rows
        self.batch_size = batch_size

    def init(self, parameters, xp):
        """No update yet."""
        return {"n_updates": 0}

    def direction(self, gradient, state, xp):
        """The gradient; after the last batch of an epoch, its share of a whole one's."""
        n_updates = state["n_updates"] + 1
        if self.batch_size is None:
            return gradient, {"n_updates": n_updates}
        n_whole, n_last = divmod(self.n_rows, self.batch_size)
        if n_last and n_updates % (n_whole + 1) == 0:
            share = n_last / self.batch_size
            gradient = {name: share * g for name, g in gradient.items()}
        return gradient, {"n_updates": n_updates}
