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
    times = int((reads["set"] == "PrivateTest").sum())
    told = "In this study PrivateTest is read once, after everything was chosen."
    if times:
        told += (
            f" Over the project's history that of FER2013 itself was read {count(times, 'time')} "
            "for published figures (guides/private_test.csv), and chose nothing."
        )
    return told


def calibration(bins: pd.DataFrame, error: float, floor: float) -> str:
    """Return how far confidence and accuracy are apart, beside the noise floor."""
    over = np.average(bins["confidence"] - bins["accuracy"], weights=bins["n"])
    more = "more" if over > 0 else "less"
    side = f"its answers promise {points(abs(over)).lstrip('+')} {more} than they keep"
    if error <= floor:
        side = "it is no further off than that"
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
    apart = "overlaps with none of the others"
    if beside:
        apart = f"overlaps with {'that' if len(beside) == 1 else 'those'} of {listed(beside)}"
    return (
        f"The highest accuracy is that of {best}, {percent(board[best]['accuracy'])}; its interval "
        f"{apart}."
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
    said = f"When every layer has forgotten, the likeness is {last:.2f}".replace("-", "−")
    if last >= 0.5:
        return f"{said}: much of these maps is the picture's and not what the network has learned."
    return f"{said}: the maps depend on what the network has learned."


def named(model: str, score: Mapping) -> str:
    """Return the name of a model and, of a network, how many trainings its score is about."""
    if "trainings" not in score:
        return model
    if score["trainings"] == 1:
        return f"{model} (this one trained network)"
    return (
        f"{model} (mean of {score['trainings']} trained networks, standard deviation "
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
    """Return how far a rater is, by `mien.labelling.rating_results.standing`."""
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
    said = (
        f"PublicTest accuracy was highest, {percent(turning['best_accuracy'])}, in epoch "
        f"{turning['best_epoch']} of {turning['epochs']}. "
    )
    if turning["loss_rise"] <= 0.02:
        return said + "Its loss did not turn upwards, so over-fitting is not visible."
    return said + (
        f"Its loss was lowest in epoch {turning['lowest_loss_epoch']} and ended "
        f"{percent(turning['loss_rise'])} higher: the network over-fits towards the end."
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


def ferplus(found: Mapping[str, Any] | None, model: str) -> str:
    """Return how far a model and the labels agree with FER+ (`agreement_with_ferplus`)."""
    if found is None:
        return "`fer2013new.csv` does not lie beside this study's FER2013, so FER+ was not asked."
    if "unfit" in found:
        return f"FER+ was not asked: {escape(found['unfit'])}."
    if not found:
        return "FER+ has no votes on any PrivateTest face."
    table, errors = found["agreement"], found["errors"].iloc[0]
    rows = table[table["emotion"] == "all"].set_index("who")
    own, label, voter = (rows.loc[who] for who in ("model", "label", "another voter"))
    told = (
        f"A tagger drawn at random agrees with {model} on {percent(own['voter'])} of "
        f"{count(own['n'], 'PrivateTest face')}, with FER2013's label on "
        f"{percent(label['voter'])}, with another tagger on {percent(voter['voter'])}. "
    )
    if own["n_majority"]:
        told += (
            f"Where most taggers name one emotion ({count(own['n_majority'], 'face')}), {model} "
            f"agrees on {percent(own['majority'])}, the label on {percent(label['majority'])}"
        )
        alike = found["undisputed"]
        told += (
            f"; where the label is that emotion ({alike['n']:,}), {model} is right on "
            f"{percent(alike['accuracy'])} (95 % interval {interval(alike['accuracy_ci95'])}). "
            if alike["n"]
            else ". "
        )
    if errors["n"]:
        told += (
            f"Of its {count(errors['n'], 'error')}, {percent(errors['more'] + errors['as many'])} "
            f"are none to the taggers, of whom at least as many name its answer as the label; "
            f"in {percent(errors['none'])} nobody does."
        )
    return told.strip()


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


#: What inner folds choose, in words; of numbers the name is the parameter's.
_CHOICES = {"with_std": "a scale of its own for every column"}


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def choices(candidates: Mapping[str, Sequence[float]], chosen: Sequence[Mapping]) -> str:
    """Return among what ``candidates`` the inner folds chose, and how often each."""
    if not candidates:
        return "The inner folds chose nothing: the classifier is taken as it is."
    told = []
    for name, values in candidates.items():
        times = [sum(choice.get(name) == value for choice in chosen) for value in values]
        pairs = [f"{_value(value)} ({n})" for value, n in zip(values, times, strict=True)]
        told.append(f"*{_choice(name)}* {listed(pairs)}")
    return (
        f"What the inner folds chose in {count(len(chosen), 'fold')}, and how often: "
        f"{'; '.join(told)}."
    )


def _choice(name: str) -> str:
    name = name.rpartition("__")[2]
    return _CHOICES.get(name, name)


def measured_procedure(described: Mapping[str, Any]) -> str:
    """Return how `mien.designed.measured_svm.MeasuredSvm` sees measured features, and chooses."""
    seen = "It sees the columns as they are."
    if described["views"]:
        levels = listed([f"{level:g}" for level in described["views"]])
        seen = f"Its {count(len(described['views']), 'view')} take up to {levels} of 1 for noise"
        seen += ", and what is called present counts double." if described["presence"] else "."
    told = [
        f"*{_choice(name)}* among {listed([_value(value) for value in values])}"
        for name, values in described["choices"].items()
    ]
    if not told:
        return f"{seen} Nothing is chosen inside a training fold."
    return (
        f"{seen} Inside every training fold, {count(described['n_splits'], 'inner fold')} that "
        f"keep clips whole choose {listed(told)}."
    )


def trained(settings: Mapping[str, Any]) -> str:
    """Return which weights a training ends with (`mien.network.training.Recipe.settings`)."""
    kept = {"best": "that PublicTest found best", "last": "that was the last"}[settings["keep"]]
    return (
        f"What PublicTest looks at is a moving average of the weights (momentum "
        f"{settings['ema']:g} a step); kept are those of the epoch {kept}."
    )


def tuned(described: Mapping[str, Any], explained: bool = True) -> str:
    """Return how a network is tuned (`mien.network.fine_tuning.Tuner.describe`)."""
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
        f"choose after how many epochs to stop, among 0 to {described['epochs']}."
    )


def chosen_epochs(chosen: Sequence[int], most: int) -> str:
    """Return how many epochs the inner splits of fine-tuning chose, of at most so many."""
    told = f"{min(chosen)} to {max(chosen)} epochs, {median(chosen):.0f} in the middle,"
    if min(chosen) == max(chosen):
        told = f"{count(min(chosen), 'epoch')} everywhere,"
    return f"Over all folds and repeats, the inner splits chose {told} of at most {most}."


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
    told = ", ".join(f"*{emotion}* {value:.2f}" for emotion, value in correlations.items())
    told = told.replace("-", "−")
    return f"The places that Grad-CAM and occlusion find correlate (Spearman) by {told}."


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


def folder(pairs: pd.DataFrame) -> str:
    """Return how far raters agree with the folder's labels; of `raters` those pairs alone."""
    told = [raters(pairs.iloc[[row]]) for row in np.flatnonzero(pairs["n"])]
    return " ".join(told) or "Nobody has rated labelled faces, so their labels have no second look."


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


def measured_twice(faces: int) -> str:
    """Return on how many labelled faces blendshapes stand beside Action Units."""
    if not faces:
        return "No labelled face has both Action Units and blendshapes, so no model stands beside."
    return f"{count(faces, 'labelled face')} have both Action Units and blendshapes."


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
        return "EMFACS knows an emotion by Action Units; here is nothing to compare with."
    return (
        f"Of the {hits['units']} units that mattered most, as many for each emotion as its "
        f"prototype has, {hits['hits']} are the textbook's; textbook units rank above the others "
        f"in {hits['emotions_above']} of {count(hits['emotions'], 'emotion')}."
    )
