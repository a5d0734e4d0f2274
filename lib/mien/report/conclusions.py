"""What chapter C concludes from its numbers, in sentences, as `mien.report.sentences` does."""

from collections.abc import Mapping

import pandas as pd

from mien.evaluation.calibration import answered_at
from mien.evaluation.paired_tests import pair
from mien.models import is_network
from mien.report.sentences import named, of_networks, unmasked
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
    if row["separated"]:
        return f"{better} is better than {worse}: {_numbers(row)}."
    if row["ci_low"] * row["ci_high"] > 0:
        return (
            f"{better} is ahead of {worse}, but not by enough for a study that tests so many "
            f"pairs, so the data do not separate the two: {_numbers(row)}."
        )
    return f"The data do not separate {row['a']} and {row['b']}: {_numbers(row)}."


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
    ranked = sorted(scores, key=lambda model: -scores[model]["accuracy"])
    best, rest = ranked[0], ranked[1:]
    beaten = [model for model in rest if pair(pairs, best, model)["separated"]]
    tied = [model for model in rest if model not in beaten]
    first = named(best, scores[best])
    first += " has the highest accuracy" if tied else " reads this person best"
    first += (
        f", right on {percent(scores[best]['accuracy'])} of {scores[best]['n']} labelled faces "
        f"(95 % interval {interval(scores[best]['accuracy_ci95'])})"
    )
    if tied:
        first += f", but the data do not separate it from {listed(tied)}"
        first += f" ({_numbers(pair(pairs, best, tied[0]))}); {seen(detectable)}"
        if beaten:
            first += f"; it is better than {listed(beaten)}"
    elif rest:
        first += f"; the next, {rest[0]}, is behind: {_numbers(pair(pairs, best, rest[0]))}"
    told = _other_winners(scores, best) + _better_rivals(rivals, scores[best])
    return [first + ".", told + _cost(best, tied, costs)]


def _better_rivals(rivals: Mapping[str, Mapping], best: Mapping) -> str:
    ahead = {
        rival: score for rival, score in rivals.items() if score["accuracy"] > best["accuracy"]
    }
    if not ahead:
        return ""
    told = [f"{rival} ({percent(score['accuracy'])})" for rival, score in ahead.items()]
    return f"Of the rivals, these are right more often: {listed(told)}. "


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
    """Return which differences a study could have seen (`paired_tests.detectable`)."""
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


def all_alike(found: Mapping) -> str:
    """Return what a test of all models at once says (`mien.evaluation.paired_tests.all_alike`)."""
    differ = "are not all" if found["p"] < 0.05 else "may all be"
    return (
        f"Taken all at once, the {count(found['models'], 'model')} and rivals {differ} equally "
        f"often right on these faces (Cochran's Q over {count(found['clips'], 'clip')}, "
        f"{p_value(found['p'])})."
    )


def largest(pairs: pd.DataFrame) -> str:
    """Return what is known of the declared pair that differs most."""
    if pairs.empty:
        return "No declared pair has answered the same faces."
    row = pairs.loc[pairs["difference"].abs().idxmax()]
    return f"The largest difference: {comparison(row)}"


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
    told = (
        f"{points(ahead['ahead'])} (95 % interval {bounds}, paired, over clips, of this pair alone"
    )
    told += "; the data cannot tell the two apart)" if ahead["ahead_low"] <= 0 else ")"
    said = (
        f"{ahead['model']}, the best with all labels, is never ahead of NN-FER2013 to stay: {told}."
    )
    if ahead["faces"] is not None:
        said = (
            f"{ahead['model']}, the best with all labels, is ahead of NN-FER2013 from "
            f"{ahead['faces']:.0f} labelled faces on; with all of them by {told}."
        )
    guesses = [
        f"with {row.faces} {row.model or 'NN-FER2013 as it is'} ({percent(row.accuracy)})"
        for row in best.itertuples()
    ]
    return f"{said} The best guess is, {listed(guesses)}." if guesses else said


def curve(found: pd.DataFrame, gains: pd.DataFrame) -> str:
    """Return what each model has with few labelled faces and with all, and whether it rises."""
    told = []
    for model, own in found.sort_values("faces").groupby("model", sort=False):
        first, last = own.iloc[0], own.iloc[-1]
        told.append(
            f"{model} {percent(first['accuracy'])} with {first['faces']:.0f} and "
            f"{percent(last['accuracy'])} with {last['faces']:.0f}"
        )
    said = [f"Right, by the number of faces learned from: {'; '.join(told)}."]
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


def disputed(faces: int, of: int) -> str:
    """Return on how many of the labelled faces models disagree."""
    if not faces:
        return f"The models agree on all of {count(of, 'labelled face')}."
    return f"The models disagree on {faces} of {count(of, 'labelled face')}."


def choice(score: Mapping, verdict: str) -> str:
    """Return which model a study chooses (of this score), and why, by the first of `verdict`."""
    corrected = score.get("accuracy_ci95_corrected")
    leak = "It was not fitted on this person, so nothing could leak into its score."
    if corrected:
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
    lines = [
        f"One person, {count(found['faces'], 'labelled face')}, {count(found['clips'], 'clip')}: "
        "the figures are about this person in these scenes.",
        f"With so few clips, {seen(found['detectable'])}; {found['undecided']} of "
        f"{count(found['pairs'], 'pair')} of models stay undecided.",
        *_one_network(found),
        f"The unknown faces illustrate: {majority(found)}, and an accuracy on a dozen faces has an "
        "interval that spans half the scale.",
        "The labels of the person's faces come from whoever sorted them; "
        + second_labels(found["second_labels"]),
        "FER2013's labels are noisy, and its copies cross its splits.",
    ]
    if {"SVM-OpenFace", "SVM-Measured"} & set(found["models"]):
        lines.append(
            "Action Units are a program's estimates from single images, which carry the person's "
            "resting face as a bias."
        )
    if {"SVM-Blendshapes", "SVM-Measured"} & set(found["models"]):
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


def second_labels(again: Mapping | None) -> str:
    """Return how far a folder's labels stand in a second look (`mien.study.comparison`)."""
    if again is None:
        return "nobody measured how far a second labeller would agree."
    faces = f"{count(again['n'], 'face')} on which raters have a majority"
    return f"of {faces} it is the label on {percent(again['raters'])}."


def majority(found: Mapping) -> str:
    """Return on how many unknown faces the raters have a majority, and which faces these are."""
    told = f"raters have a majority on {found['rated']} of {found['unknown']}"
    if found["raters"] == 2:
        told += (
            "; of two raters a majority is unanimity, so those are the faces on which people do "
            "not differ"
        )
    return told


def kappa_changes(groups: pd.DataFrame) -> str:
    """Return what each model does to the raters' agreement (its ``groups``), without a verdict."""
    told = []
    for row in groups[groups["change"].notna()].itertuples():
        numbers = (row.change, row.change_low, row.change_high)
        change, low, high = (number_text(number, signed=True) for number in numbers)
        faces = count(row.n, "face")
        told.append(f"{row.added} changes it by {change} (95 % interval {low} to {high}, {faces})")
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
