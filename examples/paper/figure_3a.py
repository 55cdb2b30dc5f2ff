"""
Figure 3a: reconstruction of training images
============================================

The paper's claim: all ways of training a standard RBM memorize the training images about
equally well; RAPID does so orders of magnitude earlier, counted in epochs.

Measured here, in training on 4 x 4 bars: the share of wrong pixels in images of which the first
row was given and the rest set to 0. By the text the given row is kept through Gibbs steps (ten
here; coins score 0.375); the published script takes one step in which that row may change too
(coins: 0.5). Both are shown. RAPID's couplings are so large that its spins hardly fluctuate, a
standard RBM's are not: CD-10 is also shown with W ten times as large as trained.

Printed beside them: the mean log-likelihood of the images, exact (-log 10 = -2.3 nats is the best
for training images alone, fair coins have -11.1), and variants: RAPID with the hidden part of its
negative phase from the patterns (equation 6 to the letter), the published split instead of random
ones, and Adam as the published scripts have it.

Settings as for figure 2a, whose runs these are; 100 reconstructions of each image.

    python examples/paper/figure_3a.py [--quick] [--seeds N] [--save FILE]
"""

from paper import options
from reconstruction import draw

if __name__ == "__main__":
    draw(options(__doc__, seeds=20), "train")
