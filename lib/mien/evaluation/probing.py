"""What few labelled faces teach without tuning a layer: procedures on features or on answers.

Each is what `mien.evaluation.cross_validation.out_of_fold` asks: it learns from rows, labels and
clips, and answers other rows with probabilities (k, 7) in the order of `mien.emotions.EMOTIONS`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mien.emotions import EMOTIONS, codes, in_order, probability_of, restrict, spread
from mien.evaluation.cross_validation import out_of_fold
from mien.evaluation.intervals import accuracy_interval, clustered_mean, difference_interval

#: scikit-learn's C times the number of features, so that many weigh as much together as few. On
#: pretend persons (``benchmarks/pretend_persons.py``) it has the lowest log loss.
PENALTY = 9.0
#: Of `by_prototypes`: faces that stand at the common mean in every class, and the softmax's
#: temperature; chosen there, too.
SHRINKAGE, SHARPNESS = 8.0, 0.04


def by_probe(features, labels, _, others) -> tuple[np.ndarray, None]:
    """Answer by logistic regression on standardised features; missing ones take the mean."""
    features, others = _filled(features, others)
    weights, bias = head(features, labels)
    shares = softmax(others @ weights + bias, axis=1)
    return np.where(np.isin(EMOTIONS, labels), shares, 0), None


def head(features: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear probe of features (n, d) as a layer: weights (d, 7) and bias (7,).

    Multinomial logistic regression on standardised features, its scaling folded in. What the
    labels lack gets no weight and a bias of -30.
    """
    classes = np.unique(labels)
    weights, bias = np.zeros((features.shape[1], len(EMOTIONS))), np.full(len(EMOTIONS), -30.0)
    if len(classes) == 1:
        bias[codes(classes)] = 0
        return weights, bias
    scale = StandardScaler().fit(features)
    regression = LogisticRegression(C=PENALTY / features.shape[1], max_iter=2000)
    regression.fit(scale.transform(features), labels)
    slopes, start = regression.coef_, regression.intercept_
    if len(classes) == 2:  # scikit-learn then has the second class's log odds alone
        slopes, start = np.vstack([-slopes, slopes]) / 2, np.append(-start, start) / 2
    weights[:, codes(classes)] = (slopes / scale.scale_).T
    bias[codes(classes)] = start - slopes @ (scale.mean_ / scale.scale_)
    return weights, bias


def by_measures(columns, labels, _, others) -> tuple[np.ndarray, None]:
    """Answer by scikit-learn's own logistic regression on columns that share a scale of 0..1."""
    columns, others, classes = *_filled(columns, others), np.unique(labels)
    if len(classes) == 1:
        return spread(np.ones((len(others), 1)), classes), None
    regression = LogisticRegression(max_iter=2000).fit(columns, labels)
    return spread(regression.predict_proba(others), classes), None


def fused(columns: int) -> Callable:
    """Return the mean of `by_probe`, and of `by_measures` on the last ``columns`` of features."""

    def answer(features, labels, clips, others):
        own, measured = np.s_[:, :-columns], np.s_[:, -columns:]
        probed, _ = by_probe(features[own], labels, clips, others[own])
        said, _ = by_measures(features[measured], labels, clips, others[measured])
        return (probed + said) / 2, None

    return answer


def procedure(rival: str, measured: int) -> Callable:
    """Return how a rival of chapter B3 (`mien.models.RIVALS`) answers, by name.

    The prior reads the network's answers, others its features, with ``measured`` columns last.
    """
    return {
        "NN-FER2013 + prior": by_prior,
        "NN-FER2013 + prototypes": by_prototypes,
        "measured and NN, fused": fused(measured),
    }.get(rival, by_probe)


def by_prototypes(features, labels, _, others) -> tuple[np.ndarray, None]:
    """Answer by the likeness of a face to the mean of every class (Snell, Swersky, Zemel 2017).

    Features are standardised and brought to length 1; a class's mean is shrunk towards that of all
    faces as if `SHRINKAGE` more of its faces stood there. arXiv:1703.05175.
    """
    scale, classes = StandardScaler().fit(features), np.unique(labels)
    rows = scale.transform(np.concatenate([features, others]))
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    known, asked = np.split(rows, [len(features)])
    sums = np.stack([known[labels == each].sum(axis=0) for each in classes])
    sizes = np.array([(labels == each).sum() for each in classes])[:, None]
    likeness = asked @ (sums / (sizes + SHRINKAGE)).T
    return spread(softmax(likeness / SHARPNESS, axis=1), classes), None


def by_prior(answers, labels, _, others) -> tuple[np.ndarray, None]:
    """Correct a model's answers (n, 7) for how often this person shows which emotion.

    Every emotion's probability is multiplied by its share of the labels (one more of each, as
    Laplace has it) over the mean probability that the model gave it on the same faces.
    """
    known = in_order(labels)
    counts = np.array([1 + (labels == emotion).sum() for emotion in known])
    weights = np.zeros(len(EMOTIONS))
    weights[codes(known)] = counts / counts.sum() / answers[:, codes(known)].mean(axis=0)
    return restrict(others * weights, known), None


def _filled(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both with the mean of ``rows`` where a number is missing; 0 where all are."""
    empty = np.isnan(rows).all(axis=0)
    means = np.nanmean(np.where(empty, 0, rows), axis=0)
    return np.where(np.isnan(rows), means, rows), np.where(np.isnan(others), means, others)


def label_curve(
    procedures: Mapping[str, tuple[Callable, np.ndarray]],
    labels: Sequence[str],
    clips: Sequence[str],
    folds: np.ndarray,
    *,
    orders: Sequence[Sequence[str]],
    names: Sequence[str],
    sizes: Sequence[int] = (2, 4, 8, 16),
) -> pd.DataFrame:
    """Return how often procedures are right that learn from few clips of each training part.

    ``procedures`` are by model, with the rows (n, ...) that it reads; ``labels``, ``clips`` and the
    files' ``names`` are (n,), ``folds`` int (repeats, n). Repeat by repeat, ``orders`` have all
    clips in an order: of a training part the first ``size`` are learned from, so that fewer are
    among more, and whoever has the same orders and folds learns from the same clips.

    Returns a row for every model, size and face: ``model``, ``size`` (0: all clips), ``file_name``,
    ``clip``, ``learned`` (faces learned from), ``right`` and ``loss`` (minus the logarithm of the
    probability of the truth, nats), means over the repeats. As if one more face had been seen that
    showed every emotion in equal parts, none has the probability 0.
    """
    labels, clips = np.asarray(labels).astype(str), np.asarray(clips).astype(str)
    parts = []
    for model, (procedure, rows) in procedures.items():
        for size in (*sizes, 0):
            found = [
                out_of_fold(_few(procedure, order, size, labels), rows, labels, clips, fold[None])
                for fold, order in zip(folds, orders, strict=True)
            ]
            shares = np.concatenate([given for given, _ in found])
            right = np.array(EMOTIONS)[shares.argmax(axis=2)] == labels
            part = {"model": model, "size": size, "file_name": names, "clip": clips}
            part["learned"] = np.mean([faces for _, faces in found])
            part["right"] = right.mean(axis=0)
            part["loss"] = -np.log(probability_of(labels, shares)).mean(axis=0)
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def _few(procedure, order, size, everything):
    """Return the procedure that learns from the first clips alone, and how many faces these are."""
    allowed = np.isin(EMOTIONS, everything)

    def answer(rows, labels, clips, others):
        first = [clip for clip in order if clip in clips][: size or None]
        used = np.isin(clips, first)
        shares, _ = procedure(rows[used], labels[used], clips[used], others)
        count = used.sum()
        return (count * shares + allowed / allowed.sum()) / (count + 1), count

    return answer


def clip_orders(clips: Sequence[str], draws: int, *, seed: int = 0) -> list[np.ndarray]:
    """Return all clips in ``draws`` orders, for `label_curve`; they hang on the clips' names."""
    names, random = np.unique(np.asarray(clips).astype(str)), np.random.default_rng([seed, 2])
    return [random.permutation(names) for _ in range(draws)]


def curve_points(curve: pd.DataFrame, *, start: pd.Series | None = None) -> pd.DataFrame:
    """Return the points of `label_curve`, each beside a model that needs no label.

    ``start`` is how often that model is right (0..1) on each face, by file name. Returns ``model``,
    ``size``, ``faces`` (learned from), ``accuracy`` with ``low`` and ``high`` (95 % over clips),
    ``log_loss``; where there is a start also ``ahead`` (accuracy minus its own) with ``ahead_low``
    and ``ahead_high`` (paired, over clips).
    """
    rows = []
    for (model, size), own in curve.groupby(["model", "size"], sort=False):
        right = own["right"].to_numpy()
        mean = clustered_mean(right, own["clip"])
        row = {"model": model, "size": size, "faces": own["learned"].iloc[0]}
        row |= {"accuracy": mean.value, "log_loss": own["loss"].mean()}
        row |= dict(zip(("low", "high"), accuracy_interval(mean), strict=True))
        if start is not None:
            ahead = clustered_mean(right - start[own["file_name"]].to_numpy(), own["clip"])
            ends = zip(("ahead_low", "ahead_high"), difference_interval(ahead), strict=True)
            row |= {"ahead": ahead.value, **dict(ends)}
        rows.append(row)
    return pd.DataFrame(rows)


def gains(curve: pd.DataFrame) -> pd.DataFrame:
    """Return how much more often each model of `label_curve` is right with all faces than before.

    ``low`` and ``high`` are 95 % over clips. A model with one point has no row.
    """
    rows = []
    for model, own in curve.groupby("model", sort=False):
        *_, before, last = [0, *sorted(own["learned"].unique())]
        right = own.groupby(["learned", "file_name"])["right"].mean()
        if before:
            gained = right[last] - right[before]
            clips = own.groupby("file_name")["clip"].first()[gained.index]
            mean = clustered_mean(gained.to_numpy(), clips)
            rows.append((model, before, last, mean.value, *difference_interval(mean)))
    return pd.DataFrame(rows, columns=["model", "before", "faces", "gain", "low", "high"])


def best_at(points: pd.DataFrame, faces: Sequence[int], *, start: float) -> pd.DataFrame:
    """Return which model is right most often with so many ``faces``, and its ``accuracy``.

    Between points of a curve the accuracy is taken as straight in the logarithm of the number.
    A curve counts from its first point to its last, ``start`` (the accuracy of the model that
    needs no label, whose name is empty) everywhere.
    """
    rows = []
    for count in faces:
        found = {"": start}
        for model, own in points.sort_values("faces").groupby("model", sort=False):
            if own["faces"].min() <= count <= own["faces"].max():
                found[model] = np.interp(np.log(count), np.log(own["faces"]), own["accuracy"])
        best = max(found, key=found.get)
        rows.append({"faces": count, "model": best, "accuracy": found[best]})
    return pd.DataFrame(rows)


def ahead_from(points: pd.DataFrame) -> dict:
    """Return from where the model is ahead of the start that is best with all labels.

    ``model``, ``faces`` (the fewest from which on it stays ahead; None where it is not), and
    ``ahead``, ``ahead_low``, ``ahead_high`` with all labels.
    """
    last = points[points["size"] == 0]
    best = last.loc[last["accuracy"].idxmax()]
    own = points[points["model"] == best["model"]].sort_values("faces", ascending=False)
    stays = own[(own["ahead"] > 0).cumprod().astype(bool)]
    return {
        "model": best["model"],
        "faces": float(stays["faces"].min()) if len(stays) else None,
        **{name: float(best[name]) for name in ("ahead", "ahead_low", "ahead_high")},
    }
