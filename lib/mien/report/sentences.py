"""What the numbers say, in sentences: the only room of mien that makes any.

Every function takes numbers and frames as they were computed and returns Markdown for
`mien.report.text.say`; no sentence knows a winner before the numbers do.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from mien.evaluation.paired_tests import pair
from mien.evaluation.rater_agreement import strength
from mien.report.text import (
    bullets,
    count,
    escape,
    interval,
    listed,
    minutes,
    p_value,
    percent,
    points,
    training_time,
)

_PLACES = {
    "PublicTest": "PublicTest images",
    "PrivateTest": "PrivateTest images",
    "PrivateTest-deduplicated": "PrivateTest images that have no copy in Training",
    "target-labelled": "labelled faces of the person",
    "target-labelled-plain-folds": "labelled faces of the person, with clips on both sides",
    "target-labelled-rival": "labelled faces of the person",
    "target-labelled-unmasked": "labelled faces of the person, with all seven emotions allowed",
    "target-unknown": "unknown faces of the person that the raters agree on",
    "target-unknown-unmasked": "unknown faces of the person, with all seven emotions allowed",
}


def accuracy(score: Mapping, model: str = "The model") -> str:
    """Return one sentence on the accuracy of a score (`mien.evaluation.scores.score_set`).

    Examples
    --------
    >>> accuracy({"set": "PublicTest", "n": 10, "accuracy": 0.5,
    ...           "accuracy_ci95": [0.237, 0.763], "f1_macro": 0.44}, "SVM-FER2013")
    'SVM-FER2013 is right on 50.0 % of 10 PublicTest images (95 % interval 23.7 to 76.3 %; \
macro F1 44.0 %).'
    """
    place = _PLACES.get(score["set"], escape(score["set"]) + " images")
    repeats = f", mean of {score['repeats']} repeats" if score.get("repeats", 1) > 1 else ""
    return (
        f"{model} is right on {percent(score['accuracy'])} of {score['n']:,} {place}{repeats} "
        f"(95 % interval {interval(score['accuracy_ci95'])}; "
        f"macro F1 {percent(score['f1_macro'])})."
    )


def comparison(row: Mapping) -> str:
    """Return one honest sentence on a row of `mien.evaluation.paired_tests.pairwise`.

    A winner is named only where the exact McNemar test after Holm's correction and the interval
    from resampled clips both say so (``separated``).
    """
    better, worse = (row["a"], row["b"]) if row["difference"] >= 0 else (row["b"], row["a"])
    numbers = _numbers(row)
    if row["separated"]:
        return f"{better} is better than {worse}: {numbers}."
    if row["ci_low"] * row["ci_high"] > 0:
        return (
            f"{better} is ahead of {worse}, but the test does not confirm it, "
            f"so the data do not separate the two: {numbers}."
        )
    return f"The data do not separate {row['a']} and {row['b']}: {numbers}."


def verdict(
    scores: Mapping[str, Mapping],
    pairs: pd.DataFrame,
    costs: Mapping[str, Mapping],
    *,
    detectable: float | None = None,
) -> list[str]:
    """Return the study's verdict in two sentences: which model by how much, and at what cost.

    Parameters
    ----------
    scores : mapping of model to element of ``scores``
        All on the same set.
    pairs : DataFrame
        `mien.evaluation.paired_tests.pairwise` of the same models.
    costs : mapping of model to mapping
        `mien.study.comparison.costs` of every model in ``scores``.
    detectable : float, optional
        The smallest difference that would likely have been found
        (`mien.evaluation.paired_tests.detectable_difference`); said where the models cannot be
        separated.

    Returns
    -------
    list of two str
    """
    ranked = sorted(scores, key=lambda model: -scores[model]["accuracy"])
    best, rest = ranked[0], ranked[1:]
    beaten = [model for model in rest if pair(pairs, best, model)["separated"]]
    tied = [model for model in rest if model not in beaten]
    first = f"{best} reads this person best" if not tied else f"{best} has the highest accuracy"
    first += (
        f", right on {percent(scores[best]['accuracy'])} of {scores[best]['n']} labelled faces "
        f"(95 % interval {interval(scores[best]['accuracy_ci95'])})"
    )
    if tied:
        first += f", but the data do not separate it from {listed(tied)}"
        first += f" ({_numbers(pair(pairs, best, tied[0]))})"
        if detectable is not None:
            size = f"{100 * detectable:.1f} points"
            first += f"; a difference under {size} would probably have gone unseen"
        if beaten:
            first += f"; it is better than {listed(beaten)}"
    elif rest:
        first += f"; the next, {rest[0]}, is behind: {_numbers(pair(pairs, best, rest[0]))}"
    return [first + ".", _cost(best, tied, costs)]


def _cost(best: str, tied: list[str], costs: Mapping[str, Mapping]) -> str:
    def price(model: str) -> str:
        labels = costs[model]["labels"]
        needs = "no labelled face of the person"
        if labels:
            needs = count(labels, "labelled face of the person", "labelled faces of the person")
        return f"{training_time(costs[model])} and {needs}"

    return "; ".join(f"{model} took {price(model)}" for model in (best, *tied)) + "."


def compared(found: Mapping) -> str:
    """Return which models a study compares and why others are missing.

    Parameters
    ----------
    found : mapping
        `mien.study.comparison.compared`.
    """
    told = [f"This study compares **{listed(found['models'])}**."]
    told += [f"It has no {model}: {escape(why)}." for model, why in found["missing"].items()]
    told += [
        f"{model} is the network that comes with mien, trained on FER2013; its model card tells "
        "how."
        for model in found["came_trained"]
    ]
    return " ".join(told)


def all_at_once(test: Mapping) -> str:
    """Return whether models are equally often right (`mien.evaluation.paired_tests.cochrans_q`)."""
    if test["p"] is None:
        return "All models are right on exactly the same faces."
    return (
        f"Over all at once, Cochran's Q is {test['q']:.2f} ({p_value(test['p'])}, {test['n']} "
        f"faces; on {test['varied']} of them some models are right and others wrong)."
    )


def disputed(faces: int, of: int) -> str:
    """Return on how many of the labelled faces models disagree.

    Examples
    --------
    >>> disputed(1, 98)
    'The models disagree on 1 of 98 labelled faces.'
    """
    if not faces:
        return f"The models agree on all of {count(of, 'labelled face')}."
    return f"The models disagree on {faces} of {count(of, 'labelled face')}."


def choice(score: Mapping, verdict: str) -> str:
    """Return which model a study chooses, and why.

    Parameters
    ----------
    score : mapping
        Of the best model (`mien.study.comparison.labelled_scores`).
    verdict : str
        The first sentence of `verdict`.
    """
    corrected = score.get("accuracy_ci95_corrected")
    leak = "It was not fitted on this person, so nothing could leak into its score."
    if corrected:
        leak = f"Nadeau and Bengio's interval for repeated folds is {interval(corrected)}."
    return (
        f"**{score['model']}**, because it has the highest accuracy on the labelled faces, out of "
        f"fold where it has learned from them. {verdict} {leak}"
    )


def limits(found: Mapping) -> str:
    """Return what a study cannot say, as a list (`mien.study.comparison.limits`)."""
    smallest = found["detectable_difference"]
    seen = "no difference of any size could be expected to be found"
    if smallest is not None:
        seen = f"a difference under {100 * smallest:.0f} points would probably have gone unseen"
    lines = [
        f"One person, {count(found['faces'], 'labelled face')}, {count(found['clips'], 'clip')}: "
        "the figures are about this person in these scenes.",
        f"With so few clips, {seen}; {found['undecided']} of {count(found['pairs'], 'pair')} of "
        "models stay undecided.",
        f"The unknown faces illustrate: raters have a majority on {found['rated']} of "
        f"{found['unknown']}, and an accuracy on a dozen faces has an interval that spans half the "
        "scale.",
        "The labels of the person's faces come from whoever sorted them; nobody measured how far "
        "a second labeller would agree.",
        "FER2013's labels are noisy, and its copies cross its splits.",
    ]
    if "SVM-OpenFace" in found["models"]:
        lines.append(
            "Action Units are OpenFace's estimates from single images, which carry the person's "
            "resting face as a bias."
        )
    return bullets(lines)


def _numbers(row: Mapping) -> str:
    """Return difference, interval, n and p of a pair, seen from the better one."""
    low, high, difference = row["ci_low"], row["ci_high"], row["difference"]
    if difference < 0:
        low, high, difference = -high, -low, -difference
    return (
        f"{points(difference)} on {count(row['n'], 'image')} that both answered, "
        f"95 % interval {interval((low, high), signed=True)}, "
        f"exact McNemar {p_value(row['p_holm'])} after Holm"
    )


def rating_standing(standing: Mapping[str, int]) -> str:
    """Return how far a rater is (`mien.labelling.afterwards.standing`), in a sentence or two."""
    if standing["left"]:
        return (
            f"**{count(standing['left'], 'face')} left.** The tables below fill when every face "
            "has its answer; run these cells again then."
        )
    said = f"All {count(standing['faces'], 'face')} have your answer."
    if standing["twice"]:
        said += (
            f" Of {count(standing['twice'], 'face')} shown twice you answered "
            f"{standing['alike']} alike."
        )
    return said


def trials(best: Mapping) -> str:
    """Return what trials of batch sizes show (`mien.network.ablation.best_trial`)."""
    return (
        f"After {count(best['epochs'], 'epoch')} the batch of {best['batch_size']} leads with "
        f"{percent(best['accuracy'])}, {points(best['lead'])} over the batch of {best['worst']}. "
        f"With the batch of {best['batch_size']}, going from the first epoch to the last changed "
        f"{points(best['gain'])}."
    )


def ablation(choices: pd.DataFrame, noise: float, n: int) -> str:
    """Return which choices stand out of the noise.

    Parameters
    ----------
    choices : DataFrame
        Of `mien.network.ablation.ablation`.
    noise : float
        Standard error of a difference (`mien.network.ablation.noise`).
    n : int
        How many images judged.
    """
    changed = choices[choices["difference"].abs() > 2 * noise].itertuples()
    told = [f"{row.choice} ({points(row.difference)})" for row in changed]
    return (
        f"The recipe reached {percent(choices['PublicTest accuracy'][0])}. Differences under "
        f"{200 * noise:.1f} points are within the noise of {count(n, 'image')}; beyond it: "
        f"{listed(told)}. Trials this short favour whatever learns fast: what guards against "
        "over-fitting costs at first and pays in the long training."
    )


def overfitting(turning: Mapping) -> str:
    """Return whether a training over-fits (`mien.network.training.turning_points`)."""
    said = (
        f"PublicTest accuracy was highest, {percent(turning['best_accuracy'])}, in epoch "
        f"{turning['best_epoch']} of {turning['epochs']}. "
    )
    if turning["loss_rise"] <= 0.02:
        return said + "Its loss did not turn upwards, so over-fitting is not visible."
    return said + (
        f"Its loss was lowest in epoch {turning['lowest_loss_epoch']} and ended "
        f"{percent(turning['loss_rise'])} higher: the network over-fits towards the end, and "
        "keeping the best epoch guards against it."
    )


def same_minutes(reached: Mapping) -> str:
    """Return how far two networks were (`mien.network.ablation.at_the_same_time`)."""
    ours = "; ours had not finished its first epoch then"
    if reached["ours"] is not None:
        ours = f", ours on {percent(reached['ours'])}"
    return (
        f"After {minutes(60 * reached['minutes'])} the assignment's network is right on "
        f"{percent(reached['theirs'])} of PublicTest{ours}. Ours ends at "
        f"{percent(reached['our_end'])} after {minutes(60 * reached['our_minutes'])}."
    )


def ferplus(agreement: Mapping[str, Mapping] | None) -> str:
    """Return how far a network and FER2013's labels agree with FER+.

    Parameters
    ----------
    agreement : mapping, optional
        Of `mien.study.answers.agreement_with_ferplus`.
    """
    if agreement is None:
        return "`fer2013new.csv` does not lie beside this study's FER2013, so FER+ was not asked."
    if not agreement:
        return "FER+ has no majority on any PrivateTest face."
    network, labels = agreement["network"], agreement["labels"]
    return (
        f"On the {count(network['n'], 'PrivateTest face')} on which FER+'s raters have a majority "
        "for one of the seven emotions, the network agrees with it on "
        f"{percent(network['accuracy'])} (95 % interval {interval(network['accuracy_ci95'])}), "
        f"FER2013's own labels on {percent(labels['accuracy'])}."
    )


def chosen_epochs(chosen: Sequence[int], most: int) -> str:
    """Return how many epochs the inner splits of fine-tuning chose, of at most so many."""
    told = f"{min(chosen)} to {max(chosen)} epochs, {median(chosen):.0f} in the middle,"
    if min(chosen) == max(chosen):
        told = f"{count(min(chosen), 'epoch')} everywhere,"
    return f"Over all folds and repeats, the inner splits chose {told} of at most {most}."


def thirds(shares: Mapping[str, Sequence[float]]) -> str:
    """Return on which third of the face most of each emotion's weight lies.

    Parameters
    ----------
    shares : mapping of emotion to three floats
        Of `mien.network.saliency.thirds`: upper, middle, lower.
    """
    names = ("upper", "middle", "lower")
    told = [
        f"*{emotion}* the {names[list(parts).index(max(parts))]} third "
        f"({percent(max(parts), digits=0)})"
        for emotion, parts in shares.items()
    ]
    if not told:
        return "No place of any face spoke for its emotion."
    return f"Most of the weight lies on these thirds of the face: {', '.join(told)}."


def likeness(correlations: Mapping[str, float]) -> str:
    """Return how far two kinds of maps agree (`mien.network.saliency.likeness`)."""
    if not correlations:
        return "The two ways cannot be compared: one of them shows no place at all."
    told = ", ".join(f"*{emotion}* {value:.2f}" for emotion, value in correlations.items())
    told = told.replace("-", "−")
    return f"The places that Grad-CAM and occlusion find correlate (Spearman) by {told}."


def crowd(facts: Mapping[str, Any]) -> str:
    """Return what was read of FER2013, from `mien.data.summary.crowd_facts`."""
    sizes = [f"{n:,} in {usage}" for usage, n in facts["images"].items()]
    total = count(sum(facts["images"].values()), "image")
    return f"{escape(facts['source'])} holds **{total}**: {listed(sizes)}."


def copies(facts: Mapping[str, Any]) -> str:
    """Return how much of the test splits Training contains, from `crowd_facts`."""
    parts = []
    for usage, n in facts["in_training"].items():
        images = facts["images"][usage]
        parts.append(f"{count(n, f'{usage} image')} ({percent(n / images if images else None)})")
    return f"{listed(parts)} stand in Training too, pixel by pixel."


def person(facts: Mapping[str, Any]) -> str:
    """Return the size of a person's data and its commonest emotion, from `person_facts`."""
    return (
        f"{count(facts['labelled_images'], 'labelled image')}, "
        f"{count(facts['labelled_units'], 'labelled row')} of Action Units from "
        f"{count(facts['clips'], 'clip')}, {count(facts['unknown'], 'unknown face')}. "
        f"Always answering *{facts['majority']}* would be right on "
        f"{percent(facts['majority_share'])} of the labelled faces."
    )


def raters(pairs: pd.DataFrame) -> str:
    """Return how far the first two raters agree (`pairs` of `mien.evaluation.rater_agreement`)."""
    if pairs.empty:
        return "Fewer than two raters have labelled the unknown faces, so there is no agreement."
    row = pairs.iloc[0]
    said = (
        f"{escape(row['a'])} and {escape(row['b'])} agree on {row['agree']} of "
        f"{count(row['n'], 'face')}"
    )
    if np.isfinite(row["kappa"]):
        said += f"; Cohen's kappa is {row['kappa']:.2f}, {strength(row['kappa'])} agreement"
    return said + "."


def chance(found: Mapping[str, Any]) -> str:
    """Return how a model compares with itself on mixed labels (`chance_test`)."""
    return (
        f"With the labels as they are, one deal of the folds gives {percent(found['accuracy'])}; "
        f"with faces and labels mixed {percent(found['mean'])} on average and "
        f"{percent(found['best'])} at best ({p_value(found['p'])}, "
        f"{count(found['permutations'], 'permutation')})."
    )


def textbook(hits: Mapping[str, int]) -> str:
    """Return how far the units that mattered are those of EMFACS, from `textbook_hits`."""
    if not hits["emotions"]:
        return "No emotion has a prototype to compare with."
    return (
        f"Of the {hits['units']} units that mattered most, as many for each emotion as its "
        f"prototype has, {hits['hits']} are the textbook's; textbook units rank above the others "
        f"in {hits['emotions_above']} of {count(hits['emotions'], 'emotion')}."
    )


def curve(found: Mapping[str, Any]) -> str:
    """Return what more labelled faces would bring, from `curve_estimate`."""
    said = (
        f"From {found['fewest']:.0f} training faces to {found['most']:.0f}, accuracy went from "
        f"{percent(found['accuracy_of_fewest'])} to {percent(found['accuracy_of_most'])}."
    )
    if found["goal"] >= 1:
        return f"{said} Less than ten points are left to be gained."
    if found["faces_needed"] is None:
        return f"{said} The curve does not rise, so more faces of this kind would not help."
    needed = float(f"{found['faces_needed']:.2g}")
    return (
        f"{said} If it went on like this, straight in the logarithm of the number, "
        f"{percent(found['goal'])} would take about {needed:,.0f} labelled faces; "
        "real curves flatten."
    )
