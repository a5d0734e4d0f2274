"""What chapter C concludes from its numbers, in sentences, as `mien.report.sentences` does."""

from collections.abc import Mapping

import pandas as pd

from mien.evaluation.calibration import answered_at
from mien.evaluation.paired_tests import pair
from mien.models import is_network
from mien.report.sentences import few_and_all, named, of_networks, unmasked
from mien.report.text import (
    bullets,
    count,
    escape,
    interval,
    listed,
    minutes,
    number_text,
    p_value,
    percent,
    points,
)


def comparison(row: Mapping) -> str:
    """Return a sentence on a declared pair; a winner only where it is ``separated`` after Holm."""
    better, worse = (row["a"], row["b"]) if row["difference"] >= 0 else (row["b"], row["a"])
    said = f"The data do not separate {row['a']} and {row['b']}"
    if row["separated"]:
        said = f"{better} is better than {worse}"
    elif row["ci_low"] * row["ci_high"] > 0:
        said = (
            f"{better} is ahead of {worse}, but not by enough for a study that tests so many "
            "pairs, so the data do not separate the two"
        )
    return f"{said}: {_numbers(row)}."


def fold_by_fold(test: Mapping) -> str:
    """Return what the folds that two models share say (`mien.study.comparison.same_folds`)."""
    return (
        f"Fold by fold, {test['a']} minus {test['b']} is {points(test['mean'])} (Nadeau and "
        f"Bengio's 95 % interval {interval(test['ci95'], signed=True)}, {p_value(test['p'])})."
    )


def verdict(
    scores: Mapping[str, Mapping],
    pairs: pd.DataFrame,
    costs: Mapping[str, Mapping],
    *,
    detectable: Mapping,
    rivals: Mapping[str, Mapping],
) -> list[str]:
    """Return the study's verdict: which model by how much, and what else should be known.

    ``scores`` and ``rivals`` are by name, on the same set; the rest is of `mien.study.comparison`.
    """
    best, *rest = sorted(scores, key=lambda model: -scores[model]["accuracy"])
    own, found = scores[best], {model: pair(pairs, best, model) for model in rest}
    beaten = [model for model in rest if found[model]["separated"]]
    tied = [model for model in rest if model not in beaten]
    first = (
        f"{named(best, own)} {'has the highest accuracy' if tied else 'reads this person best'}, "
        f"right on {percent(own['accuracy'])} of {own['n']} labelled faces (95 % interval "
        f"{interval(own['accuracy_ci95'])})"
    )
    if tied:
        first += f", but the data do not separate it from {listed(tied)}"
        first += f" ({_numbers(found[tied[0]])}); {seen(detectable)}"
        first += f"; it is better than {listed(beaten)}" if beaten else ""
    elif rest:
        first += f"; the next, {rest[0]}, is behind: {_numbers(found[rest[0]])}"
    second = []
    for measure, name in (("f1_macro", "macro F1"), ("balanced_accuracy", "balanced accuracy")):
        winner = max(scores, key=lambda model: scores[model][measure])
        if scores[winner][measure] > own[measure]:
            second.append(
                f"By {name} {winner} would be first ({percent(scores[winner][measure])}, {best} "
                f"{percent(own[measure])})."
            )
    ahead = [
        f"{rival} ({percent(score['accuracy'])})"
        for rival, score in rivals.items()
        if score["accuracy"] > own["accuracy"]
    ]
    if ahead:
        second.append(f"Of the rivals, these are right more often: {listed(ahead)}.")
    prices = [f"{model} took {_price(costs[model])}" for model in (best, *tied)]
    return [f"{first}.", " ".join([*second, "; ".join(prices) + "."])]


def _price(cost: Mapping) -> str:
    time = "an unknown time" if cost["seconds"] is None else minutes(cost["seconds"])
    training = f"{time} of training" if cost["trained_here"] else "no training here"
    return f"{training} and {count(cost['labels'], 'labelled face')} of the person"


def seen(detectable: Mapping) -> str:
    """Return which differences a study could have seen (`paired_tests.detectable`)."""
    if detectable["holm_80"] is None or detectable["alone_80"] is None:
        return "no true difference could be expected to be found"
    often, half, alone, alone_half = (
        f"{100 * detectable[name]:.1f}" for name in ("holm_80", "holm_50", "alone_80", "alone_50")
    )
    return (
        f"a true difference of {often} points is found four times in five, one of {half} every "
        f"other time (of the {detectable['pairs']} declared pairs the strictest test, Holm; a pair "
        f"alone: {alone} and {alone_half})"
    )


def declared(pairs: pd.DataFrame, detectable: Mapping) -> str:
    """Return how many of the declared pairs are separated, and what could have been seen."""
    separated = [f"{row.a} from {row.b}" for row in pairs.itertuples() if row.separated]
    found = f"Of {count(len(pairs), 'declared pair')} the data separate {len(separated)}"
    return f"{found}{f' ({listed(separated)})' if separated else ''}; {seen(detectable)}."


def all_alike(found: Mapping, pairs: pd.DataFrame) -> str:
    """Return what a test of all models says (`paired_tests.all_alike`), and the largest pair."""
    differ = "are not all" if found["p"] < 0.05 else "may all be"
    told = (
        f"Taken all at once, the {count(found['models'], 'model')} and rivals {differ} equally "
        f"often right on these faces (Cochran's Q over {count(found['clips'], 'clip')}, "
        f"{p_value(found['p'])})."
    )
    if pairs.empty:
        return told
    row = pairs.loc[pairs["difference"].abs().idxmax()]
    return f"{told} The largest difference of a declared pair: {comparison(row)}"


def compared(found: Mapping) -> str:
    """Return which models a study compares and why others are missing."""
    told = [f"This study compares **{listed(found['models'])}**."]
    told += [f"It has no {model}: {escape(why)}." for model, why in found["missing"].items()]
    told += [
        f"{model} is the network that comes with mien, trained on FER2013; its model card tells "
        "how."
        for model in found["came_trained"]
    ]
    return " ".join(told)


def restricted(scores: Mapping[tuple[str, str, str], Mapping]) -> str:
    """Return what it is worth to a crowd's model to know which emotions the person shows."""
    told = [
        f"{model}: {unmasked(score, scores[model, name, 'all seven'])}"
        for (model, name, emotions), score in scores.items()
        if name == "target-labelled" and emotions != "all seven"
    ]
    return bullets(told) if told else "No model of the crowd answers here."


def labels_needed(ahead: Mapping, best: pd.DataFrame) -> str:
    """Return how many labelled faces a model of one's own needs to beat the network as it is."""
    bounds = interval((ahead["ahead_low"], ahead["ahead_high"]), signed=True)
    since = "never ahead of NN-FER2013 to stay"
    if ahead["faces"] is not None:
        since = f"ahead of NN-FER2013 from {ahead['faces']:.0f} labelled faces on"
    said = (
        f"{ahead['model']}, the best with all labels, is {since}; with all of them by "
        f"{points(ahead['ahead'])} (95 % interval {bounds}, paired, over clips, of this pair alone"
    )
    said += "; the data cannot tell the two apart)." if ahead["ahead_low"] <= 0 else ")."
    guesses = [
        f"with {row.faces} {row.model or 'NN-FER2013 as it is'} ({percent(row.accuracy)})"
        for row in best.itertuples()
    ]
    return f"{said} The best guess is, {listed(guesses)}." if guesses else said


def curve(found: pd.DataFrame, gains: pd.DataFrame) -> str:
    """Return what each model has with few labelled faces and with all, and whether it rises."""
    said = [f"Right, by the number of faces learned from: {few_and_all(found)}."]
    for row in gains.itertuples():
        rises = "whether it still rises, the data do not say"
        if row.low > 0 or row.high < 0:
            rises = "it still rises" if row.low > 0 else "it falls"
        said.append(
            f"From {row.before:.0f} to {row.faces:.0f} faces {row.model} gained "
            f"{points(row.gain)} (95 % interval {interval((row.low, row.high), signed=True)}): "
            f"{rises}."
        )
    return " ".join(said)


def choice(score: Mapping, verdict: str) -> str:
    """Return which model a study chooses (of this score), and why, by the first of `verdict`."""
    leak = "It was not fitted on this person, so nothing could leak into its score."
    if corrected := score.get("accuracy_ci95_corrected"):
        leak = f"Nadeau and Bengio's interval for repeated folds is {interval(corrected)}."
    return (
        f"**{score['model']}**, because it has the highest accuracy on the labelled faces, out of "
        f"fold where it has learned from them. {verdict} {leak}"
    )


def abstaining(curves: Mapping[str, pd.DataFrame], allowed: float) -> str:
    """Return how much models may answer with so many errors (`mien.study.comparison.coverage`)."""
    told = []
    for model, curve in curves.items():
        row = answered_at(curve, [allowed]).iloc[0]
        told.append(f"{model} {percent(row['coverage'])}")
        told[-1] += f" (from a probability of {row['threshold']:.2f} on)" if row["coverage"] else ""
    return (
        f"Who wants no more than {percent(allowed, digits=0)} of the answers to be wrong must "
        f"leave faces unanswered. So much can be answered: {'; '.join(told)}."
    )


def winner(card: Mapping) -> str:
    """Return what to know of the person's model, as a list (`mien.study.comparison.winner`)."""
    at = next(row for row in card["coverage"] if row["allowed"] == card["allowed"])
    silence = "Even its surest answers are wrong more often than allowed, so it is always unsure."
    if at["coverage"]:
        silence = (
            f"Under a probability of {at['threshold']:.2f} it says that it is unsure. So it "
            f"answered {percent(at['coverage'])} of these faces, of which {percent(at['error'])} "
            f"wrongly; at most {percent(card['allowed'])} were allowed."
        )
    pixels = f"{len(card['columns'])} measured columns" if card["columns"] else "pixels"
    return bullets(
        [
            f"{card['model']} reads {pixels} and has learned from {card['learned_from']}.",
            f"It answers {listed(card['emotions'])} and nothing else.",
            f"It was right on {percent(card['accuracy'])} (95 % interval "
            f"{interval(card['accuracy_ci95'])}) of {count(card['faces'], 'labelled face')} from "
            f"{count(card['clips'], 'clip')}, each held out where it has learned from them.",
            silence,
            f"Of {listed(card['among'])} it was right most often on these very faces, and the "
            "threshold was set on them: expect a little less of new ones.",
            "For pictures of this one person. Not for judging, hiring or watching anybody.",
        ]
    )


def limits(found: Mapping) -> str:
    """Return what a study cannot say, as a list (`mien.study.comparison.limits`)."""
    again, models = found["second_labels"], set(found["models"])
    second = "nobody measured how far a second labeller would agree."
    if again is not None:
        second = (
            f"of {count(again['n'], 'face')} on which raters have a majority it is the label on "
            f"{percent(again['raters'])}."
        )
    two = "of two raters a majority is unanimity, so those are faces on which people do not differ"
    lines = [
        f"One person, {count(found['faces'], 'labelled face')}, {count(found['clips'], 'clip')}: "
        "the figures are about this person in these scenes.",
        f"With so few clips, {seen(found['detectable'])}; {found['undecided']} of "
        f"{count(found['pairs'], 'pair')} of models stay undecided.",
        *_one_network(found),
        f"The unknown faces illustrate: raters have a majority on {found['rated']} of "
        f"{found['unknown']}; {f'{two}; ' if found['raters'] == 2 else ''}an accuracy on a dozen "
        "faces has an interval that spans half the scale.",
        f"The labels of the person's faces come from whoever sorted them; {second}",
        "FER2013's labels are noisy, and its copies cross its splits.",
    ]
    if {"SVM-OpenFace", "SVM-Measured"} & models:
        lines.append(
            "Action Units are a program's estimates from single images, which carry the person's "
            "resting face as a bias."
        )
    if {"SVM-Blendshapes", "SVM-Measured"} & models:
        lines.append(
            "Blendshapes are a network's estimates of how far an animated head would be bent; "
            "their names resemble those of Action Units, and they are none."
        )
    lines += [
        "Set with the labels of the person of mien's README in view, on whom it may flatter: "
        f"{one['choice']}. Tried beside it: {one['among']}. Worth: {one['worth']}."
        for one in found["set_in_view"]
    ]
    return bullets(lines)


def kappa_changes(groups: pd.DataFrame) -> str:
    """Return what each model does to the raters' agreement (its ``groups``), without a verdict."""
    told = []
    for row in groups[groups["change"].notna()].itertuples():
        numbers = (row.change, row.change_low, row.change_high)
        change, low, high = (number_text(number, signed=True) for number in numbers)
        told.append(
            f"{row.added} changes it by {change} (95 % interval {low} to {high}, "
            f"{count(row.n, 'face')})"
        )
    if not told:
        return "There is no agreement of raters to which a model could be added."
    text = "Fleiss' kappa with a model as one more rater, against the raters alone: "
    return text + "; ".join(told) + ". The intervals are given without a verdict."


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
    if others := found["other_trainings"]:
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


def _numbers(row: Mapping) -> str:
    """Return difference, interval, n and p of a declared pair, seen from the better one."""
    low, high, difference = row["ci_low"], row["ci_high"], row["difference"]
    if difference < 0:
        low, high, difference = -high, -low, -difference
    return (
        f"{points(difference)} on {count(row['n'], 'image')} that both answered, "
        f"95 % interval {interval((low, high), signed=True)}, "
        f"paired test over {count(row['clips'], 'clip')} {p_value(row['p_holm'])} after Holm"
        f"{of_networks(row)}"
    )
