"""What the figures of handwritten digits measure: likelihoods, and what samples look like."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

N_CHAINS, N_TEMPERATURES, QUICK_TEMPERATURES = 100, 1000, 500
N_ROWS = 10_000


def bound_on_log_z(model):
    """log of Z's terms, summed over the patterns and where ten Gibbs steps from them lead."""
    seeds = (model.visible_patterns_ >= 0).astype(np.uint8)
    states = np.unique(np.concatenate([seeds, model.gibbs(seeds, 10, random_state=0)]), axis=0)
    return np.logaddexp.reduce(-model.free_energy(states))


def estimate_log_z(model, digits):
    """log Z by annealed importance sampling, with its error and effective sample size."""
    n_temperatures = N_TEMPERATURES if digits.name == "mnist" else QUICK_TEMPERATURES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the effective sample size is printed
        return model.log_partition("ais", n_chains=N_CHAINS, n_temperatures=n_temperatures)


def likelihoods(model, digits):
    """Negative log-likelihoods of training and test images, and how far to believe them."""
    log_z = estimate_log_z(model, digits)
    energies = {
        "train": model.free_energy(digits.X[:N_ROWS]).mean(),
        "test": model.free_energy(digits.X_test).mean(),
    }
    return {
        **{split: energy + log_z.value for split, energy in energies.items()},
        "test at least": energies["test"] + bound_on_log_z(model),
        "error": log_z.error,
        "effective": log_z.effective_sample_size,
    }


def stuck_share(model, X):
    """Share of hidden units whose mean is the same for all images, to a hundredth of a spin."""
    return np.mean(model.transform(X).std(axis=0) < 0.005)  # of means between 0 and 1


def independent_pixels(digits):
    """Negative log-likelihood of test images by the training images' means of the pixels."""
    on = (digits.X.sum(axis=0) + 1.0) / (len(digits.X) + 2.0)
    log_p = digits.X_test * np.log(on) + (1.0 - digits.X_test) * np.log1p(-on)
    return -log_p.sum(axis=1).mean()


class Judge:
    """Tells of images which real one is nearest, what digit it is, and how far away."""

    def __init__(self, digits):
        classifier = KNeighborsClassifier(1, algorithm="brute")
        self.classifier = classifier.fit(digits.X.astype(np.float32), digits.y)
        self.labels = digits.y
        test = digits.X_test[:1000]
        classes, pixels = self(test)
        print(
            f"nearest training image: {np.mean(classes == digits.y_test[:1000]):.1%} of test "
            f"images have its class, and differ from it in {np.median(pixels):.0f} pixels (median)"
        )

    def __call__(self, images):
        """Class of the nearest training image, and in how many pixels each differs from it."""
        distance, nearest = self.classifier.kneighbors(np.asarray(images, dtype=np.float32))
        return self.labels[nearest[:, 0]], np.rint(distance[:, 0] ** 2).astype(int)


def on_dark(model, images):
    """Images, and of a model without biases the negatives of those that are mostly on.

    To such a model an image and its negative are equally likely; MNIST has dark backgrounds.
    """
    if model.fit_intercept:
        return images
    mostly_on = images.mean(axis=-1, keepdims=True) > 0.5
    return np.where(mostly_on, 1 - images, images)
