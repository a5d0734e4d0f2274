"""What the numbers of a chapter say, in Markdown; `mien.report.conclusions` has chapter C's.

Every function takes what was computed; no sentence knows a winner before the numbers do.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from mien.evaluation.rater_agreement import strength
from mien.models import is_network
from mien.report.text import (
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
    """Return one sentence on the accuracy of a score (`mien.evaluation.scores.score_set`)."""
    place = _PLACES.get(score["set"], escape(score["set"]) + " images")
    repeats = f", mean of {score['repeats']} repeats" if score.get("repeats", 1) > 1 else ""
    loss = f"; log loss {score['log_loss']:.2f}" if "log_loss" in score else ""
    return (
        f"{named(model, score)} is right on {percent(score['accuracy'])} of {score['n']:,} "
        f"{place}{repeats} (95 % interval {interval(score['accuracy_ci95'])}; "
        f"macro F1 {percent(score['f1_macro'])}{loss})."
    )


def unmasked(restricted: Mapping, free: Mapping) -> str:
    """Return what a crowd's model loses if it may name emotions which the person never shows."""
    change = free["accuracy"] - restricted["accuracy"]
    return (
        f"With all seven emotions allowed, {points(change)} on the "
        f"{count(restricted['n'], 'labelled face')}."
    )


def one_pair(row: Mapping) -> str:
    """Return what a chapter may say of one pair by itself: the difference, and no winner."""
    bounds = interval((row["ci_low"], row["ci_high"]), signed=True)
    return (
        f"{row['a']} minus {row['b']}: {points(row['difference'])} on "
        f"{count(row['n'], 'image')} that both answered (95 % interval {bounds}, "
        f"{p_value(row['p'])}, of this pair alone{of_networks(row)}). Which models the data "
        "separate is said in chapter C, which corrects for all pairs that the study declares."
    )


def private_reads(reads: pd.DataFrame) -> str:
    """Return how often PrivateTest was read (`mien.study.provenance.private_reads`)."""
    told = "In this study PrivateTest is read once, after everything was chosen."
    if times := int((reads["set"] == "PrivateTest").sum()):
        told += (
            f" Over the project's history that of FER2013 itself was read {count(times, 'time')} "
            "for published figures (guides/private_test.csv), and chose nothing."
        )
    return told


def calibration(bins: pd.DataFrame, error: float, floor: float) -> str:
    """Return how far confidence and accuracy are apart, beside the noise floor."""
    over = np.average(bins["confidence"] - bins["accuracy"], weights=bins["n"])
    side = f"its answers promise {points(abs(over)).lstrip('+')} {'more' if over > 0 else 'less'}"
    side = "it is no further off than that" if error <= floor else f"{side} than they keep"
    return (
        f"The expected calibration error is {error:.3f}; a perfectly calibrated model would show "
        f"{floor:.3f} on {count(bins['n'].sum(), 'image')} by chance. On the whole {side}."
    )


def confused(score: Mapping) -> str:
    """Return which two emotions are confused most often, and by how much."""
    matrix, labels = np.array(score["confusion_matrix"], float), score["labels"]
    errors = matrix - np.diag(np.diag(matrix))
    if not errors.any():
        return "No face is answered wrongly."
    told = []
    for place in errors.ravel().argsort(kind="stable")[::-1][:2]:
        shown, given = divmod(int(place), len(labels))
        if errors[shown, given]:
            told.append(
                f"of {matrix[shown].sum():,.0f} faces that show *{labels[shown]}*, "
                f"{round(errors[shown, given], 1):,g} are answered *{labels[given]}* "
                f"({percent(errors[shown, given] / matrix[shown].sum(), digits=0)})"
            )
    return f"The largest error: {'; then, '.join(told)}."


def best_and_worst(score: Mapping) -> str:
    """Return the emotions that are read best and worst, by F1."""
    shown = {name: found for name, found in score["per_class"].items() if found["support"]}
    ordered = sorted(shown, key=lambda name: -shown[name]["f1"])
    best, worst = ordered[0], ordered[-1]
    if best == worst:
        return f"Every face shows *{best}*."
    return (
        f"*{best}* is read best (F1 {percent(shown[best]['f1'])}), *{worst}* worst "
        f"({percent(shown[worst]['f1'])}, {count(round(shown[worst]['support']), 'face')})."
    )


def highest(board: Mapping[str, Mapping]) -> str:
    """Return whose accuracy is highest of scores by name, and whose intervals overlap with it."""
    if not board:
        return "No model has answered a face whose emotion is known."
    best = max(board, key=lambda name: board[name]["accuracy"])
    low = board[best]["accuracy_ci95"][0]
    beside = [n for n, one in board.items() if n != best and one["accuracy_ci95"][1] >= low]
    return (
        f"The highest accuracy is that of {best}, {percent(board[best]['accuracy'])}; the "
        f"intervals that overlap with its own: {listed(beside)}."
    )


def answered(predictions: pd.DataFrame) -> str:
    """Return what unknown faces were answered, and how often as the raters' majority says."""
    predictions = predictions[predictions["predicted"] != ""]  # of a face that could not be read
    if predictions.empty:
        return "No unknown face was answered."
    given = predictions["predicted"].value_counts()
    rated = predictions[predictions["truth"] != ""]
    right = int((rated["predicted"] == rated["truth"]).sum())
    told = listed([f"*{emotion}* ({n})" for emotion, n in given.items()])
    return (
        f"The answers are {told}. The raters have a majority on {count(len(rated), 'face')} of "
        f"{len(predictions)}; the answer is theirs on {right}."
    )


def forgotten(likeness: pd.DataFrame) -> str:
    """Return whether maps survive that layers forget (`mien.network.saliency.sanity_check`)."""
    last = likeness["correlation"].iloc[-1]
    said = "much of these maps is the picture's and not what the network has learned"
    if last < 0.5:
        said = "the maps depend on what the network has learned"
    return f"When every layer has forgotten, the likeness is {number_text(last)}: {said}."


def named(model: str, score: Mapping) -> str:
    """Return the name of a model and, of a network, how many trainings its score is about."""
    trainings = score.get("trainings")
    if trainings in (None, 1):
        return f"{model} (this one trained network)" if trainings else model
    return (
        f"{model} (mean of {trainings} trained networks, standard deviation "
        f"{100 * score['accuracy_sd']:.1f} points)"
    )


def of_networks(row: Mapping) -> str:
    """Return of how many trained networks a pair of models tells, if of any."""
    if not any(map(is_network, (row["a"], row["b"]))):
        return ""
    if row["trainings"] == 1:
        return ", this one trained network"
    return f", {row['trainings']} trained networks"


def rating_standing(standing: Mapping[str, int]) -> str:
    """Return how far a rater is, by `mien.labelling.widget.Labeller.standing`."""
    if standing["left"]:
        return (
            f"**{count(standing['left'], 'face')} left.** The tables below fill when every face "
            "has its answer; run these cells again then."
        )
    said = f"All {count(standing['faces'], 'face')} have your answer."
    if standing["twice"]:
        twice = count(standing["twice"], "face")
        said += f" Of {twice} shown twice you answered {standing['alike']} alike."
    return said


def trials(best: Mapping) -> str:
    """Return what trials of batch sizes show (`mien.network.ablation.best_trial`)."""
    return (
        f"After {count(best['epochs'], 'epoch')} the batch of {best['batch_size']} leads with "
        f"{percent(best['accuracy'])}, {points(best['lead'])} over the batch of {best['worst']}. "
        f"With the batch of {best['batch_size']}, going from the first epoch to the last changed "
        f"{points(best['gain'])}."
    )


def planned(plan: Mapping) -> str:
    """Return how much a network learns here, and why (`mien.network.ablation.plan`)."""
    if not plan["minutes"]:
        return f"The network learns for {count(plan['epochs'], 'epoch')}, however long they take."
    tried = [
        f"{minutes(60 * seen['minutes'])} with {seen['parameters'] / 1e6:.1f} million parameters"
        for seen in plan["measured"]
    ]
    return (
        f"On this machine an epoch takes {listed(tried)}. The training may take "
        f"{minutes(60 * plan['minutes'])}, so the {'last' if tried[1:] else 'first'} of these "
        f"learns for {count(plan['epochs'], 'epoch')}, about {minutes(60 * plan['expected'])}."
    )


def ablation(choices: pd.DataFrame, noise: float, n: int) -> str:
    """Return which choices, judged by n images, stand out of the standard error of a difference."""
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
    rise = (
        f"was lowest in epoch {turning['lowest_loss_epoch']} and ended "
        f"{percent(turning['loss_rise'])} higher: the network over-fits towards the end"
    )
    if turning["loss_rise"] <= 0.02:
        rise = "did not turn upwards, so over-fitting is not visible"
    return (
        f"PublicTest accuracy was highest, {percent(turning['best_accuracy'])}, in epoch "
        f"{turning['best_epoch']} of {turning['epochs']}. Its loss {rise}."
    )


def same_minutes(reached: Mapping) -> str:
    """Return how far two networks were (`mien.network.ablation.at_the_same_time`)."""
    ours = "had not finished its first epoch"
    if reached["ours"] is not None:
        ours = f"was right on {percent(reached['ours'])}"
    return (
        f"After {minutes(60 * reached['minutes'])} the assignment's network is right on "
        f"{percent(reached['theirs'])} of PublicTest; ours {ours} then. Ours ends at "
        f"{percent(reached['our_end'])} after {minutes(60 * reached['our_minutes'])}."
    )


def ferplus(found: Mapping[str, Any] | None, model: str) -> str:
    """Return how far a model and the labels agree with FER+ (`agreement_with_ferplus`)."""
    if found is None:
        return "`fer2013new.csv` does not lie beside this study's FER2013, so FER+ was not asked."
    if "unfit" in found:
        return f"FER+ was not asked: {escape(found['unfit'])}."
    if not found:
        return "FER+ has no votes on any PrivateTest face."
    table, errors, alike = found["agreement"], found["errors"].iloc[0], found["undisputed"]
    rows = table[table["emotion"] == "all"].set_index("who")
    own, label, voter = (rows.loc[who] for who in ("model", "label", "another voter"))
    told = [
        f"A tagger drawn at random agrees with {model} on {percent(own['voter'])} of "
        f"{count(own['n'], 'PrivateTest face')}, with FER2013's label on "
        f"{percent(label['voter'])}, with another tagger on {percent(voter['voter'])}."
    ]
    if own["n_majority"]:
        told.append(
            f"Where most taggers name one emotion ({count(own['n_majority'], 'face')}), {model} "
            f"agrees on {percent(own['majority'])}, the label on {percent(label['majority'])}."
        )
    if alike["n"]:
        told.append(
            f"Where the label is what most taggers name ({alike['n']:,}), {model} is right on "
            f"{percent(alike['accuracy'])} (95 % interval {interval(alike['accuracy_ci95'])})."
        )
    if errors["n"]:
        told.append(
            f"Of its {count(errors['n'], 'error')}, {percent(errors['more'] + errors['as many'])} "
            f"are none to the taggers, of whom at least as many name its answer as the label; "
            f"in {percent(errors['none'])} nobody does."
        )
    return " ".join(told)


def augmented(augment: Mapping[str, float]) -> str:
    """Return how training faces are changed, from the fields of `mien.network.training.Augment`."""
    told = {
        "mirror": "mirrored half of the time",
        "shift": f"moved by up to {percent(augment['shift'], digits=0)} of its width",
        "rotation": f"turned by up to {augment['rotation']:g} degrees",
        "zoom": f"scaled by up to {percent(augment['zoom'], digits=0)}",
        "light": f"relit by up to {augment['light']:g} octaves of gamma",
        "erase": f"covered in part with a probability of {percent(augment['erase'], digits=0)}",
    }
    return f"Each time that a face is shown it is {listed([told[n] for n in told if augment[n]])}."


def choices(candidates: Mapping[str, Sequence[float]], chosen: Sequence[Mapping]) -> str:
    """Return among what ``candidates`` the inner folds chose, and how often each."""
    if not candidates:
        return "The inner folds chose nothing: the classifier is taken as it is."
    told = []
    for name, values in candidates.items():
        times = [sum(choice.get(name) == value for choice in chosen) for value in values]
        pairs = [f"{value} ({n})" for value, n in zip(values, times, strict=True)]
        told.append(f"*{_parameter(name)}* {listed(pairs)}")
    return (
        f"What the inner folds chose in {count(len(chosen), 'fold')}, and how often: "
        f"{'; '.join(told)}."
    )


def _parameter(name: str) -> str:
    return name.rpartition("__")[2].replace("with_std", "a scale of its own for every column")


def measured_procedure(described: Mapping[str, Any]) -> str:
    """Return how `mien.designed.measured_svm.MeasuredSvm` sees measured features, and chooses."""
    seen = "It sees the columns as they are."
    if described["views"]:
        levels = listed([f"{level:g}" for level in described["views"]])
        seen = f"Its {count(len(described['views']), 'view')} take up to {levels} of 1 for noise"
        seen += ", and what is called present counts double."
    if not described["choices"]:
        return f"{seen} Nothing is chosen inside a training fold."
    names = [f"*{_parameter(name)}*" for name in described["choices"]]
    return (
        f"{seen} Inside every training fold, {count(described['n_splits'], 'inner fold')} that "
        f"keep clips whole choose {listed(names)}."
    )


def tuned(described: Mapping[str, Any], chosen: Sequence[int], explained: bool = True) -> str:
    """Return how a network is tuned (`Tuner.describe`), and for how many epochs by the folds."""
    frozen = count(described["frozen"], "stage") if described["frozen"] else "nothing"
    said = f"Frozen, from the input on: {frozen}."
    if not described["own"]:
        said = "The network is not mien's own: all but its last layer is frozen."
    if not explained:
        said += " Grad-CAM finds no convolution to read in it; occlusion takes its place below."
    return (
        f"{said} The rest learns at a rate "
        f"of {described['learning_rate']:g}, pulled to its start with a weight of "
        f"{described['l2_to_start']:g}. {augmented(vars(described['augment']))} Inside every "
        f"training fold, {count(described['inner_folds'], 'inner fold')} that keep clips whole "
        f"choose after how many epochs to stop, among 0 to {described['epochs']}: over all folds "
        f"and repeats {min(chosen)} to {max(chosen)}, {median(chosen):.0f} in the middle."
    )


def thirds(shares: Mapping[str, Sequence[float]]) -> str:
    """Return on which third of the face most of each emotion's weight lies."""
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
    """Return how far two kinds of maps agree (`mien.evaluation.heat_maps.likeness`)."""
    if not correlations:
        return "The two ways cannot be compared: one of them shows no place at all."
    told = ", ".join(f"*{emotion}* {number_text(value)}" for emotion, value in correlations.items())
    return f"The places that Grad-CAM and occlusion find correlate (Spearman) by {told}."


def few_and_all(found: pd.DataFrame) -> str:
    """Return what each model has with the fewest and with all faces learned from."""
    told = []
    for model, own in found.sort_values("faces").groupby("model", sort=False):
        few, every = own.iloc[0], own.iloc[-1]
        told.append(
            f"{model} {percent(few['accuracy'])} with {few['faces']:.0f} and "
            f"{percent(every['accuracy'])} with {every['faces']:.0f}"
        )
    return "; ".join(told)


def crowd(facts: Mapping[str, Any]) -> str:
    """Return what was read of FER2013, from `mien.data.summary.crowd_facts`."""
    sizes = [f"{n:,} in {usage}" for usage, n in facts["images"].items()]
    total = count(sum(facts["images"].values()), "image")
    said = f"{escape(facts['source'])} holds **{total}**: {listed(sizes)}."
    if facts["shared_out"]:
        made = listed(facts["shared_out"])
        said += (
            f" It came without {made}, taken out of Training here: no figure on it is FER2013's."
        )
    return said


def balance(counts: pd.DataFrame) -> str:
    """Return how far classes of Training differ in size (`mien.data.fer2013.Fer2013.counts`)."""
    sizes = counts["Training"]
    most, fewest = sizes.idxmax(), sizes.idxmin()
    if not sizes[fewest]:
        return f"Training holds no image of {listed([f'*{e}*' for e in sizes[sizes == 0].index])}."
    return (
        f"Training's largest class, *{most}* ({sizes[most]:,} images), has "
        f"{sizes[most] / sizes[fewest]:.1f} times as many as its smallest, *{fewest}* "
        f"({sizes[fewest]:,})."
    )


def lost(findings: pd.DataFrame) -> str:
    """Return how much of a person's files is not used (`mien.data.person.Person.told`)."""
    unused = findings[findings["lost"]]
    if unused.empty:
        return "Nothing of the person's files is lost."
    told = [f"{count(int(n), what)}" for what, n in unused.groupby("what")["count"].sum().items()]
    return f"Not used: {listed(told)}."


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
    measured = [f"{count(rows, 'row')} of {name}" for name, rows in facts["measured"].items()]
    return (
        f"{count(facts['labelled_images'], 'labelled image')}, {count(facts['clips'], 'clip')}, "
        f"{count(facts['unknown'], 'unknown face')}. "
        f"Measured on labelled faces: {listed(measured) if measured else 'nothing'}. "
        f"Always answering *{facts['majority']}* would be right on "
        f"{percent(facts['majority_share'])} of the labelled faces."
    )


def raters(pairs: pd.DataFrame, faces: str) -> str:
    """Return how far those who judged ``faces`` agree (``pairs`` of `rater_agreement`)."""
    told = []
    for row in pairs[pairs["n"] > 0].itertuples():
        kappa = ""
        if np.isfinite(row.kappa):
            kappa = f"; Cohen's kappa is {row.kappa:.2f}, {strength(row.kappa)} agreement"
        told.append(
            f"{escape(row.a)} and {escape(row.b)} agree on {row.agree} of "
            f"{count(row.n, 'face')}{kappa}."
        )
    return " ".join(told) or f"Fewer than two have judged {faces}, so there is no agreement."


def measured(model: str, read: Mapping[str, Any], sources: Iterable[str]) -> str:
    """Return what a model on measured features reads (`Measured`), and which sources there are."""
    names = read["names"]
    presences = [name for name in names if name.endswith("_c")]
    told = f", {len(presences)} of them presences," if presences else ""
    alone = [name for name in presences if {name[:-2], name[:-2] + "_r"}.isdisjoint(names)]
    if alone and len(alone) < len(names):
        told += f" (of {listed(alone)} there is no intensity to double, so they change nothing)"
    if read["source"] != read["kind"]:
        told += f" from {escape(read['source'])}"
    sources = listed([escape(source) for source in sources])
    return (
        f"{model} reads {count(len(names), 'column')} of {read['kind']}{told}. Sources of this "
        f"person are {sources}."
    )


def leak(gained: Mapping[str, Any], honest: Mapping[str, Any]) -> str:
    """Return what folds claim that let frames of a clip stand on both sides.

    ``gained`` is the ``difference`` to folds that keep clips whole, ``honest`` the latter's score.
    """
    return (
        f"Plain folds claim {points(gained['difference'])} against folds that keep clips whole "
        f"(95 % interval, paired, over clips: {interval(gained['ci95'], signed=True)}). Over "
        f"{count(honest['repeats'], 'deal')}, Nadeau and Bengio's corrected 95 % interval of the "
        f"honest accuracy is {interval(honest['accuracy_ci95_corrected'])}."
    )


def left_out(apart: Sequence[bool]) -> str:
    """Return how many labelled faces were left out to answer the unknown ones."""
    return (
        f"To answer the unknown faces, {len(apart) - sum(apart)} of "
        f"{count(len(apart), 'labelled face')} were left out: those of the same clips."
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
        return "EMFACS knows an emotion by Action Units; here is nothing to compare with."
    return (
        f"Of the {hits['units']} units that mattered most, as many for each emotion as its "
        f"prototype has, {hits['hits']} are the textbook's; textbook units rank above the others "
        f"in {hits['emotions_above']} of {count(hits['emotions'], 'emotion')}."
    )
