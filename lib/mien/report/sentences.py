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
from mien.models import is_network
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
)

_PLACES = {
    "PublicTest": "PublicTest images",
    "PrivateTest": "PrivateTest images",
    "PrivateTest-deduplicated": "PrivateTest images without a copy or near-copy in Training",
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
    loss = f"; log loss {score['log_loss']:.2f}" if "log_loss" in score else ""
    return (
        f"{_named(model, score)} is right on {percent(score['accuracy'])} of {score['n']:,} "
        f"{place}{repeats} (95 % interval {interval(score['accuracy_ci95'])}; "
        f"macro F1 {percent(score['f1_macro'])}{loss})."
    )


def comparison(row: Mapping) -> str:
    """Return one honest sentence on a declared pair (`mien.evaluation.paired_tests.compare`).

    A winner is named only where the paired test over clips says so after Holm's correction for
    the number of declared pairs (``separated``).
    """
    better, worse = (row["a"], row["b"]) if row["difference"] >= 0 else (row["b"], row["a"])
    if row["separated"]:
        return f"{better} is better than {worse}: {_numbers(row)}."
    if row["ci_low"] * row["ci_high"] > 0:
        return (
            f"{better} is ahead of {worse}, but not by enough for a study that tests so many "
            f"pairs, so the data do not separate the two: {_numbers(row)}."
        )
    return f"The data do not separate {row['a']} and {row['b']}: {_numbers(row)}."


def one_pair(row: Mapping) -> str:
    """Return what a chapter may say of one pair by itself: the difference, and no winner."""
    bounds = interval((row["ci_low"], row["ci_high"]), signed=True)
    return (
        f"{row['a']} minus {row['b']}: {points(row['difference'])} on "
        f"{count(row['n'], 'image')} that both answered (95 % interval {bounds}, "
        f"{p_value(row['p'])}, of this pair alone{_of_networks(row)}). Which models the data "
        "separate is said in chapter C, which corrects for all pairs that the study declares."
    )


def fold_by_fold(test: Mapping) -> str:
    """Return what the folds that two models share say (`mien.study.comparison.same_folds`)."""
    return (
        f"Fold by fold, the first minus the second, it is {points(test['mean'])} (Nadeau and "
        f"Bengio's 95 % interval {interval(test['ci95'], signed=True)}, {p_value(test['p'])})."
    )


def verdict(
    scores: Mapping[str, Mapping],
    pairs: pd.DataFrame,
    costs: Mapping[str, Mapping],
    *,
    detectable: Mapping | None = None,
) -> list[str]:
    """Return the study's verdict: which model by how much, and what else should be known.

    Parameters
    ----------
    scores : mapping of model to element of ``scores``
        All on the same set.
    pairs : DataFrame
        `mien.study.comparison.declared_pairs` of the same models.
    costs : mapping of model to mapping
        `mien.study.comparison.costs` of every model in ``scores``.
    detectable : mapping, optional
        `mien.study.comparison.detectable`; said where the models cannot be separated.

    Returns
    -------
    list of two str
        The second says which model macro F1 or balanced accuracy would name, where that is
        another one, and what the models cost.
    """
    ranked = sorted(scores, key=lambda model: -scores[model]["accuracy"])
    best, rest = ranked[0], ranked[1:]
    beaten = [model for model in rest if pair(pairs, best, model)["separated"]]
    tied = [model for model in rest if model not in beaten]
    first = _named(best, scores[best])
    first += " has the highest accuracy" if tied else " reads this person best"
    first += (
        f", right on {percent(scores[best]['accuracy'])} of {scores[best]['n']} labelled faces "
        f"(95 % interval {interval(scores[best]['accuracy_ci95'])})"
    )
    if tied:
        first += f", but the data do not separate it from {listed(tied)}"
        first += f" ({_numbers(pair(pairs, best, tied[0]))})"
        if detectable is not None:
            first += f"; {seen(detectable)}"
        if beaten:
            first += f"; it is better than {listed(beaten)}"
    elif rest:
        first += f"; the next, {rest[0]}, is behind: {_numbers(pair(pairs, best, rest[0]))}"
    return [first + ".", _other_winners(scores, best) + _cost(best, tied, costs)]


def _other_winners(scores: Mapping[str, Mapping], best: str) -> str:
    told = ""
    for measure, name in (("f1_macro", "macro F1"), ("balanced_accuracy", "balanced accuracy")):
        winner = max(scores, key=lambda model: scores[model][measure])
        if scores[winner][measure] > scores[best][measure]:
            told += (
                f"By {name} {winner} would be first ({percent(scores[winner][measure])}, {best} "
                f"{percent(scores[best][measure])}). "
            )
    return told


def seen(detectable: Mapping) -> str:
    """Return which differences a study could have seen (`mien.study.comparison.detectable`).

    Examples
    --------
    >>> seen({"alone_80": 0.177, "alone_50": 0.124, "holm_80": 0.22, "holm_50": 0.165, "pairs": 6})
    'a true difference of 22.0 points is found four times in five, one of 16.5 every other time \
(of the 6 declared pairs the strictest test, Holm; a pair alone: 17.7 and 12.4)'
    """
    if detectable["holm_80"] is None or detectable["alone_80"] is None:
        return "no true difference could be expected to be found"
    sizes = {
        name: f"{100 * detectable[name]:.1f}"
        for name in ("holm_80", "holm_50", "alone_80", "alone_50")
    }
    return (
        f"a true difference of {sizes['holm_80']} points is found four times in five, one of "
        f"{sizes['holm_50']} every other time (of the {detectable['pairs']} declared pairs the "
        f"strictest test, Holm; a pair alone: {sizes['alone_80']} and {sizes['alone_50']})"
    )


def declared(pairs: pd.DataFrame, detectable: Mapping) -> str:
    """Return how many of the declared pairs are separated, and what could have been seen."""
    separated = [f"{row.a} from {row.b}" for row in pairs.itertuples() if row.separated]
    found = f"Of {count(len(pairs), 'declared pair')} the data separate {len(separated)}"
    return f"{found}{f' ({listed(separated)})' if separated else ''}; {seen(detectable)}."


def _cost(best: str, tied: list[str], costs: Mapping[str, Mapping]) -> str:
    def price(model: str) -> str:
        labels = costs[model]["labels"]
        needs = "no labelled face of the person"
        if labels:
            needs = count(labels, "labelled face of the person", "labelled faces of the person")
        seconds = costs[model]["seconds"]
        time = "an unknown time" if seconds is None else minutes(seconds)
        training = f"{time} of training" if costs[model]["trained_here"] else "no training here"
        return f"{training} and {needs}"

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


def private_reads(reads: pd.DataFrame) -> str:
    """Return how often FER2013's PrivateTest was read in the project's history.

    Parameters
    ----------
    reads : DataFrame
        `mien.study.provenance.private_reads`.
    """
    times = int((reads["set"] == "PrivateTest").sum())
    told = "In this study PrivateTest is read once, after everything was chosen."
    if times:
        told += (
            f" Over the project's history that of FER2013 itself was read {count(times, 'time')} "
            "for published figures (guides/private_test.csv), and chose nothing."
        )
    return told


def calibration(error: float, floor: float, n: int) -> str:
    """Return how far confidence and accuracy are apart, beside what chance alone would show.

    Examples
    --------
    >>> calibration(0.021, 0.015, 3589)
    'The expected calibration error is 0.021; a perfectly calibrated model would show 0.015 on \
3,589 images by chance.'
    """
    return (
        f"The expected calibration error is {error:.3f}; a perfectly calibrated model would show "
        f"{floor:.3f} on {count(n, 'image')} by chance."
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
    lines = [
        f"One person, {count(found['faces'], 'labelled face')}, {count(found['clips'], 'clip')}: "
        "the figures are about this person in these scenes.",
        f"With so few clips, {seen(found['detectable'])}; {found['undecided']} of "
        f"{count(found['pairs'], 'pair')} of models stay undecided.",
        *_one_network(found),
        f"The unknown faces illustrate: {majority(found)}, and an accuracy on a dozen faces has an "
        "interval that spans half the scale.",
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


def majority(found: Mapping) -> str:
    """Return on how many unknown faces the raters have a majority, and which faces these are.

    Examples
    --------
    >>> majority({"rated": 10, "unknown": 12, "raters": 2})
    'raters have a majority on 10 of 12; of two raters a majority is unanimity, so those are the \
faces on which people do not differ'
    """
    told = f"raters have a majority on {found['rated']} of {found['unknown']}"
    if found["raters"] == 2:
        told += (
            "; of two raters a majority is unanimity, so those are the faces on which people do "
            "not differ"
        )
    return told


def kappa_changes(groups: pd.DataFrame) -> str:
    """Return what each model does to the raters' agreement, without a verdict.

    Parameters
    ----------
    groups : DataFrame
        Of `mien.evaluation.rater_agreement.Agreement`.
    """
    told = []
    for row in groups[groups["change"].notna()].itertuples():
        numbers = (row.change, row.change_low, row.change_high)
        change, low, high = (f"{number:+.2f}".replace("-", "−") for number in numbers)
        faces = count(row.n, "face")
        told.append(f"{row.added} changes it by {change} (95 % interval {low} to {high}, {faces})")
    if not told:
        return "There is no agreement of raters to which a model could be added."
    text = "Fleiss' kappa with a model as one more rater, against the raters alone: "
    return text + "; ".join(told) + ". So few faces allow no verdict."


def _one_network(found: Mapping) -> list[str]:
    """Say what one training leaves open, with what others are recorded to have given."""
    if not any(map(is_network, found["models"])):
        return []
    if found["trainings"] > 1:
        return [
            f"{found['trainings']} networks were trained; with so few, how far trainings differ "
            "is itself known roughly."
        ]
    told = "Each network is one training; another one of the same recipe reads otherwise."
    others = found["other_trainings"]
    if others:
        figures = "; ".join(
            f"{percent(other['private'])} of PrivateTest, {percent(other['as_it_is'])} of the "
            f"person as it is, {percent(other['fine_tuned'])} fine-tuned ({other['processor']})"
            for other in others
        )
        told += (
            f" Recorded of the {others[0]['profile']} profile, seed and data the same, on the "
            f"person of mien's README: {figures}."
        )
    return [told]


def _named(model: str, score: Mapping) -> str:
    """Return the name of a model and, of a network, how many trainings its score is about."""
    if "trainings" not in score:
        return model
    if score["trainings"] == 1:
        return f"{model} (this one trained network)"
    return (
        f"{model} (mean of {score['trainings']} trained networks, standard deviation "
        f"{100 * score['accuracy_sd']:.1f} points)"
    )


def _of_networks(row: Mapping) -> str:
    if not any(map(is_network, (row["a"], row["b"]))):
        return ""
    if row["trainings"] == 1:
        return ", this one trained network"
    return f", {row['trainings']} trained networks"


def _numbers(row: Mapping) -> str:
    """Return difference, interval, n and p of a declared pair, seen from the better one."""
    low, high, difference = row["ci_low"], row["ci_high"], row["difference"]
    if difference < 0:
        low, high, difference = -high, -low, -difference
    return (
        f"{points(difference)} on {count(row['n'], 'image')} that both answered, "
        f"95 % interval {interval((low, high), signed=True)}, "
        f"paired test over {count(row['clips'], 'clip')} {p_value(row['p_holm'])} after Holm"
        f"{_of_networks(row)}"
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
    nearly = [f"{n:,} {usage}" for usage, n in facts["nearly_in_training"].items()]
    return (
        f"{listed(parts)} stand in Training too, pixel by pixel; with near-copies, which correlate "
        f"with a Training image or its mirror image at .98 or more, it is {listed(nearly)} images."
    )


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


def leak(gained: Mapping[str, Any], honest: Mapping[str, Any]) -> str:
    """Return what folds claim that let frames of a clip stand on both sides.

    Parameters
    ----------
    gained : mapping
        ``difference`` to folds that keep clips whole, and its ``ci95``.
    honest : mapping
        The score of the latter (`mien.evaluation.scores.repeated_scores`).
    """
    return (
        f"Plain folds claim {points(gained['difference'])} against folds that keep clips whole "
        f"(95 % interval, paired, over clips: {interval(gained['ci95'], signed=True)}). Over "
        f"{count(honest['repeats'], 'deal')}, Nadeau and Bengio's corrected 95 % interval of the "
        f"honest accuracy is {interval(honest['accuracy_ci95_corrected'])}."
    )


def left_out(apart: Sequence[bool]) -> str:
    """Return how many labelled faces were left out to answer the unknown ones.

    Examples
    --------
    >>> left_out([True, False, True])
    'To answer the unknown faces, 1 labelled face of their clips was left out of 3.'
    """
    left = len(apart) - sum(apart)
    if not left:
        return "To answer the unknown faces, no labelled face was left out."
    were = "was" if left == 1 else "were"
    return (
        f"To answer the unknown faces, {count(left, 'labelled face')} of their clips {were} left "
        f"out of {len(apart)}."
    )


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
