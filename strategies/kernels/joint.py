"""What the labels of several rows say together, from the passes of a model, numpy or tensor alike.

Given the model, labels are independent: the joint probability of labels is the mean over the K passes of their
products. Axes: K passes, b rows of a block, C classes, M targets, m configurations (one label for each picked row).
Probabilities in single precision sum to 1 only within 1e-7, which is more than some labels tell: all is computed in
double precision, from passes that are brought to a sum of 1 again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from ...benchmark.types import Array, Features, Floats
from .distances import blocks
from .scores import entropy, without_rounding

ENTRIES = 2**15
"""Numbers of a joint distribution that are held at once: so few that they stay in the processor's cache."""

SINGLE = 2**16  # the same where they are in single precision
TANGENTS = 256  # points, one of which is near to what any class of a row may be
NEARLY = 2e-5  # nats, more than single precision loses
LEAST = 1e-30  # beside which nothing is lost, and 0 has a logarithm


def information_on_targets(passes: Array, targets: Array) -> Array:
    """Return the mean over targets (K, M, C) of I(label of the row; label of the target), (b,) float64.

    Each joint distribution (C, C) is the mean over the passes of products; cost O(b M C^2 K). (EPIG, equation 5 for
    a sample of targets.)
    """
    xp = array_namespace(passes)
    targets = _normalised(xp.asarray(targets, device=device(passes), copy=True))  # torch takes nothing read-only
    K, M, C = targets.shape
    of_target = xp.mean(entropy(xp.mean(targets, axis=0)))
    pairs = max(1, ENTRIES // C**2)
    found = []
    for rows in blocks(passes.shape[1], max(1, pairs // M)):
        p = _normalised(passes[:, rows, :])
        together = 0.0
        for part in blocks(M, pairs):
            joint = _products(p, xp.reshape(targets[:, part, :], (K, -1))) / K  # (b, C * M * C)
            together = together + entropy(joint)
        found.append(entropy(xp.mean(p, axis=0)) + of_target - together / M)
    return without_rounding(xp.concat(found))


def information_nearly(passes: Array, targets: Array) -> Array:
    """Return `information_on_targets` in single precision, (b,) float64: several times as fast, within `NEARLY`.

    The divergence of the joint distribution from independence, sum p p* r log r for r = mean_k (p_k / p) (p*_k / p*):
    near independence r is near 1, and nothing large is subtracted.
    """
    xp = array_namespace(passes)
    of_target, mean = _ratios(_normalised(xp.asarray(targets, device=device(passes), copy=True)))
    of_target, weight = xp.astype(of_target, xp.float32), xp.astype(mean / len(mean), xp.float32)
    M, C = mean.shape
    found = []
    for rows in blocks(passes.shape[1], max(1, SINGLE // C**2 // M)):
        ratios, mean = _ratios(_normalised(passes[:, rows, :]))
        ratios = xp.astype(ratios / len(passes), xp.float32)
        told = 0.0
        for part in blocks(M, max(1, SINGLE // C**2)):
            r = _products(ratios, xp.reshape(of_target[:, part, :], (len(passes), -1)))
            r = xp.reshape(r * xp.log(r + LEAST), (ratios.shape[1] * C, -1))
            told = told + r @ xp.reshape(weight[part, :], (-1,))
        found.append(xp.sum(mean * xp.reshape(xp.astype(told, xp.float64), mean.shape), axis=1))
    return xp.concat(found)


class Tangents(NamedTuple):
    """F, the information on targets as a function of a class of a row, where that is known: R points.

    A class is u (K,), the passes' probabilities over their mean, and a row's information is the mean of F over its
    classes. F(u) = mean over the targets' classes v, by their probabilities, of r log r - r + 1 for r = mean u v.
    """

    points: Floats  # (R, K)
    values: Floats  # (R,)
    slopes: Floats  # (R, K)
    bends: Floats  # (R, K * K)


def tangents(targets: NDArray[np.floating[Any]]) -> Tangents:
    """Return F for the targets' passes (K, M, C), at the means of some groups of their classes and at independence."""
    v, mean = _ratios(_normalised(targets))
    some = mean.ravel() > 0
    v, chance = v.reshape(len(v), -1).T[some], mean.ravel()[some] / targets.shape[1]
    independent = np.ones((1, v.shape[1]))
    points = np.vstack([independent, v[:: -(-len(v) // TANGENTS)]])
    for _ in range(3):  # Lloyd's; any points will do
        near = _nearest(v, points)
        members = np.bincount(near, minlength=len(points))[:, None]
        sums = np.zeros_like(points)
        np.add.at(sums, near, v)
        points = np.vstack([independent, np.where(members, sums / np.maximum(members, 1), points)[1:]])
    points = 0.98 * points + 0.02  # F has no tangent where a target's class is impossible
    r = points @ v.T / v.shape[1]
    squares = (v[:, :, None] * v[:, None, :]).reshape(len(v), -1)
    return Tangents(
        points,
        (r * np.log(r) - r + 1) @ chance,
        (np.log(r) * chance) @ v / v.shape[1],
        (chance / r) @ squares / squares.shape[1],
    )


def information_at_most(passes: Array, known: Tangents) -> Array:
    """Return a bound on `information_on_targets`, (b,) float64, that is a few hundredths above it as a rule.

    From the point c that is nearest to u, F(u) <= F(c) + F'(c) (u - c) + s (u - c)' B (u - c) with B the mean of
    v v' / r over the targets' classes: r log r lies above its tangent at r(c) by at most s (r - r(c))² / r(c), with s
    between 1/2 and 1 falling in r / r(c), and r / r(c) is at least the least u / c. At independence alone this is s
    chi². Cost O(b C K (R + K)).
    """
    xp = array_namespace(passes)
    points, values, slopes, bends = (xp.asarray(part, device=device(passes)) for part in known)
    K, _, C = passes.shape
    found = []
    for rows in blocks(passes.shape[1], max(1, 8 * ENTRIES // max(len(points), K * K) // C)):
        ratios, mean = _ratios(_normalised(passes[:, rows, :]))
        u = xp.reshape(ratios, (K, -1)).T
        near = _nearest(u, points)
        c = xp.take(points, near, axis=0)
        away, share = u - c, xp.clip(xp.min(u / c, axis=1), LEAST, 0.9)  # above, s is 1/2 within 0.02
        s = (share * xp.log(share) - share + 1) / (1 - share) ** 2
        bend = xp.reshape(xp.take(bends, near, axis=0), (-1, K, K)) @ away[:, :, None]
        slope = xp.take(slopes, near, axis=0) + s[:, None] * bend[:, :, 0]
        above = xp.take(values, near, axis=0) + xp.sum(slope * away, axis=1)
        found.append(xp.sum(mean * xp.reshape(above, mean.shape), axis=1))
    return without_rounding(xp.concat(found))


def information_beyond(passes: Array, configurations: Floats) -> Array:
    """Return what the label of each row (K, b, C) says of the model beyond the labels of picked rows, (b,) float64.

    ``configurations`` (m, K) hold the probability of each configuration of the picked rows' labels and each pass;
    their sum is 1. It is I(label; model | labels of the picked rows): BatchBALD's gain (its equation 8 with and
    without the row), and so at least 0, whichever configurations stand for the others. Cost O(b C m K).
    """
    return information_of(*distributions(passes), configurations)


def distributions(passes: Array) -> tuple[Array, Array]:
    """Return the passes (K, b, C) in double precision, their sums 1, and their entropies (K, b)."""
    p = _normalised(passes)
    return p, array_namespace(p).stack([entropy(p[k, ...]) for k in range(len(p))])


def information_of(p: Array, entropies: Array, configurations: Floats) -> Array:
    """Return `information_beyond` of what `distributions` returns, for those who ask about the same rows again."""
    xp = array_namespace(p)
    weights = xp.asarray(configurations, device=device(p))
    before = entropy(xp.sum(weights, axis=1))
    found = []
    for rows in blocks(p.shape[1], max(1, ENTRIES // (p.shape[2] * len(weights)))):
        found.append(entropy(_products(p[:, rows, :], weights.T)) - before)
    return without_rounding(xp.concat(found) - xp.sum(weights, axis=0) @ entropies)


def merged(configurations: Floats, n: int) -> Floats:
    """Return at most ``n`` configurations, each the sum of some (m, K) after which the passes are about as likely.

    Who is told only in which of them the labels are knows less: what another label says beyond is at least as much.
    """
    if len(configurations) <= n:
        return configurations
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - time that only this should pay

    after = np.sqrt(configurations / configurations.sum(axis=1, keepdims=True))
    group = fcluster(linkage(after, "ward"), n, "maxclust") - 1
    sums: Floats = np.zeros((group.max() + 1, configurations.shape[1]))
    np.add.at(sums, group, configurations)
    return sums


def with_label(configurations: Floats, p: Features, limit: int, rng: np.random.Generator) -> Floats:
    """Return the configurations (m, K) of the picked rows and one more, whose passes are ``p`` (K, C).

    They are all that are possible as long as these are at most ``limit``. Beyond, ``limit`` of them are drawn by
    their probability, one from each of as many equal shares of it, and stand for the others.
    """
    longer: Floats = (configurations[:, None, :] * _normalised(p).T).reshape(-1, len(p))
    longer = longer[longer.any(axis=1)]  # a class without labels makes no configurations
    if len(longer) <= limit:
        return longer
    chance = longer.sum(axis=1)
    ends = np.cumsum(chance)
    shares = (np.arange(limit) + rng.random(limit)) / limit
    drawn = np.searchsorted(ends[:-1], shares * ends[-1], side="right")
    found: Floats = longer[drawn] / (chance[drawn, None] * limit)
    return found


def _normalised(passes: Array) -> Array:
    xp = array_namespace(passes)
    p = xp.astype(passes, xp.float64)
    return p / xp.sum(p, axis=-1, keepdims=True)


def _ratios(p: Array) -> tuple[Array, Array]:
    """Return passes p (K, b, C) over their mean, and it (b, C)."""
    xp = array_namespace(p)
    mean = xp.mean(p, axis=0)
    return p / xp.where(mean > 0, mean, 1.0), mean


def _nearest(u: Array, points: Array) -> Array:
    """Return which of the points (R, K) is nearest to each u (P, K), by their square roots."""
    xp = array_namespace(u)
    roots, others = (xp.astype(xp.sqrt(x), xp.float32) for x in (u, points))
    return xp.argmax(roots @ others.T - xp.sum(others**2, axis=1) / 2, axis=1)


def _products(p: Array, right: Array) -> Array:
    """Return sums over the passes of p (K, b, C) times ``right`` (K, R), (b, C * R)."""
    xp = array_namespace(p)
    K, b, C = p.shape
    return xp.reshape(xp.reshape(p, (K, b * C)).T @ right, (b, -1))
