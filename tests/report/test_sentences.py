from itertools import combinations

import numpy as np
import pandas as pd

from mien.designed import measured_svm
from mien.emotions import codes
from mien.evaluation.paired_tests import compare
from mien.evaluation.rater_agreement import errors_among_voters, rater_agreement, with_voters
from mien.network import fine_tuning, training
from mien.report import sentences

SCORE = {"set": "target-labelled", "n": 86, "accuracy": 0.581, "accuracy_ci95": [0.472, 0.689],
         "f1_macro": 0.5}  # fmt: skip


def test_accuracy_sentence():
    assert sentences.accuracy(SCORE, "SVM-OpenFace") == (
        "SVM-OpenFace is right on 58.1 % of 86 labelled faces of the person "
        "(95 % interval 47.2 to 68.9 %; macro F1 50.0 %)."
    )
    assert "mean of 20 repeats" in sentences.accuracy(SCORE | {"repeats": 20})
    assert "macro F1 50.0 %; log loss 1.30" in sentences.accuracy(SCORE | {"log_loss": 1.3})


def test_a_network_is_one_training_or_the_mean_of_several():
    assert sentences.accuracy(SCORE | {"trainings": 1}, "NN-FER2013").startswith(
        "NN-FER2013 (this one trained network) is right on 58.1 %"
    )
    several = SCORE | {"trainings": 3, "accuracy_sd": 0.034}
    assert sentences.accuracy(several, "NN-FER2013").startswith(
        "NN-FER2013 (mean of 3 trained networks, standard deviation 3.4 points) is right"
    )


def models(*right: int, n: int = 60) -> tuple[dict, pd.DataFrame]:
    """Scores and pairs of models A, B, … that are right on the first so many of n images."""
    truth = ["sad"] * n
    answers = {
        name: ["sad"] * k + ["happy"] * (n - k) for name, k in zip("ABCD", right, strict=False)
    }
    pairs = compare(truth, answers, range(n), pairs=list(combinations(answers, 2)))
    scores = {
        name: {
            "accuracy": k / n,
            "n": n,
            "accuracy_ci95": [0, 1],
            "f1_macro": k / n,
            "balanced_accuracy": k / n,
        }
        for name, k in zip("ABCD", right, strict=False)
    }
    return scores, pairs


def test_a_chapter_says_of_one_pair_the_difference_and_no_winner():
    row = models(50, 20)[1].iloc[0]
    told = sentences.one_pair(row)
    assert told.startswith("A minus B: +50.0 points on 60 images")
    assert "of this pair alone" in told and "chapter C" in told and "better" not in told


def test_an_ablation_names_only_what_stands_out_of_the_noise():
    found = pd.DataFrame(
        {
            "choice": ["the recipe", "with mixup", "without augmentation"],
            "PublicTest accuracy": [0.5, 0.49, 0.4],
            "difference": [0, -0.01, -0.1],
        }
    )
    said = sentences.ablation(found, 0.0118, 3589)
    assert "without augmentation (−10.0 points)" in said and "mixup" not in said
    assert "under 2.4 points" in said and "noise of 3,589 images" in said
    assert "beyond it: none" in sentences.ablation(found, 0.06, 50)


def test_a_plan_is_told_with_what_was_measured():
    seen = [{"parameters": 2_200_000, "minutes": 7.0}, {"parameters": 900_000, "minutes": 1.5}]
    plan = {"epochs": 11, "minutes": 20.0, "expected": 16.5, "measured": seen}
    assert sentences.planned(plan) == (
        "On this machine an epoch takes 7.0 minutes with 2.2 million parameters and 1.5 minutes "
        "with 0.9 million parameters. The training may take 20.0 minutes, so the last of these "
        "learns for 11 epochs, about 16.5 minutes."
    )
    assert "so the first of these" in sentences.planned(plan | {"measured": seen[:1]})
    assert sentences.planned(plan | {"minutes": 0}).startswith("The network learns for 11 epochs")


def test_trials_name_the_best_batch_size():
    best = {"epochs": 3, "batch_size": 32, "accuracy": 0.5, "worst": 128, "lead": 0.1, "gain": 0.2}
    assert sentences.trials(best).startswith(
        "After 3 epochs the batch of 32 leads with 50.0 %, +10.0 points over the batch of 128."
    )


def test_over_fitting_is_told_where_the_loss_turned():
    turning = {
        "epochs": 9,
        "best_epoch": 7,
        "best_accuracy": 0.6,
        "lowest_loss_epoch": 5,
        "loss_rise": 0.1,
    }
    assert "lowest in epoch 5 and ended 10.0 % higher" in sentences.overfitting(turning)
    assert "not visible" in sentences.overfitting(turning | {"loss_rise": 0.01})


def test_progress_is_told_at_the_same_time():
    reached = {"minutes": 2.2, "theirs": 0.25, "ours": 0.4, "our_minutes": 3.0, "our_end": 0.6}
    assert sentences.same_minutes(reached) == (
        "After 2.2 minutes the assignment's network is right on 25.0 % of PublicTest; ours was "
        "right on 40.0 % then. Ours ends at 60.0 % after 3.0 minutes."
    )
    assert "first epoch" in sentences.same_minutes(reached | {"ours": None})


def test_ferplus_is_told_where_it_was_asked():
    assert "was not asked" in sentences.ferplus(None, "a model")
    assert "no votes" in sentences.ferplus({}, "a model")
    labels, answers = codes(["happy", "neutral"]), codes(["happy", "sad"])
    votes = np.zeros((2, 10), int)
    votes[0, 3], votes[1, 6], votes[1, 4] = 10, 6, 4
    found = {
        "agreement": with_voters(votes, {"model": answers, "label": labels}, labels),
        "errors": errors_among_voters(votes, answers, labels),
        "undisputed": {"n": 2, "accuracy": 0.5, "accuracy_ci95": [0.09, 0.91]},
    }
    said = sentences.ferplus(found, "NN-FER2013")
    assert "with NN-FER2013 on 70.0 % of 2 PrivateTest faces" in said
    assert "label on 80.0 %" in said and "another tagger on 73.3 %" in said
    assert "(2 faces), NN-FER2013 agrees on 50.0 %, the label on 100.0 %." in said
    assert "right on 50.0 % (95 % interval 9.0 to 91.0" in said
    assert "Of its 1 error, 0.0 % are none to the taggers" in said and "in 0.0 % nobody" in said


def test_procedures_are_told_as_they_are_set():
    model = measured_svm.MeasuredSvm(["AU01_r", "AU01_c"], n_splits=3)
    said = sentences.measured_procedure(model.describe())
    assert "take up to 0, 0.06 and 0.12 of 1 for noise, and what is called present" in said
    assert "3 inner folds that keep clips whole choose *C*." in said
    other = measured_svm.MeasuredSvm(["jawOpen"], candidates={"svm__C": (3.0,)})
    assert "It sees the columns as they are." in sentences.measured_procedure(other.describe())
    tuning = fine_tuning.Tuning(frozen=1, epochs=7, augment=training.Augment(shift=0.05))
    said = sentences.tuned({**vars(tuning), "inner_folds": 3, "own": True}, [3, 0, 6])
    assert "from the input on: 1 stage. The rest" in said
    assert "among 0 to 7: over all folds and repeats 0 to 6, 3 in the middle." in said
    assert "moved by up to 5 %" in said


def test_maps_are_told_by_thirds_and_by_their_likeness():
    said = sentences.thirds({"angry": [0.7, 0.2, 0.1], "happy": [0, 0, 1]})
    assert "*angry* the upper third (70 %)" in said and "*happy* the lower third (100 %)" in said
    assert sentences.thirds({}).startswith("No place")
    assert sentences.likeness({"sad": -0.123}).endswith("by *sad* −0.12.")
    assert "cannot be compared" in sentences.likeness({})


CROWD = {
    "shared_out": [],
    "source": "fer_2013.csv",
    "images": {"Training": 2000, "PublicTest": 10, "PrivateTest": 0},
    "in_training": {"PublicTest": 1, "PrivateTest": 0},
    "nearly_in_training": {"PublicTest": 3, "PrivateTest": 0},
}


def test_the_crowd_and_its_copies():
    assert sentences.crowd(CROWD) == (
        "fer&#95;2013&#46;csv holds **2,010 images**: 2,000 in Training, 10 in PublicTest and "
        "0 in PrivateTest."
    )
    without = sentences.crowd({**CROWD, "shared_out": ["PublicTest"]})
    assert "It came without PublicTest, taken out of Training here" in without
    assert sentences.copies(CROWD) == (
        "1 PublicTest image (10.0 %) and 0 PrivateTest images (undefined) stand in Training too, "
        "pixel by pixel; with near-copies, which correlate with a Training image or its mirror "
        "image at .98 or more, it is 3 PublicTest and 0 PrivateTest images."
    )


def test_the_person():
    facts = {"labelled_images": 1, "measured": {"OpenFace 2": 30}, "clips": 7, "unknown": 12,
             "majority": "sad", "majority_share": 0.25}  # fmt: skip
    assert sentences.person(facts) == (
        "1 labelled image, 7 clips, 12 unknown faces. Measured on labelled faces: 30 rows of "
        "OpenFace 2. Always answering *sad* would be right on 25.0 % of the labelled faces."
    )


def test_raters_agree_or_are_too_few():
    ratings = pd.DataFrame(
        [(f, r, label) for f, both in enumerate([("sad", "sad"), ("happy", "happy")] * 2)
         for r, label in zip("ab", both, strict=True)],
        columns=["file_name", "rater", "label"],
    )  # fmt: skip
    assert sentences.raters(rater_agreement(ratings).pairs, "the faces") == (
        "a and b agree on 4 of 4 faces; Cohen's kappa is 1.00, almost perfect agreement."
    )
    alike = rater_agreement(ratings.assign(label="sad")).pairs
    assert sentences.raters(alike, "the faces") == "a and b agree on 4 of 4 faces."
    told = sentences.raters(rater_agreement(ratings[:1]).pairs, "the faces")
    assert told == "Fewer than two have judged the faces, so there is no agreement."


def test_raters_are_held_against_the_folder():
    ratings = pd.DataFrame(
        [("1", "a", "sad"), ("2", "a", "happy"), ("1", "b", "sad"), ("3", "b", "sad")],
        columns=["file_name", "rater", "label"],
    )
    pairs = rater_agreement(ratings, {"the folder": {"1": "sad", "2": "sad", "9": "sad"}}).pairs
    said = sentences.raters(pairs[pairs["b"] == "the folder"], "the labelled faces")
    assert said.startswith("a and the folder agree on 1 of 2 faces; Cohen's kappa is 0.00")
    assert said.endswith("b and the folder agree on 1 of 1 face.")


def test_the_textbook_and_chance():
    hits = {"units": 6, "hits": 2, "emotions": 2, "emotions_above": 1}
    said = sentences.textbook(hits)
    assert "Of the 6 units" in said and "2 are the textbook's" in said
    assert said.endswith("in 1 of 2 emotions.")
    assert "nothing to compare with" in sentences.textbook(dict.fromkeys(hits, 0))
    found = {"accuracy": 0.5, "mean": 0.25, "best": 0.375, "p": 0.01, "permutations": 99}
    assert sentences.chance(found).endswith(
        "25.0 % on average and 37.5 % at best (p = 0.010, 99 permutations)."
    )


def test_calibration_says_to_which_side_it_errs():
    bins = pd.DataFrame({"n": [10, 30], "confidence": [0.5, 0.9], "accuracy": [0.5, 0.7]})
    told = sentences.calibration(bins, 0.15, 0.02)
    assert "0.150" in told and "0.020 on 40 images" in told
    assert "promise 15.0 points more than they keep" in told
    bins["accuracy"] = [0.5, 1.0]
    assert "promise 7.5 points less than they keep" in sentences.calibration(bins, 0.075, 0.02)
    assert "no further off than that" in sentences.calibration(bins, 0.01, 0.02)


def test_what_is_confused_and_what_is_read_best():
    labels = ["fear", "sad", "happy"]
    score = {"labels": labels, "confusion_matrix": [[4, 4, 2], [0, 7.5, 2.5], [0, 0, 10]]}
    told = sentences.confused(score)
    assert "of 10 faces that show *fear*, 4 are answered *sad* (40 %); then, of 10 faces" in told
    assert "that show *sad*, 2.5 are answered *happy* (25 %)" in told
    right = {"labels": labels, "confusion_matrix": np.diag([1, 2, 3])}
    assert sentences.confused(right) == "No face is answered wrongly."
    f1 = {"fear": 0.5, "sad": 0.2, "happy": 0.9, "angry": 0.0}
    classes = {name: {"f1": value, "support": 3 * (value > 0)} for name, value in f1.items()}
    told = sentences.best_and_worst({"per_class": classes})
    assert told == "*happy* is read best (F1 90.0 %), *sad* worst (20.0 %, 3 faces)."
    alone = {"per_class": {"sad": {"f1": 1.0, "support": 2}}}
    assert sentences.best_and_worst(alone) == "Every face shows *sad*."


def test_the_highest_accuracy_and_whose_interval_overlaps():
    board = {
        "a": {"accuracy": 0.5, "accuracy_ci95": [0.4, 0.6]},
        "b": {"accuracy": 0.8, "accuracy_ci95": [0.7, 0.9]},
        "c": {"accuracy": 0.7, "accuracy_ci95": [0.6, 0.75]},
    }
    assert sentences.highest(board).endswith(
        "that of b, 80.0 %; the intervals that overlap with its own: c."
    )
    del board["c"]
    assert sentences.highest(board).endswith("the intervals that overlap with its own: none.")


def test_answers_to_unknown_faces_beside_the_raters():
    given = pd.DataFrame({"predicted": ["sad", "sad", "fear"], "truth": ["sad", "", "happy"]})
    told = sentences.answered(given)
    assert "*sad* (2) and *fear* (1)" in told
    assert "majority on 2 faces of 3; the answer is theirs on 1" in told
    given.loc[3] = ["", "sad"]
    assert sentences.answered(given) == told
    assert sentences.answered(given[3:]) == "No unknown face was answered."


def test_maps_that_survive_forgetting_are_told_so():
    told = [
        sentences.forgotten(pd.DataFrame({"correlation": [0.9, end]})) for end in (0.7, 0.1, -0.2)
    ]
    assert "0.70: much of these maps is the picture's" in told[0]
    assert "0.10: the maps depend on what" in told[1] and "−0.20" in told[2]


def test_how_training_faces_are_changed():
    amounts = {"mirror": True, "shift": 0.1, "rotation": 12, "zoom": 0, "light": 0, "erase": 0.25}
    told = sentences.augmented(amounts)
    assert "mirrored half of the time, moved by up to 10 % of its width, turned by up to 12" in told
    assert "probability of 25 %" in told and "scaled" not in told and "relit" not in told


def test_sizes_of_classes_and_what_is_lost():
    counts = pd.DataFrame({"Training": [100, 40, 0]}, index=["happy", "sad", "fear"])
    assert sentences.balance(counts) == "Training holds no image of *fear*."
    assert "*happy* (100 images), has 2.5 times" in sentences.balance(counts[:2])
    rows = [("row", True, 2), ("row", True, 1), ("image", True, 1), ("row", False, 9)]
    findings = pd.DataFrame(rows, columns=["what", "lost", "count"])
    assert sentences.lost(findings) == "Not used: 1 image and 3 rows."
    assert sentences.lost(findings[3:]) == "Nothing of the person's files is lost."


def test_what_all_seven_emotions_cost():
    told = sentences.unmasked({"accuracy": 0.77, "n": 87}, {"accuracy": 0.724})
    assert told == "With all seven emotions allowed, −4.6 points on the 87 labelled faces."


def test_what_inner_folds_chose_is_counted():
    chosen = [{"svm__C": 2.0}, {"svm__C": 2.0}]
    assert sentences.choices({"svm__C": (1.0, 2.0)}, chosen) == (
        "What the inner folds chose in 2 folds, and how often: *C* 1.0 (0) and 2.0 (2)."
    )


def test_what_a_model_reads_is_said_with_its_sources():
    read = {"kind": "Action Units", "source": "OpenFace 2", "names": ("AU01_r", "AU01_c")}
    told = sentences.measured("SVM-OpenFace", read, ["OpenFace 2", "blendshapes"])
    assert told == (
        "SVM-OpenFace reads 2 columns of Action Units, 1 of them presences, from OpenFace 2. "
        "Sources of this person are OpenFace 2 and blendshapes."
    )


def test_faces_that_were_left_out_are_counted():
    assert sentences.left_out([True, False, True]) == (
        "To answer the unknown faces, 1 of 3 labelled faces were left out: those of the same clips."
    )
